"""A chain of forecasts in a folder: each begins with what an earlier analysis has left.

    folder/
      chain.json        which chain it is
      catchments.csv    its catchments, with climate indices as they were computed at its beginning
      states/           states of analyses, by their time
      forecasts/        forecasts, by the time they start from, and pictures
      chain.log         what happened

Every file is whole or not there, and a forecast's file is written last. So a process that is killed
leaves a chain that the next call brings to the same end.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from filelock import FileLock, Timeout

from ..catchments.catchments import Catchments, climate_to_compute
from ..errors import CatchmentError, ChainError, DhydroError, ResultsError, listed
from ..files.whole import digest_holds, replaced
from ..io.catchment_table import read_table
from ..io.export import write_catchments
from ..io.netcdf import READ_ERRORS, loaded
from ..machine import required
from ..model.state import SavedState
from ..networks import trained_model
from ..weather.evapotranspiration_choice import EvapotranspirationChoice
from ..weather.source import WeatherSource
from . import archive
from .config import ForecastConfig
from .cycle import Forecast, Forecaster, stamp
from .pictures import before, draw
from .river import stations
from .states import DAMAGED, StateFolder, time_of

_log = logging.getLogger(__name__)

# Computes a forecast from a state; the catchments may be divided.
Compute = Callable[[ForecastConfig, Catchments, np.datetime64, SavedState | None], Forecast]


class Identity(msgspec.Struct, frozen=True):
    """What stays the same throughout a chain."""

    model: str
    """Fingerprint of the trained model."""
    start: str
    step: str
    assimilation: str
    ensemble: str


@dataclass(frozen=True)
class Entry:
    """What a chain has of a time.

    Attributes
    ----------
    time : datetime64[s]
    state, forecast : bool
    notes : str
        Notes of the forecast.
    """

    time: np.datetime64
    state: bool
    forecast: bool
    notes: str = ""


def compute_here(
    config: ForecastConfig,
    catchments: Catchments,
    time: np.datetime64,
    state: SavedState | None,
) -> Forecast:
    """Compute a forecast in this process."""
    forecaster = Forecaster(config, catchments)
    try:
        return forecaster.forecast(time, state)
    finally:
        forecaster.close()


def _table(config: ForecastConfig) -> Catchments:
    assert config.catchments.table is not None
    return read_table(Path(config.catchments.table), config.catchments.select)


def complete_catchments(config: ForecastConfig, time: np.datetime64) -> Catchments:
    """Return the catchments of a configuration, with all that the network needs.

    Parameters
    ----------
    config : ForecastConfig
    time : datetime64[s]
        Climate indices that the table lacks are computed of the weather before it.

    Raises
    ------
    CatchmentError
        If an attribute is missing.
    """
    table, trained = _table(config), trained_model.load(config.model)
    needed = trained.layout.needed
    absent = climate_to_compute(table, needed, config.catchments.climate)
    if absent:
        analysis = config.analysis
        assert analysis.file is not None
        source = WeatherSource(
            Path(analysis.file),
            table,
            analysis.variables,
            analysis.potential_evapotranspiration,
            config.step_seconds,
            None,
            time,
            EvapotranspirationChoice(
                trained.evapotranspiration, analysis.evapotranspiration_mismatch
            ),
            lasting=False,
        )
        try:
            indices = source.climate()
        finally:
            source.close()
        table.attributes.update({name: indices[name] for name in absent})
        _log.info("computed from the weather before %s: %s", time, ", ".join(absent))
    for warning in trained.check(table.ids, table.attributes):
        _log.warning("%s", warning)
    return table


class Chain:
    """A chain of forecasts.

    Parameters
    ----------
    config : ForecastConfig

    Attributes
    ----------
    folder : Path
    """

    def __init__(self, config: ForecastConfig) -> None:
        self.config = config
        self.folder = Path(config.folder)
        self._forecasts = self.folder / "forecasts"
        self._trained = trained_model.load(config.model)
        self._states = StateFolder(self.folder / "states", self._trained.layout.process)

    def path(self, time: np.datetime64) -> Path:
        """Return the file of a forecast."""
        return self._forecasts / f"{stamp(time)}.nc"

    def run(self, time: np.datetime64, compute: Compute = compute_here) -> Path:
        """Make a forecast, unless it is there.

        Parameters
        ----------
        time : datetime64[s]
            That it starts from.
        compute : callable
            Where to compute.

        Returns
        -------
        Path
            Its file.

        Raises
        ------
        ChainError
            If another process works on the chain, or the folder is that of another chain.
        DhydroError
            If weather, a state or anything else is missing or does not fit; the chain is as it was
            before then.
        """
        path = self.path(time)
        with self._opened():
            try:
                self._check()
                if path.exists():
                    _log.info("%s: is there already", path)
                else:
                    self._make(path, time, compute)
                self._states.prune(self.config.keep_seconds)
            except DhydroError as error:
                _log.error("%s: %s", stamp(time), error)
                raise
        return path

    def _make(self, path: Path, time: np.datetime64, compute: Compute) -> None:
        catchments = self.catchments(time)
        state = self._states.newest(self.config.latest_state(time), time)
        forecast = compute(self.config, catchments, time, state)
        analysis = forecast.analysis
        if analysis.reached == time:
            self._states.save(analysis.state)
        where = stations(self.config.network, catchments)
        self._draw(forecast, where)
        archive.write(path, forecast, where, self.config.step_seconds, self.config.quantiles)
        for note in forecast.notes:
            _log.warning("%s: %s", stamp(time), note)
        _log.info(
            "%s: forecast made from the state of %s, %d observations used, %d left out",
            stamp(time),
            analysis.began,
            analysis.used,
            analysis.left_out,
        )

    def _check(self) -> None:
        """Refuse a folder of another chain; make that of a new one."""
        if self.config.plots:
            required("matplotlib", "plots")
        config, path = self.config, self.folder / "chain.json"
        ours = Identity(
            self._trained.fingerprint,
            str(config.start_time),
            config.step,
            "" if config.assimilation is None else config.assimilation.method,
            "" if config.ensemble is None else f"{config.members} members",
        )
        if not path.exists():
            with replaced(path) as temporary:
                temporary.write_bytes(msgspec.json.encode(ours))
            return
        try:
            theirs = msgspec.json.decode(path.read_bytes(), type=Identity)
        except (msgspec.DecodeError, ValueError) as error:
            raise ChainError(f"{path}: is not that of a chain ({error})") from None
        if config.carry_over and theirs.model != ours.model:
            _log.warning(
                "goes on with another trained model, %s instead of %s", ours.model, theirs.model
            )
            theirs = msgspec.structs.replace(theirs, model=ours.model)
            with replaced(path) as temporary:
                temporary.write_bytes(msgspec.json.encode(theirs))
        for key in Identity.__struct_fields__:
            if getattr(theirs, key) != getattr(ours, key):
                hint = "; or set carry_over to take over its stores" if key == "model" else ""
                raise ChainError(
                    f"{self.folder}: is a chain with {key} {getattr(theirs, key) or 'none'!r}, but "
                    f"the configuration has {getattr(ours, key) or 'none'!r}; give another folder"
                    f"{hint}"
                )

    def catchments(self, time: np.datetime64) -> Catchments:
        """Return the catchments of the chain, with the climate that it was begun with.

        Parameters
        ----------
        time : datetime64[s]
            Time of the forecast; climate is computed of the weather before it.
        """
        path = self.folder / "catchments.csv"
        config = self.config
        if path.exists():
            whole = digest_holds(path)
            if whole is False:
                raise ChainError(
                    f"{path}: is damaged, its content is not what was written; copy it from a "
                    "backup. If you have changed it on purpose, remove its last line"
                )
            if whole is None:
                _log.warning("%s: has no digest, so damage would not be noticed", path)
            table, kept = _table(config), read_table(path)
            if not np.array_equal(kept.ids, table.ids):
                raise ChainError(
                    f"{self.folder}: is a chain of {listed(kept.ids)}, but the configuration has "
                    f"{listed(table.ids)}; give another folder"
                )
            return kept
        table = complete_catchments(config, time)
        try:
            write_catchments(path, table, "%.17g", digest=True)
        except OSError as error:
            raise CatchmentError(f"{path}: cannot be written ({error})") from None
        return read_table(path)

    def _draw(self, forecast: Forecast, where: Catchments) -> None:
        """Draw the stations that the configuration names."""
        wanted = self.config.plots
        if not wanted:
            return
        known_ids = set(where.ids.tolist())
        absent = [name for name in wanted if name not in known_ids]
        if absent:
            what = "catchment" if self.config.network is None else "gauge or reach"
            raise CatchmentError(f"plots: there is no {what} {listed(absent)}")
        known = before(self.config, self._forecasts, forecast.time, where, list(wanted))
        for name in wanted:
            draw(self.config, self._forecasts, forecast, where, known, name)

    # ---- looking --------------------------------------------------------------------------

    def entries(self) -> list[Entry]:
        """Return what there is, the oldest first."""
        states = set(self._states.times())
        forecasts = {time_of(path): path for path in self._forecasts.glob("*.nc")}
        result = []
        for time in sorted({*states, *(t for t in forecasts if t is not None)}):
            notes = ""
            if time in forecasts:
                try:
                    notes = str(loaded(forecasts[time]).attrs.get("notes", ""))
                except READ_ERRORS as error:
                    notes = f"damaged ({error}); remove it to make it again"
            result.append(Entry(time, time in states, time in forecasts, notes))
        return result

    def damaged(self) -> list[Path]:
        """Return files that were states once."""
        return sorted((self.folder / "states").glob(f"*{DAMAGED}"))

    # ---- one process at a time ------------------------------------------------------------

    @contextmanager
    def _opened(self) -> Iterator[None]:
        """Hold the folder for this process, log to it, and clear away what a killed one left."""
        try:
            for folder in (self.folder / "states", self._forecasts):
                folder.mkdir(parents=True, exist_ok=True)
            lock = self._locked()
        except OSError as error:
            raise ResultsError(f"{self.folder}: cannot be written ({error.strerror})") from None
        with lock:
            handler = logging.FileHandler(self.folder / "chain.log", encoding="utf-8")
            handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
            package = logging.getLogger("bmi_dhydro")
            level = package.level
            package.addHandler(handler)
            package.setLevel(min(level or logging.INFO, logging.INFO))
            try:
                for folder in (self.folder, self.folder / "states", self._forecasts):
                    for left in folder.glob(".*.part"):
                        left.unlink(missing_ok=True)
                yield
            finally:
                package.setLevel(level)
                package.removeHandler(handler)
                handler.close()

    def _locked(self) -> AbstractContextManager[object]:
        """Take the lock, which goes with the process, however that ends; return what gives it back.

        Raises
        ------
        ChainError
            If another process has it.
        """
        lock, holder = FileLock(self.folder / "lock"), self.folder / "lock.holder"
        try:
            held = lock.acquire(timeout=0)
        except Timeout:
            who = holder.read_text().strip() if holder.exists() else "unknown"
            raise ChainError(
                f"{self.folder}: another process ({who}) works on this chain; call again when "
                "it is done"
            ) from None
        holder.write_text(f"{os.getpid()}\n")
        return held
