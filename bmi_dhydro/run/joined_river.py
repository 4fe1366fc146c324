"""The river that the catchments of a run drain to, routed with each of its steps."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..catchments.catchments import Catchments
from ..config import Config, NetworkConfig
from ..config.settings import parse_duration
from ..errors import NetworkError, listed
from ..io.results import ResultsWriter
from ..river.learned import with_learned
from ..river.network import Network
from ..river.outputs import RiverOutputs
from ..river.river import River
from ..river.state_file import packed, take
from ..river.tables import read_network
from .clock import Clock
from .river_results import VARIABLES, columns, places_of, stations_of

_log = logging.getLogger(__name__)


def drained_network(file: Path, ids: NDArray) -> Network:
    """Read a network, and leave out rivers that no catchment of a run drains to.

    Parameters
    ----------
    file : Path
    ids : array of str, shape (catchments,)

    Raises
    ------
    NetworkError
        If a catchment drains to no reach; names them.
    """
    network = read_network(file)
    outlets = network.outlet_of()
    used = np.isin(outlets, outlets[network.reaches_of(ids)])
    if used.all():
        return network
    _log.info(
        "%s: no catchment of this run drains to %d of %d reaches (%s), which are left out",
        file,
        int((~used).sum()),
        len(network),
        listed(network.ids[~used]),
    )
    return network.subset(np.flatnonzero(used))


def join_river(
    config: Config,
    catchments: Catchments,
    members: int,
    step_seconds: int,
    one_member: bool,
    saved: Mapping[str, NDArray],
) -> JoinedRiver:
    """Make the river that a configuration names, from what was saved of it, if anything was.

    Parameters
    ----------
    config : Config
        With `network`.
    catchments, members, step_seconds, one_member
        As for `JoinedRiver`.
    saved : mapping of array
        What `initial_state` holds of a river.

    Raises
    ------
    NetworkError, StateError
        As `JoinedRiver` and `JoinedRiver.take`.
    """
    assert config.network is not None
    joined = JoinedRiver(
        config.network,
        catchments,
        members,
        step_seconds,
        config.dtype,
        config.threads,
        one_member,
    )
    if config.initial_state is not None:
        joined.take(saved, config.initial_state)
    return joined


class JoinedRiver:
    """A river, one for each member of an ensemble, that runoff of catchments enters.

    Parameters
    ----------
    config : NetworkConfig
    catchments : Catchments
    members, step_seconds : int
    dtype : float32 or float64
    threads : int or None
    one_member : bool
        Whether the interface shows one member of an ensemble at a time.

    Attributes
    ----------
    network : Network
        Of one member.
    river : River
        Of all members, one after the other.
    shown : dict of array
        What the interface shows of the river's outputs, by the names of `river.Flows`: values of
        all members, or of one. The arrays stay where they are.

    Raises
    ------
    NetworkError
        If the network is missing, or does not fit the catchments.
    """

    def __init__(
        self,
        config: NetworkConfig,
        catchments: Catchments,
        members: int,
        step_seconds: int,
        dtype: DTypeLike,
        threads: int | None,
        one_member: bool,
    ) -> None:
        self.config = config
        drained = drained_network(Path(config.file), catchments.ids)
        self.network = with_learned(drained, config.process, config.learned)
        self._of_catchments = self.network.reaches_of(catchments.ids)
        self._members = members
        self.river = River(
            self.network.repeated(members),
            config.process,
            step_seconds,
            parse_duration(config.routing_step, "network.routing_step"),
            dtype,
            threads,
        )
        self._reaches = self.network.of_members(self._of_catchments, members)
        self.outputs = RiverOutputs(self.river)
        self._steady = config.start == "steady"
        self._writer: ResultsWriter | None = None
        self._places = np.empty(0, int)
        self._member = 0
        self.shown = self.outputs.values
        if one_member:
            self.shown = {name: np.zeros(len(self.network)) for name in self.outputs.values}
            self.show()

    # ---- stepping -------------------------------------------------------------------------

    def advance(self, runoff: NDArray) -> None:
        """Route a step.

        Parameters
        ----------
        runoff : array, shape (columns,)
            Of all catchments of all members, in m3 s-1.
        """
        count = len(self.river.network)
        lateral = np.bincount(self._reaches, runoff, count)
        if self._steady:
            self.river.start_steady(lateral)
            self._steady = False
        self.outputs.step(lateral)
        self.show()
        if self._writer is not None:
            self.outputs.find_velocity()
            rows = [self.outputs.values[key][self._places] for _, key, _, _ in VARIABLES]
            self._writer.write(np.stack(rows))

    def show(self) -> None:
        """Bring what the interface shows up to date, but for velocity: see `find_velocity`."""
        if self.shown is self.outputs.values:
            return
        for name, values in self.outputs.values.items():
            self.shown[name][:] = values[self.own]

    def find_velocity(self) -> None:
        """Make the velocity that the interface shows current."""
        self.outputs.find_velocity()
        self.show()

    @property
    def own(self) -> slice:
        """Places of the reaches that the interface shows."""
        if self.shown is self.outputs.values:
            return slice(None)
        count = len(self.network)
        return slice(self._member * count, (self._member + 1) * count)

    def select(self, member: int) -> None:
        """Show another member, where one is shown at a time."""
        self._member = member
        self.show()

    def set_values(self, name: str, values: NDArray) -> None:
        """Set a state of the reaches that are shown, or a parameter of theirs.

        A parameter of reaches is the same for all members: where one is shown, it is set for all.

        Raises
        ------
        NetworkError
            If a value is impossible; names reaches. Nothing is set then.
        """
        river = self.river
        if name in river.process.parameter_names:
            whole = np.tile(values, len(river.network) // values.size)
            river.set_parameter(name, whole, slice(None))
            return
        if name != "remainder" and values.min() < 0.0:
            place = int(values.argmin())
            raise NetworkError(
                f"{name} of reach {self.river.network.ids[self.own][place]} cannot be "
                f"{values[place]:g}; nothing was set"
            )
        # What a host has set is what the river starts with.
        self._steady = False
        river.states[name][self.own] = values

    # ---- results --------------------------------------------------------------------------

    def write_to(
        self, file: str, catchments: Catchments, clock: Clock, about: Mapping[str, str]
    ) -> None:
        """Write results at the places that the configuration names, after each step from now on.

        Raises
        ------
        NetworkError
            If the network has no such place.
        ResultsError
            If they cannot be written.
        """
        places, names = places_of(self.network, self.config.at)
        self._places = self.network.of_members(places, self._members)
        assert clock.start is not None
        self._writer = ResultsWriter(
            Path(file),
            stations_of(self.network, places, names, self._of_catchments, catchments.area),
            columns(),
            clock.start,
            clock.step_seconds,
            {
                "title": "Simulated flow of rivers",
                **about,
                "routing": self.river.process.long_name,
            },
            self._members,
        )

    def close(self) -> None:
        """Complete results."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def abandon(self) -> None:
        """Remove results that are not complete."""
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None

    # ---- state ----------------------------------------------------------------------------

    def packed(self) -> dict[str, NDArray]:
        """Return copies of what the next steps depend on, and of the mean flow of the last."""
        return {**packed(self.river), "mean_flow": self.outputs.values["mean_flow"].copy()}

    def take(self, arrays: Mapping[str, NDArray], source: str) -> None:
        """Go on from what `packed` returned.

        Parameters
        ----------
        arrays : mapping of array
            Nothing, where a state was saved without a river: then it starts anew.
        source : str
            What to call it in errors.

        Raises
        ------
        StateError
            If values are not finite.
        NetworkError
            If reaches are missing; names them.
        """
        if not arrays:
            _log.warning(
                "%s: holds no state of a river, which starts %s", source, self.config.start
            )
            self._steady = self.config.start == "steady"
            return
        chosen = take(self.river, arrays, source)
        self._steady = False
        self.outputs.show_states()
        self.outputs.values["mean_flow"][:] = arrays["mean_flow"][chosen]
        self.show()
