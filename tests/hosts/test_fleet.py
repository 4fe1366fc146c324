"""Instances that are computed together answer as if each were alone."""

import gc
import weakref

import numpy as np
import pytest

from bmi_dhydro import BmiDhydro
from bmi_dhydro.cli.example import write_example
from bmi_dhydro.errors import CatchmentError, ConfigError, ForcingError
from bmi_dhydro.hosts import fleet
from bmi_dhydro.variables import OUTPUTS
from tests.conftest import OUTPUTS_OF_HBV

DEPTH, FLUX = OUTPUTS[0].name, OUTPUTS[1].name
IDS = [f"cat-{k}" for k in range(1, 8)]
STEPS = 120


@pytest.fixture
def folder(tmp_path):
    return write_example(tmp_path / "case", len(IDS), 300, "1d", "file", model="fast").parent


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch):
    """Several blocks in a short run."""
    monkeypatch.setattr("bmi_dhydro.weather.source.AHEAD_STEPS", 16)


def configured(folder, name, shared=True, extra=""):
    path = folder / f"{name}_{shared}.yaml"
    text = (folder / "config.yaml").read_text().partition("output:")[0]
    text = text.replace("  table:", f"  select: [{name}]\n  table:")
    path.write_text(text + f"fleet: {str(shared).lower()}\n{extra}")
    return path


def opened(folder, name, shared=True, extra=""):
    model = BmiDhydro()
    model.initialize(str(configured(folder, name, shared, extra)))
    return model


def value(model, name=DEPTH):
    dest = np.empty(1)
    model.get_value_at_indices(name, dest, np.array([0]))
    return dest[0]


def alone(folder, name, steps=STEPS, change=lambda model, step: None):
    model = opened(folder, name, shared=False)
    runoff = []
    for step in range(steps):
        change(model, step)
        model.update()
        runoff.append(value(model))
    return np.array(runoff)


def together(models, steps=STEPS, change=lambda models, step: None):
    runoff = np.empty((steps, len(models)))
    for step in range(steps):
        change(models, step)
        for k, model in enumerate(models):
            model.update()
            runoff[step, k] = value(model)
    return runoff


def everybody(folder, steps=STEPS, **options):
    return np.stack([alone(folder, name, steps, **options) for name in IDS], axis=1)


def in_fleet(model):
    return model._component.config.fleet and model._component.shares


def test_results_are_those_of_instances_alone(folder):
    models = [opened(folder, name) for name in IDS]
    engines = []
    runoff = together(models, change=lambda m, s: engines.append(m[0]._component._fleet.engine))
    assert np.array_equal(runoff, everybody(folder))
    assert all(in_fleet(model) for model in models)
    assert len({id(engine) for engine in engines[1:]}) == 1
    assert models[3]._component._fleet.engine.model.catchments == len(IDS)


def test_parameters_that_move_do_so_in_a_fleet_too(folder):
    extra = "model: default\n"
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("model: fast", ""))
    models = [opened(folder, name, extra=extra) for name in IDS]
    runoff = together(models, 60)
    for k in (0, 4):
        single = opened(folder, IDS[k], shared=False, extra=extra)
        assert np.array_equal(together([single], 60)[:, 0], runoff[:, k])
    models[2].get_value("soil_moisture", np.empty(models[2].get_grid_size(1)))
    alone = opened(folder, IDS[2], shared=False, extra=extra)
    together([alone], 60)
    assert np.array_equal(together([models[2]], 30), together([alone], 30))


def test_all_outputs_and_time_are_those_of_an_instance_alone(folder):
    models = [opened(folder, name) for name in IDS[:3]]
    own = opened(folder, IDS[1], shared=False)
    for _ in range(20):
        for model in (*models, own):
            model.update()
    member = models[1]
    for name in (*(item.name for item in OUTPUTS_OF_HBV), "snow_water_equivalent", "discharge"):
        assert member.get_var_units(name) == own.get_var_units(name)
        assert member.get_var_type(name) == own.get_var_type(name)
        assert member.get_var_nbytes(name) == own.get_var_nbytes(name)
        assert value(member, name) == value(own, name)
    for method in ("current_time", "time_step", "end_time", "start_time", "time_units"):
        assert getattr(member, f"get_{method}")() == getattr(own, f"get_{method}")()
    assert member.get_input_var_names() == ()
    assert member.get_grid_type(0) == "scalar"
    assert in_fleet(member)


def test_pointers_stay_current(folder):
    models = [opened(folder, name) for name in IDS[:2]]
    pointer = models[1].get_value_ptr(FLUX)
    for model in models * 20:
        model.update()
    assert pointer[0] == value(models[1], FLUX)
    models[1].set_value("K2", np.array([0.05]))
    models[1].update()
    assert pointer[0] == value(models[1], FLUX)


def test_instances_come_and_go_in_any_order(folder):
    expected = everybody(folder)
    models = {name: opened(folder, name) for name in reversed(IDS)}
    models.pop(IDS[2]).finalize()
    del models[IDS[5]]  # without finalize, as after an abort
    gc.collect()
    for _ in range(30):
        for model in models.values():
            model.update()
    models.pop(IDS[0]).finalize()
    late = opened(folder, IDS[2])
    for step in range(30):
        late.update()
        assert value(late) == expected[step, 2]
    for _ in range(30):
        for model in models.values():
            model.update()
    for name, model in models.items():
        assert value(model) == expected[59, IDS.index(name)]


def test_an_instance_that_runs_ahead_and_one_that_stays_behind(folder):
    expected = everybody(folder)
    models = [opened(folder, name) for name in IDS]
    models[0].update_until(100 * 86400.0)
    # Asked for at once, the depths of all steps add up.
    assert value(models[0]) == pytest.approx(expected[:100, 0].sum(), rel=1e-12)
    models[0].update()
    assert value(models[0]) == expected[100, 0]
    assert in_fleet(models[0])
    for step in range(STEPS):
        models[4].update()
        assert value(models[4]) == expected[step, 4]
    for step in range(40):
        models[6].update()
        assert value(models[6]) == expected[step, 6]
    assert models[0].get_current_time() == 101 * 86400.0


def test_memory_does_not_grow_with_who_stays_behind(folder):
    models = [opened(folder, name) for name in IDS[:2]]
    models[1].update()
    page = weakref.ref(models[1]._component._page)
    models[0].update_until(STEPS * 86400.0)
    gc.collect()
    assert page() is None
    expected = alone(folder, IDS[1])
    for step in range(1, STEPS):
        models[1].update()
        assert value(models[1]) == expected[step]


@pytest.mark.parametrize("moment", [0, 1, 16, 37])
def test_a_parameter_of_one_instance(folder, moment):
    def change_one(model, step):
        if step == moment:
            model.set_value("K1", np.array([0.4]))

    models = [opened(folder, name) for name in IDS]
    runoff = together(models, change=lambda models, step: change_one(models[3], step))
    expected = everybody(folder)
    expected[:, 3] = alone(folder, IDS[3], change=change_one)
    assert np.array_equal(runoff, expected)
    # Before the first step the engine takes the parameter over.
    assert in_fleet(models[3]) == (moment == 0)


@pytest.mark.filterwarnings("ignore::bmi_dhydro.run.configured_model.ExtrapolationWarning")
@pytest.mark.parametrize("moment", [0, 5, 40])
def test_a_state_of_one_instance(folder, moment):
    def change_one(model, step):
        if step == moment:
            size = model.get_grid_size(1)
            model.set_value("soil_moisture", np.linspace(10.0, 90.0, size))
            model.set_value("forest_fraction", np.array([0.5]))

    models = [opened(folder, name) for name in IDS]
    runoff = together(models, change=lambda models, step: change_one(models[2], step))
    expected = everybody(folder)
    expected[:, 2] = alone(folder, IDS[2], change=change_one)
    assert np.array_equal(runoff, expected)


def payload(model):
    model.set_value("ngen::serialization_create", np.array([1], np.int32))
    values = np.array(model.get_value_ptr("ngen::serialization_state"))
    model.set_value("ngen::serialization_free", np.array([1], np.int32))
    return values


@pytest.mark.parametrize("moment", [0, 23])
def test_saving_and_restoring(folder, moment):
    """Saved in a fleet at step 40; restored in another, before or after it has begun."""
    first = [opened(folder, name) for name in IDS]
    together(first, 40)
    saved = [payload(model) for model in first]
    assert all(in_fleet(model) for model in first)

    second = [opened(folder, name) for name in IDS]
    together(second, moment)
    for model, values in zip(second, saved, strict=True):
        model.set_value("ngen::serialization_size", np.array([values.size], np.int64))
        model.set_value("ngen::serialization_state", values)
    own = opened(folder, IDS[4], shared=False)
    for _ in range(moment):
        own.update()
    own.set_value("ngen::serialization_state", saved[4])
    expected = []
    for _ in range(30):
        own.update()
        expected.append(value(own))
    assert np.array_equal(together(second, 30)[:, 4], expected)
    assert all(in_fleet(model) for model in second) == (moment == 0)
    assert second[1].get_current_time() == (moment + 30) * 86400.0


@pytest.mark.parametrize("moment", [0, 30])
def test_the_water_balance_of_each_instance_closes(folder, moment):
    models = [opened(folder, name) for name in IDS]
    together(models, moment)
    if moment:
        models[1].set_value("K1", np.array([0.4]))
    single = opened(folder, IDS[1], shared=False)
    for step in range(moment + 50):
        if step == moment and moment:
            single.set_value("K1", np.array([0.4]))
        single.update()
        if step < moment:
            continue
        for model in models:
            model.update()
            terms = [
                model.get_value_ptr(f"ngen::mass_{name}")[0]
                for name in ("in", "out", "stored", "leaked")
            ]
            assert abs(terms[0] - terms[1] - terms[2] - terms[3]) < 1e-12
    ours = models[1].get_value_ptr("ngen::mass_in")[0]
    assert ours == pytest.approx(single.get_value_ptr("ngen::mass_in")[0], rel=1e-12)


def test_looking_at_a_state_stays_exact(folder):
    models = [opened(folder, name) for name in IDS[:3]]
    together(models, 21)
    own = opened(folder, IDS[0], shared=False)
    for _ in range(21):
        own.update()
    states = [m.get_value("soil_moisture", np.empty(m.get_grid_size(1))) for m in (models[0], own)]
    assert np.array_equal(*states)
    view = models[0].get_value_ptr("soil_moisture")
    for model in (*models, own):
        model.update()
    assert value(models[0]) == value(own)
    assert np.array_equal(view, own.get_value_ptr("soil_moisture"))


def test_an_initial_state_counts(folder):
    (folder / "all.yaml").write_text(
        (folder / "config.yaml").read_text().partition("output:")[0] + "save_state: all.state\n"
    )
    whole = BmiDhydro()
    whole.initialize(str(folder / "all.yaml"))
    whole.update_until(50 * 86400.0)
    whole.finalize()
    extra = "initial_state: all.state\n"
    models = [opened(folder, name, extra=extra) for name in IDS[:3]]
    single = opened(folder, IDS[2], shared=False, extra=extra)
    for model in (*models, single):
        model.update()
    assert value(models[2]) == value(single)


def test_what_does_not_go_with_a_fleet(folder):
    with pytest.raises(CatchmentError, match="has no catchment cat-99"):
        opened(folder, "cat-99")
    with pytest.raises(ConfigError, match=r"write catchments.select: \[ID\]"):
        opened(folder, "cat-1, cat-2")
    host = folder / "host.yaml"
    host.write_text("catchments: {table: catchments.csv, select: [cat-1]}\nfleet: true\n")
    with pytest.raises(ConfigError, match="fleet: needs forcing.file"):
        BmiDhydro().initialize(str(host))


def test_a_catchment_without_weather_is_named_when_it_is_made(folder):
    table = folder / "catchments.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines, lines[-1].replace("cat-7", "cat-8")]) + "\n")
    opened(folder, "cat-1")
    with pytest.raises(ForcingError, match="it has no weather for catchment cat-8"):
        opened(folder, "cat-8")


def test_the_end_of_the_weather_names_the_time(folder):
    models = [opened(folder, name) for name in IDS[:2]]
    for model in models:
        model.update_until(300 * 86400.0)
    with pytest.raises(ForcingError, match="the run ended at 2001-07-28T00:00:00"):
        models[0].update()


def test_fleets_that_nobody_holds_are_gone(folder):
    gc.collect()
    before = len(fleet._WAITING)
    model = opened(folder, IDS[0])
    assert len(fleet._WAITING) == before + 1
    del model
    gc.collect()
    assert len(fleet._WAITING) == before
