"""What people are told of a model."""

import pytest

from bmi_dhydro.networks.trained_model import load
from tests.cli.conftest import call


@pytest.mark.parametrize("model", ["fast", "default", "ensemble"])
def test_names_are_whole_on_a_narrow_terminal(model, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = call("info", model).splitlines()
    assert max(map(len, lines)) <= 80
    layout = load(model).layout
    for name in (*layout.attributes, *layout.process.parameter_names):
        assert any(name in line.split() for line in lines), name


def test_info_of_the_default_model():
    text = " ".join(call("info").split())
    for word in ("HBV", "MOPEX", "aridity", "CFMAX", "median NSE", "Apache-2.0"):
        assert word in text
    skill = load("default").about["skill"]
    assert f"low flows {skill['in_time']['median_bias_low']:+.0%}" in text
    assert f"skill is that of {skill['of']}" in text
