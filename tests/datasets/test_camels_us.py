"""CAMELS for the United States as it is distributed."""

from contextlib import contextmanager

import numpy as np
import pytest

from bmi_dhydro.datasets import camels_us
from bmi_dhydro.errors import CatchmentError, ForcingError
from tests.datasets.conftest import AREAS, DAYS, GAUGES, series, write_camels


def changed(path, old, new, count=1):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


def file_of(folder, pattern):
    return next(iter(sorted(folder.rglob(pattern))))


@pytest.mark.parametrize(
    ("product", "mark"), [("daymet", "cida"), ("maurer_extended", "maurer"), ("nldas", "nldas")]
)
def test_weather_and_flow_are_those_of_the_files(tmp_path, product, mark):
    read = []

    @contextmanager
    def bar(title, total):
        assert total == len(GAUGES)
        yield read.append

    records = camels_us.read(write_camels(tmp_path, product, mark), product, bar=bar)
    assert read == records.catchments.ids.tolist() == GAUGES
    assert (str(records.start), records.days) == ("1990-10-01", len(DAYS))
    for k in range(3):
        rain, low, high, flow = series(k)
        assert np.array_equal(records.weather["precipitation"][:, k], rain)
        assert np.array_equal(records.weather["temperature_minimum"][:, k], low)
        assert np.array_equal(records.weather["temperature_maximum"][:, k], high)
        # 300 W m-2 in twelve hours of daylight.
        assert (records.weather["shortwave_radiation"][:, k] == 150.0).all()
        known = np.isfinite(records.flow[:, k])
        np.testing.assert_allclose(records.flow[known, k], flow[known], atol=1e-3)
    assert np.isnan(records.flow[:180]).all()
    gaps = np.arange(200, len(DAYS), 100)
    assert np.isnan(records.flow[gaps]).all()
    assert np.isfinite(np.delete(records.flow[180:], gaps - 180, axis=0)).all()


def test_flags_are_kept(camels):
    records = camels_us.read(camels)
    meaning = np.array(records.qualities)[records.quality[:, 0]]
    assert (meaning[:180] == "missing").all()
    assert meaning[200] == "missing"
    assert meaning[201] == "estimated"
    assert meaning[202] == "approved"


def test_attributes_have_the_units_of_the_vocabulary(camels):
    table = camels_us.read(camels).catchments
    assert table.area.tolist() == AREAS
    assert table.attributes["soil_porosity"].tolist() == [0.46, 0.42, 0.43]
    # 1.1 cm h-1.
    found = 10.0 ** table.attributes["log10_saturated_conductivity"]
    assert found[0] == pytest.approx(1.1e-2 / 3600.0)
    # The last is unknown, and made of texture.
    assert 1e-7 < found[2] < 1e-4
    assert table.attributes["forest_fraction"].tolist() == [0.91, 0.92, 0.99]
    assert table.attributes["mean_slope"].tolist() == [21.6, 17.8, 50.0]
    assert (table.attributes["clapp_hornberger_b"] > 3.0).all()


def test_areas_that_differ_are_named(camels):
    (note,) = camels_us.read(camels).notes
    assert "GAGES-II differ by more than 5 % in 1 catchment (01022500)" in note


def test_some_catchments_in_another_order(camels):
    records = camels_us.read(camels, ids=[GAUGES[2], GAUGES[0]])
    assert records.catchments.ids.tolist() == [GAUGES[2], GAUGES[0]]
    assert np.array_equal(records.weather["precipitation"][:, 0], series(2)[0])


def test_another_product_is_named(camels):
    with pytest.raises(ForcingError, match=r"no weather of nldas .* it has daymet"):
        camels_us.read(camels, "nldas")
    with pytest.raises(ForcingError, match="weather of 'era5' is unknown; known: daymet"):
        camels_us.read(camels, "era5")


def test_missing_files_are_named(camels):
    with pytest.raises(CatchmentError, match="no weather of daymet for 99999999"):
        camels_us.read(camels, ids=["99999999"])
    file_of(camels, "01022500_streamflow_qc.txt").unlink()
    with pytest.raises(CatchmentError, match=r"no flow \(usgs_streamflow\) for 01022500"):
        camels_us.read(camels)
    assert len(camels_us.read(camels, ids=GAUGES[:1]).catchments) == 1
    file_of(camels, "camels_soil.txt").unlink()
    with pytest.raises(CatchmentError, match=r"camels_soil\.txt is missing"):
        camels_us.read(camels, ids=GAUGES[:1])


def test_a_calendar_without_29_february(tmp_path):
    with pytest.raises(ForcingError, match="1992-02-28 is followed by 1992-03-01; is its calendar"):
        camels_us.read(write_camels(tmp_path, leap=False))


def test_temperatures_that_are_the_same(tmp_path):
    folder = write_camels(tmp_path, "maurer", "maurer")
    path = file_of(folder, "01013500_lump*")
    lines = path.read_text().split("\n")
    for k in range(4, len(lines) - 1):
        cells = lines[k].split("\t")
        cells[6] = cells[5]
        lines[k] = "\t".join(cells)
    path.write_text("\n".join(lines))
    with pytest.raises(ForcingError, match=r"the same on all days.*maurer_extended"):
        camels_us.read(folder, "maurer")


@pytest.mark.parametrize(
    ("pattern", "old", "new", "message"),
    [
        ("01013500_lump*", "prcp(mm/day)", "prcp(in/day)", r"expected a column prcp\(mm/day\)"),
        ("01013500_lump*", "2252700000", "area", "is no file of CAMELS weather"),
        ("01013500_streamflow*", " 1991 04 02 ", " 1991 05 02 ", "followed by 1991-05-02"),
        ("01013500_streamflow*", " 1991 ", " year ", "is no file of CAMELS flow"),
    ],
)
def test_files_that_are_not_what_they_should_be(camels, pattern, old, new, message):
    path = file_of(camels, pattern)
    changed(path, old, new)
    with pytest.raises((ForcingError, CatchmentError), match=message):
        camels_us.read(camels)


def test_negative_flow_is_missing_and_said_so(camels):
    path = file_of(camels, "01013500_streamflow*")
    lines = path.read_text().split("\n")
    lines[5] = lines[5].replace(lines[5].split()[4], "-5.00")
    path.write_text("\n".join(lines))
    records = camels_us.read(camels)
    assert np.isnan(records.flow[185, 0])
    assert records.qualities[records.quality[185, 0]] == "missing"
    assert "01013500_streamflow_qc.txt: 1 values are negative" in records.notes[0]


def test_another_unit_of_temperature(camels):
    path = file_of(camels, "01013500_lump*")
    lines = path.read_text().split("\n")
    for k in range(4, len(lines) - 1):
        cells = lines[k].split("\t")
        cells[6] = f"{float(cells[6]) + 273.15:.2f}"
        lines[k] = "\t".join(cells)
    path.write_text("\n".join(lines))
    with pytest.raises(ForcingError, match=r"temperature_minimum is 2.*another unit"):
        camels_us.read(camels)
