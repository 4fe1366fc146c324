"""Weather of tables, one for each catchment: a run is that of the same weather in NetCDF."""

import numpy as np
import pandas
import pytest
import xarray

from bmi_dhydro.cli.example import write_example
from bmi_dhydro.errors import ForcingError
from bmi_dhydro.run.divided_run import run_divided
from bmi_dhydro.run.simulation import run_config
from bmi_dhydro.run.workers import here
from bmi_dhydro.variables import OUTPUTS

FLUX = OUTPUTS[1].name


def write_tables(config, kind, step="D"):
    """The weather of an example as tables with units in their headings, and a run of them."""
    folder = config.parent / kind
    folder.mkdir()
    with xarray.open_dataset(config.parent / "weather.nc") as data:
        names = [name for name, values in data.data_vars.items() if values.ndim == 2]
        for k in range(data.sizes["station"]):
            one = data.isel(station=k)
            columns = {f"{name} [{data[name].attrs['units']}]": one[name].values for name in names}
            frame = pandas.DataFrame({"time": data["time"].values, **columns})
            path = folder / f"{one['station_id'].item()}.{kind}"
            if kind == "csv":
                frame.to_csv(path, index=False)
            else:
                frame.set_index("time").to_parquet(path)
    other = config.with_name(f"{kind}.yaml")
    other.write_text(config.read_text().replace("weather.nc", kind))
    return other


def flow(path):
    with xarray.open_dataset(path) as data:
        return data[FLUX].values


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(("step", "more"), [("1d", "spin_up: {years: 1}\n"), ("6h", "")])
def test_a_run_is_that_of_netcdf(tmp_path, kind, step, more):
    config = write_example(tmp_path, 3, 400, step, "file", model="fast")
    config.write_text(config.read_text() + more)
    run_config(config, tmp_path / "expected.nc")
    tables = write_tables(config, kind)
    run_config(tables, tmp_path / "ours.nc")
    np.testing.assert_allclose(
        flow(tmp_path / "ours.nc"), flow(tmp_path / "expected.nc"), rtol=1e-6
    )
    if not more:
        run_divided(tables, tmp_path / "divided.nc", here, 2)
        np.testing.assert_array_equal(flow(tmp_path / "divided.nc"), flow(tmp_path / "ours.nc"))


def test_a_table_that_has_changed_is_read_again(tmp_path):
    config = write_tables(write_example(tmp_path, 2, 400, "1d", "file", model="fast"), "csv")
    run_config(config, tmp_path / "first.nc")
    table = tmp_path / "csv" / "cat-2.csv"
    frame = pandas.read_csv(table)
    rain = next(name for name in frame if name.startswith("precipitation"))
    frame[rain] *= 2.0
    frame.to_csv(table, index=False)
    run_config(config, tmp_path / "second.nc")
    first, second = flow(tmp_path / "first.nc"), flow(tmp_path / "second.nc")
    assert second[-100:, 1].sum() > 1.2 * first[-100:, 1].sum()


def test_bad_tables(tmp_path):
    config = write_tables(write_example(tmp_path, 2, 400, "1d", "file", model="fast"), "csv")
    table = tmp_path / "csv" / "cat-2.csv"
    good = table.read_text()
    table.write_text(good.replace("[degC", "[parsec"))
    (tmp_path / "csv" / "cat-1.csv").write_text(
        (tmp_path / "csv" / "cat-1.csv").read_text().replace("[degC", "[parsec")
    )
    with pytest.raises(ForcingError, match="parsec"):
        run_config(config)
    table.rename(tmp_path / "csv" / "other.csv")
    with pytest.raises(ForcingError, match="there is no table .* of cat-2"):
        run_config(config)
