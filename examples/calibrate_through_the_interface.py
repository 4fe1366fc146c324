"""Calibrate the parameters of one catchment through the Basic Model Interface.

The host has the objective, a squared error; the component gives its derivative with respect to the
parameters. Observed flow is made up here: of the same catchment with other parameters.
"""

import tempfile
from pathlib import Path

import numpy as np

from bmi_dhydro import BmiDhydro
from bmi_dhydro.catchments.synthetic import make_catchments, make_weather
from bmi_dhydro.cli.example import write_example
from bmi_dhydro.physics import HBV
from bmi_dhydro.variables import INPUTS, OUTPUTS

RAIN, TEMPERATURE, EVAPORATION = (item.name for item in INPUTS[:3])
FLOW = OUTPUTS[1].name
DAYS, WARM_UP = 730, 365
# Each of the parallel parameter sets has its own; without `_parameter_sets` all have the same.
CALIBRATED = tuple(f"{name}_components" for name in ("FC", "BETA", "K1", "K2"))
BOUNDS = {f"{item.name}_components": (item.lower, item.upper) for item in HBV.parameters}


def simulate(config: Path, parameters: dict[str, np.ndarray]) -> tuple[BmiDhydro, np.ndarray]:
    """Run with these parameters; return the model and its flow in mm d-1."""
    weather = make_weather(make_catchments(1), DAYS)
    model = BmiDhydro()
    model.initialize(str(config))
    for name, values in parameters.items():
        model.set_value(name, values)
    flow = np.empty((DAYS, 1))
    for day in range(DAYS):
        model.set_value(RAIN, weather.precipitation[day] / 24.0)
        model.set_value(TEMPERATURE, weather.temperature[day])
        model.set_value(EVAPORATION, np.array([0.1]))
        model.update()
        model.get_value(FLOW, flow[day])
    return model, 24.0 * flow


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        config = write_example(Path(folder), 1, 1, "1d", "host")
        config.write_text(config.read_text() + f"history: {DAYS}\n")
        _, observed = simulate(config, {"FC": [150.0], "K1": [0.3], "K2": [0.03]})
        model, _ = simulate(config, {})
        size = model.get_grid_size(model.get_var_grid(CALIBRATED[0]))
        parameters = {name: model.get_value(name, np.empty(size)) for name in CALIBRATED}
        errors = []
        moments = {name: np.zeros((2, size)) for name in CALIBRATED}
        for iteration in range(1, 31):
            model, flow = simulate(config, parameters)
            residual = np.where(np.arange(DAYS)[:, None] >= WARM_UP, flow - observed, 0.0)
            errors.append(float((residual**2).mean()))
            # Derivative of the error with respect to the output of the interface, in mm h-1.
            seeds = {FLOW: 2.0 * residual * 24.0 / DAYS}
            slopes = model.vjp(seeds, CALIBRATED, DAYS)
            for name, values in parameters.items():
                # Adam, in units of the range of the parameter.
                lower, upper = BOUNDS[name]
                slope = slopes[name].reshape(-1) * (upper - lower)
                moments[name][0] = 0.9 * moments[name][0] + 0.1 * slope
                moments[name][1] = 0.99 * moments[name][1] + 0.01 * slope**2
                mean = moments[name][0] / (1 - 0.9**iteration)
                scale = np.sqrt(moments[name][1] / (1 - 0.99**iteration)) + 1e-12
                values -= 0.02 * (upper - lower) * mean / scale
                np.clip(values, lower, upper, out=values)
            if iteration % 5 == 1:
                print(f"iteration {iteration:2d}: mean squared error {errors[-1]:.4f} mm2 d-2")
    print(f"from {errors[0]:.4f} to {errors[-1]:.4f}")
    assert errors[-1] < 0.3 * errors[0]


if __name__ == "__main__":
    main()
