"""`python -m bmi_dhydro` is `bmi-dhydro`."""

from .cli.main import main

main(prog_name="bmi-dhydro")
