"""Runs from the first to the last step, with progress for people who wait."""

from __future__ import annotations

import dataclasses
import shutil
import time
from pathlib import Path

import msgspec
import numpy as np

from ..catchments.catchments import Catchments
from ..config import Config, OutputConfig, read_config
from ..errors import ConfigError, ResultsError
from ..io.catchment_table import read_table
from ..model.state import SavedState
from ..networks import trained_model
from ..progress_bar import progress
from ..river.state_file import joined as joined_states
from ..variables import RUNOFF_FLUX
from .component import Component
from .divided_rivers import DividedRivers
from .workers import Mapper, divided
from .written_results import provenance

# What a band shows: quantiles of the members, and how results call them.
QUANTILES = {0.05: "q05", 0.5: "q50", 0.95: "q95"}


def _complete(path: Path, out: Path | None) -> Config:
    """Read a configuration that can be run, with results in `out` if it is given."""
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
    component = Component(_complete(path, out), bar=progress)
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


def run_share(config: Config) -> int:
    """Run some catchments, from the first to the last step; return the steps."""
    component = Component(config)
    try:
        assert component.clock.steps is not None
        for _ in range(component.clock.steps):
            component.update()
        component.close()
    except BaseException:
        component.abandon()
        raise
    return component.done


def _share(
    config: Config, ids: list[str], path: Path, number: int, rivers: DividedRivers | None
) -> Config:
    """Return the configuration of a worker's share, whose files begin with `path`."""
    replace = msgspec.structs.replace
    state, network = None, None
    if config.save_state is not None:
        state = f"{path}.state.nc"
    if rivers is not None:
        network = rivers.share(number, f"{path}.river.nc")
    return replace(
        config,
        catchments=replace(config.catchments, select=ids),
        output=replace(config.output, file=f"{path}.nc"),
        save_state=state,
        network=network,
    )


def run_divided(
    path: Path, out: Path | None, mapper: Mapper, count: int
) -> tuple[Catchments, int, float]:
    """Run a configuration by several workers; results are those of `run_config`.

    Parameters
    ----------
    path, out
        As `run_config`.
    mapper : callable
        Mapper, as `workers.workers` returns it; workers need the folder of the results.
    count : int
        Number of workers.

    Returns
    -------
    catchments : Catchments
    steps : int
    seconds : float

    Raises
    ------
    ConfigError
        As `run_config`, and if states are to be saved during the run.
    """
    from ..io import results, state_file

    config = _complete(path, out)
    save = config.save_state_section
    if save is not None and save.every is not None:
        raise ConfigError("save_state.every: several workers save the state at the end only")
    if config.catchments.table is None:
        raise ConfigError("catchments.inline: one catchment cannot be divided among workers")
    assert config.output.file is not None
    target = Path(config.output.file)
    catchments = read_table(Path(config.catchments.table), config.catchments.select)
    folder = target.with_name(f".{target.name}.parts")
    shutil.rmtree(folder, ignore_errors=True)
    begin = time.perf_counter()
    try:
        folder.mkdir(parents=True)
        rivers = None
        if config.network is None:
            rows = divided(len(catchments), count)
        else:
            rivers = DividedRivers(config.network, catchments.ids, count)
            rows = rivers.rows
        shares = [
            _share(config, catchments.ids[own].tolist(), folder / str(k), k, rivers)
            for k, own in enumerate(rows)
        ]
        with progress("simulating", len(shares)) as advance:
            done = mapper(run_share, shares, advance)
        files = [Path(str(share.output.file)) for share in shares]
        if save is not None:
            process = trained_model.load(config.model).layout.process
            states = [
                state_file.read(Path(str(share.save_state)), process.state_names)
                for share in shares
            ]
            joined = SavedState.joined(states).of(catchments.ids)
            if rivers is not None:
                joined = dataclasses.replace(
                    joined, river=joined_states([state.river for state in states])
                )
            moment = "" if joined.time is None else str(joined.time).replace(":", "")
            state_file.write(Path(save.path.replace("{time}", moment)), joined, process)
        results.merge(files, target, rows)
        if rivers is not None and rivers.config.output is not None:
            at_gauges = [share.network.output for share in shares if share.network]
            written = [Path(file) for file in at_gauges if file is not None]
            places = [own for own in rivers.stations if own.size]
            results.merge(written, Path(rivers.config.output), places)
    except OSError as error:
        if isinstance(error, ResultsError):
            raise
        raise ResultsError(f"{folder}: cannot be written ({error})") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return catchments, done[0], time.perf_counter() - begin


def run_band(path: Path, out: Path | None = None) -> tuple[Component, float]:
    """Run each network of a model that was trained from several seeds, and write quantiles.

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
        As `run_config`, and if the model has one member only.
    """
    from ..io.results import ResultsWriter

    config = _complete(path, out)
    trained = trained_model.load(config.model)
    count = trained.layout.networks
    if count < 2:
        raise ConfigError(
            f"{config.model}: a band needs a model trained from several seeds, and this one has "
            "one; list seeds in the configuration of its training"
        )
    idle = msgspec.structs.replace(config, output=OutputConfig(), save_state=None, network=None)
    components: list[Component] = []
    writer = None
    begin = time.perf_counter()
    try:
        components += (Component(idle, trained.network(k)) for k in range(count))
        first = components[0]
        assert first.clock.steps is not None
        assert first.clock.start is not None
        assert config.output.file is not None
        names = config.output.variables or [RUNOFF_FLUX]
        columns = [
            (f"{name}_{label}", units, f"{long_name}: {share:.0%} quantile of {count} networks")
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
                "title": "Band of networks trained from several seeds",
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
