"""Trained models that come with the package are found by their names, and others are not."""

import subprocess
import sys

import pytest

from bmi_dhydro.networks.shipped import SHIPPED, shipped


@pytest.mark.parametrize("name", SHIPPED)
def test_each_has_a_file(name):
    assert shipped(name) == SHIPPED[name]
    assert SHIPPED[name].is_file()


@pytest.mark.parametrize("name", [None, "", "mine.safetensors", "defaults", 3])
def test_others_are_files_of_their_own(name):
    assert shipped(name) is None


def test_the_command_line_knows_their_names_without_reading_them():
    code = (
        "import sys, bmi_dhydro.cli.main; print('bmi_dhydro.networks.trained_model' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
