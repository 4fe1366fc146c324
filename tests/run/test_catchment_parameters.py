"""Parameters that something else than the network has given stay when attributes change."""

import numpy as np
import pytest

from bmi_dhydro import BmiDhydro
from bmi_dhydro.cli.example import write_example
from bmi_dhydro.config import read_config
from bmi_dhydro.hosts.realization import MAIN_OUTPUT as DEPTH
from bmi_dhydro.io import parameter_file
from bmi_dhydro.model.state import capture
from bmi_dhydro.run.component import Component

FLOW = "channel_exit_water_x-section__volume_flow_rate"


def opened(path, more=""):
    text = path.read_text().partition("output:")[0]
    target = path.with_name("own.yaml")
    target.write_text(
        text.replace("model: fast  ", "# ") + "model: fast\n" * ("model:" not in more) + more
    )
    bmi = BmiDhydro()
    bmi.initialize(str(target))
    return bmi


def values(bmi, name):
    return bmi.get_value(name, np.empty(bmi.get_var_nbytes(name) // bmi.get_var_itemsize(name)))


@pytest.mark.parametrize("attribute", ["area", "forest_fraction", "aridity"])
@pytest.mark.parametrize(
    "more", ["", "dtype: float32\n", "model: default\n", "ensemble: {members: 2}\n"]
)
@pytest.mark.parametrize("steps", [0, 7])
def test_what_a_host_has_set_stays(file_example, attribute, more, steps):
    bmi, plain = opened(file_example, more), opened(file_example, more)
    size = bmi.component.model.parameter_sets
    for model in (bmi, plain):
        for _ in range(steps):
            model.update()
    bmi.set_value("BETA", np.array([2.5]))
    bmi.set_value_at_indices("route_delay", np.array([1]), np.array([4.5]))
    for model in (bmi, plain):
        changed = values(model, attribute) * 0.97
        with np.errstate(all="ignore"):
            model.set_value(attribute, changed)
    assert (values(bmi, "BETA") == 2.5).all()
    delay, own = values(bmi, "route_delay"), values(plain, "route_delay")
    assert delay[1] == 4.5
    # What the host has not named follows the network.
    assert np.array_equal(delay[[0, 2, 3, 4]], own[[0, 2, 3, 4]])
    assert np.array_equal(values(bmi, "FC"), values(plain, "FC"))
    assert size > 1


def test_area_changes_no_parameter_and_all_that_depends_on_it(file_example):
    bmi, other = opened(file_example), opened(file_example)
    before = {name: np.array(v) for name, v in bmi.component.model.parameters.items()}
    area = values(bmi, "area") * 3.0
    bmi.set_value("area", area)
    for name, array in bmi.component.model.parameters.items():
        assert np.array_equal(array, before[name])
    assert not np.array_equal(bmi.component.model.ring.weights, other.component.model.ring.weights)
    bmi.update()
    np.testing.assert_allclose(values(bmi, FLOW), values(bmi, DEPTH) * area * 1e6 / 86400.0)


@pytest.mark.parametrize("source", ["configuration", "file"])
def test_configurations_and_parameter_files_count_too(file_example, tmp_path, source):
    more = "parameters: {K1: 0.123}\n"
    if source == "file":
        component = opened(file_example, more).component
        path = tmp_path / "p.safetensors"
        parameter_file.save(path, component.model, component.catchments.ids, {})
        more = f"parameter_file: {path}\n"
    bmi, plain = opened(file_example, more), opened(file_example)
    for model in (bmi, plain):
        model.set_value("forest_fraction", values(model, "forest_fraction") * 0.97)
    assert (values(bmi, "K1") == 0.123).all()
    same = np.array_equal(values(bmi, "FC"), values(plain, "FC"))
    # A file has all parameters, a configuration those that it names.
    assert same == (source == "configuration")


def member(path, name, more=""):
    text = path.read_text().partition("output:")[0].replace("table:", f"select: [{name}]\n  table:")
    target = path.with_name(f"{name}.yaml")
    target.write_text(text + more)
    bmi = BmiDhydro()
    bmi.initialize(str(target))
    return bmi


@pytest.mark.parametrize("leave_after", [None, 3])
def test_in_a_fleet_too(file_example, leave_after):
    """What is set before the first step goes to the engine, and comes back with who leaves it."""
    alone = member(file_example, "cat-2")
    fleet = [member(file_example, f"cat-{k}", "fleet: true\n") for k in (1, 2, 3)]
    for bmi in (alone, fleet[1]):
        bmi.set_value("BETA", np.array([2.5]))
        bmi.set_value("area", np.array([123.0]))
    flows = []
    for step in range(8):
        if step == leave_after:
            for bmi in (alone, fleet[1]):
                bmi.set_value("forest_fraction", np.array([0.9]))
        for bmi in (alone, *fleet):
            bmi.update()
        flows.append([bmi.get_value(FLOW, np.empty(1))[0] for bmi in (alone, fleet[1])])
    assert np.array_equal(*np.transpose(flows))
    assert (values(fleet[1], "BETA") == 2.5).all()


@pytest.mark.filterwarnings("ignore::bmi_dhydro.run.configured_model.ExtrapolationWarning")
def test_a_partial_file_among_parts_and_single_divides(file_example, tmp_path):
    """A share of a run, or one divide, may have none of the catchments of the file."""
    from bmi_dhydro.run.divided_run import run_divided
    from bmi_dhydro.run.workers import here

    component = opened(file_example, "parameters: {K1: 0.123}\n").component
    path = tmp_path / "p.safetensors"
    ids = component.catchments.ids
    saved = component.model.subset(np.array([4]))
    parameter_file.save(path, saved, ids[[4]], {})
    more = f"parameter_file: {path}\n"
    whole = opened(file_example, more)
    expected = values(whole, "K1_components").reshape(5, -1)
    assert (expected[4] == 0.123).all()
    assert not (expected[:4] == 0.123).any()
    for k, name in enumerate(ids):
        for kind in ("", "fleet: true\n"):
            bmi = member(file_example, name, more + kind)
            bmi.update()
            assert np.array_equal(values(bmi, "K1_components"), expected[k])
    many = write_example(tmp_path / "many", 40, 30, "1d", "file", model="fast")
    parameter_file.save(path, saved, np.array(["cat-40"]), {})
    many.write_text(many.read_text() + more)
    run_divided(many, None, here, 2)
    assert (many.parent / "results.nc").exists()


def test_a_restart_has_them_of_its_own_configuration(file_example):
    """States hold no parameters: who restarts gives them again."""
    bmi = opened(file_example)
    bmi.set_value("BETA", np.array([2.5]))
    saved = capture(bmi.component.model, "f", bmi.component.catchments.ids)
    assert set(saved.arrays) == {"state", "pending"}
    component = Component(read_config(file_example.with_name("own.yaml")))
    assert not component.parameters.given["BETA"].any()
    component.abandon()


def test_derivatives_with_respect_to_attributes_leave_out_what_was_given(many_host_example):
    target = many_host_example.with_name("history.yaml")
    target.write_text(many_host_example.read_text() + "history: 20\n")
    bmi = BmiDhydro()
    bmi.initialize(str(target))
    names = bmi.component.model.parameters
    for name, array in names.items():
        every = name + "_components" * (array.ndim == 2)
        bmi.set_value_at_indices(every, np.arange(array.size), array.ravel())
    random = np.random.default_rng(0)
    for _ in range(20):
        for name, value in zip(bmi.get_input_var_names(), (1.0, 8.0, 0.1), strict=True):
            bmi.set_value(name, value * random.uniform(0.5, 1.5, 6))
        bmi.update()
    result = bmi.vjp({"discharge": np.ones(6)}, ["aridity", "K1"], 20)
    assert (result["aridity"] == 0.0).all()
    assert np.abs(result["K1"]).max() > 0.0
