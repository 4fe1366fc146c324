"""The state that a run of NextGen starts from, and those it saves."""

import shutil

import numpy as np
import pytest
from make_inputs import (
    made_up_divides,
    write_forcing,
)

from bmi_dhydro import BmiDhydro
from bmi_dhydro.errors import ConfigError, StateError
from bmi_dhydro.hosts.package_options import PackageOptions
from bmi_dhydro.hosts.realization import MAIN_OUTPUT
from bmi_dhydro.hosts.run_package import write_run_package
from bmi_dhydro.io import state_file
from bmi_dhydro.physics import HBV
from tests.hosts.conftest import BEGIN, IDS, RARE
from tests.hosts.replay import Engine

pytestmark = pytest.mark.filterwarnings(RARE)


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


@pytest.mark.parametrize(
    ("model", "fleet"),
    [
        ("fast", True),
        ("default", False),
        pytest.param("fast", False, marks=pytest.mark.long),
        pytest.param("default", True, marks=pytest.mark.long),
    ],
)
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
