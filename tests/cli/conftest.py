"""What several tests of this folder need."""

from click.testing import CliRunner

from bmi_dhydro.cli.main import main


def call(*arguments, code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output
