"""Run packages of the NextGen engine, written by the command line and driven as the engine does."""

import gc
import json
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas
import pytest
import xarray
from click.testing import CliRunner

from bmi_dhydro import BmiDhydro
from bmi_dhydro.cli.main import main
from bmi_dhydro.errors import CatchmentError, ConfigError, ForcingError, VariableError
from bmi_dhydro.hosts.hydrofabric import read_hydrofabric
from bmi_dhydro.hosts.package_options import PackageOptions
from bmi_dhydro.hosts.realization import MAIN_OUTPUT
from bmi_dhydro.hosts.run_package import write_run_package
from bmi_dhydro.io.catchment_table import read_table
from tests.hosts.replay import Engine

EXAMPLE = Path(__file__).parents[2] / "examples" / "nextgen"
sys.path.insert(0, str(EXAMPLE))
from make_inputs import (  # noqa: E402
    made_up_divides,
    write_climate,
    write_forcing,
    write_hydrofabric,
)

IDS = [f"cat-{k}" for k in range(1, 6)]
STEPS = 60


@pytest.fixture(scope="session")
def inputs(tmp_path_factory):
    """A hydrofabric of five divides, five days of AORC weather, and a table of climate."""
    folder = tmp_path_factory.mktemp("inputs")
    divides = made_up_divides(len(IDS))
    write_hydrofabric(folder / "hydrofabric.gpkg", divides)
    write_forcing(folder / "forcings.nc", divides, 5, 0)
    write_climate(folder / "climate.csv", divides, 0)
    return folder


@pytest.fixture
def package(inputs, tmp_path):
    """Return a function that writes a package."""

    def write(name="run", **options):
        options.setdefault("climate", inputs / "climate.csv")
        options.setdefault("model", "fast")
        write_run_package(
            inputs / "hydrofabric.gpkg",
            inputs / "forcings.nc",
            tmp_path / name,
            PackageOptions(**options),
        )
        return tmp_path / name

    return write


def realization(folder, change):
    path = folder / "config" / "realization.json"
    document = json.loads(path.read_text())
    change(document["global"]["formulations"][0]["params"])
    path.write_text(json.dumps(document))


def configured(folder, old, new):
    for path in (folder / "config" / "cat_config" / "DHYDRO").glob("*.yml"):
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


# ---- the engine's calls ---------------------------------------------------------------------


def test_every_divide_runs_and_its_balance_closes(package):
    folder = package()
    realization(
        folder,
        lambda p: p.update(
            mass_balance={"check": True, "tolerance": 1e-9, "fatal": True, "frequency": 1}
        ),
    )
    engine = Engine(folder, IDS)
    flows = engine.advance(STEPS)
    assert np.isfinite(flows).all()
    assert (flows >= 0).all()
    assert flows.max() > 1e-7
    engine.end()


def test_the_cache_of_metadata_changes_nothing(package):
    folder = package()
    expected = Engine(folder, IDS).advance(STEPS)
    realization(folder, lambda p: p.pop("cache_input_variable_metadata"))
    assert np.array_equal(Engine(folder, IDS).advance(STEPS), expected)


def test_a_fleet_gives_what_separate_instances_give(package):
    one, many = package("one", fleet=True), package("many", fleet=True)
    configured(one, "fleet: true", "fleet: false")
    separate, fleet = Engine(one, IDS), Engine(many, IDS)
    assert np.array_equal(fleet.advance(STEPS), separate.advance(STEPS))
    assert fleet.modules[IDS[0]][0].bmi.get_input_var_names() == ()
    coupled = Engine(package("coupled"), IDS).advance(STEPS)
    # The engine hands over what the file has, in other units: that much rounding.
    np.testing.assert_allclose(Engine(many, IDS).advance(STEPS), coupled, rtol=1e-6, atol=1e-15)


def test_steps_of_six_hours_are_asked_for_by_time(package):
    """A module whose step is not the engine's is asked by `update_until`."""
    folder = package()
    configured(folder, "step: 1h", "step: 30min")
    flows = Engine(folder, IDS).advance(STEPS)
    hourly = Engine(package("hourly"), IDS).advance(STEPS)
    assert flows.shape == hourly.shape
    assert np.isfinite(flows).all()


def test_saved_and_restored_by_the_protocol(package):
    for options in ({}, {"fleet": True}):
        folder = package(f"run{len(options)}", **options)
        whole = Engine(folder, IDS)
        whole.advance(30)
        payloads = whole.saved()
        expected = whole.advance(20)
        again = Engine(folder, IDS, payloads)
        # The engine begins at step 0 again: give it the weather that comes next.
        if not options:
            again.step = 30
            assert np.array_equal(again.advance(20), expected)
        else:
            assert np.isfinite(again.advance(20)).all()


def test_another_module_feeds_evapotranspiration(package, tmp_path):
    other = tmp_path / "pet.json"
    other.write_text(
        json.dumps(
            {
                "name": "bmi_python",
                "params": {
                    "model_type_name": "pet",
                    "python_type": "tests.hosts.replay.MadeUpPet",
                    "init_config": "",
                    "main_output_variable": "water_potential_evaporation_flux",
                    "allow_exceed_end_time": True,
                },
            }
        )
    )
    folder = package(multi=other)
    engine = Engine(folder, IDS)
    flows = engine.advance(STEPS)
    assert np.isfinite(flows).all()
    ours = engine.modules[IDS[0]][-1].bmi
    assert "land_surface_water__potential_evaporation_volume_flux" in ours.get_input_var_names()
    given = ours.component.inputs[2, 0]
    celsius = engine.modules[IDS[0]][0].bmi._celsius
    assert given == pytest.approx(max(celsius, 0.0) * 1e-9 * 3.6e6)


def test_parameters_of_the_realization(package):
    folder = package()
    expected = Engine(folder, IDS).advance(STEPS)
    realization(folder, lambda p: p.update(model_params={"K1": 0.45, "UZL": "7", "PERC": 2}))
    engine = Engine(folder, IDS)
    parameters = engine.modules[IDS[2]][0].bmi.component.model.parameters
    for name, value in (("K1", 0.45), ("UZL", 7.0), ("PERC", 2.0)):
        assert (parameters[name] == value).all()
    flows = engine.advance(STEPS)
    assert not np.array_equal(flows, expected)
    # What the engine has set is what a configuration would.
    configured(folder, "forcing:", "parameters: {K1: 0.45, UZL: 7.0, PERC: 2.0}\nforcing:")
    realization(folder, lambda p: p.pop("model_params"))
    again = Engine(folder, IDS)
    assert np.array_equal(again.advance(STEPS), flows)
    for name, values in parameters.items():
        theirs = again.modules[IDS[2]][0].bmi.component.model.parameters[name]
        assert np.array_equal(values, theirs)


@pytest.mark.parametrize("fleet", [False, True])
def test_a_parameter_that_cannot_be_ends_the_run(package, fleet):
    """The engine swallows what `set_value` raises at its start; the first step says it."""
    folder = package(fleet=fleet)
    for name, value in (("K1", -3.0), ("route_delay", -1.0), ("FC", -5.0)):
        realization(folder, lambda p, n=name, v=value: p.update(model_params={n: v}))
        engine = Engine(folder, IDS)
        with pytest.raises(ValueError, match=rf"{name} cannot be {value:g} .* for catchment cat-1"):
            engine.advance(1)


def test_quarters_of_an_hour_lose_no_water(package):
    """The engine asks for its hour by `update_until`, and takes the depth of it."""
    folder = package()
    configured(folder, "step: 1h", "step: 15min")
    balance = {"check": True, "tolerance": 1e-9, "fatal": True, "frequency": 1}
    realization(folder, lambda p: p.update(mass_balance=balance))
    engine = Engine(folder, IDS)
    flows = engine.advance(STEPS)
    for k, name in enumerate(IDS):
        bmi = engine.modules[name][0].bmi
        # All that the catchment has lost but by evapotranspiration is in the engine's hours.
        out = bmi.component.account.flows[1, 0] * 1e-3
        assert flows[:, k].sum() < out
    hourly = Engine(package("hourly"), IDS).advance(STEPS)
    np.testing.assert_allclose(flows.sum(axis=0), hourly.sum(axis=0), rtol=0.05)


def test_parameters_that_are_unknown(package):
    folder = package()
    realization(folder, lambda p: p.update(model_params={"K9": 0.45}))
    with pytest.raises(
        VariableError, match=r"'K9' is unknown \(catchment cat-1\); parameters: BETA, FC, "
    ):
        Engine(folder, IDS)


def test_an_abort_without_finalize_leaves_nothing_behind(package):
    engine = Engine(package(fleet=True), IDS)
    engine.advance(3)
    del engine
    gc.collect()
    assert np.isfinite(Engine(package("again", fleet=True), IDS).advance(3)).all()


def test_strange_but_legal_inputs(package):
    bmi = Engine(package(evapotranspiration="computed"), IDS).modules[IDS[0]][0].bmi
    with pytest.raises(VariableError, match="'some__variable' is unknown"):
        bmi.set_value("some__variable", np.ones(1))
    bmi.set_value("land_surface_air__temperature", [3])
    bmi.set_value("land_surface_air__pressure", np.array([101325], np.int64))
    bmi.set_value("K1", [0.2])
    bmi.update()
    dest = np.full(1, np.nan, np.float32)
    bmi.get_value_at_indices(MAIN_OUTPUT, dest, [0])
    assert np.isfinite(dest[0])


def test_errors_name_the_catchment_and_the_time(package):
    engine = Engine(package(), IDS)
    engine.advance(5)
    bmi = engine.modules["cat-3"][0].bmi
    with pytest.raises(ForcingError, match="for catchment cat-3 at 2000-10-01T05:00:00"):
        bmi.set_value("land_surface_air__temperature", np.array([288.0]))
    fleet = package("fleet", fleet=True)
    shutil.copy(fleet / "forcings" / "forcings.nc", fleet / "copy.nc")
    (fleet / "forcings" / "forcings.nc").unlink()
    with xarray.open_dataset(fleet / "copy.nc") as data:
        data = data.load()
    data["TMP_2maboveground"][2, 7] = np.nan
    data.to_netcdf(fleet / "forcings" / "forcings.nc")
    with pytest.raises(ForcingError, match="missing for catchment cat-3 at 2000-10-01T07:00:00"):
        Engine(fleet, IDS).advance(10)


# ---- the package ----------------------------------------------------------------------------


def test_the_command_line_writes_a_package(inputs, tmp_path):
    result = CliRunner().invoke(
        main,
        [
            "ngen",
            str(inputs / "hydrofabric.gpkg"),
            "--forcing",
            str(inputs / "forcings.nc"),
            "--climate",
            str(inputs / "climate.csv"),
            "--out",
            str(tmp_path / "run"),
            "--output",
            "snowpack__liquid-equivalent_depth",
            "--start",
            "2000-10-02",
            "--end",
            "2000-10-04T12:00",
        ],
        catch_exceptions=False,
    )
    assert result.exit_code == 0, result.output
    assert "hargreaves, written into the weather" in result.output
    assert "configurations of 5 divides" in result.output
    document = json.loads((tmp_path / "run" / "config" / "realization.json").read_text())
    assert document["time"]["start_time"] == "2000-10-02 00:00:00"
    assert document["time"]["end_time"] == "2000-10-04 11:00:00"
    params = document["global"]["formulations"][0]["params"]
    assert params["output_variables"] == [MAIN_OUTPUT, "snowpack__liquid-equivalent_depth"]
    assert (tmp_path / "run" / "config" / "hydrofabric.gpkg").exists()
    Engine(tmp_path / "run", IDS).advance(2)


def test_attributes_of_the_hydrofabric(inputs):
    made = made_up_divides(len(IDS))
    ours = read_hydrofabric(inputs / "hydrofabric.gpkg").catchments
    assert ours.ids.tolist() == IDS
    np.testing.assert_allclose(ours.area, made.area)
    np.testing.assert_allclose(ours.elevation, made.elevation)
    np.testing.assert_allclose(ours.latitude, made.latitude, atol=1e-6)
    np.testing.assert_allclose(ours.longitude, made.longitude, atol=1e-6)
    for name in ("soil_porosity", "wilting_point", "clapp_hornberger_b"):
        np.testing.assert_allclose(ours.attributes[name], made.attributes[name])
    np.testing.assert_allclose(
        ours.attributes["log10_saturated_conductivity"],
        made.attributes["log10_saturated_conductivity"],
    )
    forest = made.attributes["forest_fraction"] > 0.5
    np.testing.assert_array_equal(ours.attributes["forest_fraction"], forest)


def changed(inputs, tmp_path, *statements):
    path = tmp_path / "changed.gpkg"
    shutil.copy(inputs / "hydrofabric.gpkg", path)
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)
    database.close()
    return path


def test_what_a_divide_lacks_is_filled_and_reported(inputs, tmp_path):
    path = changed(
        inputs,
        tmp_path,
        'UPDATE "divide-attributes" SET "mean.smcmax_soil_layers_stag=2" = NULL '
        "WHERE divide_id = 'cat-2'",
        "DELETE FROM \"divide-attributes\" WHERE divide_id = 'cat-4'",
    )
    fabric = read_hydrofabric(path)
    assert fabric.filled["soil_porosity"].tolist() == ["cat-2", "cat-4"]
    assert fabric.filled["wilting_point"].tolist() == ["cat-4"]
    porosity = fabric.catchments.attributes["soil_porosity"]
    assert porosity[1] == np.median(porosity[[0, 2, 4]])
    report = write_run_package(
        path,
        inputs / "forcings.nc",
        tmp_path / "run",
        PackageOptions(climate=inputs / "climate.csv"),
    )
    assert any("soil_porosity: filled with the median" in note for note in report.notes)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DROP TABLE divides", "has no table 'divides', which NextGen hydrofabric 2.2 has"),
        ('DROP TABLE "divide-attributes"', "has no table 'divide-attributes'"),
        ("ALTER TABLE divides RENAME areasqkm TO area", "no column 'areasqkm'; did you mean 'area"),
        ("DELETE FROM divides", "table 'divides' is empty"),
        ("UPDATE divides SET areasqkm = 0", "areasqkm is not positive for cat-1"),
        ("UPDATE divides SET divide_id = 'cat-1'", "has cat-1, cat-1"),
        (
            'UPDATE "divide-attributes" SET "mode.IVGTYP" = NULL',
            "no divide has a value for forest_fraction",
        ),
    ],
)
def test_unusable_hydrofabrics(inputs, tmp_path, statement, message):
    with pytest.raises(CatchmentError, match=message):
        read_hydrofabric(changed(inputs, tmp_path, statement))


def test_files_that_are_no_hydrofabric(tmp_path):
    with pytest.raises(CatchmentError, match="no such GeoPackage"):
        read_hydrofabric(tmp_path / "none.gpkg")
    (tmp_path / "text.gpkg").write_text("some text that is longer than a header of SQLite would be")
    with pytest.raises(CatchmentError, match="not a GeoPackage"):
        read_hydrofabric(tmp_path / "text.gpkg")


def test_a_month_is_no_climate_and_a_table_must_be_whole(inputs, package, tmp_path):
    with pytest.raises(
        CatchmentError, match=r"need at least 365 days .* \(--climate TABLE, or longer"
    ):
        package(climate=None)
    frame = pandas.read_csv(inputs / "climate.csv")
    frame.drop(columns="aridity").to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(CatchmentError, match="has no column aridity"):
        package(climate=tmp_path / "a.csv")
    frame[frame["id"] != "cat-4"].to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(CatchmentError, match="has no climate for divide cat-4"):
        package(climate=tmp_path / "b.csv")


def test_a_year_of_weather_is_a_climate(inputs, tmp_path):
    divides = made_up_divides(2)
    write_hydrofabric(tmp_path / "h.gpkg", divides)
    write_forcing(tmp_path / "f.nc", divides, 366, 0)
    report = write_run_package(
        tmp_path / "h.gpkg", tmp_path / "f.nc", tmp_path / "run", PackageOptions()
    )
    table = read_table(tmp_path / "run" / "config" / "dhydro_catchments.csv")
    assert (table.attributes["mean_precipitation"] > 0.3).all()
    assert "climate indices: of all weather in f.nc" in report.notes


def test_a_divide_without_weather_is_named(inputs, tmp_path):
    write_hydrofabric(tmp_path / "h.gpkg", made_up_divides(7))
    with pytest.raises(ForcingError, match="no weather for catchment cat-6, cat-7"):
        write_run_package(
            tmp_path / "h.gpkg",
            inputs / "forcings.nc",
            tmp_path / "run",
            PackageOptions(climate=inputs / "climate.csv"),
        )
    assert not (tmp_path / "run").exists()


def test_a_catchment_that_the_table_lacks_is_named(package):
    folder = package()
    path = folder / "config" / "cat_config" / "DHYDRO" / "cat-1.yml"
    path.write_text(path.read_text().replace('"cat-1"', '"cat-88"'))
    with pytest.raises(CatchmentError, match="has no catchment cat-88"):
        BmiDhydro().initialize(str(path))


def test_options_that_exclude_each_other_or_are_wrong(package, tmp_path):
    (tmp_path / "pet.json").write_text("{}")
    with pytest.raises(ConfigError, match="leave out either --fleet or --multi"):
        package(fleet=True, multi=tmp_path / "pet.json")
    with pytest.raises(ConfigError, match="pet.json: is no formulation of a module"):
        package(multi=tmp_path / "pet.json")


def test_the_thousandth_instance_costs_little(package):
    """Weights, table and kernels are shared."""
    folder = package()
    engine = Engine(folder, IDS)
    components = [engine.modules[name][0].bmi.component for name in IDS]
    assert len({id(component.trained) for component in components}) == 1


# ---- the example ----------------------------------------------------------------------------


def test_the_example_is_what_the_command_writes_and_runs(tmp_path):
    run = EXAMPLE / "run"
    write_run_package(
        run / "config" / "hydrofabric.gpkg",
        run / "forcings" / "forcings.nc",
        tmp_path / "run",
        PackageOptions(
            climate=EXAMPLE / "climate.csv", outputs=("snowpack__liquid-equivalent_depth",)
        ),
    )
    for path in sorted(run.rglob("*.*")):
        if path.suffix in (".json", ".csv", ".yml"):
            again = tmp_path / "run" / path.relative_to(run)
            assert again.read_text() == path.read_text(), path
    flows = Engine(run, ["cat-1", "cat-2", "cat-3"]).advance(240)
    assert (flows > 0).any(axis=0).all()
