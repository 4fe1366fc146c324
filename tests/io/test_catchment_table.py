"""Tables of catchments: CSV, Parquet, NetCDF."""

import contextlib

import numpy as np
import pandas
import pytest

from bmi_dhydro.errors import CatchmentError
from bmi_dhydro.io.catchment_table import read_table
from tests.catchments.conftest import COLUMNS


@pytest.mark.parametrize("kind", ["csv", "parquet", "nc"])
def test_tables_of_every_kind_give_the_same(tmp_path, kind):
    frame = pandas.DataFrame(COLUMNS)
    path = tmp_path / f"table.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "parquet":
        pytest.importorskip("pyarrow", reason="needs pyarrow to write Parquet")
        frame.to_parquet(path)
    else:
        frame.to_xarray().drop_vars("index").to_netcdf(path)
    table = read_table(path)
    assert table.ids.tolist() == ["07", "a"]
    assert table.area.tolist() == [10.0, 20.0]
    assert table.attributes["aridity"].tolist() == [1.0, 2.0]
    assert np.isnan(table.longitude).all()


def test_a_netcdf_with_weather_in_it_is_a_table_of_its_catchments(tmp_path):
    """Years of hours beside two catchments once took all memory."""
    data = pandas.DataFrame(COLUMNS).to_xarray().rename(index="station").drop_vars("station")
    hours = pandas.date_range("1900-01-01", periods=900_000, freq="h")
    data = data.assign_coords(time=hours).assign(season=("time", hours.month.to_numpy()))
    data["rain"] = (("station", "time"), np.zeros((2, hours.size), np.float32))
    data.to_netcdf(tmp_path / "table.nc")
    table = read_table(tmp_path / "table.nc")
    assert table.ids.tolist() == ["07", "a"]
    assert table.area.tolist() == [10.0, 20.0]
    data.rename(id="name").to_netcdf(tmp_path / "none.nc")
    with pytest.raises(CatchmentError, match="no variable names the catchments"):
        read_table(tmp_path / "none.nc")


@pytest.mark.parametrize("kind", ["csv", "parquet", "nc"])
def test_damaged_tables_end_in_one_message(tmp_path, kind):
    path = tmp_path / f"table.{kind}"
    frame = pandas.DataFrame(COLUMNS)
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "parquet":
        pytest.importorskip("pyarrow", reason="needs pyarrow to write Parquet")
        frame.to_parquet(path)
    else:
        frame.to_xarray().drop_vars("index").to_netcdf(path)
    whole, random = path.read_bytes(), np.random.default_rng(0)
    for k in range(60):
        damaged = bytearray(whole)
        damaged[random.integers(len(whole))] ^= 1 << random.integers(8)
        bad = tmp_path / f"{k}.{kind}"
        bad.write_bytes(damaged if k % 2 else whole[: random.integers(len(whole))])
        with contextlib.suppress(CatchmentError):
            assert read_table(bad).ids.size > 0


def test_other_columns_of_a_table_are_left_out(tmp_path, caplog):
    caplog.set_level("INFO")
    pandas.DataFrame({**COLUMNS, "gauge_name": ["x", "y"]}).to_csv(tmp_path / "t.csv", index=False)
    assert read_table(tmp_path / "t.csv").ids.tolist() == ["07", "a"]
    assert "columns without a use: gauge_name" in caplog.text


def test_bad_files(tmp_path):
    with pytest.raises(CatchmentError, match="no such catchment table"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "table.txt").write_text("id,area\n")
    with pytest.raises(CatchmentError, match=r"not '.txt'"):
        read_table(tmp_path / "table.txt")
    (tmp_path / "table.parquet").write_bytes(b"nonsense")
    with pytest.raises(CatchmentError, match="cannot be read as a table"):
        read_table(tmp_path / "table.parquet")
