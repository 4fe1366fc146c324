"""The component on a GPU, or in Triton's interpreter: what hosts see is what they see on a CPU."""

import numpy as np
import pytest
import xarray

from bmi_dhydro import BmiDhydro
from bmi_dhydro.errors import ForcingError
from bmi_dhydro.variables import DEFAULT_INPUTS, OUTPUTS, inputs_for

torch = pytest.importorskip("torch", reason="needs torch")
pytestmark = pytest.mark.usefixtures("gpus")

INPUTS = [item.name for item in inputs_for(DEFAULT_INPUTS)]
RUNOFF = OUTPUTS[0].name

TYPICAL = {
    "precipitation": 4.0,
    "temperature": 9.0,
    "temperature_minimum": 3.0,
    "temperature_maximum": 16.0,
    "shortwave_radiation": 150.0,
    "longwave_radiation": 300.0,
    "specific_humidity": 0.006,
    "air_pressure": 97000.0,
    "wind_x": 3.0,
    "wind_y": 2.0,
}

# What several devices do, one does.
ONE = pytest.param("cuda", marks=pytest.mark.long)


def started(config, device, more=""):
    text = config.read_text()
    path = config.with_name(f"{device.replace(':', '_')}.yaml")
    path.write_text(text + f"device: {device}\n" + more)
    model = BmiDhydro()
    model.initialize(str(path))
    return model


def pair(config, device="cuda", more=""):
    return started(config, "cpu", more), started(config, device, more)


def size_of(model, name):
    return model.get_grid_size(model.get_var_grid(name))


def value(model, name):
    return model.get_value(name, np.empty(size_of(model, name)))


def close(ours, theirs, tolerance=1e-10):
    ours, theirs = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    assert np.linalg.norm(ours - theirs) <= tolerance * max(np.linalg.norm(theirs), 1e-6)


def weather_of(step, size):
    random = np.random.default_rng(step)
    return random.gamma(0.5, 1.0, size), random.normal(6.0, 5.0, size), np.full(size, 0.1)


def shortened(config, first, last):
    """Return the text of a configuration that runs some days of its weather."""
    days = [np.datetime64("2001-01-01") + np.timedelta64(day, "D") for day in (first, last)]
    return config.read_text().replace(
        "  step: 1d", f"  step: 1d\n  start: {days[0]}\n  end: {days[1]}"
    )


def driven(model, step):
    for name, values in zip(INPUTS, weather_of(step, size_of(model, INPUTS[0])), strict=True):
        model.set_value(name, values)
    model.update()


@pytest.mark.parametrize("device", [ONE, "cuda:0,1"])
def test_a_host_that_reads_and_changes(many_host_example, device):
    models = pair(many_host_example, device)
    for step in range(12):
        for model in models:
            driven(model, step)
            if step == 4:
                model.set_value("soil_moisture", value(model, "soil_moisture") + 3.0)
            if step == 6:
                model.set_value("area", 2.0 * value(model, "area"))
            if step == 8:
                model.get_value_ptr("lower_zone")[:] += 1.0
        for name in (RUNOFF, "recharge"):
            close(*(value(model, name) for model in reversed(models)))
    for name in (*models[0].get_output_var_names(), "lower_zone", "routing_pending", "melt"):
        close(*(value(model, name) for model in reversed(models)))
    balances = [model.component.water_balance() for model in models]
    for key in ("in", "out", "stored", "leaked"):
        close(balances[1][key], balances[0][key])


def test_pointers_stay_and_are_current(many_host_example):
    cpu, gpu = pair(many_host_example)
    pointers = [gpu.get_value_ptr(name) for name in (RUNOFF, "recharge")]
    rain = gpu.get_value_ptr(INPUTS[0])
    for step in range(5):
        driven(cpu, step)
        rain[:] = weather_of(step, 6)[0]
        for name, values in zip(INPUTS[1:], weather_of(step, 6)[1:], strict=True):
            gpu.set_value(name, values)
        gpu.update()
        for name, pointer in zip((RUNOFF, "recharge"), pointers, strict=True):
            assert pointer.ctypes.data == gpu.get_value_ptr(name).ctypes.data
            close(pointer, value(cpu, name))


def test_what_nobody_asks_for_stays(many_host_example, monkeypatch):
    from bmi_dhydro.run.exchange import gpu_coupled

    moved = []
    copy = gpu_coupled._copy
    monkeypatch.setattr(
        gpu_coupled,
        "_copy",
        lambda device, host, runs, up: moved.append(up) or copy(device, host, runs, up),
    )
    model = started(many_host_example, "cuda")
    driven(model, 0)
    assert (moved.count(False), moved.count(True)) == (3, 0)
    value(model, RUNOFF)
    assert moved.count(True) == 1
    model.get_value_ptr(RUNOFF)
    moved.clear()
    driven(model, 1)
    value(model, RUNOFF)
    assert (moved.count(False), moved.count(True)) == (3, 1)


@pytest.mark.parametrize("device", [ONE, "cuda:0,1"])
def test_impossible_weather_is_refused_and_nothing_done(many_host_example, device):
    """A host that writes through a pointer is only found out in the step."""
    cpu, gpu = pair(many_host_example, device)
    for model in (cpu, gpu):
        driven(model, 0)
    pointer = gpu.get_value_ptr(INPUTS[1])
    for wrong in (np.nan, 400.0):
        pointer[4] = wrong
        with pytest.raises(ForcingError, match=r"temperature is .* for catchment .*step was not"):
            gpu.update()
    assert gpu.get_current_time() == cpu.get_current_time()
    for step in (1, 2):
        for model in (cpu, gpu):
            driven(model, step)
    for name in (RUNOFF, "soil_moisture", "routing_pending"):
        close(value(gpu, name), value(cpu, name))
    close(gpu.component.water_balance()["in"], cpu.component.water_balance()["in"])


def test_arrays_of_a_device(many_host_example, gpus):
    cpu, gpu = pair(many_host_example)
    for step in range(4):
        driven(cpu, step)
        for name, values in zip(INPUTS, weather_of(step, 6), strict=True):
            gpu.set_value_dlpack(name, torch.tensor(values, device=gpus))
        gpu.update()
        for name in (RUNOFF, "recharge"):
            there = torch.from_dlpack(gpu.get_value_dlpack(name))
            assert there.device == gpus
            close(there.cpu().numpy(), value(cpu, name))
    # What a host reads and sets after that counts.
    close(value(gpu, INPUTS[0]), weather_of(3, 6)[0], 0.0)
    for model in (cpu, gpu):
        model.set_value_at_indices(INPUTS[0], np.array([2]), np.array([7.0]))
        model.update()
    close(value(gpu, RUNOFF), value(cpu, RUNOFF))
    gpu.set_value_dlpack(INPUTS[1], torch.full((6,), 99.0, device=gpus))
    with pytest.raises(ForcingError, match="temperature is 99 degC"):
        gpu.update()
    with pytest.raises(ValueError, match="has 6 values, but 3 were given"):
        gpu.set_value_dlpack(INPUTS[1], torch.zeros(3, device=gpus))


def test_on_a_cpu_dlpack_is_the_host_s_memory(many_host_example):
    model = started(many_host_example, "cpu")
    for name, values in zip(INPUTS, weather_of(0, 6), strict=True):
        model.set_value_dlpack(name, values)
    model.update()
    shared = np.from_dlpack(model.get_value_dlpack(RUNOFF))
    assert np.shares_memory(shared, model.get_value_ptr(RUNOFF))
    states = np.from_dlpack(model.get_value_dlpack("soil_moisture"))
    close(states, value(model, "soil_moisture"), 0.0)
    model.set_value_dlpack("soil_moisture", states + 1.0)
    close(value(model, "soil_moisture"), states + 1.0, 0.0)
    model.set_value_dlpack(INPUTS[0], torch.arange(6.0))
    close(value(model, INPUTS[0]), np.arange(6.0), 0.0)


@pytest.mark.parametrize("device", [ONE, "cuda:0,1"])
def test_weather_of_a_file(file_example, device):
    file_example.write_text(shortened(file_example, 0, 16))
    models = pair(file_example, device)
    cpu, gpu = models
    pointer = gpu.get_value_ptr(RUNOFF)
    for step in range(16):
        for model in models:
            model.update()
            if step == 9:
                model.set_value("upper_zone", value(model, "upper_zone") + 2.0)
            if step == 12:
                model.set_value("K2", np.full(size_of(model, "K2"), 0.05))
        close(pointer, value(cpu, RUNOFF))
        if step in (4, 11):
            close(value(gpu, "melt"), value(cpu, "melt"))
            close(gpu.component.water_balance()["stored"], cpu.component.water_balance()["stored"])
    for name in cpu.get_output_var_names():
        close(value(gpu, name), value(cpu, name))
    there = gpu.get_value_dlpack(RUNOFF)
    close(torch.from_dlpack(there).cpu().numpy(), value(cpu, RUNOFF))
    for key in ("in", "out", "stored", "leaked"):
        close(gpu.component.water_balance()[key], cpu.component.water_balance()[key])


@pytest.mark.parametrize("example", ["many_host_example", "file_example"])
def test_series_that_are_kept(example, request):
    """Outputs, rows of the model and forcing, as results and bands take them."""
    config = request.getfixturevalue(example)
    if example == "file_example":
        config.write_text(shortened(config, 0, 5))
    models = pair(config)
    names = (RUNOFF, "melt", "precipitation")
    cpu, gpu = (model.component.kept(names) for model in models)
    for step in range(5):
        for model in models:
            driven(model, step) if model.get_input_item_count() else model.update()
        for name in names:
            close(gpu[name], cpu[name])


def run(config, device, name, first, last, more=""):
    """Run days of the example, from and to; return the results."""
    text = shortened(config, first, last).replace("results.nc", name)
    path = config.with_name(f"{name}.yaml")
    path.write_text(text + f"device: {device}\n" + more)
    model = BmiDhydro()
    model.initialize(str(path))
    model.update_until(model.get_end_time())
    model.finalize()
    with xarray.open_dataset(config.with_name(name)) as results:
        return results.load()


@pytest.mark.parametrize("device", [ONE, "cuda:0,1"])
def test_results_and_states_of_runs(file_example, device):
    """A run that is cut in two, on another device each."""
    whole = run(file_example, "cpu", "whole.nc", 0, 18)
    for one, other in ((device, "cpu"), ("cpu", device)):
        run(file_example, one, "first.nc", 0, 11, "save_state: s.nc\n")
        second = run(file_example, other, "second.nc", 11, 18, "initial_state: s.nc\n")
        for name in whole.data_vars:
            if "time" in whole[name].dims and whole[name].dtype.kind == "f":
                later = whole[name].sel(time=second.time)
                close(second[name], later)


@pytest.mark.parametrize("example", ["many_host_example", "file_example"])
def test_what_a_host_serializes_it_gets_back(example, request):
    """Outputs that were never asked for included, and on another device."""
    config = request.getfixturevalue(example)
    if example == "file_example":
        config.write_text(shortened(config, 0, 12))
    cpu, gpu = pair(config, "cuda:0,1")
    names = (*cpu.get_output_var_names(), "melt")
    for one, other in ((cpu, gpu), (gpu, cpu)):
        for step in range(3):
            for model in (one, other):
                driven(model, step) if model.get_input_item_count() else model.update()
        expected = [value(one, name) for name in names]
        payload = one.component.payload()
        for model in (one, other):
            driven(model, 9) if model.get_input_item_count() else model.update()
        other.component.restore_payload(payload, "a payload")
        for name, values in zip(names, expected, strict=True):
            close(value(other, name), values)
        one.component.restore_payload(payload, "a payload")


def test_parameters_that_change_from_day_to_day(many_host_example, dynamic_model):
    more = f"model: {dynamic_model}\n"
    text = many_host_example.read_text().replace("model: fast", "#")
    many_host_example.write_text(text.replace("step: 1d", "step: 6h"))
    for device in ("cuda", "cuda:0,1"):
        cpu, gpu = pair(many_host_example, device, more)
        for step in range(7):
            for model in (cpu, gpu):
                driven(model, step)
                if step == 4:
                    model.set_value("forest_fraction", np.linspace(0.1, 0.9, 6))
            close(value(gpu, RUNOFF), value(cpu, RUNOFF))
        snapshots = [model.component.model.snapshot() for model in (cpu, gpu)]
        assert {"hidden", "cell", "day_window"} <= set(snapshots[0])
        for name, values in snapshots[0].items():
            close(snapshots[1][name], values)
        # A rejected step must not be remembered.
        gpu.get_value_ptr(INPUTS[1])[0] = np.nan
        with pytest.raises(ForcingError):
            gpu.update()
        close(gpu.component.model.snapshot()["day_window"], snapshots[0]["day_window"])


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-10), ("float32", 1e-5)])
def test_moving_parameters_go_on_in_the_middle_of_a_day(
    many_host_example, dynamic_model, dtype, tolerance
):
    """With members that have weather of their own; there, and on the other device."""
    more = f"dtype: {dtype}\nmodel: {dynamic_model}\nensemble: {{members: 2, inputs: own}}\n"
    text = many_host_example.read_text().replace("model: fast", "#")
    many_host_example.write_text(text.replace("step: 1d", "step: 6h"))
    cpu, gpu = pair(many_host_example, "cuda", more)
    for step in range(5):
        for model in (cpu, gpu):
            driven(model, step)
    payload = gpu.component.payload()
    whole = []
    for step in range(5, 12):
        for model in (cpu, gpu):
            driven(model, step)
        whole.append(value(gpu, RUNOFF))
        close(whole[-1], value(cpu, RUNOFF), tolerance)
    for model in (cpu, gpu):
        model.component.restore_payload(payload, "a payload")
    for step, expected in enumerate(whole, 5):
        for model in (cpu, gpu):
            driven(model, step)
        assert np.array_equal(value(gpu, RUNOFF), expected)
        close(value(cpu, RUNOFF), expected, tolerance)


def test_a_file_and_parameters_that_change(file_example, dynamic_model):
    text = file_example.read_text().replace("model: fast", f"model: {dynamic_model} #")
    file_example.write_text(text)
    ours, theirs = (run(file_example, device, f"{device}.nc", 0, 9) for device in ("cuda", "cpu"))
    close(ours[RUNOFF], theirs[RUNOFF])


@pytest.mark.parametrize("view", ["all", "one"])
@pytest.mark.parametrize("inputs", ["own", "shared"])
def test_members(many_host_example, view, inputs):
    more = f"""
ensemble:
  members: 3
  seed: 4
  view: {view}
  inputs: {inputs}
  weather: {{precipitation: {{spread: 0.3}}}}
  states: {{soil_moisture: {{spread: 0.01}}}}
"""
    cpu, gpu = pair(many_host_example, "cuda:0,1", more)
    for step in range(3):
        for model in (cpu, gpu):
            driven(model, step)
        close(value(gpu, RUNOFF), value(cpu, RUNOFF))
    if view == "one":
        for model in (cpu, gpu):
            model.set_value("ensemble__member", np.array([2]))
        close(value(gpu, RUNOFF), value(cpu, RUNOFF))
    close(gpu.component.water_balance()["leaked"], cpu.component.water_balance()["leaked"])


def test_members_that_differ_by_their_inputs_alone(many_host_example):
    """Without noise the device makes forcing of the inputs of each member itself."""
    for inputs in ("own", "shared"):
        more = f"ensemble: {{members: 3, inputs: {inputs}}}\n"
        for device in ("cuda", "cuda:0,1"):
            cpu, gpu = pair(many_host_example, device, more)
            for step in range(3):
                for model in (cpu, gpu):
                    driven(model, step)
            close(value(gpu, RUNOFF), value(cpu, RUNOFF))


@pytest.mark.parametrize("device", [ONE, "cuda:0,1"])
@pytest.mark.parametrize(
    ("method", "step"),
    [("hamon", "1d"), ("hargreaves", "1d"), ("oudin", "6h"), ("penman_monteith", "6h")],
)
def test_evapotranspiration_that_is_computed(many_host_example, method, step, device):
    """Also over midnight, where the month changes and with it the factors of the attributes."""
    text = many_host_example.read_text().replace("start: 2000-10-01", "start: 2000-10-30")
    many_host_example.write_text(text.replace("step: 1d", f"step: {step}"))
    mismatch = "rescale" if method == "hamon" else "accept"
    more = (
        f"forcing: {{potential_evapotranspiration: {method}, "
        f"evapotranspiration_mismatch: {mismatch}}}\n"
        "ensemble: {members: 2, weather: {temperature: {spread: 1.0, hours: 30}}}\n"
    )
    cpu, gpu = pair(many_host_example, device, more)
    for count in range(6):
        for item in cpu.component.input_items:
            values = TYPICAL[item.source] * np.linspace(0.9, 1.1, 6) * (1.0 + 0.01 * count)
            cpu.set_value(item.name, values)
            gpu.set_value_dlpack(item.name, torch.tensor(values))
        for model in (cpu, gpu):
            model.update()
        close(value(gpu, RUNOFF), value(cpu, RUNOFF))


def test_derivatives_of_what_was_done(many_host_example):
    cpu, gpu = pair(many_host_example, "cuda", "history: 10\n")
    for step in range(8):
        for model in (cpu, gpu):
            driven(model, step)
    seeds = {RUNOFF: np.ones(6)}
    ours, theirs = (model.vjp(seeds, [INPUTS[0], "K1"], 6) for model in (gpu, cpu))
    for name, values in theirs.items():
        close(ours[name], values, 1e-8)


def test_instances_that_are_computed_together(file_example):
    """A fleet on a device, one of which goes on alone."""
    text = shortened(file_example, 0, 8).replace("output:\n  file: results.nc", "")
    table = file_example.with_name("catchments.csv").read_text().splitlines()
    names = [line.partition(",")[0] for line in table[1:4]]
    models = {}
    for device in ("cpu", "cuda"):
        for k, name in enumerate(names):
            where = "  table: catchments.csv"
            chosen = text.replace(where, f"{where}\n  select: ['{name}']")
            path = file_example.with_name(f"{device}{k}.yaml")
            path.write_text(chosen + f"device: {device}\nfleet: true\n")
            models[device, k] = BmiDhydro()
            models[device, k].initialize(str(path))
    for step in range(6):
        for model in models.values():
            model.update()
        if step == 3:
            for device in ("cpu", "cuda"):
                model = models[device, 1]
                model.set_value("lower_zone", value(model, "lower_zone") + 1.0)
        for k in range(3):
            close(value(models["cuda", k], RUNOFF), value(models["cpu", k], RUNOFF))
    for k in range(3):
        close(value(models["cuda", k], "melt"), value(models["cpu", k], "melt"))
