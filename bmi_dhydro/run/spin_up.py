"""Filling the stores before a run: its first years again and again, until they no longer change."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..catchments.catchments import Catchments
from ..config import Config, SpinUpConfig
from ..errors import ConfigError, StateError, counted, listed
from ..io import state_file
from ..kernels.cache import cache_folder
from ..kernels.ir.program import trace
from ..model.model import Model
from ..networks.dynamics import Dynamics
from ..networks.trained_model import TrainedModel
from ..progress_bar import Bar, no_progress
from ..units import SECONDS_PER_DAY
from ..weather.evapotranspiration_choice import EvapotranspirationChoice
from ..weather.file import ForcingFile
from ..weather.source import WeatherSource, longest_block
from .clock import Clock

_log = logging.getLogger(__name__)

# Stores whose changes in two repetitions differ by less than this share of them grow evenly: snow
# of which some never melts.
_EVENLY = 1e-3

# Parameters of two LSTMs that differ by more than this share of their range are different.
_SAME = 0.01


def spin_up(
    model: Model,
    source: WeatherSource,
    ids: NDArray,
    fingerprint: str,
    settings: SpinUpConfig,
    bar: Bar = no_progress,
) -> int:
    """Bring a model's stores into balance with its weather; the clock stays at the start.

    A catchment is repeated until its own stores have settled, whatever the others do: so it starts
    from the same state alone, among others and as a part of a divided run. Where a store grows by
    the same amount each time, as snow does of which some never melts, it is put where all
    repetitions would bring it, and its catchment is named in a warning.

    Parameters
    ----------
    model : Model
        Before its first step.
    source : WeatherSource
        Weather of the same catchments.
    ids : array of str, shape (catchments,)
    fingerprint : str
        Fingerprint of the trained model.
    settings : SpinUpConfig
    bar : callable
        Makes a progress bar.

    Returns
    -------
    int
        How often the years were repeated for those catchments that took longest; 0 if the result
        of an earlier run was found.

    Raises
    ------
    ConfigError
        If the run is shorter than the years to repeat.
    """
    steps = _steps(source, settings.years, model.step_seconds)
    kept = cache_folder() / "spin_up" / f"{_key(model, source, fingerprint, settings)}.nc"
    if kept.exists():
        try:
            state_file.restore(kept, model, kept.stem, ids)
            _log.info("spin-up: %s", kept)
            return 0
        except StateError as error:
            _log.warning("the kept spin-up is made again: %s", error)
    filling = _Filling(model, source, ids, settings, steps)
    with bar("spin-up", settings.most) as advance:
        while filling.cycles < settings.most and filling.active.size:
            filling.repeat()
            advance(f"{filling.active.size} of {len(ids)} catchments left")
    filling.finish()
    _keep(kept, model, ids)
    return filling.cycles


def weather_before(
    settings: SpinUpConfig,
    config: Config,
    catchments: Catchments,
    start: np.datetime64,
    evapotranspiration: EvapotranspirationChoice,
) -> WeatherSource:
    """Open the weather before a run whose own weather a host sets.

    Parameters
    ----------
    settings : SpinUpConfig
        With `weather`.
    config : Config
        Configuration of the run.
    catchments : Catchments
    start : datetime64[s]
        Start of the run.
    evapotranspiration : EvapotranspirationChoice

    Returns
    -------
    WeatherSource
        From the beginning of the file to the start.

    Raises
    ------
    ConfigError
        If the file does not reach to the start, or begins after it.
    ForcingError
        If it cannot be read.
    """
    assert settings.weather is not None
    path = Path(settings.weather)
    # The file's own potential evapotranspiration, or computed as in the run.
    method = config.forcing.potential_evapotranspiration
    with ForcingFile(path, catchments.ids, config.forcing.variables, config.step_seconds) as file:
        first, last = file.start, file.end
    if not first < start <= last:
        raise ConfigError(
            f"spin_up.weather: {path} is of {first} to {last}, but has to reach from before the "
            f"run to time.start, {start}"
        )
    return WeatherSource(
        path,
        catchments,
        config.forcing.variables,
        method,
        config.step_seconds,
        None,
        start,
        evapotranspiration,
    )


def run_to(model: Model, source: WeatherSource, bar: Bar = no_progress) -> None:
    """Run a model through weather, from its start to its end; the clock stays as it is.

    Parameters
    ----------
    model : Model
        With the stores of the start of the weather; members share it.
    source : WeatherSource
    bar : callable
        Makes a progress bar.
    """
    before = model.steps
    length = longest_block(model.columns, 3 + len(model.outputs))
    with bar("to the start", source.steps) as advance:
        for first in range(0, source.steps, length):
            count = min(length, source.steps - first)
            model.run(source.read(first, count))
            for _ in range(count):
                advance()
    # Flows on their way are kept by the lags they have left, whatever the number of the step is.
    snapshot = model.snapshot()
    model.steps = before
    model.restore(snapshot)


def fill_stores(
    config: Config,
    model: Model,
    source: WeatherSource | None,
    clock: Clock,
    catchments: Catchments,
    trained: TrainedModel,
    bar: Bar = no_progress,
) -> None:
    """Fill the stores before the first step, by the weather of the run or of before it.

    Parameters
    ----------
    config : Config
        With `spin_up`.
    model : Model
        Before its first step.
    source : WeatherSource or None
        Weather of the run; None where a host sets it.
    clock : Clock
    catchments : Catchments
    trained : TrainedModel
    bar : callable
        Makes a progress bar.
    """
    wanted = config.spin_up
    assert wanted is not None
    before = source
    if before is None:
        assert clock.start is not None
        choice = EvapotranspirationChoice(
            trained.evapotranspiration, config.forcing.evapotranspiration_mismatch
        )
        before = weather_before(wanted, config, catchments, clock.start, choice)
    try:
        cycles = spin_up(model, before, catchments.ids, trained.fingerprint, wanted, bar)
        if source is None:
            run_to(model, before, bar)
    finally:
        if source is None:
            before.close()
    _log.info("spin-up: %d repetitions", cycles)


class _Filling:
    """Repetitions of the first years, for the catchments that have not settled."""

    def __init__(
        self,
        model: Model,
        source: WeatherSource,
        ids: NDArray,
        settings: SpinUpConfig,
        steps: int,
    ) -> None:
        self._model, self._source, self._ids = model, source, ids
        self._settings, self._steps = settings, steps
        self.cycles = 0
        # Catchments that are still repeated.
        self.active = np.arange(model.catchments)
        # Members have the same weather here, so that one stands for all.
        self._work = model.subset(self.active)
        self._final = self._work.snapshot()
        self._change = np.full(model.catchments, np.inf)
        self._growth: NDArray = np.zeros((len(model.process.states), *self._work.state.shape[1:]))
        self._growing = np.zeros(model.catchments)

    def repeat(self) -> None:
        """Do the years once more, and let go of the catchments that have settled."""
        work, before = self._work, self._work.state.astype(float)
        pending = work.pending.sum(axis=1, dtype=float)
        read = self._source.reader(self.active)
        length = longest_block(self.active.size, 3 + len(work.outputs))
        for first in range(0, self._steps, length):
            work.run(read(first, min(length, self._steps - first)))
        self.cycles += 1
        growth = work.state.astype(float) - before
        flown = work.pending.sum(axis=1, dtype=float) - pending
        change = growth.sum(axis=0).mean(axis=1) + flown
        # Where a store changes as in the repetition before, it will not settle.
        evenly = np.abs(growth - self._growth) <= _EVENLY * np.abs(growth)
        uneven = np.where(evenly, 0.0, growth).sum(axis=0).mean(axis=1) + flown
        tolerance = self._settings.tolerance
        settled = np.abs(change) <= tolerance
        growing = ~settled & (self.cycles > 2) & (np.abs(uneven) <= tolerance)
        self._change[self.active] = np.abs(change)
        if growing.any():
            remaining = self._settings.most - self.cycles
            added = np.where(evenly, growth, 0.0)[:, growing] * remaining
            # No store is emptied further than it can be.
            work.state[:, growing] = np.maximum(work.state[:, growing] + added, 0.0)
            self._growing[self.active[growing]] = change[growing]
        self._growth = growth
        self._let_go(settled | growing)

    def _let_go(self, done: NDArray) -> None:
        """Keep the state of catchments, and go on with the others."""
        if not done.any():
            return
        snapshot = self._work.snapshot()
        rows = self.active[done]
        for name, values in snapshot.items():
            if name == "state":
                self._final[name][:, rows] = values[:, done]
            else:
                self._final[name][rows] = values[done]
        left = np.flatnonzero(~done)
        self.active = self.active[left]
        self._growth = self._growth[:, left]
        if left.size:
            self._work = self._work.subset(left)

    def finish(self) -> None:
        """Give the model what all catchments have come to, and say which have not settled."""
        tolerance = self._settings.tolerance
        moving = self.active
        if moving.size:
            _log.warning(
                "spin-up: after %d times %d year(s) the stores of %s still change by up to %.3g mm",
                self.cycles,
                self._settings.years,
                listed(self._ids[moving]),
                self._change[moving].max(),
            )
            self._let_go(np.ones(moving.size, bool))
        glaciers = np.flatnonzero(np.abs(self._growing) > tolerance)
        if glaciers.size:
            _log.warning(
                "spin-up: the stores of %d catchments grow by the same amount each time, %s (by up "
                "to %.0f mm): snow of which some never melts, a glacier to be. They are put where "
                "%d repetitions would bring them; flow that they will give depends on that number",
                glaciers.size,
                listed(self._ids[glaciers]),
                np.abs(self._growing[glaciers]).max(),
                self._settings.most,
            )
        model = self._model
        members = model.members
        model.restore(
            {
                name: np.tile(values, (1, members, 1))
                if name == "state"
                else np.concatenate([values] * members)
                for name, values in self._final.items()
            }
        )
        if model.dynamics is not None:
            self._compare_lstm_states(model.dynamics)

    def _compare_lstm_states(self, dynamics: Dynamics) -> None:
        """Say where the LSTM's state depends on what it was before the first year."""
        every = np.arange(self._model.catchments)
        ours, other = dynamics.subset(every), dynamics.subset(every)
        ours.restore({name: self._final[name] for name in ours.snapshot()})
        other.fill()
        for dynamics in (ours, other):
            for item in dynamics.layout.dynamic:
                dynamics.set_centres(item, self._model.parameters[item], every)
        read = self._source.reader(every)
        length = longest_block(every.size, ours.centres.shape[0] * ours.layout.parameter_sets + 4)
        apart = np.zeros(every.size)
        for cycle in range(self.cycles + 1):
            for first in range(0, self._steps, length):
                forcing = read(first, min(length, self._steps - first))
                values = other.advance(forcing)
                if cycle == self.cycles:
                    differences = np.abs(values - ours.advance(forcing))
                    apart += differences.sum(axis=0).max(axis=1).mean(axis=1)
        widths = [
            item.upper - item.lower
            for item in self._model.process.parameters
            if item.name in ours.layout.dynamic
        ]
        different = np.flatnonzero(apart / self._steps > _SAME * min(widths))
        if different.size:
            _log.warning(
                "spin-up: the memory of the weather of %s, %s, still depends on what it "
                "started from, after %d times %d year(s): runs that begin otherwise may differ "
                "there for good",
                counted(different.size, "catchment"),
                listed(self._ids[different]),
                self.cycles,
                self._settings.years,
            )


def _steps(source: WeatherSource, years: int, step_seconds: int) -> int:
    start = source.start
    day = start.astype("datetime64[D]")
    month = day.astype("datetime64[M]")
    later = (month + np.timedelta64(12 * years, "M")).astype("datetime64[D]") + (day - month)
    steps = int((later - day).astype(int)) * SECONDS_PER_DAY // step_seconds
    if steps > source.steps:
        raise ConfigError(
            f"spin_up.years: the run from {start} is shorter than {years} year(s); repeat fewer, "
            "or start earlier"
        )
    return steps


def _key(model: Model, source: WeatherSource, fingerprint: str, settings: SpinUpConfig) -> str:
    """Return a digest of all that the result depends on."""
    process = model.process
    # Operation by operation: functions that a step calls, and what a closure holds, count too.
    equations = trace(process.step, process.argument_names)
    digest = hashlib.sha256(repr(equations).encode())
    digest.update(
        repr(
            (
                __version__,
                state_file.FORMAT_VERSION,
                fingerprint,
                settings,
                source.identity(),
                model.step_seconds,
                model.dtype.name,
                model.routed,
                model.resident,
                model.members,
            )
        ).encode()
    )
    arrays = [*model.parameters.values(), model.area, *model.snapshot().values()]
    if model.dynamics is not None:
        arrays.append(model.dynamics.inputs)
    for values in arrays:
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()[:24]


def _keep(path: Path, model: Model, ids: NDArray) -> None:
    """Keep the result for later runs, where that is possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        state_file.save(path, model, path.stem, ids)
    except (OSError, StateError) as error:
        _log.info("the spin-up is not kept: %s", error)
