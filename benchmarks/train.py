"""How long an epoch takes, forward and backward: of a static network, and of one with an LSTM.

    python benchmarks/train.py [--check]

With --check it ends with 1 where a limit of the project is missed, and says which.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from table import Report

from bmi_dhydro.catchments.attributes import NETWORK_INPUTS
from bmi_dhydro.kernels import reference
from bmi_dhydro.networks.parameter_network import NetworkLayout
from bmi_dhydro.physics import HBV
from bmi_dhydro.training.config import TrainingSettings
from bmi_dhydro.training.data import TrainingData
from bmi_dhydro.training.loop import Trainer

PARAMETER_SETS = 16

# Catchments and years of an epoch: static as MOPEX, dynamic as CAMELS is usually trained on.
STATIC, DYNAMIC = (300, 20), (531, 9)
UNITS = 128


def made_up(catchments: int, years: int) -> TrainingData:
    """Return random weather and flow: what an epoch costs does not depend on what it learns."""
    random = np.random.default_rng(0)
    days = years * 365
    shape = (days, catchments)
    forcing = np.empty((days, 3, catchments), np.float32)
    forcing[:, 0] = random.gamma(0.2, 15.0, shape)
    forcing[:, 1] = random.normal(8.0, 8.0, shape)
    forcing[:, 2] = random.uniform(0.0, 4.0, shape)
    attributes = {name: random.normal(size=catchments) for name in NETWORK_INPUTS}
    attributes["area"] = np.exp(random.uniform(4.0, 8.0, catchments))
    nothing = np.zeros(catchments)
    return TrainingData(
        np.array([f"c{k}" for k in range(catchments)]),
        np.datetime64("1970-01-01") + np.arange(days),
        forcing,
        random.gamma(1.0, 1.0, shape).astype(np.float32),
        attributes,
        nothing.astype(bool),
        nothing.astype(int),
        nothing,
        nothing,
    )


def epoch(trainer: Trainer, catchments: int, years: int) -> tuple[float, int]:
    """Return the seconds and the batches of an epoch, in which every day counts once."""
    settings = trainer.settings
    trainer.step()
    counted = (settings.days - settings.warm_up) * settings.catchments
    batches = -(-catchments * years * 365 // counted)
    begin = time.perf_counter()
    for _ in range(batches):
        trainer.step()
    return time.perf_counter() - begin, batches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit with 1 where a limit is missed")
    check = parser.parse_args().check
    layout = NetworkLayout(HBV, PARAMETER_SETS, NETWORK_INPUTS)
    settings = TrainingSettings()
    data = made_up(*STATIC)
    seconds, batches = epoch(Trainer(layout, data, settings), *STATIC)
    moving = NetworkLayout(HBV, PARAMETER_SETS, NETWORK_INPUTS, ("BETA", "K0", "BETAET"))
    windows = TrainingSettings(days=730, memory=UNITS)
    moved, batches_moved = epoch(Trainer(moving, made_up(*DYNAMIC), windows), *DYNAMIC)

    # The same batch through the reference kernel: forward and backward, without the rest.
    forcing = torch.as_tensor(data.forcing[: settings.days, :, : settings.catchments])
    shape = (settings.catchments, PARAMETER_SETS)
    parameters = torch.stack(
        [torch.full(shape, 0.5 * (p.lower + p.upper)) for p in HBV.parameters]
    ).requires_grad_()
    state = torch.full((len(HBV.states), *shape), 10.0)
    begin = time.perf_counter()
    rows, _ = reference.run_process(HBV, (HBV.runoff,), forcing, parameters, state)
    rows.square().mean().backward()
    slow = (time.perf_counter() - begin) * batches

    report = Report(
        f"HBV, {PARAMETER_SETS} parallel parameter sets",
        ("", "seconds", "ratio", ""),
    )
    report.row(
        f"static: {STATIC[0]} catchments x {STATIC[1]} years, {batches} batches",
        f"{seconds:.1f}",
        "",
        limit="<= 60 s",
        kept=seconds <= 60.0,
    )
    report.row(
        "the same by autograd through the reference", f"{slow:.0f}", f"{slow / seconds:.0f} x"
    )
    report.row(
        f"LSTM of {UNITS} units: {DYNAMIC[0]} catchments x {DYNAMIC[1]} years, "
        f"{batches_moved} batches",
        f"{moved:.1f}",
        "",
        limit="<= 60 s",
        kept=moved <= 60.0,
    )
    report.finish(check)


if __name__ == "__main__":
    main()
