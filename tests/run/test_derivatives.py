"""Derivatives through the interface, against differences of the interface itself."""

import numpy as np
import pytest

from bmi_dhydro import BmiDhydro
from bmi_dhydro.errors import OrderError, VariableError
from bmi_dhydro.variables import INPUTS, OUTPUTS

RAIN, TEMPERATURE, PET = (item.name for item in INPUTS[:3])
DEPTH, FLUX, DISCHARGE = (item.name for item in OUTPUTS[:3])
STEPS = 40


def with_history(path, extra="", history=60):
    path.write_text(path.read_text() + f"history: {history}\n{extra}")
    return path


class Run:
    """A host: 70 steps, of which the last `STEPS` count."""

    def __init__(self, path, changes=None):
        self.changes = changes or {}
        self.bmi = BmiDhydro()
        self.bmi.initialize(str(path))
        self.size = self.bmi.get_grid_size(0)
        random = np.random.default_rng(4)
        shape = (70, self.size)
        self.weather = {
            RAIN: random.gamma(0.4, 1.0, shape),
            TEMPERATURE: random.normal(4.0, 6.0, shape),
            PET: random.uniform(0.02, 0.2, shape),
        }
        self.seeds = {
            FLUX: random.normal(size=(STEPS, self.size)),
            "soil_moisture": random.normal(size=self.size),
        }

    def change(self, moment):
        for (name, when), (index, size) in self.changes.items():
            if when == moment:
                grid = self.bmi.get_var_grid(name)
                values = self.bmi.get_value(name, np.empty(self.bmi.get_grid_size(grid)))
                values[index] += size
                self.bmi.set_value(name, values)

    def objective(self):
        bmi, total = self.bmi, 0.0
        self.change("start")
        for step in range(70):
            if step == 70 - STEPS:
                self.change("state")
            for name in bmi.get_input_var_names():
                values = self.weather[name][step].copy()
                for (changed, when), (index, size) in self.changes.items():
                    if changed == name and when == step:
                        values[index] += size
                bmi.set_value(name, values)
            bmi.update()
            if step >= 70 - STEPS:
                flux = bmi.get_value(FLUX, np.empty(self.size))
                total += (self.seeds[FLUX][step - (70 - STEPS)] * flux).sum()
        soil = bmi.component.rows[bmi.component.model.outputs.index("soil_moisture")]
        return total + (self.seeds["soil_moisture"] * soil).sum()


def slope(path, name, when, index, size):
    values = [Run(path, {(name, when): (index, s * size)}).objective() for s in (1, -1)]
    return (values[0] - values[1]) / (2 * size)


def gradients(path, wrt):
    run = Run(path)
    run.objective()
    return run, run.bmi.vjp(run.seeds, wrt, STEPS)


@pytest.fixture
def path(many_host_example):
    return with_history(many_host_example)


def test_inputs(path):
    _, result = gradients(path, [RAIN, TEMPERATURE, PET])
    for name in (RAIN, PET):
        assert result[name].shape == (STEPS, 6)
        for step, catchment in ((3, 0), (20, 4), (39, 5)):
            expected = slope(path, name, 70 - STEPS + step, catchment, 1e-4)
            assert result[name][step, catchment] == pytest.approx(expected, rel=1e-4, abs=1e-7)
    # Temperature decides by thresholds; where it melts snow its derivative is that of melt.
    assert np.isfinite(result[TEMPERATURE]).all()
    assert (result[TEMPERATURE] != 0).any()


def test_states(path):
    _, result = gradients(path, ["soil_moisture", "lower_zone", "routing_pending"])
    parameter_sets = result["soil_moisture"].shape[1]
    assert result["routing_pending"].shape[0] == 6
    for name in ("soil_moisture", "lower_zone"):
        for catchment, component in ((0, 3), (5, 7)):
            expected = slope(path, name, "state", catchment * parameter_sets + component, 1e-4)
            assert result[name][catchment, component] == pytest.approx(expected, rel=1e-4)


def test_parameters_of_the_time_that_is_gone_back(path):
    """The parameters of the last steps, with the state they started from as it was."""
    names = ["K1_components", "FC_components", "K1", "route_delay"]
    _, result = gradients(path, names)
    parameter_sets = result["K1_components"].shape[1]
    # One value for all parameter sets changes them together.
    np.testing.assert_allclose(result["K1"], result["K1_components"].sum(axis=1), rtol=1e-12)
    for name, size in (("K1_components", 1e-6), ("FC_components", 1e-4)):
        expected = slope(path, name, "state", 2 * parameter_sets + 1, size)
        assert result[name][2, 1] == pytest.approx(expected, rel=1e-3)
    expected = slope(path, "route_delay", "state", 3, 1e-6)
    assert result["route_delay"][3] == pytest.approx(expected, rel=1e-4)


def test_attributes_go_through_the_network(path):
    _, result = gradients(path, ["forest_fraction", "area"])
    for name, size in (("forest_fraction", 1e-6), ("area", 1e-3)):
        expected = slope(path, name, "state", 1, size)
        assert result[name][1] == pytest.approx(expected, rel=2e-3)


def test_computed_evapotranspiration_is_part_of_the_derivative(many_host_example):
    path = with_history(
        many_host_example,
        "forcing: {potential_evapotranspiration: oudin, evapotranspiration_mismatch: rescale}\n",
    )
    _, result = gradients(path, [TEMPERATURE, RAIN])
    found = 0
    for step in range(0, STEPS, 4):
        estimates = [slope(path, TEMPERATURE, 70 - STEPS + step, 0, size) for size in (1e-5, 5e-6)]
        if np.isclose(*estimates, rtol=1e-3, atol=1e-9):
            value = result[TEMPERATURE][step, 0]
            assert value == pytest.approx(estimates[1], rel=1e-3, abs=1e-7)
            found += 1
    assert found >= 6


@pytest.mark.parametrize("step", ["1d", "6h"])
def test_parameters_that_move_from_day_to_day(many_host_example, dynamic_model, step):
    path = with_history(many_host_example, f"model: {dynamic_model}\n")
    text = path.read_text().replace("model: fast", "").replace("step: 1d", f"step: {step}")
    path.write_text(text)
    _, result = gradients(path, [RAIN, "BETA_components", "forest_fraction"])
    expected = slope(path, RAIN, 70 - STEPS + 5, 4, 1e-4)
    assert result[RAIN][5, 4] == pytest.approx(expected, rel=1e-4)
    expected = slope(path, "BETA_components", "state", 3, 1e-5)
    assert result["BETA_components"][1, 1] == pytest.approx(expected, rel=1e-3)
    expected = slope(path, "forest_fraction", "state", 1, 1e-6)
    assert result["forest_fraction"][1] == pytest.approx(expected, rel=2e-3)


def test_weather_read_ahead_has_derivatives_with_respect_to_the_state(file_example):
    bmi = BmiDhydro()
    bmi.initialize(str(with_history(file_example)))
    bmi.update_until(300 * 86400.0)
    result = bmi.vjp({DEPTH: np.ones((20, 5))}, ["lower_zone", "K2"], 20)
    assert (result["lower_zone"] > 0).all()
    # Of a millimetre in the store at most a millimetre leaves, as a mean over the parameter sets.
    parameter_sets = bmi.component.model.parameter_sets
    assert (result["lower_zone"] * 1000.0 * parameter_sets <= 1.0 + 1e-9).all()


def test_what_is_not_remembered_is_refused(path, host_example):
    run = Run(path)
    run.objective()
    with pytest.raises(OrderError, match="70 steps cannot be gone back: 60 are remembered"):
        run.bmi.vjp(run.seeds, [RAIN], 70)
    run.bmi.set_value("K2", np.full(6, 0.01))
    with pytest.raises(OrderError, match="0 are remembered"):
        run.bmi.vjp(run.seeds, [RAIN], STEPS)
    plain = BmiDhydro()
    plain.initialize(str(host_example))
    plain.update()
    with pytest.raises(OrderError, match="set history: 1 in the configuration"):
        plain.vjp({FLUX: np.ones(1)}, [RAIN])


def test_unknown_names_and_wrong_shapes(path):
    run = Run(path)
    run.objective()
    with pytest.raises(VariableError, match="with respect to 'K9'; known: "):
        run.bmi.vjp(run.seeds, ["K9"], STEPS)
    with pytest.raises(VariableError, match="no derivative of 'runof'; did you mean 'runoff'"):
        run.bmi.vjp({"runof": np.ones(6)}, [RAIN], 3)
    with pytest.raises(ValueError, match=r"have shape \(40, 6\), expected \(3, 6\)"):
        run.bmi.vjp(run.seeds, [RAIN], 3)
