import pytest

from bmi_dhydro.errors import UnitsError
from bmi_dhydro.units import conversion, dimension


@pytest.mark.parametrize(
    ("units", "target", "value", "expected"),
    [
        ("mm d-1", "mm d-1", 3.0, 3.0),
        ("mm h-1", "mm d-1", 1.0, 24.0),
        ("kg m-2 s-1", "mm s-1", 0.5, 0.5),
        ("kg m^-2", "mm", 2.0, 2.0),
        ("m", "mm", 0.001, 1.0),
        ("inch/day", "mm d-1", 1.0, 25.4),
        ("K", "degC", 273.15, 0.0),
        ("degF", "degC", 32.0, 0.0),
        ("m3 s-1", "m3 d-1", 1.0, 86400.0),
        ("mm s^-1", "mm s-1", 1.0, 1.0),
    ],
)
def test_conversions(units, target, value, expected):
    scale, offset = conversion(units, target)
    assert value * scale + offset == pytest.approx(expected, abs=1e-9)


def test_an_unknown_unit_says_how_to_write_one():
    with pytest.raises(UnitsError, match=r"'furlongs per fortnite' is unknown.*mm d-1"):
        conversion("furlongs per fortnite", "mm d-1")


def test_another_dimension_is_refused():
    with pytest.raises(UnitsError, match="'K' cannot be converted to 'mm d-1'"):
        conversion("K", "mm d-1")


def test_coulomb_gets_a_hint():
    with pytest.raises(UnitsError, match="write degC"):
        conversion("C", "degC")


def test_dimensions():
    assert dimension("mm") == dimension("kg m-2") == "depth"
    assert dimension("mm d-1") == dimension("kg m-2 s-1") == "rate"
    assert dimension("K") == "temperature"
    assert dimension("m3 s-1") == "other"
