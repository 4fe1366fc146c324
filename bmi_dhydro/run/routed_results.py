"""Results of catchments, of this package or any other, routed through a river to its gauges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ResultsError, UnitsError, listed
from ..io.netcdf import READ_ERRORS, identifier
from ..io.results import ResultsWriter
from ..progress_bar import Bar, no_progress
from ..river.network import Network
from ..river.river import ROUTING_SECONDS, Flows, River
from ..units import SECONDS_PER_DAY, conversion, dimension
from ..variables import FLOW
from .river_results import VARIABLES, columns, places_of, stations_of

if TYPE_CHECKING:
    import xarray

# What runoff of catchments is called in results.
_RUNOFF = (
    FLOW,
    "land_surface_water__runoff_volume_flux",
    "land_surface_water__runoff_depth",
    "runoff",
    "discharge",
    "streamflow",
)

# Values that are read at a time, so that memory stays bounded.
_VALUES_TOGETHER = 4_000_000


@dataclass(frozen=True)
class Routing:
    """How results are routed.

    Attributes
    ----------
    process : str
        Model of a reach, in `physics.REACH_PROCESSES`.
    at : "auto", "gauges", "outlets", "all" or sequence of str
        Where results are wanted; ids of gauges or reaches.
    variable : str or None
        Runoff of the catchments; recognised, unless given.
    start : {"steady", "dry"}
        Whether the river starts with the flow that runoff of the first step would keep up, or dry.
    routing_seconds : int
        Longest routing step.
    dtype : {"float32", "float64"}
    threads : int or None
    """

    process: str = "muskingum_cunge"
    at: str | Sequence[str] = "auto"
    variable: str | None = None
    start: Literal["steady", "dry"] = "steady"
    routing_seconds: int = ROUTING_SECONDS
    dtype: Literal["float32", "float64"] = "float32"
    threads: int | None = None


@dataclass(frozen=True)
class Routed:
    """What was routed.

    Attributes
    ----------
    stations : array of str
        Where flow was written.
    steps : int
    catchments : int
        That drain to the network.
    without_runoff : int
        Reaches whose catchment is not among the results.
    balance : dict of float
        Of the river, in m3; of an ensemble that of all members.
    """

    stations: NDArray
    steps: int
    catchments: int
    without_runoff: int
    balance: dict[str, float]


def route_results(
    results: Path, network: Network, out: Path, routing: Routing = Routing(), bar: Bar = no_progress
) -> Routed:
    """Route the runoff of catchments through a river, and write flow where it is wanted.

    Parameters
    ----------
    results : Path
        NetCDF file of time series of catchments, with flow as a volume per time, or as a depth or
        rate and a variable `area` (km2); of an ensemble each member is routed.
    network : Network
        Whose `catchments` say what drains where; else a catchment drains to the reach of its id.
    out : Path
        File of results, of the same kind as those of catchments.
    routing : Routing
    bar : callable
        Shows progress.

    Raises
    ------
    NetworkError
        If a catchment drains to no reach, or a place is none; names ids.
    ResultsError
        If the file is not readable, has no runoff or a gap, or results cannot be written.
    """
    import xarray

    try:
        data = xarray.open_dataset(results)
    except READ_ERRORS as error:
        raise ResultsError(f"{results}: not a readable NetCDF file ({error})") from None
    with data:
        runoff = _Runoff(results, data, routing.variable)
        reaches = network.reaches_of(runoff.ids)
        places, stations = places_of(network, routing.at)
        river = River(
            network,
            routing.process,
            runoff.step_seconds,
            routing.routing_seconds,
            routing.dtype,
            routing.threads,
        )
        writer = ResultsWriter(
            out,
            stations_of(network, places, stations, reaches, runoff.area),
            columns(),
            runoff.start,
            runoff.step_seconds,
            {**_kept(data.attrs), "routing": river.process.long_name},
            runoff.members,
        )
        try:
            with bar("routing", runoff.steps) as advance:
                for rows in _routed(river, runoff, reaches, places, routing.start):
                    writer.write(rows)
                    advance()
            writer.close()
        except BaseException:
            writer.abandon()
            raise
        covered = np.unique(reaches).size
        return Routed(
            stations, runoff.steps, runoff.ids.size, len(network) - covered, river.balance
        )


def _routed(
    river: River, runoff: _Runoff, reaches: NDArray, places: NDArray, start: str
) -> Iterator[NDArray]:
    """Yield a row of results for each step: shape (variables, members x stations)."""
    states: list[dict[str, NDArray]] = []
    for first in range(0, runoff.steps, runoff.together):
        block = runoff.read(first)
        found: list[Flows] = []
        for member in range(runoff.members):
            lateral = np.zeros((block.shape[0], len(river.network)))
            for reach, values in zip(reaches, block[:, member].T, strict=True):
                lateral[:, reach] += values
            if first == 0:
                river.start_steady(lateral[0] if start == "steady" else 0.0 * lateral[0])
            else:
                river.restore(states[member])
            found.append(river.run(lateral))
            if first == 0:
                states.append(river.snapshot())
            else:
                states[member] = river.snapshot()
        rows = np.array(
            [[getattr(flows, key)[:, places] for flows in found] for _, key, _, _ in VARIABLES]
        )
        # (variables, members, steps, stations)
        yield from rows.transpose(2, 0, 1, 3).reshape(block.shape[0], len(VARIABLES), -1)


class _Runoff:
    """Runoff of catchments in a file, in m3 s-1."""

    def __init__(self, path: Path, data: xarray.Dataset, variable: str | None) -> None:
        self._path, self._data = path, data
        names = _RUNOFF if variable is None else (variable,)
        name = next((n for n in names if n in data), None)
        if name is None:
            raise ResultsError(
                f"{path}: has no runoff {variable or ''} (it has {listed(data.variables, 20)}); "
                "name it"
            )
        key = identifier(data.variables)
        if key is None or data[key].ndim != 1:
            raise ResultsError(f"{path}: no variable names the catchments")
        station = str(data[key].dims[0])
        values = data[name]
        axes = ("time", "member", station) if "member" in values.dims else ("time", station)
        if set(values.dims) != set(axes):
            raise ResultsError(
                f"{path}: {name} has dimensions {', '.join(map(str, values.dims))}; expected "
                f"{', '.join(axes)}"
            )
        self._values = values.transpose(*axes)
        self.ids = np.char.strip(data[key].values.astype(str))
        self.members = data.sizes["member"] if "member" in axes else 1
        self.steps = data.sizes["time"]
        times = data["time"].values.astype("datetime64[s]")
        lengths = np.unique(np.diff(times)).astype(int)
        if self.steps < 2 or lengths.size != 1:
            raise ResultsError(f"{path}: routing needs two steps or more, of equal length")
        self.start, self.step_seconds = times[0], int(lengths[0])
        unknown = np.full(self.ids.size, np.nan)
        self.area = data["area"].values.astype(float) if "area" in data else unknown
        self._scale = self._scale_of(str(values.attrs.get("units", "")))
        row = self.ids.size * self.members
        self.together = max(1, _VALUES_TOGETHER // row)

    def _scale_of(self, units: str) -> NDArray:
        """Return what values of each catchment are multiplied with to become m3 s-1."""
        ones = np.ones(self.ids.size)
        try:
            kind = dimension(units)
            if kind not in ("depth", "rate"):
                return ones * conversion(units, "m3 s-1")[0]
            if not np.isfinite(self.area).all():
                raise ResultsError(
                    f"{self._path}: runoff is in {units}; a variable 'area' (km2) is needed"
                )
            if kind == "depth":
                per_day = conversion(units, "mm")[0] * SECONDS_PER_DAY / self.step_seconds
            else:
                per_day = conversion(units, "mm d-1")[0]
        except UnitsError as error:
            raise ResultsError(f"{self._path}: {self._values.name}: {error}") from None
        return per_day * self.area * 1e3 / SECONDS_PER_DAY

    def read(self, first: int) -> NDArray:
        """Return some steps from `first` on: shape (steps, members, catchments)."""
        block = self._values.isel(time=slice(first, first + self.together)).values
        block = block.reshape(len(block), self.members, -1) * self._scale
        if not np.isfinite(block).all():
            step, _, place = np.argwhere(~np.isfinite(block))[0]
            time = self.start + np.timedelta64(int(first + step) * self.step_seconds, "s")
            raise ResultsError(
                f"{self._path}: runoff of catchment {self.ids[place]} at {time} is missing; a "
                "river needs all of it"
            )
        return block


def _kept(attributes: dict[str, Any]) -> dict[str, str]:
    """Return what results say of the model that runoff comes from."""
    own = ("Conventions", "featureType", "source")
    return {k: v for k, v in attributes.items() if k not in own and isinstance(v, str)}
