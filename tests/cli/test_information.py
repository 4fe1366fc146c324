"""What people are told of a model."""

from tests.cli.conftest import call


def test_info_of_the_default_model():
    text = call("info")
    for word in ("HBV", "MOPEX", "aridity", "CFMAX", "median NSE", "Apache-2.0"):
        assert word in text
