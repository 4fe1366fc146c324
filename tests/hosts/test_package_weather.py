"""The weather of a run package: files and folders of tables, with evapotranspiration added."""

import shutil

import netCDF4
import numpy as np
import pandas
import pytest

from bmi_dhydro.errors import ForcingError
from bmi_dhydro.hosts.run_check import check_run
from tests.hosts.conftest import IDS, RARE
from tests.hosts.replay import Engine

pytestmark = pytest.mark.filterwarnings(RARE)


def test_evapotranspiration_of_training_is_written_into_a_copy_of_the_weather(year, write):
    before = (year / "f.nc").read_bytes()
    folder, notes = write()
    assert (year / "f.nc").read_bytes() == before
    assert "potential evapotranspiration: hargreaves, written into the weather" in notes
    with netCDF4.Dataset(folder / "forcings" / "forcings.nc") as data:
        variable = data["potential_evapotranspiration"]
        assert variable.units == "mm h-1"
        assert "hargreaves" in variable.long_name
        assert np.isfinite(variable[:]).all()
        daily = np.asarray(variable[:]).reshape(len(IDS), -1, 24).sum(axis=2)
    # Hargreaves of the day's own extremes, as in the method's equation, gives mm of a day.
    assert 0.2 < daily.mean() < 8.0
    engine = Engine(folder, IDS)
    assert len(engine.modules["cat-1"][0].bmi.get_input_var_names()) == 3


def test_coupled_and_fleet_take_the_same_evapotranspiration(write):
    coupled, fleet = write("coupled")[0], write("fleet", fleet=True)[0]
    one = Engine(coupled, IDS)
    one.step = 374 * 24
    np.testing.assert_allclose(
        one.advance(48), Engine(fleet, IDS).advance(48), rtol=1e-9, atol=1e-15
    )


@pytest.mark.parametrize("name", ["pet", "potential_evapotranspiration"])
@pytest.mark.parametrize("said", ["by Penman and Monteith", ""])
def test_weather_with_evapotranspiration_of_its_own(year, write, tmp_path, name, said):
    """That of another method is not taken where that of training can be had; else it is."""
    shutil.copy(year / "f.nc", tmp_path / "o.nc")
    with netCDF4.Dataset(tmp_path / "o.nc", "a") as data:
        variable = data.createVariable(name, "f4", ("catchment-id", "time"))
        variable.units, variable.long_name = "mm h-1", f"potential evapotranspiration {said}"
        variable[:] = 0.5
    flows = {}
    for fleet in (False, True):
        folder, notes = write(f"own{fleet}", weather=tmp_path / "o.nc", fleet=fleet)
        check_run(folder)
        engine = Engine(folder, IDS)
        engine.step = 374 * 24
        engine.advance(6)
        rate = np.empty(1)
        output = "land_surface_water__potential_evapotranspiration_volume_flux"
        engine.modules["cat-2"][0].bmi.get_value(output, rate)
        flows[fleet] = rate[0]
    if said:
        assert flows[True] != pytest.approx(0.5)
        assert flows[False] == pytest.approx(flows[True], rel=1e-6)
    else:
        assert "potential evapotranspiration: that of the weather" in notes
        assert flows[False] == pytest.approx(0.5)
        assert flows[True] == pytest.approx(0.5)


def test_instances_may_compute_it(write):
    folder, notes = write(evapotranspiration="computed")
    assert any("the model learned with hargreaves: flow is biased" in note for note in notes)
    with netCDF4.Dataset(folder / "forcings" / "forcings.nc") as data:
        assert "potential_evapotranspiration" not in data.variables
    assert len(Engine(folder, IDS).modules["cat-1"][0].bmi.get_input_var_names()) == 8


def test_more_divides_in_the_weather_and_in_another_order(year, write, tmp_path):
    with netCDF4.Dataset(year / "f.nc") as data, netCDF4.Dataset(tmp_path / "o.nc", "w") as other:
        other.createDimension("time", data.dimensions["time"].size)
        other.createDimension("catchment-id", len(IDS) + 1)
        ids = np.array(["cat-3", "cat-77", "cat-1", "cat-2"], dtype=object)
        other.createVariable("ids", str, ("catchment-id",))[:] = ids
        for name, variable in data.variables.items():
            if name == "ids":
                continue
            rows = np.asarray(variable[:])[[2, 0, 0, 1]]
            copy = other.createVariable(name, rows.dtype, ("catchment-id", "time"))
            copy.units = variable.units
            copy[:] = rows
    folder, _ = write("other", weather=tmp_path / "o.nc")
    expected = Engine(write("plain")[0], IDS).advance(24)
    np.testing.assert_allclose(Engine(folder, IDS).advance(24), expected, rtol=1e-9, atol=1e-15)
    with netCDF4.Dataset(folder / "forcings" / "forcings.nc") as data:
        pet = data["potential_evapotranspiration"]
        assert np.isnan(np.ma.filled(pet[1], np.nan)).all()


def tables_of(year, folder, head=lambda name: name):
    """Write the weather as the tables that the engine's CSV provider reads."""
    folder.mkdir()
    with netCDF4.Dataset(year / "f.nc") as data:
        times = pandas.to_datetime(np.asarray(data["Time"][0]), unit="s")
        for row, name in enumerate(data["ids"][:]):
            columns = {
                head(key): np.asarray(variable[row], dtype=float)
                for key, variable in data.variables.items()
                if key not in ("ids", "Time")
            }
            table = pandas.DataFrame({"time": times.strftime("%Y-%m-%d %H:%M:%S"), **columns})
            table.to_csv(folder / f"{name}_2000.csv", index=False)
    return folder


def test_a_folder_of_tables(year, write, tmp_path):
    folder, _ = write("tables", weather=tables_of(year, tmp_path / "csv"))
    expected = Engine(write("plain")[0], IDS).advance(24)
    np.testing.assert_allclose(Engine(folder, IDS).advance(24), expected, rtol=1e-9, atol=1e-15)


def test_tables_may_say_their_units(year, write, tmp_path):
    units = {"precip_rate": "mm s^-1", "TMP_2maboveground": "K"}
    tables = tables_of(
        year,
        tmp_path / "csv",
        lambda name: f"{name} [{units[name]}]" if name in units else name,
    )
    folder, _ = write("tables", weather=tables)
    expected = Engine(write("plain")[0], IDS).advance(24)
    np.testing.assert_allclose(Engine(folder, IDS).advance(24), expected, rtol=1e-9, atol=1e-15)


def test_tables_that_do_not_fit_are_named(year, write, tmp_path):
    tables = tables_of(year, tmp_path / "csv")
    path = tables / "cat-2_2000.csv"
    good = path.read_text()
    shutil.copy(path, tables / "x-cat-2.csv")
    with pytest.raises(ForcingError, match=r"cat-2 has several tables, cat-2_2000.csv, x-cat-2"):
        write(weather=tables)
    (tables / "x-cat-2.csv").unlink()
    path.unlink()
    with pytest.raises(ForcingError, match=r"there is no table \(\*.csv, \*.parquet\) of cat-2"):
        write(weather=tables)
    lines = good.splitlines()
    for text, message in (
        ("\n".join([*lines[:5], *lines[6:]]), "cat-2_2000.csv: its times are not those of cat-1"),
        (good.replace("TMP_2", "TPM_2"), "cat-2_2000.csv: its columns are not those of cat-1"),
        (good.replace("time,", "when,"), "cat-2_2000.csv: is no table of weather with a column"),
        (good.replace(lines[3][20:30], ",ten,9."), "cat-2_2000.csv"),
    ):
        path.write_text(text)
        with pytest.raises(ForcingError, match=message):
            write(weather=tables)


@pytest.mark.parametrize(("units", "factor"), [("ns", 10**9), ("us", 10**6), ("ms", 10**3)])
def test_times_in_parts_of_a_second_and_units_that_are_not_said(
    year, write, tmp_path, units, factor
):
    """NextGen's own example has times in ns, and variables without units."""
    expected = Engine(write("plain", fleet=True)[0], IDS).advance(24)
    with netCDF4.Dataset(year / "f.nc") as data, netCDF4.Dataset(tmp_path / "o.nc", "w") as other:
        for name, dimension in data.dimensions.items():
            other.createDimension(name, dimension.size)
        for name, variable in data.variables.items():
            kind = "i8" if name == "Time" else variable.dtype
            copy = other.createVariable(name, kind, variable.dimensions)
            copy[:] = variable[:].astype("i8") * factor if name == "Time" else variable[:]
            if name == "Time":
                copy.units = units
    folder, _ = write("other", weather=tmp_path / "o.nc", fleet=True)
    np.testing.assert_array_equal(Engine(folder, IDS).advance(24), expected)
