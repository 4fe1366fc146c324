"""Data sets are imported by one command."""

from tests.cli.conftest import call
from tests.datasets.conftest import GAUGES, write_camels, write_caravan


def test_some_catchments_of_camels(tmp_path):
    folder = write_camels(tmp_path, "nldas", "nldas")
    text = call(
        "import", "camels", folder, tmp_path / "out", "--forcing", "nldas", "--select", GAUGES[1]
    )
    assert "CAMELS-US (nldas): 1 catchment, 1461 days from 1990-10-01" in text
    assert "note: areas of the weather's files and GAGES-II differ" in text
    assert (tmp_path / "out" / "weather.nc").exists()


def test_a_source_of_caravan(tmp_path):
    write_caravan(tmp_path / "in", "lamah", "csv")
    text = call("import", "caravan", tmp_path / "in", tmp_path / "out", "--source", "lamah")
    assert "Caravan (lamah): 2 catchments" in text


def test_errors_are_one_line(tmp_path):
    folder = write_camels(tmp_path)
    text = call("import", "camels", folder, tmp_path / "out", "--forcing", "nldas", code=1)
    assert text.count("\n") == 1
    assert "it has daymet" in text
    assert not (tmp_path / "out").exists()
