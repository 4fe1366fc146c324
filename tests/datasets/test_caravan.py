"""Caravan as it is distributed."""

import numpy as np
import pandas
import pytest

from bmi_dhydro.datasets import caravan as reader
from bmi_dhydro.errors import CatchmentError, ForcingError
from tests.datasets.conftest import DAYS, series, write_caravan

IDS = ["camelsgb_101", "camelsgb_102"]


@pytest.mark.parametrize("kind", ["nc", "csv"])
def test_weather_and_flow_are_those_of_the_files(tmp_path, kind):
    records = reader.read(write_caravan(tmp_path, kind=kind))
    assert records.catchments.ids.tolist() == IDS
    assert (str(records.start), records.days) == ("1990-10-01", len(DAYS))
    for k in range(2):
        rain, low, high, flow = series(k + 10)
        np.testing.assert_allclose(records.weather["precipitation"][:, k], rain, rtol=1e-6)
        np.testing.assert_allclose(records.weather["temperature_minimum"][:, k], low, rtol=1e-5)
        mean = records.weather["temperature"][:, k]
        np.testing.assert_allclose(mean, 0.5 * (low + high), rtol=1e-5, atol=1e-5)
        assert np.isnan(records.flow[::70, k]).all()
        known = np.isfinite(records.flow[:, k])
        np.testing.assert_allclose(records.flow[known, k], flow[known], rtol=1e-6)
    assert "potential_evapotranspiration" not in records.weather


def test_evapotranspiration_is_taken_if_it_is_asked_for(caravan):
    records = reader.read(caravan, evapotranspiration="penman_monteith")
    assert (records.weather["potential_evapotranspiration"] == 2.0).all()
    with pytest.raises(ForcingError, match="has no potential_evaporation_sum_ERA5_LAND"):
        reader.read(caravan, evapotranspiration="era5_land")
    with pytest.raises(ForcingError, match="'pan' is unknown; known: penman_monteith"):
        reader.read(caravan, evapotranspiration="pan")


def test_attributes_have_the_units_of_the_vocabulary(caravan):
    table = reader.read(caravan).catchments
    assert table.attributes["forest_fraction"].tolist() == pytest.approx([0.2, 0.45])
    # 2.2 and 9 degrees.
    assert table.attributes["mean_slope"].tolist() == pytest.approx([38.4, 158.4], abs=0.1)
    assert table.elevation.tolist() == [80.0, 410.0]
    assert table.area.tolist() == [120.0, 340.0]
    assert (table.attributes["wilting_point"] > 0.0).all()


def test_several_sources(tmp_path):
    write_caravan(tmp_path)
    write_caravan(tmp_path, "hysets")
    assert reader.sources_in(tmp_path) == ["camelsgb", "hysets"]
    with pytest.raises(CatchmentError, match="has camelsgb, hysets; name one"):
        reader.read(tmp_path)
    with pytest.raises(CatchmentError, match="'lamah' is not among them"):
        reader.read(tmp_path, "lamah")
    found = reader.read(tmp_path, "hysets", ["hysets_102"])
    assert found.catchments.ids.tolist() == ["hysets_102"]


def test_only_days_with_weather_that_all_have_are_taken(tmp_path):
    write_caravan(tmp_path, kind="csv")
    path = tmp_path / "timeseries" / "csv" / "camelsgb" / "camelsgb_101.csv"
    frame = pandas.read_csv(path)
    # Flow before the weather begins, and a record that ends earlier.
    frame.loc[:99, [name for name in frame if name not in ("date", "streamflow")]] = np.nan
    frame[:-50].to_csv(path, index=False)
    records = reader.read(tmp_path)
    assert (str(records.start), records.days) == ("1991-01-09", len(DAYS) - 150)
    np.testing.assert_allclose(
        records.weather["precipitation"][0], [s[0][100] for s in map(series, (10, 11))]
    )
    assert "only the days that all catchments have are taken: 1991-01-09" in records.notes[0]


def test_a_gap_in_the_weather_is_named(tmp_path):
    write_caravan(tmp_path, kind="csv")
    path = tmp_path / "timeseries" / "csv" / "camelsgb" / "camelsgb_102.csv"
    frame = pandas.read_csv(path)
    frame.loc[300, "total_precipitation_sum"] = np.nan
    frame.to_csv(path, index=False)
    with pytest.raises(ForcingError, match="on 1 days, the first 1991-07-28 of camelsgb_102"):
        reader.read(tmp_path)
    frame.drop(index=300).to_csv(path, index=False)
    with pytest.raises(ForcingError, match=r"camelsgb_102\.csv: 1991-07-27 is followed by"):
        reader.read(tmp_path)


def test_kelvin(tmp_path):
    with pytest.raises(ForcingError, match="mean temperature is 28.*another unit"):
        reader.read(write_caravan(tmp_path, kelvin=273.15))


def test_records_that_share_too_little(tmp_path):
    write_caravan(tmp_path, days=DAYS[:300])
    with pytest.raises(ForcingError, match="the records share 300 days"):
        reader.read(tmp_path)


def test_missing_files_are_named(caravan, tmp_path):
    with pytest.raises(CatchmentError, match="no series of camelsgb_7"):
        reader.read(caravan, ids=["camelsgb_7"])
    (caravan / "attributes" / "camelsgb" / "attributes_hydroatlas_camelsgb.csv").unlink()
    with pytest.raises(CatchmentError, match=r"attributes_hydroatlas_camelsgb\.csv is missing"):
        reader.read(caravan)
    with pytest.raises(CatchmentError, match="is it a folder of Caravan"):
        reader.read(tmp_path / "Caravan" / "timeseries")
    path = caravan / "timeseries" / "netcdf" / "camelsgb" / "camelsgb_101.nc"
    path.write_bytes(b"nothing")
    (caravan / "attributes" / "camelsgb" / "attributes_hydroatlas_camelsgb.csv").write_text(
        "gauge_id,for_pc_sse\ncamelsgb_101,1\ncamelsgb_102,1\n"
    )
    with pytest.raises(ForcingError, match=r"camelsgb_101\.nc: is no series of Caravan"):
        reader.read(caravan)
