"""Bands beside simulated flow: what it may have been, and how far parameters leave it open.

A model that has learned how far observed flow lies from what it simulates gives quantiles of
observed flow. Samples of calibrated parameters, and networks of several seeds, are run apart: their
quantiles say how far parameters are known, and nothing of other errors.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..config import SAMPLE, Config
from ..errors import ConfigError, ResultsError
from ..files.whole import replaced
from ..io.netcdf import netcdf4
from ..networks import trained_model
from ..networks.flow_errors import SHARES, FlowErrors
from ..progress_bar import progress
from ..units import SECONDS_PER_DAY
from ..variables import FLOWS, RUNOFF_FLUX, Output, factor, quantile_of
from .component import Component
from .simulation import complete
from .written_results import provenance

# Steps whose quantiles are found together.
_TOGETHER = 256


def learned_errors(config: Config) -> FlowErrors | None:
    """Return the errors that the band of a run is made of; None where it is made of several runs.

    Parameters
    ----------
    config : Config

    Raises
    ------
    ConfigError
        If the errors of the model are not those of the run.
    """
    errors = trained_model.load(config.model).flow_errors
    if errors is None or SAMPLE in (config.parameter_file or ""):
        return None
    for key, wrong, what in (
        ("time.step", config.step_seconds != SECONDS_PER_DAY, "daily flow"),
        ("parameter_file", config.parameter_file is not None, "the network's own parameters"),
        ("parameters", bool(config.parameters), "the network's own parameters"),
        ("ensemble", config.ensemble is not None, "one simulation, not of members"),
        ("routing", config.routing == "none", "flow at the outlet"),
    ):
        if wrong:
            raise ConfigError(
                f"{key}: --band takes the errors that {config.model!r} has learned, which are of "
                f"{what}; leave out --band, or {key}"
            )
    wanted = config.output.variables
    if wanted is not None and not {item.name for item in FLOWS} & set(wanted):
        raise ConfigError(
            "output.variables: --band is of flow: name one of "
            + ", ".join(item.name for item in FLOWS)
        )
    return errors


def add_band(path: Path, errors: FlowErrors) -> None:
    """Add quantiles of observed flow to results, beside each kind of flow that they have.

    Parameters
    ----------
    path : Path
        Results of daily steps, with the attributes that the errors depend on.
    errors : FlowErrors

    Raises
    ------
    ResultsError
        If the file cannot be written; results without a band are left then.
    """
    try:
        with replaced(path) as temporary:
            shutil.copyfile(path, temporary)
            with netcdf4().Dataset(temporary, "a") as data:
                data.set_auto_mask(False)
                _add(data, errors)
    except (OSError, RuntimeError) as error:
        raise ResultsError(
            f"{path}: the band cannot be added ({error}); the results without it are whole"
        ) from None


def _add(data: Any, errors: FlowErrors) -> None:
    attributes = {name: data[name][:] for name in errors.attributes}
    area = data["area"][:]
    held = [
        (_columns(data, item), factor(item.conversion, SECONDS_PER_DAY, area), item.name)
        for item in FLOWS
        if item.name in data.variables
    ]
    _, per_depth, source = held[0]
    steps = len(data.dimensions["time"])
    for first in range(0, steps, _TOGETHER):
        block = slice(first, min(first + _TOGETHER, steps))
        depth = data[source][block] / per_depth
        rows = errors.quantiles(depth.astype(float), attributes)
        for names, scale, _ in held:
            for name, values in zip(names, rows, strict=True):
                data[name][block] = values * scale


def _columns(data: Any, item: Output) -> list[str]:
    """Define the quantiles of a flow, and return their names."""
    like = data[item.name]
    names = [quantile_of(item.name, share) for share in SHARES]
    for name, share in zip(names, SHARES, strict=True):
        variable = data.createVariable(
            name, "f4", like.dimensions, chunksizes=like.chunking(), fill_value=np.float32(np.nan)
        )
        variable.setncatts(
            {
                "units": item.units,
                "long_name": f"{item.long_name}: {share:.0%} quantile of what may be observed",
                "coordinates": like.coordinates,
            }
        )
    return names


def run_band(path: Path, out: Path | None = None) -> tuple[Component, float]:
    """Run networks of several seeds, or samples of parameters, apart, and write quantiles.

    Where `parameter_file` has `{sample}` in its name, all files of that pattern are run; else each
    network of a model that was trained from several seeds.

    Parameters
    ----------
    path : Path
        Path of a configuration; `output.variables` are what quantiles are written of, runoff unless
        given.
    out : Path, optional
        Where to write results, instead of `output.file`.

    Returns
    -------
    component : Component
        Component of the first member, finished.
    seconds : float
        That the steps of all members took.

    Raises
    ------
    ConfigError
        As `run_config`, and if the model has one member only, or there are no samples.
    """
    from ..io.results import ResultsWriter

    config = complete(path, out)
    trained = trained_model.load(config.model)
    samples = _samples(config)
    count = len(samples) or trained.layout.networks
    what = "samples of parameters" if samples else "networks"
    if count < 2:
        raise ConfigError(
            f"{config.model}: a band needs a model that has learned its errors, or one trained "
            "from several seeds; give split.validate or list seeds in the configuration of its "
            "training, or give parameter_file with {sample} in its name"
        )
    idle = msgspec.structs.replace(config.without_files(), network=None)
    components: list[Component] = []
    writer = None
    begin = time.perf_counter()
    try:
        if samples:
            components += (
                Component(msgspec.structs.replace(idle, parameter_file=str(one))) for one in samples
            )
        else:
            components += (Component(idle, trained.network(k)) for k in range(count))
        first = components[0]
        assert first.clock.steps is not None
        assert first.clock.start is not None
        assert config.output.file is not None
        names = config.output.variables or [RUNOFF_FLUX]
        columns = [
            (
                quantile_of(name, share),
                units,
                f"{long_name}: {share:.0%} quantile of {count} {what}",
            )
            for name, units, long_name in first.table.described(names)
            for share in SHARES
        ]
        writer = ResultsWriter(
            Path(config.output.file),
            first.catchments,
            columns,
            first.clock.start,
            config.step_seconds,
            {
                "title": f"Band of {count} {what}",
                **provenance(first.trained, first.driver),
            },
        )
        series = [component.kept(names) for component in components]
        with progress("simulating", first.clock.steps) as advance:
            for _ in range(first.clock.steps):
                for component in components:
                    component.update()
                rows = [
                    np.quantile([own[name] for own in series], SHARES, axis=0) for name in names
                ]
                writer.write(np.concatenate(rows))
                advance()
        writer.close()
    except BaseException:
        if writer is not None:
            writer.abandon()
        raise
    finally:
        for component in components:
            component.abandon()
    return first, time.perf_counter() - begin


def _samples(config: Config) -> list[Path]:
    """Return the parameter files that a pattern with `{sample}` stands for.

    Raises
    ------
    ConfigError
        If there is none.
    """
    pattern = config.parameter_file
    if pattern is None or SAMPLE not in pattern:
        return []
    path = Path(pattern)
    found = sorted(path.parent.glob(path.name.replace(SAMPLE, "*")))
    if not found:
        raise ConfigError(f"parameter_file: there is no {pattern}")
    return found
