"""One cycle of a chain: from a state of the past over an analysis to a forecast.

Pure computation: states and flows in memory, weather read from files. What it returns for a
catchment does not depend on the others, so that a cycle may be divided among processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..catchments.catchments import Catchments
from ..config import EnsembleConfig
from ..errors import ForcingError
from ..machine import required
from ..model.model import Model
from ..model.state import SavedState, apply, capture
from ..networks import trained_model
from ..physics.unit_hydrograph import DISCHARGE
from ..run.configured_model import build_model
from ..run.perturbation import Perturbation
from ..units import SECONDS_PER_DAY
from ..weather.evapotranspiration_choice import EvapotranspirationChoice
from ..weather.source import WeatherSource, longest_block
from . import ensemble_filter
from .config import ForecastConfig
from .observed_flow import ObservedFlow
from .river import GaugedRivers, RoutedRunoff

if TYPE_CHECKING:
    from .gauged_window import GaugedWindow
    from .variational import Window

# What a state remembers beside the model's memory, where there is assimilation.
_DRIFT = "drift"


def stamp(time: np.datetime64) -> str:
    """Return a time as it stands in names of files: 2001-02-03T04, with minutes where needed."""
    text = str(time.astype("datetime64[m]"))
    return text[:13] if text.endswith(":00") else text.replace(":", "")


@dataclass
class Analysis:
    """What is known of the present.

    Attributes
    ----------
    began : datetime64[s]
        Time of the state that it began with.
    state : SavedState
        At `reached`.
    reached : datetime64[s]
        Where the weather of the past ends, at the latest the time of the forecast.
    added : array, shape (stations,)
        Water that assimilation has added since the state it began with, in mm; the mean of members.
    unexplained : array, shape (stations,)
        Observed flow less that of the analysis at its end, in mm per step.
    drift : array, shape (stations,)
        Mean of the last observations less what was simulated before assimilation, in mm per step.
    used, left_out : int
        Observations.
    """

    began: np.datetime64
    state: SavedState
    reached: np.datetime64
    added: NDArray
    unexplained: NDArray
    drift: NDArray
    used: int = 0
    left_out: int = 0


@dataclass
class Forecast:
    """A forecast of some stations: catchments, or gauges of the rivers that they drain to.

    Attributes
    ----------
    time : datetime64[s]
        From which it starts.
    analysis : Analysis
    flow : array, shape (steps, members, stations)
        In mm per step.
    precipitation : array, shape (steps, stations)
        In mm per step, the mean of members; at gauges that over all that drains to them.
    notes : list of str
        What was out of the ordinary.
    """

    time: np.datetime64
    analysis: Analysis
    flow: NDArray
    precipitation: NDArray
    notes: list[str] = field(default_factory=list)


class Forecaster:
    """Makes the analyses and forecasts of a chain, for its catchments or some of them.

    Parameters
    ----------
    config : ForecastConfig
    catchments : Catchments
        With all attributes that the network needs.

    Attributes
    ----------
    past : WeatherSource
        Weather of the past.

    Raises
    ------
    DhydroError
        If anything that the configuration names is missing or does not fit.
    """

    def __init__(self, config: ForecastConfig, catchments: Catchments) -> None:
        self.config = config
        self.ids = catchments.ids
        self._catchments = catchments
        self._step = np.timedelta64(config.step_seconds, "s")
        trained = trained_model.load(config.model)
        self._fingerprint = trained.fingerprint
        self._evapotranspiration = EvapotranspirationChoice(
            trained.evapotranspiration, config.analysis.evapotranspiration_mismatch
        )
        wanted = config.assimilation
        self._method = None if wanted is None else wanted.method
        # The variational analysis is one trajectory, from which all members of a forecast start.
        single = self._method == "variational"
        if single:
            required("torch", "assimilation.method: variational")
        self._analysis_model = self._model(trained, None if single else config.ensemble)
        self._analysis_noise = None if single else self._noise(config.ensemble)
        same = not single or config.members == 1
        self._model_ahead = self._analysis_model if same else self._model(trained, config.ensemble)
        ahead = config.ensemble
        if ahead is not None and config.has_weather_of_members:
            ahead = msgspec.structs.replace(ahead, weather={})
        self._noise_ahead = self._noise(ahead)
        self._rivers: GaugedRivers | None = None
        self._routed: dict[int, RoutedRunoff] = {}
        stations = self.ids
        if config.network is not None:
            self._rivers = GaugedRivers(config.network, catchments)
            stations = self._rivers.stations.ids
            for model in (self._analysis_model, self._model_ahead):
                self._routed[id(model)] = RoutedRunoff(self._rivers, model, config.threads)
        self._stations = len(stations)
        if not self._stations:
            # Rivers of a worker's share without a place of forecasts.
            self._method = None
        self._observed = (
            None
            if config.observed is None or self._method is None
            else ObservedFlow(config.observed, stations, config.step_seconds)
        )
        analysis = config.analysis
        assert analysis.file is not None
        self.past = WeatherSource(
            Path(analysis.file),
            catchments,
            analysis.variables,
            analysis.potential_evapotranspiration,
            config.step_seconds,
            evapotranspiration=self._evapotranspiration,
            lasting=False,
        )
        self._beginning = capture(
            self._analysis_model, self._fingerprint, self.ids, config.start_time
        )

    def _model(self, trained: trained_model.TrainedModel, ensemble: EnsembleConfig | None) -> Model:
        config = self.config.of_run(ensemble)
        return build_model(config, trained, self._catchments, (DISCHARGE,))[0]

    def _noise(self, wanted: EnsembleConfig | None) -> Perturbation | None:
        if wanted is None:
            return None
        process = self._analysis_model.process
        return Perturbation(wanted, self.ids, process, self.config.step_seconds)

    def forecast(self, time: np.datetime64, state: SavedState | None) -> Forecast:
        """Make a forecast.

        Parameters
        ----------
        time : datetime64[s]
        state : SavedState, optional
            Before it, or where the window of the variational method starts; the beginning of the
            chain, unless given.

        Raises
        ------
        ForcingError
            If weather is missing or impossible; names file, catchment and time.
        """
        notes: list[str] = []
        begin = state or self._beginning
        assert begin.time is not None
        if begin.time > time:
            raise ForcingError(
                f"forecast of {time}: is before the start of the chain, {begin.time}"
            )
        reached = self._reached(time, notes)
        if reached < begin.time:
            raise ForcingError(
                f"{self.past.path}: the weather of the past ends at {reached}, before the state of "
                f"{begin.time} that the analysis begins with"
            )
        analysis = self._analyse(begin, reached)
        if analysis.left_out:
            notes.append(
                f"{analysis.left_out} observations left out, too far from what is expected"
            )
        flow, rain = self._ahead(analysis, time, notes)
        return Forecast(time, analysis, flow, rain, notes)

    def _reached(self, time: np.datetime64, notes: list[str]) -> np.datetime64:
        """Return where the weather of the past ends, at most `time`."""
        end = self._end(self.past)
        if end >= time:
            return time
        if self.config.late == "stop":
            raise ForcingError(
                f"{self.past.path}: the weather of the past ends at {end}, before the forecast of "
                f"{time}; call again when it is there, or set late: fill"
            )
        notes.append(f"weather of the past ends at {end}; filled from that of the future")
        return end

    def _end(self, source: WeatherSource) -> np.datetime64:
        return source.start + source.steps * self._step

    # ---- the past -------------------------------------------------------------------------

    def _analyse(self, begin: SavedState, until: np.datetime64) -> Analysis:
        model = self._analysis_model
        source = f"state of {begin.time}"
        foreign = self.config.carry_over and begin.fingerprint != self._fingerprint
        more = apply(begin, model, self._fingerprint, self.ids, source, foreign)
        assert begin.time is not None
        zeros = np.zeros(len(self.ids)), *np.zeros((2, self._stations))
        result = Analysis(begin.time, begin, until, *zeros)
        routed = self._routed.get(id(model))
        if routed is not None:
            result.drift[:] = routed.take(begin.river, source)
        elif _DRIFT in more:
            result.drift[:] = more[_DRIFT][0, : len(self.ids)]
        if self._method == "variational" and until > begin.time:
            self._fit(begin.time, until, result)
        elif self._method == "ensemble_filter":
            self._filter(begin.time, until, result)
        else:
            self._run(model, self._analysis_noise, self.past, begin.time, until)
        result.state = capture(model, self._fingerprint, self.ids, until)
        if routed is not None:
            assert self._rivers is not None
            drifts = result.drift if self.config.assimilation is not None else None
            result.state = replace(result.state, river=routed.packed(drifts))
            result.added = self._rivers.mean(result.added)
        elif self._method is not None:
            drift = {_DRIFT: np.tile(result.drift, model.members)[None]}
            result.state = replace(result.state, more=drift)
        return result

    def _fit(self, begin: np.datetime64, until: np.datetime64, result: Analysis) -> None:
        """Run to `until`, the last of it through a window in which flow is fitted."""
        settings, observed = self.config.assimilation, self._observed
        assert settings is not None
        assert observed is not None
        model = self._analysis_model
        start = max(begin, until - np.timedelta64(settings.window_seconds, "s"))
        self._run(model, None, self.past, begin, start)
        forcing = self._read(self.past, start, until)
        first, flow = observed.between(start, until)
        if np.isfinite(flow).any():
            given = (
                model,
                forcing,
                flow,
                int((first - start) / self._step),
                observed.seconds // self.config.step_seconds,
                self._deviation(flow, until),
                settings,
            )
            correction = self._window(*given).correct()
            before = model.stored()
            model.state[...] *= correction.stores[:-1, :, None].astype(model.dtype)
            model.pending = model.pending * correction.stores[-1][:, None]
            result.added += model.stored() - before
            per_day = SECONDS_PER_DAY // self.config.step_seconds
            factor = np.repeat(correction.precipitation, per_day, axis=0)[: len(forcing)]
            rain = model.process.forcing_names.index(model.process.inflow)
            result.added += (forcing[:, rain] * (factor - 1.0)).sum(axis=0)
            forcing[:, rain] *= factor
            result.used, result.left_out = correction.used, correction.left_out
            for values, before_it in zip(flow, correction.background, strict=True):
                self._drift(result, values - before_it)
        rows = self._at_stations(model, model.run(forcing)[:, 0])
        per = observed.seconds // self.config.step_seconds
        begin_row = int((first - start) / self._step)
        seen = rows[begin_row : begin_row + len(flow) * per]
        seen = seen.reshape(len(flow), per, self._stations)
        for k, (values, simulated) in enumerate(zip(flow, seen.sum(axis=1), strict=True)):
            end = first + np.timedelta64((k + 1) * observed.seconds, "s")
            self._note(result, (values - simulated) / per, until - end)

    def _window(self, model: Model, forcing: NDArray, *more: Any) -> Window | GaugedWindow:
        """Return the window that is fitted to observed flow, of catchments or of gauges."""
        if self._rivers is None:
            from .variational import Window

            return Window(model, forcing, *more)
        from .gauged_window import GaugedWindow

        routed = self._routed[id(model)]
        first = model.subset(np.arange(model.catchments)).run(forcing[:1])[:, 0]
        routed.start(routed.lateral(first)[0])
        return GaugedWindow(self._rivers, routed, model, forcing, *more)

    def _at_stations(self, model: Model, rows: NDArray) -> NDArray:
        """Return the flow at stations (steps, members x stations), of that of a model's columns."""
        return rows if self._rivers is None else self._routed[id(model)].route(rows)

    def _drift(self, result: Analysis, innovation: NDArray) -> None:
        """Let the mean difference of observations and simulation follow another one of them."""
        settings, observed = self.config.assimilation, self._observed
        assert settings is not None
        assert observed is not None
        share = -np.expm1(-observed.seconds / SECONDS_PER_DAY / settings.drift_days)
        steps = observed.seconds // self.config.step_seconds
        change = share * (innovation / steps - result.drift)
        result.drift += np.nan_to_num(change)

    def _note(self, result: Analysis, unexplained: NDArray, age: np.timedelta64) -> None:
        """Remember what an observation that ended `age` ago leaves unexplained, in mm per step."""
        assert self.config.assimilation is not None
        assert self._observed is not None
        # From the middle of the observation on.
        days = age / np.timedelta64(1, "D") + 0.5 * self._observed.seconds / SECONDS_PER_DAY
        shrunk = self.config.assimilation.decay**days
        known = np.isfinite(unexplained)
        result.unexplained[known] = unexplained[known] * shrunk

    def _deviation(self, flow: NDArray, until: np.datetime64) -> NDArray:
        """Return the standard deviation of errors of observations."""
        settings, observed = self.config.assimilation, self._observed
        assert settings is not None
        assert observed is not None
        floor = settings.floor * np.maximum(np.nan_to_num(observed.mean(until)), 1e-3)
        return np.hypot(settings.error * np.nan_to_num(flow), floor)

    def _filter(self, begin: np.datetime64, until: np.datetime64, result: Analysis) -> None:
        """Run to `until`, correcting all members at the end of each observed step."""
        settings, observed = self.config.assimilation, self._observed
        assert settings is not None
        assert observed is not None
        model, members = self._analysis_model, self.config.members
        start, flow = observed.between(begin, until)
        length = np.timedelta64(observed.seconds, "s")
        self._run(model, self._analysis_noise, self.past, begin, min(start, until))
        for k, values in enumerate(flow):
            now = start + k * length
            rows = self._run(model, self._analysis_noise, self.past, now, now + length)
            if not np.isfinite(values).any():
                continue
            simulated = rows.sum(axis=0, dtype=float).reshape(members, -1)
            stores = model.state.transpose(1, 0, 2).reshape(model.columns, -1)
            joined = np.concatenate([stores, model.pending], axis=1).astype(float)
            before = model.stored()
            deviation = self._deviation(values, now)
            states, left_out = self._filtered(
                joined.reshape(members, len(self.ids), -1), simulated, values, deviation
            )
            # What the filter would make of the flow itself.
            apart = values - simulated.mean(axis=0)
            self._drift(result, apart)
            share = deviation**2 / (simulated.var(axis=0, ddof=1) + deviation**2)
            steps = observed.seconds // self.config.step_seconds
            self._note(result, np.where(left_out, 1.0, share) * apart / steps, until - now - length)
            self._put(model, states.reshape(model.columns, -1))
            result.added += (model.stored() - before).reshape(members, -1).mean(axis=0)
            result.left_out += int(left_out.sum())
            result.used += int(np.isfinite(values).sum() - left_out.sum())
        if len(flow):
            rest = start + len(flow) * length
            self._run(model, self._analysis_noise, self.past, rest, until)
        elif start < until:
            self._run(model, self._analysis_noise, self.past, start, until)

    def _filtered(
        self, stores: NDArray, simulated: NDArray, observed: NDArray, deviation: NDArray
    ) -> tuple[NDArray, NDArray]:
        """Correct members by observed flow; those of catchments by the gauge they drain to first.

        Parameters
        ----------
        stores : array, shape (members, catchments, values)
        simulated : array, shape (members, stations)
        observed, deviation : array, shape (stations,)

        Returns
        -------
        stores : array, shape (members, catchments, values)
        left_out : array of bool, shape (stations,)
        """
        assert self.config.assimilation is not None
        outlier = self.config.assimilation.outlier
        if self._rivers is None:
            return ensemble_filter.corrected(stores, simulated, observed, deviation, outlier)
        nearest = self._rivers.drainage.nearest
        seen = np.where(nearest >= 0, observed[nearest], np.nan)
        states, of_catchments = ensemble_filter.corrected(
            stores, simulated[:, nearest], seen, deviation[nearest], outlier
        )
        left_out = np.zeros(self._stations, bool)
        left_out[nearest[of_catchments]] = True
        return states, left_out

    @staticmethod
    def _put(model: Model, joined: NDArray) -> None:
        """Take on stores and water on its way, each row those of a column."""
        count, columns, parameter_sets = model.state.shape
        stores = joined[:, : count * parameter_sets].reshape(columns, count, parameter_sets)
        model.state[...] = stores.transpose(1, 0, 2)
        model.pending = joined[:, count * parameter_sets :]

    # ---- the future -----------------------------------------------------------------------

    def _ahead(
        self, analysis: Analysis, time: np.datetime64, notes: list[str]
    ) -> tuple[NDArray, NDArray]:
        """Return flow (steps, members, stations) and precipitation (steps, stations)."""
        config, model, reached = self.config, self._model_ahead, analysis.reached
        what = f"state of {reached}"
        apply(analysis.state, model, self._fingerprint, self.ids, what)
        if self._rivers is not None:
            self._routed[id(model)].take(analysis.state.river, what)
        end = time + config.horizon_steps * self._step
        with ExitStack() as opened:
            sources = self._future(time, opened)
            for source in sources:
                if source is not self.past and source.start < reached:
                    notes.append(
                        f"{source.path}: what is before {reached} is not used, the weather of the "
                        "past is"
                    )
            if reached < time:
                self._run(model, self._noise_ahead, sources, reached, time)
            blocks: list[NDArray] = []
            rows = self._run(model, self._noise_ahead, sources, time, end, blocks)
        rain = np.concatenate(blocks)
        if self._rivers is not None:
            rain = np.stack([self._rivers.mean(row) for row in rain])
        flow = rows.reshape(len(rows), model.members, -1)
        if config.assimilation is None:
            return flow, rain
        # In the middle of each step.
        ages = (time - reached) / np.timedelta64(1, "D") + (np.arange(len(rows)) + 0.5) * (
            config.step_seconds / SECONDS_PER_DAY
        )
        share = config.assimilation.decay ** ages[:, None]
        left = share * analysis.unexplained
        left = left + (1.0 - share) * config.assimilation.drift * analysis.drift
        return np.maximum(flow + left[:, None].astype(flow.dtype), 0.0), rain

    def _future(self, time: np.datetime64, opened: ExitStack) -> list[WeatherSource]:
        """Return the weather of the future: one file for all members, or one for each."""
        template = self.config.forecast.file
        if template is None:
            return [self.past]
        names = self.config.forecast.variables or self.config.analysis.variables
        sources = []
        for member in range(self.config.members if self.config.has_weather_of_members else 1):
            path = template.replace("{time}", stamp(time)).replace("{member}", str(member))
            source = WeatherSource(
                Path(path),
                self._catchments,
                names,
                self.past.pet_method,
                self.config.step_seconds,
                evapotranspiration=self._evapotranspiration,
                lasting=False,
            )
            opened.callback(source.close)
            sources.append(source)
        return sources

    # ---- running --------------------------------------------------------------------------

    def _read(self, source: WeatherSource, begin: np.datetime64, end: np.datetime64) -> NDArray:
        """Return forcing: shape (steps, forcings, catchments)."""
        stop = self._end(source)
        if begin < source.start or end > stop:
            raise ForcingError(
                f"{source.path}: it covers {source.start} to {stop}, but weather of {begin} to "
                f"{end} is needed"
            )
        first = (begin - source.start) / self._step
        if first != int(first):
            raise ForcingError(f"{source.path}: none of its steps begins at {begin}")
        return source.read(int(first), int((end - begin) / self._step))

    def _run(
        self,
        model: Model,
        noise: Perturbation | None,
        source: WeatherSource | list[WeatherSource],
        begin: np.datetime64,
        end: np.datetime64,
        precipitation: list[NDArray] | None = None,
    ) -> NDArray:
        """Run a model over a period.

        Parameters
        ----------
        model, noise, source, begin, end
            What runs, how weather and stores are perturbed, the weather, and the period.
        precipitation : list of array, optional
            Takes the mean of members in mm per step, shape (steps, catchments), block by block.

        Returns
        -------
        array, shape (steps, members x stations)
            Flow in mm per step.
        """
        sources = source if isinstance(source, list) else [source]
        results = [np.empty((0, model.members * self._stations), dtype=model.dtype)]
        place = model.process.forcing_names.index(model.process.inflow)
        for first, last in self._blocks(begin, end, model.columns, noise):
            forcing = np.concatenate([self._read(one, first, last) for one in sources], axis=2)
            if noise is not None:
                seconds = _seconds(first)
                forcing = noise.forcing(forcing, seconds)
                if noise.starts_day(seconds):
                    noise.states(model.state, seconds)
            if precipitation is not None:
                of_members = forcing[:, place].reshape(len(forcing), -1, len(self.ids))
                precipitation.append(of_members.mean(axis=1))
            results.append(self._at_stations(model, model.run(forcing)[:, 0].copy()))
        return np.concatenate(results)

    def _blocks(
        self,
        begin: np.datetime64,
        end: np.datetime64,
        columns: int,
        noise: Perturbation | None,
    ) -> Iterator[tuple[np.datetime64, np.datetime64]]:
        """Divide a period into blocks that fit the memory, at days where stores are perturbed."""
        longest = longest_block(columns, 4)
        while begin < end:
            steps = longest
            if noise is not None:
                steps = noise.steps_until_moved(_seconds(begin), longest)
            stop = min(end, begin + steps * self._step)
            yield begin, stop
            begin = stop

    def close(self) -> None:
        """Close the weather of the past."""
        self.past.close()


def _seconds(time: np.datetime64) -> int:
    """Return a time in seconds since 1970."""
    return int(time.astype("datetime64[s]").astype(int))
