"""Components that exchange arrays where they are: on a GPU nothing passes the host.

A weather generator and a reservoir, both on torch tensors, with catchments in between that are
driven through the Basic Model Interface: the generator's tensors go in by `set_value_dlpack`,
runoff comes out by `get_value_dlpack`. On a CPU the same lines share the host's memory.
"""

import tempfile
from pathlib import Path

import torch

from bmi_dhydro import BmiDhydro
from bmi_dhydro.cli.example import write_example
from bmi_dhydro.variables import INPUTS, OUTPUTS

RAIN, TEMPERATURE, EVAPORATION = (item.name for item in INPUTS[:3])
RUNOFF = OUTPUTS[1].name  # mm h-1
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CATCHMENTS, HOURS = 60, 240
# What leaves the reservoir in an hour, as a share of what is in it.
OUTFLOW = 0.02


def main() -> None:
    random = torch.Generator(device=DEVICE).manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        config = write_example(Path(folder), CATCHMENTS, 1, "1h", "host")
        config.write_text(config.read_text() + f"device: {DEVICE}\n")
        model = BmiDhydro()
        model.initialize(str(config))
    reservoir = torch.zeros(CATCHMENTS, dtype=torch.float64, device=DEVICE)
    wet = torch.zeros_like(reservoir, dtype=torch.bool)
    fallen = left = came = 0.0
    for hour in range(HOURS):
        # Rain comes in spells: it goes on, or begins, with another probability.
        chance = torch.rand(CATCHMENTS, generator=random, device=DEVICE)
        wet = chance < torch.where(wet, 0.9, 0.02)
        rain = torch.where(wet, 4.0, 0.0).double()
        model.set_value_dlpack(RAIN, rain)
        model.set_value_dlpack(TEMPERATURE, torch.full_like(rain, 12.0))
        model.set_value_dlpack(EVAPORATION, torch.full_like(rain, 0.1))
        model.update()
        runoff = torch.from_dlpack(model.get_value_dlpack(RUNOFF))
        reservoir += runoff
        released = OUTFLOW * reservoir
        reservoir -= released
        fallen, came = fallen + float(rain.mean()), came + float(runoff.mean())
        left += float(released.mean())
        if hour % 48 == 47:
            print(
                f"hour {hour + 1}: {fallen:6.1f} mm of rain, {came:5.1f} mm of runoff, "
                f"{float(reservoir.mean()):5.1f} mm in the reservoir ({runoff.device})"
            )
    balance = model.component.water_balance()
    model.finalize()
    assert abs(came - left - float(reservoir.mean())) < 1e-9
    assert abs(balance["in"].mean() - fallen) < 1e-6


if __name__ == "__main__":
    main()
