"""Runs from the first to the last step, with progress for people who wait."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import numpy as np

from ..config import SAMPLE, Config, read_config
from ..errors import ConfigError
from ..networks import trained_model
from ..progress_bar import progress
from ..variables import RUNOFF_FLUX
from .component import Component
from .written_results import provenance

# What a band shows: quantiles of the members, and how results call them.
QUANTILES = {0.05: "q05", 0.5: "q50", 0.95: "q95"}


def complete(path: Path, out: Path | None) -> Config:
    """Read a configuration that can be run, with results in `out` if it is given.

    Raises
    ------
    ConfigError
        If there is no weather file or nothing to write.
    """
    config = read_config(path)
    if config.forcing.file is None:
        raise ConfigError(
            f"{path}: forcing.file is missing; without it the weather comes from a host, through "
            "the Basic Model Interface"
        )
    if out is not None:
        output = msgspec.structs.replace(config.output, file=str(out.resolve()))
        config = msgspec.structs.replace(config, output=output)
    if config.output.file is None:
        raise ConfigError(f"{path}: output.file is missing; give it, or --out FILE")
    return config


def run_config(path: Path, out: Path | None = None) -> tuple[Component, float]:
    """Run a configuration whose weather is in a file, and write its results.

    Parameters
    ----------
    path : Path
    out : Path, optional
        Where to write results, instead of `output.file`.

    Returns
    -------
    component : Component
        Finished.
    seconds : float
        That the steps took.

    Raises
    ------
    ConfigError
        If there is no weather file or nothing to write.
    """
    component = Component(complete(path, out), bar=progress)
    assert component.clock.steps is not None
    begin = time.perf_counter()
    try:
        with progress("simulating", component.clock.steps) as advance:
            for _ in range(component.clock.steps):
                component.update()
                advance()
        component.close()
    except BaseException:
        component.abandon()
        raise
    return component, time.perf_counter() - begin


def run_band(path: Path, out: Path | None = None) -> tuple[Component, float]:
    """Run networks of several seeds, or samples of parameters, and write quantiles.

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
            f"{config.model}: a band needs a model trained from several seeds, and this one has "
            "one; list seeds in the configuration of its training, or give parameter_file with "
            "{sample} in its name"
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
            (f"{name}_{label}", units, f"{long_name}: {share:.0%} quantile of {count} {what}")
            for name, units, long_name in first.table.described(names)
            for share, label in QUANTILES.items()
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
                    np.quantile([own[name] for own in series], list(QUANTILES), axis=0)
                    for name in names
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
