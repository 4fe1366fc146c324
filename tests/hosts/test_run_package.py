"""Run packages of NextGen: warm starts, weather of every kind, and the check before a run."""

import json
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import netCDF4
import numpy as np
import pandas
import pytest
import yaml
from click.testing import CliRunner

from bmi_dhydro import BmiDhydro
from bmi_dhydro.cli.main import main
from bmi_dhydro.errors import CatchmentError, ConfigError, ForcingError, StateError
from bmi_dhydro.hosts.hydrofabric import read_hydrofabric
from bmi_dhydro.hosts.package_options import PackageOptions
from bmi_dhydro.hosts.realization import MAIN_OUTPUT
from bmi_dhydro.hosts.run_check import check_run
from bmi_dhydro.hosts.run_package import write_run_package
from bmi_dhydro.io import state_file
from bmi_dhydro.io.catchment_table import read_table
from bmi_dhydro.physics import HBV
from tests.hosts.replay import Engine

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "nextgen"))
from make_inputs import (
    made_up_divides,
    write_climate,
    write_forcing,
    write_hydrofabric,
)

IDS = ["cat-1", "cat-2", "cat-3"]
BEGIN = np.datetime64("2001-10-10", "s")

# The made-up climate of one year is rarer than that of the years of training.
RARE = "ignore::bmi_dhydro.run.configured_model.ExtrapolationWarning"
pytestmark = pytest.mark.filterwarnings(RARE)


@pytest.fixture(scope="session")
def year(tmp_path_factory):
    """A hydrofabric of three divides and 380 days of weather."""
    folder = tmp_path_factory.mktemp("year")
    divides = made_up_divides(len(IDS))
    write_hydrofabric(folder / "h.gpkg", divides)
    write_forcing(folder / "f.nc", divides, 380, 0)
    write_climate(folder / "c.csv", divides, 0)
    return folder


@pytest.fixture
def write(year, tmp_path):
    """Return a function that writes a package of the last days, and gives folder and notes."""

    def of(name="run", weather=year / "f.nc", **options):
        options.setdefault("start", BEGIN)
        report = write_run_package(
            year / "h.gpkg", weather, tmp_path / name, PackageOptions(**options)
        )
        return tmp_path / name, report.notes

    return of


def changed(folder, change):
    path = folder / "config" / "realization.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def params(document):
    return document["global"]["formulations"][0]["params"]


# ---- warm starts ----------------------------------------------------------------------------


def test_a_run_begins_with_filled_stores(write):
    cold = Engine(write("cold", spin_up=0)[0], IDS)
    warm = Engine(write("warm")[0], IDS)

    def groundwater(engine):
        values = np.empty((len(IDS), 1))
        for row, name in zip(values, IDS, strict=True):
            engine.modules[name][0].bmi.get_value("soil_sat-zone_water__depth", row)
        return values

    flows = [engine.advance(24) for engine in (cold, warm)]
    assert (groundwater(warm) > groundwater(cold)).all()
    assert flows[1].sum() > flows[0].sum()


@pytest.mark.parametrize(
    "options",
    [{}, {"fleet": True}, {"evapotranspiration": "computed"}],
    ids=["coupled", "fleet", "computed"],
)
def test_a_warm_run_goes_on_where_the_weather_before_it_ended(write, tmp_path, options):
    """A package from the beginning of the weather on, run to a day, is one that begins there."""
    whole, _ = write("whole", start=None, **options)
    later, notes = write("later", **options)
    assert any("and run to the start" in note for note in notes)
    engine = Engine(later, IDS)
    first = (BEGIN - np.datetime64("2000-10-01")).astype("timedelta64[h]").astype(int)
    if not options.get("fleet"):
        # The replayed engine counts steps from the beginning of the weather.
        engine.step = first
    before = Engine(whole, IDS)
    before.advance(first)
    np.testing.assert_allclose(engine.advance(30), before.advance(30), rtol=2e-6, atol=1e-12)


def test_a_state_that_is_given_is_taken(write):
    source, _ = write("source")
    folder, notes = write("given", initial_state=source / "config" / "dhydro_state.nc")
    assert "initial state: dhydro_state.nc" in notes
    np.testing.assert_array_equal(Engine(folder, IDS).advance(5), Engine(source, IDS).advance(5))


@pytest.mark.parametrize("fleet", [False, True], ids=["coupled", "fleet"])
@pytest.mark.parametrize("model", ["default", "dynamic"])
def test_the_next_run_starts_from_states_that_a_run_has_saved(write, tmp_path, fleet, model):
    """Two runs, one after the other, are one."""
    kind = {"fleet": fleet, "model": model}
    noon = BEGIN + np.timedelta64(36, "h")
    whole, _ = write("whole", **kind)
    first, _ = write("first", end=noon, save_states=True, **kind)
    engines = [Engine(whole, IDS), Engine(first, IDS)]
    for engine in engines:
        engine.step = 374 * 24
        engine.advance(36)
    if fleet:
        # One that has gone on alone saves its state as well.
        engines[1].modules["cat-2"][0].bmi.get_value_ptr("snowpack")
    engines[1].end()
    states = first / "outputs" / "states"
    assert sorted(path.name for path in states.iterdir()) == [f"{name}.nc" for name in IDS]
    second, _ = write("second", start=noon, initial_state=states, **kind)
    again = Engine(second, IDS)
    again.step = 374 * 24 + 36
    np.testing.assert_array_equal(again.advance(30), engines[0].advance(30))


def test_states_on_the_way_are_those_of_separate_instances(write):
    found = {}
    for fleet in (True, False):
        folder, _ = write(f"fleet-{fleet}", fleet=True, end=BEGIN + np.timedelta64(30, "h"))
        for path in (folder / "config" / "cat_config" / "DHYDRO").glob("*.yml"):
            text = path.read_text().replace("fleet: true", f"fleet: {str(fleet).lower()}")
            saved = f'{{path: "{folder}/{path.stem}-{{time}}.nc", every: 12h, keep: 2}}'
            path.write_text(f"{text}save_state: {saved}\n")
        engine = Engine(folder, IDS)
        engine.advance(30)
        engine.end()
        for path in folder.glob("*.nc"):
            state = state_file.read(path, HBV.state_names)
            found.setdefault(path.name, []).append(state)
    assert len(found) == 2 * len(IDS)
    for one, other in found.values():
        assert one.time == other.time
        assert one.steps == other.steps
        for name, values in one.arrays.items():
            np.testing.assert_array_equal(values, other.arrays[name])
        np.testing.assert_allclose(one.more["water_account"], other.more["water_account"])


@pytest.mark.parametrize("options", [{}, {"fleet": True}], ids=["coupled", "fleet"])
def test_the_balance_goes_on_with_that_of_the_state(write, options):
    """A fleet's terms are those of separate instances, from the first step on; water closes."""
    folder, _ = write("run", **options)
    engine = Engine(folder, IDS)
    engine.step = 374 * 24
    terms = []
    for steps in (0, 1, 40):
        if steps:
            engine.advance(steps)
        for name in IDS:
            bmi = engine.modules[name][0].bmi
            came, left, stored, leaked = (
                bmi.get_value_ptr(f"ngen::mass_{term}").item()
                for term in ("in", "out", "stored", "leaked")
            )
            assert abs(came - left - stored - leaked) < 1e-9
            terms.append((came, left, stored, leaked))
    alone, _ = write("alone", fleet=True)
    for path in (alone / "config" / "cat_config" / "DHYDRO").glob("*.yml"):
        path.write_text(path.read_text().replace("fleet: true", "fleet: false"))
    separate = Engine(alone, IDS)
    expected = []
    for steps in (0, 1, 40):
        if steps:
            separate.advance(steps)
        for name in IDS:
            balance = separate.modules[name][0].bmi.component.mass_terms()
            expected.append(np.array(balance) * 1e-3)
    np.testing.assert_allclose(terms, expected, rtol=1e-6, atol=1e-9)


def test_a_balance_is_asked_of_a_member_that_has_not_stepped_yet(write):
    folder, _ = write(fleet=True)
    engine = Engine(folder, IDS)
    engine.modules["cat-1"][0].bmi.update()
    bmi = engine.modules["cat-2"][0].bmi
    values = [bmi.get_value_ptr(f"ngen::mass_{term}").item() for term in ("in", "out", "stored")]
    assert abs(values[0] - values[1] - values[2]) < 1e-9
    assert values[0] > 0.0


def test_states_that_do_not_go_together(write, tmp_path):
    with pytest.raises(StateError, match=r"there are no states \(\*.nc\)"):
        write(initial_state=tmp_path)
    folders = []
    for name, hours in (("a", 24), ("b", 30)):
        end = BEGIN + np.timedelta64(hours, "h")
        folders.append(write(name, end=end, save_states=True, fleet=True)[0])
        engine = Engine(folders[-1], IDS)
        engine.advance(hours)
        engine.end()
    states = [folder / "outputs" / "states" for folder in folders]
    shutil.copy(states[1] / "cat-2.nc", states[0] / "cat-2.nc")
    with pytest.raises(StateError, match=r"cat-2.nc: its time is 2001-10-11T06:00:00, but 2001-10"):
        write("c", initial_state=states[0])
    (states[0] / "cat-2.nc").unlink()
    folder, _ = write("d", initial_state=states[0])
    with pytest.raises(StateError, match="has no state for catchment cat-2"):
        Engine(folder, IDS)


def test_instances_of_a_fleet_do_not_overwrite_each_other(write):
    folder, _ = write(fleet=True)
    path = folder / "config" / "cat_config" / "DHYDRO" / "cat-1.yml"
    path.write_text(path.read_text() + "save_state: all.nc\n")
    with pytest.raises(ConfigError, match="put the id, cat-1, into the name"):
        BmiDhydro().initialize(str(path))


def test_a_package_is_written_again_with_its_own_state(write):
    folder, _ = write()
    state = folder / "config" / "dhydro_state.nc"
    before = state.read_bytes()
    write(initial_state=state)
    assert state.read_bytes() == before
    write(spin_up=0)
    assert not state.exists()


def test_weather_that_is_too_short_for_a_spin_up_is_said(year, tmp_path):
    divides = made_up_divides(len(IDS))
    write_forcing(tmp_path / "f.nc", divides, 5, 0)
    options = PackageOptions(climate=year / "c.csv")
    report = write_run_package(year / "h.gpkg", tmp_path / "f.nc", tmp_path / "run", options)
    assert any("nearly empty stores" in note and "--initial-state" in note for note in report.notes)
    assert not (tmp_path / "run" / "config" / "dhydro_state.nc").exists()
    config = (tmp_path / "run" / "config" / "cat_config" / "DHYDRO" / "cat-1.yml").read_text()
    assert "initial_state" not in config


# ---- potential evapotranspiration -----------------------------------------------------------


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


# ---- weather of other kinds -----------------------------------------------------------------


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
    with pytest.raises(ForcingError, match=r"there is no table \(\*.csv\) of cat-2"):
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


def test_attributes_under_the_names_of_other_regions_and_versions(year, tmp_path):
    expected = read_hydrofabric(year / "h.gpkg").catchments.attributes
    for k, name in enumerate(("{}_Time._soil_layers_stag.{}", "{}_Time._soil_layers_stag={}")):
        path = tmp_path / f"{k}.gpkg"
        shutil.copy(year / "h.gpkg", path)
        with closing(sqlite3.connect(path)) as database, database:
            columns = [row[1] for row in database.execute('PRAGMA table_info("divide-attributes")')]
            for column in columns:
                base, found, layer = column.partition("_soil_layers_stag=")
                if found:
                    other = name.format(base, layer)
                    database.execute(
                        f'ALTER TABLE "divide-attributes" RENAME COLUMN "{column}" TO "{other}"'
                    )
        attributes = read_hydrofabric(path).catchments.attributes
        for key, values in expected.items():
            np.testing.assert_array_equal(attributes[key], values, err_msg=f"{name} {key}")


def test_the_table_of_climate_that_the_command_writes(year, write, tmp_path):
    """Weather, a table made of it, and the run's own long weather all give the same indices."""
    out = tmp_path / "climate.csv"
    result = CliRunner().invoke(
        main,
        ["climate", str(year / "f.nc"), str(year / "h.gpkg"), str(out)],
        catch_exceptions=False,
    )
    assert result.exit_code == 0, result.output
    tables = [
        read_table(write(name, climate=climate)[0] / "config" / "dhydro_catchments.csv")
        for name, climate in (("table", out), ("weather", year / "f.nc"), ("own", None))
    ]
    for table in tables[1:]:
        for name, values in tables[0].attributes.items():
            np.testing.assert_allclose(table.attributes[name], values, rtol=1e-6, err_msg=name)


# ---- outputs --------------------------------------------------------------------------------


def test_an_output_that_is_not_published_is_refused(write):
    with pytest.raises(ConfigError, match="--output: 'soil_moisture' is not published"):
        write(outputs=("soil_moisture",))


def test_rain_and_melt_are_published(write):
    names = ("atmosphere_water__rainfall_leq-volume_flux", "snowpack__melt_volume_flux")
    folder, _ = write(outputs=names)
    engine = Engine(folder, IDS)
    bmi = engine.modules["cat-1"][0].bmi
    assert set(names) <= set(bmi.get_output_var_names())
    rain, melt, flux = np.empty(1), np.empty(1), np.empty(1)
    for warmth, share in ((20.0, 1.0), (-20.0, 0.0)):
        for name, value in zip(bmi.get_input_var_names(), (2.5, warmth, 0.1), strict=True):
            bmi.set_value(name, np.array([value]))
        bmi.update()
        bmi.get_value(names[0], rain)
        bmi.get_value(names[1], melt)
        bmi.get_value("melt", flux)
        assert rain[0] == pytest.approx(2.5 * share)
        assert melt[0] == pytest.approx(flux[0])
        assert bmi.get_var_units(names[0]) == bmi.get_var_units(names[1]) == "mm h-1"


def test_routing_is_turned_on_by_its_configuration(write, tmp_path):
    (tmp_path / "route.yaml").write_text("bmi_parameters: {}\n")
    folder, _ = write(routing=tmp_path / "route.yaml")
    document = json.loads((folder / "config" / "realization.json").read_text())
    path = document["routing"]["t_route_config_file_with_path"]
    assert (folder / path).read_text() == "bmi_parameters: {}\n"


def add_rivers(geopackage):
    """Add the layers of rivers that a hydrofabric 2.2 has, without a row."""
    with closing(sqlite3.connect(geopackage)) as database, database:
        for name in ("flowpaths", "flowpath-attributes", "network"):
            database.execute(f'CREATE TABLE "{name}" (id TEXT)')


def test_a_configuration_of_t_route_is_made_for_the_run(write, year, tmp_path):
    with pytest.raises(CatchmentError, match="has no layer flowpaths, flowpath-attributes, net"):
        write(routing="template")
    shutil.copy(year / "h.gpkg", tmp_path / "rivers.gpkg")
    add_rivers(tmp_path / "rivers.gpkg")
    options = PackageOptions(start=BEGIN, end=BEGIN + np.timedelta64(1, "D"), routing="template")
    folder = tmp_path / "routed"
    write_run_package(tmp_path / "rivers.gpkg", year / "f.nc", folder, options)
    document = json.loads((folder / "config" / "realization.json").read_text())
    path = folder / document["routing"]["t_route_config_file_with_path"]
    routing = yaml.safe_load(path.read_text())
    forcing = routing["compute_parameters"]["forcing_parameters"]
    assert forcing["nts"] * forcing["dt"] == 86400
    assert forcing["qts_subdivisions"] * forcing["dt"] == 3600
    topology = routing["network_topology_parameters"]["supernetwork_parameters"]
    for name in (
        topology["geo_file_path"],
        forcing["qlat_input_folder"],
        forcing["binary_nexus_file_folder"],
        routing["output_parameters"]["stream_output"]["stream_output_directory"],
    ):
        assert (folder / name).exists()
    assert Path(forcing["qlat_input_folder"]) == Path(document["output_root"])
    check_run(folder)
    path.write_text(path.read_text().replace("2001-10-10", "2001-10-11").replace("288", "100"))
    with pytest.raises(ConfigError, match="start_datetime is 2001-10-11.*nts times dt is 30000 s"):
        check_run(folder)


def test_bounds_for_calibration(write):
    """What a calibration tool may try is accepted by an instance, at its ends too."""
    folder, _ = write(spin_up=0)
    entries = yaml.safe_load((folder / "config" / "dhydro_calibration.yml").read_text())
    assert [entry["name"] for entry in entries["bmi_dhydro"]][:3] == ["BETA", "FC", "K0"]
    values = np.empty(1)
    for key in ("min", "init", "max"):
        chosen = {entry["name"]: entry[key] for entry in entries["bmi_dhydro"]}
        changed(folder, lambda d, chosen=chosen: params(d).update(model_params=chosen))
        check_run(folder)
        engine = Engine(folder, IDS)
        assert np.isfinite(engine.advance(5)).all()
        for name, value in chosen.items():
            assert engine.modules["cat-2"][0].bmi.get_value(name, values)[0] == pytest.approx(value)


# ---- the check ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{}, {"fleet": True}, {"evapotranspiration": "computed"}],
    ids=["coupled", "fleet", "computed"],
)
def test_what_was_written_is_right(write, options):
    folder, _ = write(**options)
    assert check_run(folder)[0].startswith("3 divides from 2001-10-10T00:00:00 to 2001-10-16")
    result = CliRunner().invoke(main, ["ngen", "--check", str(folder)])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda d: d["time"].update(start_time="2001-10-11 00:00:00"),
            "cat-1: time.start is 2001-10-10T00:00:00, but the realization starts at 2001-10-11",
        ),
        (
            lambda d: d["time"].update(end_time="2001-11-11 00:00:00"),
            "it covers 2000-10-01T00:00:00 to 2001-10-16T00:00:00, not",
        ),
        (lambda d: d["time"].update(output_interval=300), "output_interval: is 300, expected 3600"),
        (
            lambda d: params(d).update(output_variables=["soil_moisture"]),
            "'soil_moisture' is not published",
        ),
        (
            lambda d: params(d).update(main_output_variable="land_surface_water__runoff"),
            "main_output_variable: the engine takes it for a depth in m",
        ),
        (lambda d: params(d).update(model_params={"K1": -3.0}), "K1"),
        (lambda d: params(d).update(model_params={"K9": 0.1}), "'K9' is no parameter; known: BETA"),
        (lambda d: params(d).update(model_params={"K1": "fast"}), "K1 is 'fast', no number"),
        (lambda d: params(d).update(model_params={"K1": [0.1, 0.2]}), "K1 has 1 values, not 2"),
        (lambda d: params(d).update(init_config="one.yml"), "by which an instance is told apart"),
        (
            lambda d: params(d).update(variables_names_map={}),
            "does not have land_surface_water__po",
        ),
        (lambda d: d.pop("time"), "is no realization of this component"),
    ],
)
@pytest.mark.parametrize("fleet", [False, True], ids=["coupled", "fleet"])
def test_what_does_not_fit_is_said(write, change, message, fleet):
    if fleet and "does not have" in message:
        pytest.skip("a fleet takes no inputs of the engine")
    folder, _ = write(fleet=fleet, spin_up=0)
    changed(folder, change)
    with pytest.raises(ConfigError, match=message):
        check_run(folder)


def test_a_package_that_lost_a_file_or_its_evapotranspiration(year, write):
    folder, _ = write(spin_up=0)
    weather = folder / "forcings" / "forcings.nc"
    weather.unlink()
    shutil.copy(year / "f.nc", weather)
    with pytest.raises(ConfigError, match="does not have potential_evapotranspiration"):
        check_run(folder)
    (folder / "config" / "cat_config" / "DHYDRO" / "cat-2.yml").unlink()
    with pytest.raises(ConfigError, match="there is no configuration of cat-2"):
        check_run(folder)
    weather.unlink()
    with pytest.raises(ConfigError, match="no such weather file"):
        check_run(folder)


def test_the_command_asks_for_what_it_needs(year, tmp_path):
    for arguments, message in (
        ([str(year / "h.gpkg")], "--forcing and --out: are needed"),
        (["--check", str(tmp_path)], "is no realization of this component"),
    ):
        result = CliRunner().invoke(main, ["ngen", *arguments])
        assert result.exit_code != 0
        assert message in result.output


def test_members_of_an_instance_start_warm(write):
    """A state of one member is that of all members of an ensemble."""
    folder, _ = write()
    path = folder / "config" / "cat_config" / "DHYDRO" / "cat-1.yml"
    alone = BmiDhydro()
    alone.initialize(str(path))
    path.write_text(path.read_text() + "ensemble:\n  members: 3\n  inputs: shared\n  view: all\n")
    several = BmiDhydro()
    several.initialize(str(path))
    one, three = np.empty(1), np.empty(3)
    for model in (alone, several):
        for name, value in zip(model.get_input_var_names(), (0.4, 9.0, 0.1), strict=True):
            model.set_value(name, np.full(model.get_grid_size(model.get_var_grid(name)), value))
        model.update()
    alone.get_value(MAIN_OUTPUT, one)
    several.get_value(MAIN_OUTPUT, three)
    np.testing.assert_allclose(three, one[0], rtol=1e-12)


def test_packages_of_float32_and_of_a_dynamic_model(write):
    folder, _ = write(model="dynamic")
    assert np.isfinite(Engine(folder, IDS).advance(48)).all()
    double, _ = write("double")
    single, _ = write("single")
    for path in (single / "config" / "cat_config" / "DHYDRO").glob("*.yml"):
        path.write_text(path.read_text() + "dtype: float32\n")
    np.testing.assert_allclose(
        Engine(single, IDS).advance(24), Engine(double, IDS).advance(24), rtol=1e-3, atol=1e-9
    )
