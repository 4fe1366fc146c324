"""How fast imported models of delta-HBV run, at their published sizes, beside torch.

    python benchmarks/published.py [--check]

1.1p has an LSTM of 256 units that sees 35 attributes, and 16 parallel parameter sets; 2.0 a
perceptron of seven hidden layers of 4,096 units too. Weights are random: speed does not depend on
them. What torch takes is its own LSTM over the whole block, the reference kernel of the process
model, and routing, with as many threads.
"""

from __future__ import annotations

import argparse
import itertools

import numpy as np
import torch
from table import Report, median_seconds

from bmi_dhydro.kernels import reference
from bmi_dhydro.kernels.factory import Execution
from bmi_dhydro.model.differentiable import Block, run, torch_dynamics, torch_parameters
from bmi_dhydro.model.model import Model
from bmi_dhydro.networks.normalisation import Normalisation
from bmi_dhydro.networks.parameter_network import NetworkLayout
from bmi_dhydro.networks.trained_model import TrainedModel
from bmi_dhydro.physics.published_hbv import HBV_1_1P, HBV_2_0
from bmi_dhydro.physics.unit_hydrograph import DISCHARGE

UNITS, SETS, DAYS, CATCHMENTS = 256, 16, 730, 1000
DYNAMIC = ("BETA", "K0", "BETAET")
NAMES = tuple(f"attribute_{k}" for k in range(35))


def lstm_weights(random: np.random.Generator, layout: NetworkLayout) -> dict[str, np.ndarray]:
    """Return random weights of the published LSTM."""
    inputs = 3 + len(NAMES)

    def drawn(*shape: int) -> np.ndarray:
        return random.normal(0.0, 1.0 / np.sqrt(shape[0]), shape).astype(np.float32)

    return {
        "entrance.weight": drawn(inputs, UNITS),
        "entrance.bias": drawn(UNITS),
        "lstm.input": drawn(UNITS, 4 * UNITS),
        "lstm.hidden": drawn(UNITS, 4 * UNITS),
        "lstm.bias": drawn(4 * UNITS),
        "dynamic_head": drawn(UNITS, len(DYNAMIC) * SETS),
        "static_head.weight": drawn(UNITS, layout.outputs),
        "static_head.bias": np.zeros(layout.outputs, np.float32),
        "area_exponent": np.zeros(1, np.float32),
        "forcing_mean": np.array([3.0, 8.0, 2.0], np.float32),
        "forcing_deviation": np.array([6.0, 9.0, 1.5], np.float32),
    }


def normalisation(names: tuple[str, ...]) -> Normalisation:
    """Return one that changes nothing."""
    count = len(names)
    return Normalisation(
        names, np.zeros(count), np.ones(count), np.full(count, -9.0), np.full(count, 9.0)
    )


def published_1_1p() -> TrainedModel:
    """Return a model of the form and size of delta-HBV 1.1p."""
    layout = NetworkLayout(HBV_1_1P, SETS, NAMES, DYNAMIC, static_by="weather")
    weights = lstm_weights(np.random.default_rng(0), layout)
    return TrainedModel(layout, weights, normalisation(NAMES))


def published_2_0() -> TrainedModel:
    """Return a model of the form and size of the static part of delta-HBV 2.0."""
    site = ("upstream_area", "mean_elevation")
    layout = NetworkLayout(HBV_2_0, 4, NAMES, (), site=site)
    random = np.random.default_rng(0)
    sizes = (len(NAMES), *[4096] * 7, layout.outputs)
    weights = {"area_exponent": np.zeros(1, np.float32)}
    for k, (rows, columns) in enumerate(itertools.pairwise(sizes)):
        scale = np.sqrt(2.0 / rows)
        weights[f"layer_{k}.weight"] = scale * random.standard_normal((rows, columns), np.float32)
        weights[f"layer_{k}.bias"] = np.zeros(columns, np.float32)
    return TrainedModel(layout, weights, normalisation((*NAMES, *site)))


def forcing(steps: int, catchments: int) -> np.ndarray:
    """Return random weather."""
    random = np.random.default_rng(1)
    values = np.empty((steps, 3, catchments), np.float32)
    values[:, 0] = random.gamma(0.2, 15.0, (steps, catchments))
    values[:, 1] = random.normal(8.0, 8.0, (steps, catchments))
    values[:, 2] = random.uniform(0.0, 4.0, (steps, catchments))
    return values


def built(trained: TrainedModel, catchments: int, dtype: str) -> Model:
    """Return a model of random catchments, with static parameters of an empty memory."""
    random = np.random.default_rng(2)
    attributes = {name: random.normal(size=catchments) for name in trained.layout.needed}
    remembered = random.uniform(-0.5, 0.5, (catchments, UNITS))
    return Model(
        trained.layout.process,
        *trained.parameters(attributes, remembered),
        np.full(catchments, 100.0),
        dynamics=trained.dynamics(attributes),
        outputs=(DISCHARGE,),
        execution=Execution(dtype=dtype),
    )


def by_torch(trained: TrainedModel, model: Model, weather: np.ndarray) -> np.ndarray:
    """Return discharge as torch computes it, from an empty memory."""
    weights = {name: torch.as_tensor(value) for name, value in trained.weights.items()}
    assert model.dynamics is not None
    inputs = torch.as_tensor(model.dynamics.inputs, dtype=torch.float32)
    rows = torch.as_tensor(weather)
    with torch.no_grad():
        day = rows.transpose(1, 2) - weights["forcing_mean"]
        day = day / weights["forcing_deviation"]
        seen = torch.cat([day, inputs.expand(len(day), -1, -1)], dim=2)
        seen = torch.relu(seen @ weights["entrance.weight"] + weights["entrance.bias"])
        empty = torch.zeros((1, len(inputs), UNITS))
        matrices = [
            weights["lstm.input"].T.contiguous(),
            weights["lstm.hidden"].T.contiguous(),
            weights["lstm.bias"],
            torch.zeros(4 * UNITS),
        ]
        hidden = torch.lstm(seen, (empty, empty), matrices, True, 1, 0.0, False, False, False)[0]
        process, routing = torch_parameters(trained.layout, weights, inputs, hidden[-1])
        dynamic = torch_dynamics(trained.layout, weights, inputs, hidden, hidden[-1])
        block = Block(torch.stack(process), routing, torch.full((len(inputs),), 100.0), rows)
        block.dynamic = dynamic
        result = run(trained.layout.process, (DISCHARGE,), block, kernel=reference.run_process)
    return result.outputs[DISCHARGE].numpy()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail where a limit is missed")
    check = parser.parse_args().check
    report = Report("Imported models", ("what", "measured", "torch takes", "limit"))
    trained = published_1_1p()
    one = built(trained, 1, "float32")
    weather = np.ascontiguousarray(forcing(400, 1))
    result = np.empty((1, 1, 1), np.float32)

    def steps() -> None:
        for k in range(400):
            one.advance(weather[k : k + 1], result)

    took = median_seconds(steps, 5) / 400
    limit = f"at most {STEP * 1e6:.0f} us"
    report.row(
        "1.1p, one catchment, a step", f"{took * 1e6:.0f} us", limit=limit, kept=took <= STEP
    )
    one_block = median_seconds(lambda: one.run(weather), 5) / 400
    report.row("1.1p, one catchment, a step of a block", f"{one_block * 1e6:.0f} us")
    many, weather = built(trained, CATCHMENTS, "float32"), forcing(DAYS, CATCHMENTS)
    took = median_seconds(lambda: many.run(weather), 1)
    theirs = median_seconds(lambda: by_torch(trained, many, weather), 1)
    report.row(
        f"1.1p, {CATCHMENTS} catchments x {DAYS} days",
        f"{took:.1f} s",
        f"{theirs / took:.1f} times as long",
    )
    without = Model(
        HBV_1_1P,
        np.stack([many.parameters[name] for name in HBV_1_1P.parameter_names]),
        np.stack([many.parameters[item.name] for item in many.parameter_items[-3:]]),
        many.area,
        outputs=(DISCHARGE,),
        execution=Execution(dtype="float32"),
    )
    took = median_seconds(lambda: without.run(weather), 3)
    kernel = Model(
        HBV_1_1P,
        np.stack([many.parameters[name] for name in HBV_1_1P.parameter_names]),
        np.stack([many.parameters[item.name] for item in many.parameter_items[-3:]]),
        many.area,
        outputs=(DISCHARGE,),
        execution=Execution(kernel="reference", dtype="float32"),
    )
    theirs = median_seconds(lambda: kernel.run(weather), 1)
    report.row(
        "the same without the LSTM",
        f"{took:.2f} s",
        f"{theirs / took:.0f} times as long",
        limit=f"at least {TIMES} times",
        kept=theirs / took >= TIMES,
    )
    large = published_2_0()
    random = np.random.default_rng(2)
    attributes = {name: random.normal(size=64) for name in large.layout.needed}
    took = median_seconds(lambda: large.parameters(attributes), 1) / 64
    report.row("2.0, static parameters of a catchment", f"{took * 1e3:.1f} ms")
    report.finish(check)


STEP, TIMES = 150e-6, 20

if __name__ == "__main__":
    main()
