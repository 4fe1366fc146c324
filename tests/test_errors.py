"""Messages help: the name that was meant, and no more names than people read."""

from bmi_dhydro.errors import (
    ConfigError,
    DhydroError,
    VariableError,
    counted,
    listed,
    nearest,
    without_zeros,
)


def test_the_most_similar_name_is_offered():
    assert nearest("temprature", ["precipitation", "temperature"]) == "did you mean 'temperature'?"
    assert nearest("xyz", ["one", "two"]) == "known: one, two"
    assert nearest("xyz", []) == "there are none"


def test_one_of_a_thing_is_no_several():
    assert counted(1, "catchment") == "1 catchment"
    assert counted(0, "catchment") == "0 catchments"
    assert counted(12, "gauge") == "12 gauges"


def test_long_lists_are_cut():
    assert listed("ab") == "a, b"
    assert listed(range(5)) == "0, 1, 2, 3, 4"
    assert listed(range(8)) == "0, 1, 2, 3, 4 and 3 more"
    assert listed(range(3), most=1) == "0 and 2 more"


def test_errors_are_of_the_package_and_of_python():
    assert issubclass(ConfigError, DhydroError)
    assert issubclass(ConfigError, ValueError)
    # A KeyError would put quotation marks around its message.
    assert str(VariableError("flow is unknown")) == "flow is unknown"
    assert isinstance(VariableError("x"), KeyError)


def test_ids_that_lack_leading_zeros_are_hinted_at():
    known = ["01048000", "02010000", "cat-7"]
    assert "did you mean 01048000?" in without_zeros(["99", "1048000"], known)
    assert "did you mean 7?" in without_zeros(["007"], ["7"])
    assert without_zeros(["cat-07", "1049000"], known) == ""
