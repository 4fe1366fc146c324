"""Outputs that are made of what the model takes in: potential evapotranspiration, and rain."""

import numpy as np
import pytest
import xarray
import yaml

from bmi_dhydro import BmiDhydro
from bmi_dhydro.errors import VariableError

PET = "land_surface_water__potential_evapotranspiration_volume_flux"
RAIN = "atmosphere_water__rainfall_leq-volume_flux"
GIVEN = "land_surface_water__potential_evaporation_volume_flux"
DEPTH = "potential_evapotranspiration"


def changed(path, **keys):
    document = yaml.safe_load(path.read_text())
    for key, value in keys.items():
        if isinstance(value, dict):
            document[key] = {**document.get(key, {}), **value}
        else:
            document[key] = value
    path.write_text(yaml.safe_dump(document))
    return path


def opened(path):
    model = BmiDhydro()
    model.initialize(str(path))
    return model


def value(model, name):
    return model.get_value(name, np.empty(model.get_grid_size(model.get_var_grid(name))))


def given(model, warmth, pet):
    for name, number in zip(model.get_input_var_names(), (0.5, warmth, pet), strict=True):
        model.set_value(name, np.full(model.get_grid_size(model.get_var_grid(name)), number))


@pytest.mark.parametrize("step", ["1h", "1d"])
@pytest.mark.parametrize("kind", ["float64", "float32"])
@pytest.mark.parametrize("example", ["host_example", "many_host_example"])
def test_what_a_host_gives_comes_out(example, kind, step, request):
    path = changed(request.getfixturevalue(example), dtype=kind, time={"step": step})
    model = opened(path)
    for warmth, pet in ((12.0, 0.2), (-9.0, 0.05), (12.0, -0.1)):
        given(model, warmth, pet)
        model.update()
        np.testing.assert_allclose(value(model, PET), max(pet, 0.0), rtol=1e-6)
        np.testing.assert_allclose(value(model, RAIN), 0.5 if warmth > 0.0 else 0.0, rtol=1e-6)


def test_of_several_steps_it_is_the_mean(host_example):
    model = opened(changed(host_example, time={"step": "1h"}))
    given(model, 12.0, 0.2)
    model.update_until(3 * model.get_time_step())
    np.testing.assert_allclose(value(model, PET), 0.2)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_of_weather_in_a_file_it_is_what_results_hold(file_example, tmp_path, device, request):
    if device == "cuda":
        request.getfixturevalue("gpus")
    out = tmp_path / "out.nc"
    end = {"start": "2000-10-01", "end": "2000-10-21"}
    names = [PET, DEPTH, "rain", RAIN]
    path = changed(
        file_example, device=device, time=end, output={"file": str(out), "variables": names}
    )
    model = opened(path)
    seen = []
    for _ in range(20):
        model.update()
        seen.append(value(model, PET))
    model.finalize()
    with xarray.open_dataset(out) as data:
        rates = data[PET].transpose("time", ...).values
        np.testing.assert_allclose(rates, np.array(seen), rtol=1e-6)
        np.testing.assert_allclose(24.0 * data[PET].values, data[DEPTH].values, rtol=1e-5)
        np.testing.assert_allclose(24.0 * data[RAIN].values, data["rain"].values, rtol=1e-5)
        assert (data[DEPTH].values > 0.0).any()


@pytest.mark.parametrize("view", ["all", "one"])
def test_of_members_it_is_with_their_noise(many_host_example, view):
    noise = {DEPTH: {"spread": 0.3}}
    keys = {"members": 3, "inputs": "shared", "view": view, "weather": noise}
    model = opened(changed(many_host_example, ensemble=keys))
    given(model, 12.0, 0.2)
    model.update()
    values = []
    for member in range(3):
        if view == "one":
            model.set_value("ensemble__member", np.array([member], np.int32))
        found = value(model, PET)
        values.append(found if view == "one" else found.reshape(3, -1)[member])
    assert np.ptp(values, axis=0).min() > 0.0
    assert np.abs(np.mean(values) - 0.2) < 0.15


def test_in_a_fleet(file_example):
    document = yaml.safe_load(file_example.read_text())
    document.pop("output", None)
    flows = {}
    for fleet in (False, True):
        models = []
        for k in (1, 2):
            catchments = {**document["catchments"], "select": [f"cat-{k}"]}
            path = file_example.with_name(f"{fleet}-{k}.yaml")
            path.write_text(yaml.safe_dump({**document, "catchments": catchments, "fleet": fleet}))
            models.append(opened(path))
        rows = []
        for _ in range(10):
            for model in models:
                model.update()
                rows.append(value(model, PET)[0])
        flows[fleet] = rows
    np.testing.assert_array_equal(flows[True], flows[False])
    assert max(flows[True]) > 0.0


@pytest.mark.parametrize("members", [1, 2])
def test_on_a_gpu_where_the_host_gives_it(many_host_example, gpus, members):
    keys = {"device": "cuda"}
    if members > 1:
        keys["ensemble"] = {"members": members, "inputs": "shared", "view": "all"}
    model = opened(changed(many_host_example, **keys))
    given(model, 12.0, 0.2)
    model.update()
    np.testing.assert_allclose(value(model, PET), 0.2)
    pointer = model.get_value_ptr(PET)
    given(model, 12.0, 0.1)
    model.update()
    np.testing.assert_allclose(pointer, 0.1)
    np.testing.assert_allclose(np.from_dlpack(model.get_value_dlpack(PET)), 0.1)


def test_it_is_no_input_and_has_no_derivative(host_example):
    model = opened(changed(host_example, history=2))
    given(model, 12.0, 0.2)
    model.update()
    assert PET not in model.get_input_var_names()
    assert GIVEN not in model.get_output_var_names()
    with pytest.raises(VariableError, match="is an output and cannot be set"):
        model.set_value(PET, np.ones(1))
    with pytest.raises(VariableError, match="no derivative of"):
        model.vjp({PET: np.ones((1, 1))}, ["K1"], 1)


def test_a_restart_has_it(host_example):
    model = opened(host_example)
    given(model, 12.0, 0.2)
    model.update()
    again = opened(host_example)
    again.component.restore_payload(model.component.payload(), "state")
    np.testing.assert_array_equal(value(again, PET), value(model, PET))
