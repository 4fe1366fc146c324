"""A river network: reaches, what each drains to, and the order in which they are computed."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import NetworkError, listed
from ..physics.reach import ReachProcess

# What tables write where a river leaves them.
_OUTLETS = frozenset({"", "0", "-1", "nan", "none"})


@dataclass(frozen=True)
class Network:
    """Reaches of one river or several.

    Attributes
    ----------
    ids : array of str, shape (reaches,)
    to : array of int, shape (reaches,)
        Place of the reach that each drains to; -1 at an outlet.
    parameters : dict of array, shape (reaches,)
        Length, geometry and roughness, by the names of `physics.reach.ReachProcess.parameters`.
    gauges : dict of int
        Place of the reach at whose lower end each gauge is, by the gauge's id.
    longitude, latitude : array, shape (reaches,), optional
        For maps.
    catchments : dict of int
        Place of the reach that the runoff of each catchment enters, by the catchment's id.
    """

    ids: NDArray
    to: NDArray
    parameters: Mapping[str, NDArray]
    gauges: Mapping[str, int] = field(default_factory=dict)
    longitude: NDArray | None = None
    latitude: NDArray | None = None
    catchments: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        ids: ArrayLike,
        to: ArrayLike,
        parameters: Mapping[str, ArrayLike],
        gauges: ArrayLike | None = None,
        longitude: ArrayLike | None = None,
        latitude: ArrayLike | None = None,
        catchments: ArrayLike | None = None,
        source: str = "the network",
    ) -> Network:
        """Check reaches and put them together.

        Parameters
        ----------
        ids, to : array, shape (reaches,)
            Ids of reaches, and of those that they drain to: numbers or text. At an outlet `to` is
            0, -1, empty or NaN.
        parameters : mapping of array, shape (reaches,)
        gauges : array of str, shape (reaches,), optional
            Id of the gauge at the end of each reach, empty for none.
        longitude, latitude : array, shape (reaches,), optional
        catchments : array of str, shape (reaches,), optional
            Id of the catchment whose runoff enters each reach, empty for none.
        source : str
            What to call it in errors.

        Raises
        ------
        NetworkError
            If there is no reach, an id, gauge or catchment stands twice, or a reach drains to one
            that is not there, or in a circle. Names the ids.
        """
        names = _texts(ids)
        below = _texts(to)
        if not names.size:
            raise NetworkError(f"{source}: has no reaches")
        places = {name: k for k, name in enumerate(names.tolist())}
        if len(places) < names.size:
            unique, counts = np.unique(names, return_counts=True)
            raise NetworkError(f"{source}: reach {listed(unique[counts > 1])} stands there twice")
        ends = np.array([name.lower() in _OUTLETS and name not in places for name in below])
        known = np.array([name in places for name in below]) | ends
        if not known.all():
            raise NetworkError(
                f"{source}: reach {listed(names[~known])} drains to {listed(below[~known])}, which "
                "is not there; write 0 where a river leaves the network"
            )
        down = np.array(
            [-1 if end else places[name] for name, end in zip(below, ends, strict=True)]
        )
        circle = _in_circles(down)
        if circle.size:
            raise NetworkError(f"{source}: water runs in a circle through {listed(names[circle])}")
        return cls(
            names,
            down,
            {name: np.asarray(values, dtype=float) for name, values in parameters.items()},
            _named_places(source, "gauge", gauges, names),
            None if longitude is None else np.asarray(longitude, dtype=float),
            None if latitude is None else np.asarray(latitude, dtype=float),
            _named_places(source, "catchment", catchments, names),
        )

    def __len__(self) -> int:
        return self.ids.size

    def parameters_of(self, process: ReachProcess) -> NDArray:
        """Return the parameters that a model of reaches takes: shape (parameters, reaches).

        Raises
        ------
        NetworkError
            If one is missing, or has values for which the equations do not hold; names reaches.
        """
        rows = []
        for item in process.parameters:
            if item.name not in self.parameters:
                raise NetworkError(
                    f"reaches have no {item.name} ({item.long_name}, {item.units}), which "
                    f"{process.name} needs; there are {', '.join(sorted(self.parameters))}"
                )
            values = self.parameters[item.name]
            wrong = item.impossible(values)
            if wrong.any():
                low, high = item.possible
                raise NetworkError(
                    f"{item.name} of reach {listed(self.ids[wrong])} is "
                    f"{listed(values[wrong].astype(str))}: should be {low:g} to {high:g} "
                    f"{item.units}"
                )
            rows.append(values)
        return np.array(rows)

    def place(self, name: str) -> int:
        """Return the place of a reach, or of the reach of a gauge, by its id.

        Raises
        ------
        NetworkError
            If there is none.
        """
        if name in self.gauges:
            return self.gauges[name]
        found = np.flatnonzero(self.ids == name)
        if not found.size:
            raise NetworkError(f"{name} is neither a reach nor a gauge of the network")
        return int(found[0])

    @cached_property
    def order(self) -> NDArray:
        """Places of all reaches, each after those that drain to it."""
        return _downstream_order(self.to)

    @cached_property
    def levels(self) -> NDArray:
        """Reaches between each reach and its farthest spring: array of int."""
        level = np.zeros(len(self), dtype=int)
        for k in self.order:
            if self.to[k] >= 0:
                level[self.to[k]] = max(level[self.to[k]], level[k] + 1)
        return level

    @property
    def upstream_length(self) -> NDArray:
        """Length of each reach and of all that drain to it, in m: shape (reaches,)."""
        return self.accumulated(self.parameters["length"])

    def accumulated(self, values: ArrayLike) -> NDArray:
        """Return the sum of values (reaches,) over each reach and all that drain through it."""
        total = np.array(values, dtype=float)
        for k in self.order:
            if self.to[k] >= 0:
                total[self.to[k]] += total[k]
        return total

    def reaches_of(self, catchments: NDArray) -> NDArray:
        """Return the place of the reach that each catchment drains to, by their ids.

        Raises
        ------
        NetworkError
            If one drains to none; names them.
        """
        places = dict(zip(self.ids.tolist(), range(len(self)), strict=True))
        places.update(self.catchments)
        missing = [name for name in catchments.tolist() if name not in places]
        if missing:
            known = list(self.catchments) or self.ids.tolist()
            raise NetworkError(
                f"catchment {listed(missing)} drains to no reach; the network has "
                f"{listed(known)}. Give its table a column 'catchment'"
            )
        return np.array([places[name] for name in catchments.tolist()])

    def upstream(self, place: int) -> NDArray:
        """Return the places of a reach and of all that drain through it, in increasing order."""
        inside = np.zeros(len(self), dtype=bool)
        inside[place] = True
        for k in self.order[::-1]:
            if self.to[k] >= 0 and inside[self.to[k]]:
                inside[k] = True
        return np.flatnonzero(inside)

    @property
    def edges(self) -> NDArray:
        """The upper and the lower reach of each edge: array of int, shape (edges, 2)."""
        upper = np.flatnonzero(self.to >= 0)
        return np.stack([upper, self.to[upper]], axis=1)

    def outlet_of(self) -> NDArray:
        """Return the place of the outlet that each reach drains to in the end: (reaches,)."""
        outlet = np.arange(len(self))
        for k in self.order[::-1]:
            if self.to[k] >= 0:
                outlet[k] = outlet[self.to[k]]
        return outlet

    def repeated(self, count: int) -> Network:
        """Return several networks like this one in one, for the members of an ensemble.

        Parameters
        ----------
        count : int

        Returns
        -------
        Network
            Of the first member first, with its gauges and catchments; ids of the others say of
            which member a reach is (see `id_of_member`).
        """
        if count == 1:
            return self
        shifts = np.repeat(np.arange(count) * len(self), len(self))
        to = np.tile(self.to, count)
        return Network(
            np.array([id_of_member(n, k) for k in range(count) for n in self.ids.tolist()]),
            np.where(to >= 0, to + shifts, -1),
            {name: np.tile(values, count) for name, values in self.parameters.items()},
            self.gauges,
            None if self.longitude is None else np.tile(self.longitude, count),
            None if self.latitude is None else np.tile(self.latitude, count),
            self.catchments,
        )

    def of_members(self, places: NDArray, count: int) -> NDArray:
        """Return where some reaches are in `repeated`: those of the first member first."""
        return (places + np.arange(count)[:, None] * len(self)).reshape(-1)

    def subset(self, places: NDArray) -> Network:
        """Return a network of some reaches; those that drain out of it become outlets."""
        new = np.full(len(self) + 1, -1)
        new[places] = np.arange(places.size)
        gauges, catchments = (
            {name: int(new[place]) for name, place in table.items() if new[place] >= 0}
            for table in (self.gauges, self.catchments)
        )
        return Network(
            self.ids[places],
            new[self.to[places]],
            {name: values[places] for name, values in self.parameters.items()},
            gauges,
            None if self.longitude is None else self.longitude[places],
            None if self.latitude is None else self.latitude[places],
            catchments,
        )


# Between the id of a reach and its member, from the second on.
_OF_MEMBER = " of member "


def id_of_member(name: str, member: int) -> str:
    """Return what a reach is called in a network of several members."""
    return f"{name}{_OF_MEMBER}{member}" if member else name


def without_member(name: str) -> str:
    """Return the id of a reach of any member."""
    return name.partition(_OF_MEMBER)[0]


@dataclass(frozen=True)
class Schedule:
    """Reaches in groups that are computed together, each group after all that drains to it.

    Attributes
    ----------
    lanes : int
        Reaches of a group; a place that is left over is a slot without a reach.
    slots : array of int, shape (reaches,)
        Where each reach is: group times `lanes` plus place.
    parts : array of int, shape (parts + 1,)
        Groups at which parts begin, and the last ends. Nothing drains from one to another.
    groups : int
        Those after the last part gather what several parts drain to them.
    origins : array of int, shape (slots + 1,)
        Where the list of those that drain to a slot begins in the two others.
    origin_groups, origin_lanes : array of int
        Slots that drain to others.
    outlets : array of int, shape (slots,)
        Slot that each drains to, or -1.
    """

    lanes: int
    slots: NDArray
    parts: NDArray
    groups: int
    origins: NDArray
    origin_groups: NDArray
    origin_lanes: NDArray
    outlets: NDArray

    @cached_property
    def trunk(self) -> int:
        """First group of those that gather what parts drain to them."""
        return int(self.parts[-1])


def schedule(network: Network, lanes: int, parts: int = 1) -> Schedule:
    """Put reaches into groups.

    Those with the longest way to an outlet come first (Hu 1961, 10.1287/opre.9.6.841), which needs
    the fewest groups.

    Parameters
    ----------
    network : Network
    lanes : int
        Reaches of a group.
    parts : int
        For how many threads: independent basins are divided among them, largest first; of a river
        that is too large for that, its tributaries are.
    """
    order, down = network.order, network.to
    way = np.zeros(len(network), dtype=int)
    for k in order[::-1]:
        if down[k] >= 0:
            way[k] = way[down[k]] + 1
    members = _divided(order, down, parts)
    slots = np.empty(len(network), dtype=np.int64)
    begins = [0]
    group = 0
    for part in members:
        group = _grouped(part, down, way, lanes, group, slots)
        begins.append(group)
    count = group * lanes
    outlets = np.full(count, -1, dtype=np.int64)
    drained = down >= 0
    outlets[slots[drained]] = slots[down[drained]]
    above = np.flatnonzero(drained)
    # In the order of places, so that sums do not depend on how reaches are grouped.
    above = above[np.argsort(slots[down[above]], kind="stable")]
    targets = slots[down[above]]
    origins = np.searchsorted(targets, np.arange(count + 1)).astype(np.int64)
    return Schedule(
        lanes,
        slots,
        np.array(begins[:-1]),
        group,
        origins,
        (slots[above] // lanes).astype(np.int64),
        (slots[above] % lanes).astype(np.int64),
        outlets,
    )


def _divided(order: NDArray, down: NDArray, parts: int) -> list[list[int]]:
    """Divide reaches among parts that nothing drains between, and a last list that all drain to."""
    if parts == 1:
        return [order.tolist(), []]
    size = np.ones(order.size, dtype=int)
    for k in order:
        if down[k] >= 0:
            size[down[k]] += size[k]
    largest = max(1, order.size // (4 * parts))
    root = np.full(order.size, -1)
    for k in order[::-1]:
        if size[k] <= largest:
            below = down[k]
            root[k] = root[below] if below >= 0 and root[below] >= 0 else k
    loads = [(0, part) for part in range(parts)]
    home = np.full(order.size, parts)
    for k in sorted(np.unique(root[root >= 0]), key=lambda k: (-size[k], k)):
        load, part = heapq.heappop(loads)
        home[k] = part
        heapq.heappush(loads, (load + int(size[k]), part))
    lists: list[list[int]] = [[] for _ in range(parts + 1)]
    for k in order.tolist():
        lists[parts if root[k] < 0 else home[root[k]]].append(k)
    return lists


def _grouped(
    reaches: Sequence[int], down: NDArray, way: NDArray, lanes: int, group: int, slots: NDArray
) -> int:
    """Put reaches of a part into groups from `group` on; write their slots, return the next."""
    inside = set(reaches)
    waiting = dict.fromkeys(reaches, 0)
    for k in reaches:
        if int(down[k]) in inside:
            waiting[int(down[k])] += 1
    ready = [(-int(way[k]), k) for k in reaches if waiting[k] == 0]
    heapq.heapify(ready)
    while ready:
        chosen = [heapq.heappop(ready)[1] for _ in range(min(lanes, len(ready)))]
        for lane, k in enumerate(chosen):
            slots[k] = group * lanes + lane
        for k in chosen:
            below = int(down[k])
            if below in inside:
                waiting[below] -= 1
                if waiting[below] == 0:
                    heapq.heappush(ready, (-int(way[below]), below))
        group += 1
    return group


def _named_places(
    source: str, what: str, ids: ArrayLike | None, reaches: NDArray
) -> dict[str, int]:
    """Return the place of each gauge or catchment, by its id."""
    found: dict[str, int] = {}
    for k, name in enumerate([] if ids is None else _texts(ids).tolist()):
        if name.lower() in _OUTLETS:
            continue
        if name in found:
            raise NetworkError(
                f"{source}: {what} {name} is at reaches {reaches[found[name]]} and {reaches[k]}"
            )
        found[name] = k
    return found


def _downstream_order(down: NDArray) -> NDArray:
    """Return places, each after those that drain to it; those of circles are left out."""
    waiting = np.bincount(down[down >= 0], minlength=down.size)
    order = np.flatnonzero(waiting == 0).tolist()
    for k in order:
        below = int(down[k])
        if below >= 0:
            waiting[below] -= 1
            if waiting[below] == 0:
                order.append(below)
    return np.array(order, dtype=int)


def _in_circles(down: NDArray) -> NDArray:
    """Return the places of a circle, in the order in which water would run, if there is one."""
    left = np.ones(down.size, dtype=bool)
    left[_downstream_order(down)] = False
    if not left.any():
        return np.array([], dtype=int)
    place = int(np.flatnonzero(left)[0])
    seen: list[int] = []
    while place not in seen:
        seen.append(place)
        place = int(down[place])
    return np.array(seen[seen.index(place) :])


def _texts(values: ArrayLike) -> NDArray:
    """Return ids as text: whole numbers without a fraction, nothing for what is missing."""
    array = np.asarray(values)
    if array.dtype.kind == "f":
        known = np.isfinite(array)
        return np.array([str(int(v)) if k else "" for v, k in zip(array, known, strict=True)])
    texts = ["" if v is None or v != v else str(v).strip() for v in array.tolist()]
    return np.array(texts, dtype=str)
