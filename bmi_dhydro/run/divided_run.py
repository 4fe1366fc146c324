"""A run whose catchments are divided among workers; results are those of one process.

Where the catchments drain to rivers, all that drain to an outlet go to the same worker, which
routes them. Where that would leave workers idle, since one river has most of them, they are divided
as they come, and this process routes the runoff that they have left.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..catchments.catchments import Catchments
from ..config import Config
from ..errors import ConfigError, ResultsError
from ..io.catchment_table import read_table
from ..model.state import SavedState
from ..networks import trained_model
from ..physics import Process
from ..progress_bar import progress
from ..river.state_file import joined as joined_states
from ..variables import FLOW
from .clock import Clock
from .component import Component
from .configured_model import refuse_samples
from .divided_rivers import DividedRivers
from .joined_river import join_river
from .simulation import complete
from .workers import Mapper, divided
from .written_results import provenance

# A share may be so many times as large as an even one before rivers are routed by one process.
_UNEVEN = 2.0


@dataclass(frozen=True)
class Share:
    """What a worker does.

    Attributes
    ----------
    config : Config
    runoff : str or None
        File for the runoff of each step, in full precision.
    """

    config: Config
    runoff: str | None = None


@dataclass(frozen=True)
class Done:
    """What a worker has done.

    Attributes
    ----------
    steps, step_seconds : int
    start : datetime64[s]
    about : dict of str
        What results say of where they come from.
    """

    steps: int
    step_seconds: int
    start: np.datetime64
    about: dict[str, str]


def run_share(share: Share) -> Done:
    """Run some catchments, from the first to the last step."""
    component = Component(share.config)
    clock = component.clock
    try:
        assert clock.steps is not None
        assert clock.start is not None
        kept = rows = None
        if share.runoff is not None:
            kept = component.kept([FLOW])[FLOW]
            shape = (clock.steps, kept.size)
            rows = np.lib.format.open_memmap(share.runoff, "w+", np.float64, shape)
        for step in range(clock.steps):
            component.update()
            if rows is not None and kept is not None:
                rows[step] = kept
        if rows is not None:
            rows.flush()
        about = provenance(component.trained, component.driver)
        component.close()
    except BaseException:
        component.abandon()
        raise
    return Done(component.done, clock.step_seconds, clock.start, about)


def run_divided(
    path: Path, out: Path | None, mapper: Mapper, count: int
) -> tuple[Catchments, int, float]:
    """Run a configuration by several workers; results are those of `simulation.run_config`.

    Parameters
    ----------
    path, out
        As `simulation.run_config`.
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
        As `simulation.run_config`, and if states are to be saved during the run.
    """
    config = complete(path, out)
    refuse_samples(config)
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
        run = _DividedRun(config, catchments, folder, count)
        with progress("simulating", len(run.shares)) as advance:
            done = mapper(run_share, run.shares, advance)
        run.finish(done)
    except OSError as error:
        if isinstance(error, ResultsError):
            raise
        raise ResultsError(f"{folder}: cannot be written ({error})") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return catchments, done[0].steps, time.perf_counter() - begin


class _DividedRun:
    """The shares of a run, and how their results become those of the whole.

    Parameters
    ----------
    config : Config
    catchments : Catchments
    folder : Path
        For files of shares.
    count : int
        Number of workers.
    """

    def __init__(self, config: Config, catchments: Catchments, folder: Path, count: int) -> None:
        self._config, self._catchments, self._folder = config, catchments, folder
        self._rows = divided(len(catchments), count)
        self._rivers: DividedRivers | None = None
        if config.network is not None:
            rivers = DividedRivers(config.network, catchments.ids, count)
            even = len(catchments) / len(self._rows)
            if max(map(len, rivers.rows)) <= _UNEVEN * even:
                self._rivers, self._rows = rivers, rivers.rows
        self._routes_here = config.network is not None and self._rivers is None
        self.shares = [self._share(number) for number in range(len(self._rows))]

    def _share(self, number: int) -> Share:
        """Return what a worker is to do, with files of its own."""
        replace = msgspec.structs.replace
        config, path = self._config, self._folder / str(number)
        ids = self._catchments.ids[self._rows[number]].tolist()
        network = None
        if self._rivers is not None:
            network = self._rivers.share(number, f"{path}.river.nc")
        own = replace(
            config,
            catchments=replace(config.catchments, select=ids),
            output=replace(config.output, file=f"{path}.nc"),
            save_state=None if config.save_state is None else f"{path}.state.nc",
            network=network,
        )
        return Share(own, f"{path}.runoff.npy" if self._routes_here else None)

    def finish(self, done: list[Done]) -> None:
        """Make the results and the state of the whole of those of the shares."""
        from ..io import results, state_file

        config, process = self._config, trained_model.load(self._config.model).layout.process
        river = self._routed(done[0], process) if self._routes_here else None
        save = config.save_state_section
        if save is not None:
            states = [
                state_file.read(Path(str(share.config.save_state)), process.state_names)
                for share in self.shares
            ]
            joined = SavedState.joined(states).of(self._catchments.ids)
            if self._rivers is not None:
                river = joined_states([state.river for state in states])
            joined = dataclasses.replace(joined, river=river or {})
            moment = "" if joined.time is None else str(joined.time).replace(":", "")
            state_file.write(Path(save.path.replace("{time}", moment)), joined, process)
        assert config.output.file is not None
        files = [Path(str(share.config.output.file)) for share in self.shares]
        results.merge(files, Path(config.output.file), self._rows)
        if self._rivers is not None and self._rivers.config.output is not None:
            networks = [share.config.network for share in self.shares]
            written = [Path(n.output) for n in networks if n is not None and n.output is not None]
            places = [own for own in self._rivers.stations if own.size]
            results.merge(written, Path(self._rivers.config.output), places)

    def _routed(self, done: Done, process: Process) -> dict[str, NDArray]:
        """Route the runoff of all shares, write results, and return the state of the river."""
        from ..io import state_file

        config = self._config
        assert config.network is not None
        saved: dict[str, NDArray] = {}
        if config.initial_state is not None:
            saved = state_file.read(Path(config.initial_state), process.state_names).river
        members, seconds = config.members, done.step_seconds
        joined = join_river(config, self._catchments, members, seconds, False, saved)
        clock = Clock(done.start, done.steps, seconds, np.zeros(1, np.int64))
        try:
            if config.network.output is not None:
                joined.write_to(config.network.output, self._catchments, clock, done.about)
            with progress("routing", done.steps) as advance:
                for runoff in self._runoff(done.steps):
                    joined.advance(runoff)
                    advance()
            joined.close()
        except BaseException:
            joined.abandon()
            raise
        return joined.packed()

    def _runoff(self, steps: int) -> Iterator[NDArray]:
        """Yield the runoff of all columns in each step, in m3 s-1."""
        members, count = self._config.members, len(self._catchments)
        files = [np.load(str(share.runoff), mmap_mode="r") for share in self.shares]
        whole = np.empty((members, count))
        for step in range(steps):
            for rows, values in zip(self._rows, files, strict=True):
                whole[:, rows] = values[step].reshape(members, -1)
            yield whole.reshape(-1)
