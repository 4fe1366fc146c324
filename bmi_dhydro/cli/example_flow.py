"""Observed flow for a made-up example, and configurations that learn from it and forecast it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from ..config import read_config
from ..files.whole import replaced
from ..run.component import Component
from ..units import SECONDS_PER_DAY
from ..variables import RUNOFF_FLUX

# What the made-up truth has that the trained model does not know: daily values.
_TRUTH = {"FC": 180.0, "BETA": 3.0, "K1": 0.25, "K2": 0.02}

# Spread of errors of observed flow, as a share of it, and days without any.
_ERROR, _GAP = 0.1, (90, 100)

# Days below which there is nothing to judge a training by.
_FEW_DAYS = 540

_TRAINING = """\
# Learns the parameters of the made-up catchments from their observed flow, in a minute or so.
# All keys are explained by: bmi-dhydro docs training
output: trained            # folder of the model, its log and curves
catchments: {{table: catchments.csv}}
forcing: {{file: weather.nc, potential_evapotranspiration: hargreaves}}
observed: {{file: observed.nc}}
split:
  train: [{start}, {middle}]
  validate: [{after}, {end}]
components: 4
settings: {{hidden: [32], batches: 120, days: 300, warm_up: 120, validate_every: 20}}
# Run it:  bmi-dhydro train {folder}/training.yaml
"""

_CHAIN = """\
# Forecasts of the made-up catchments, whose states are corrected by observed flow.
# All keys are explained by: bmi-dhydro docs forecast
folder: chain              # states, forecasts and log
catchments: {{table: catchments.csv}}
start: {start}
step: {step}
analysis: {{file: weather.nc, potential_evapotranspiration: hargreaves}}
forecast: {{horizon: 5d}}    # no file of its own: here the weather of the future is known
ensemble:
  members: 10
  weather: {{precipitation: {{spread: 0.3}}, temperature: {{spread: 1.0}}}}
observed: {{file: observed.nc}}
assimilation: {{method: ensemble_filter}}
# Run it:  bmi-dhydro forecast {folder}/chain.yaml --at {at}
"""


def write_observed_flow(config: Path, seed: int = 0) -> list[str]:
    """Write observed flow beside an example, and configurations that use it.

    Observed flow is that of other parameters than the trained model gives, in days, with errors
    and gaps.

    Parameters
    ----------
    config : Path
        Configuration of `example.write_example`, with weather in a file.
    seed : int

    Returns
    -------
    list of str
        Commands to try.
    """
    import xarray

    folder, random = config.parent, np.random.default_rng(seed)
    settings = read_config(config)
    truth = msgspec.structs.replace(
        settings, parameters=_TRUTH, output=msgspec.structs.replace(settings.output, file=None)
    )
    component = Component(truth)
    try:
        kept = component.kept([RUNOFF_FLUX])[RUNOFF_FLUX]
        assert component.clock.steps is not None
        assert component.clock.start is not None
        per_day = SECONDS_PER_DAY // settings.step_seconds
        days = component.clock.steps // per_day
        flow = np.empty((days * per_day, len(component.catchments)))
        for row in flow:
            component.update()
            row[:] = kept
        start = component.clock.start.astype("datetime64[D]")
        ids = component.catchments.ids
    finally:
        component.abandon()
    daily = 24.0 * flow.reshape(days, per_day, -1).mean(axis=1)
    daily *= np.exp(random.normal(-0.5 * _ERROR**2, _ERROR, daily.shape))
    daily[_GAP[0] : _GAP[1]] = np.nan
    dates = start + np.arange(days)
    observed = xarray.Dataset(
        {"streamflow": (("time", "station"), daily.astype(np.float32), {"units": "mm d-1"})},
        {
            "time": dates.astype("datetime64[ns]"),
            "station_id": ("station", ids, {"cf_role": "timeseries_id"}),
        },
        {"title": "Made-up observed flow", "featureType": "timeSeries"},
    )
    with replaced(folder / "observed.nc") as temporary:
        observed.to_netcdf(temporary)
    at = dates[days * 3 // 4]
    chain = _CHAIN.format(start=start, step=settings.time.step, folder=folder, at=at)
    (folder / "chain.yaml").write_text(chain)
    commands = [
        f"bmi-dhydro evaluate {folder}/results.nc {folder}/observed.nc",
        f"bmi-dhydro calibrate {config} {folder}/observed.nc --out {folder}/parameters.safetensors",
        f"bmi-dhydro forecast {folder}/chain.yaml --at {at}",
        f"bmi-dhydro hindcast {folder}/chain.yaml --from {at} --to {at + 10} "
        f"--out {folder}/hindcast",
    ]
    if days >= _FEW_DAYS:
        middle = days * 2 // 3
        text = _TRAINING.format(
            start=start, middle=dates[middle], after=dates[middle + 1], end=dates[-1], folder=folder
        )
        (folder / "training.yaml").write_text(text)
        commands.append(f"bmi-dhydro train {folder}/training.yaml")
    return commands
