"""Rivers whose roughness, width or celerity a trained network has changed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ..networks.reach_network import ReachNetwork
from ..physics import REACH_PROCESSES
from ..physics.reach import ReachProcess
from .network import Network


def with_learned(network: Network, process: ReachProcess | str, file: str | None) -> Network:
    """Return a network with the parameters that a trained network gives its reaches.

    Parameters
    ----------
    network : Network
        With all reaches upstream of each, whose length the trained network sees.
    process : ReachProcess or str
    file : str or None
        The same is returned, unless given.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or for another model of reaches.
    NetworkError
        If parameters are missing or impossible.
    """
    if file is None:
        return network
    model = REACH_PROCESSES[process] if isinstance(process, str) else process
    names, trained = model.parameter_names, ReachNetwork.load(Path(file))
    values = network.parameters_of(model)
    changed = trained.changed(names, values, network.upstream_length, file)
    table = {**network.parameters, **dict(zip(names, changed, strict=True))}
    return dataclasses.replace(network, parameters=table)
