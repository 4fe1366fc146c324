"""Where flow is observed that training learns from: catchments' outlets, or gauges of a river.

Training draws stations; what it simulates are the catchments that drain to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..networks.reach_network import changed_parameters
from ..river.differentiable import route
from ..river.drainage import Drainage
from ..river.river import River
from ..units import SECONDS_PER_DAY
from .data import TrainingData
from .gauges import REACHES, GaugedRiver


class Stations(Protocol):
    """What training needs to know of the places where flow is observed.

    Attributes
    ----------
    begin, end : array of int, shape (stations,)
        First day with weather of all catchments of each station, and the day after the last.
    """

    begin: NDArray
    end: NDArray

    def draw(
        self, random: np.random.Generator, usable: NDArray, size: int
    ) -> tuple[NDArray, NDArray]:
        """Draw some of the usable stations, of about `size` catchments: stations, catchments."""

    def flow(
        self,
        discharge: Tensor,
        stations: NDArray,
        catchments: NDArray,
        weights: Mapping[str, Tensor],
    ) -> Tensor:
        """Return flow at stations (days, stations), of discharge of their catchments in mm d-1."""


def stations_of(data: TrainingData) -> Stations:
    """Return the stations of training data."""
    return Outlets(data) if data.gauged is None else Gauges(data, data.gauged)


class Outlets:
    """Each catchment has a station of its own; see `Stations`."""

    def __init__(self, data: TrainingData) -> None:
        self.begin, self.end = data.records

    def draw(
        self, random: np.random.Generator, usable: NDArray, size: int
    ) -> tuple[NDArray, NDArray]:
        """Draw stations, all alike."""
        chosen = random.choice(usable, min(size, usable.size), replace=False)
        return chosen, chosen

    def flow(
        self,
        discharge: Tensor,
        stations: NDArray,
        catchments: NDArray,
        weights: Mapping[str, Tensor],
    ) -> Tensor:
        """Return what was given."""
        return discharge


class Gauges:
    """Stations are gauges of a river that many catchments drain to; see `Stations`.

    Parameters
    ----------
    data : TrainingData
        Whose flow is that of `data.gauges`.
    river : GaugedRiver
    """

    def __init__(self, data: TrainingData, river: GaugedRiver) -> None:
        network = river.network
        self._river = river
        self._places = np.array([network.gauges[name] for name in data.stations.tolist()])
        reaches = network.reaches_of(data.ids)
        self._reaches, self._area = reaches, data.attributes["area"].astype(float)
        self._drainage = Drainage(network, self._places, reaches, self._area)
        self._upstream = [network.upstream(place) for place in self._places]
        self._catchments = [np.flatnonzero(np.isin(reaches, own)) for own in self._upstream]
        self._parameters_of_reaches = network.parameters_of(river.reach_process)
        self._upstream_length = network.upstream_length
        begin, end = data.records
        self.begin = np.array([begin[own].max(initial=0) for own in self._catchments])
        self.end = np.array([end[own].min(initial=len(data.dates)) for own in self._catchments])

    def draw(
        self, random: np.random.Generator, usable: NDArray, size: int
    ) -> tuple[NDArray, NDArray]:
        """Draw gauges, in proportion to the share of their area that no gauge upstream has.

        So no catchment counts twice, however many gauges it drains to.
        """
        share = np.maximum(self._drainage.own_share[usable], 1e-6)
        order = random.choice(usable, usable.size, replace=False, p=share / share.sum())
        inside = np.zeros(len(self._reaches), bool)
        chosen: list[int] = []
        for gauge in order.tolist():
            more = inside.copy()
            more[self._catchments[gauge]] = True
            if chosen and more.sum() > size:
                continue
            inside = more
            chosen.append(gauge)
        return np.array(chosen), np.flatnonzero(inside)

    def flow(
        self,
        discharge: Tensor,
        stations: NDArray,
        catchments: NDArray,
        weights: Mapping[str, Tensor],
    ) -> Tensor:
        """Route discharge of catchments, from the flow that the first day would keep up.

        Parameters
        ----------
        discharge : Tensor, shape (days, catchments)
            In mm d-1.
        stations : array of int
        catchments : array of int
            All that drain to the stations.
        weights : mapping of Tensor
            Of the training; those of a network of reaches are used, if there are some.

        Returns
        -------
        Tensor, shape (days, stations)
            Mean flow of each day, in mm over the area of its catchments.
        """
        whole = self._river.network
        inside = np.unique(np.concatenate([self._upstream[k] for k in stations.tolist()]))
        river = River(
            whole.subset(inside),
            self._river.process,
            SECONDS_PER_DAY,
            self._river.routing_seconds,
            discharge.detach().cpu().numpy().dtype,
        )
        volume = self._area[catchments] * (1e3 / SECONDS_PER_DAY)
        runoff = discharge * torch.as_tensor(volume).to(discharge)
        reaches = np.searchsorted(inside, self._reaches[catchments])
        lateral = runoff.new_zeros((len(runoff), inside.size)).index_add(
            1, torch.as_tensor(reaches).to(runoff.device), runoff
        )
        river.start_steady(lateral[0].detach().cpu().numpy())
        places = np.searchsorted(inside, self._places[stations])
        parameters = self._parameters(inside, weights, lateral)
        found = route(river, lateral, parameters).mean_flow[
            :, torch.as_tensor(places).to(runoff.device)
        ]
        depth = SECONDS_PER_DAY / 1e3 / self._drainage.whole[stations]
        return found * torch.as_tensor(depth).to(found)

    def _parameters(
        self, inside: NDArray, weights: Mapping[str, Tensor], like: Tensor
    ) -> Tensor | None:
        """Return the parameters of some reaches that the weights give; None for those they have."""
        own = {n.removeprefix(REACHES): v for n, v in weights.items() if n.startswith(REACHES)}
        if not own:
            return None
        return changed_parameters(
            {name: value.to(like.device) for name, value in own.items()},
            self._river.reach_process.parameter_names,
            self._parameters_of_reaches[:, inside],
            self._upstream_length[inside],
            torch.tanh,
            torch.exp,
            lambda values: torch.as_tensor(values).to(like),
        )
