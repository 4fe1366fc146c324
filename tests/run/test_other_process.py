"""A process model that lacks some of what HBV has, behind the interface."""

import numpy as np
import pytest
import xarray
import yaml

from bmi_dhydro import BmiDhydro
from bmi_dhydro.errors import VariableError
from bmi_dhydro.variables import OUTPUTS
from tests.conftest import OUTPUTS_OF_HBV

ABSENT = {"soil_sat-zone_water__depth", "soil_water_sat-zone_top__recharge_volume_flux"}
DEPTH = OUTPUTS[0].name


def changed(path, **keys):
    document = yaml.safe_load(path.read_text())
    document.update(keys)
    path.write_text(yaml.safe_dump(document))
    return path


def opened(path):
    model = BmiDhydro()
    model.initialize(str(path))
    return model


def stepped(model, steps):
    flows = []
    for _ in range(steps):
        for name, value in zip(model.get_input_var_names(), (0.5, 9.0, 0.1), strict=False):
            model.set_value(name, np.full(model.get_grid_size(model.get_var_grid(name)), value))
        model.update()
        flows.append(model.get_value_ptr(DEPTH).copy())
    return np.array(flows)


@pytest.mark.parametrize("example", ["file_example", "host_example", "many_host_example"])
def test_only_what_the_process_has_is_published(example, exp_hydro_model, request):
    path = changed(request.getfixturevalue(example), model=str(exp_hydro_model))
    model = opened(path)
    names = model.get_output_var_names()
    assert set(names) == {item.name for item in OUTPUTS_OF_HBV} - ABSENT
    assert model.get_output_item_count() == len(names)
    flows = stepped(model, 30)
    assert np.isfinite(flows).all()
    assert flows.max() > 0.0
    balance = model.component.water_balance()
    error = balance["in"] - balance["out"] - balance["stored"] - balance["leaked"]
    assert np.abs(error).max() < 1e-9
    for name in names:
        size = model.get_grid_size(model.get_var_grid(name))
        assert model.get_var_nbytes(name) == 8 * size
        assert np.isfinite(model.get_value(name, np.empty(size))).all()
    for name in ABSENT:
        with pytest.raises(VariableError, match="is unknown"):
            model.get_var_type(name)


def test_results_hold_what_the_process_has(file_example, exp_hydro_model, tmp_path):
    out = tmp_path / "out.nc"
    path = changed(file_example, model=str(exp_hydro_model), output={"file": str(out)})
    model = opened(path)
    stepped(model, 20)
    model.finalize()
    with xarray.open_dataset(out) as data:
        assert DEPTH in data
        assert not ABSENT & set(data)


def test_a_fleet_of_it_is_what_separate_instances_are(file_example, exp_hydro_model):
    document = yaml.safe_load(file_example.read_text())
    document.pop("output", None)
    document["model"] = str(exp_hydro_model)
    flows = {}
    for fleet in (False, True):
        models = []
        for k in range(1, 4):
            catchments = {**document["catchments"], "select": [f"cat-{k}"]}
            path = file_example.with_name(f"{fleet}-{k}.yaml")
            path.write_text(yaml.safe_dump({**document, "catchments": catchments, "fleet": fleet}))
            models.append(opened(path))
        flows[fleet] = np.array([[stepped(model, 1)[0, 0] for model in models] for _ in range(40)])
    np.testing.assert_array_equal(flows[True], flows[False])


def test_steps_together_a_restart_and_derivatives(host_example, exp_hydro_model):
    path = changed(host_example, model=str(exp_hydro_model), history=4)
    one, many = opened(path), opened(path)
    flows = stepped(one, 4)
    for name in many.get_input_var_names():
        many.set_value(name, one.get_value_ptr(name))
    many.update_until(4 * many.get_time_step())
    assert many.get_value_ptr(DEPTH)[0] == pytest.approx(flows.sum(), rel=1e-12)
    slope = one.vjp({DEPTH: np.ones((4, 1))}, ["DF", one.get_input_var_names()[0]], 4)
    assert all(np.isfinite(values).all() for values in slope.values())
    payload = one.component.payload()
    after = stepped(one, 3)
    again = opened(path)
    again.component.restore_payload(payload, "state")
    np.testing.assert_array_equal(stepped(again, 3), after)


@pytest.mark.parametrize("example", ["file_example", "many_host_example"])
def test_on_a_gpu(example, exp_hydro_model, gpus, request):
    path = changed(request.getfixturevalue(example), model=str(exp_hydro_model))
    if example == "file_example":
        # As many steps as are read: a block of the whole file takes long in the interpreter.
        time = {**yaml.safe_load(path.read_text())["time"], "end": "2000-10-07"}
        changed(path, time=time)
    expected = stepped(opened(path), 6)
    on_gpu = opened(changed(path, device="cuda"))
    np.testing.assert_allclose(stepped(on_gpu, 6), expected, rtol=1e-6, atol=1e-12)
    assert set(on_gpu.get_output_var_names()) == {item.name for item in OUTPUTS_OF_HBV} - ABSENT
