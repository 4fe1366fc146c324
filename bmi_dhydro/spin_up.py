"""Filling the stores before a run: its first years again and again, until they no longer change."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .errors import ConfigError, StateError, listed
from .io import state_file
from .kernels.cache import cache_folder

if TYPE_CHECKING:
    from .component import Component
    from .config import SpinUpConfig

_log = logging.getLogger(__name__)


def spin_up(component: Component, settings: SpinUpConfig) -> int:
    """Bring a component's stores into balance with its weather; the clock stays at the start.

    Parameters
    ----------
    component : Component
        With weather in a file, before its first step.
    settings : SpinUpConfig

    Returns
    -------
    int
        How often the years were repeated; 0 if the result of an earlier run was found.

    Raises
    ------
    ConfigError
        If the run is shorter than the years to repeat.
    """
    steps = _steps(component, settings.years)
    kept = cache_folder() / "spin_up" / f"{_key(component, settings)}.nc"
    model, ids = component.model, component.catchments.ids
    if kept.exists():
        try:
            state_file.restore(kept, model, kept.stem, ids)
            _log.info("spin-up: %s", kept)
            return 0
        except StateError as error:
            _log.warning("the kept spin-up is made again: %s", error)
    change = np.full(model.traces, np.inf)
    cycles = 0
    while cycles < settings.most and (change > settings.tolerance).any():
        before = model.stored()
        for first in range(0, steps, component.block_steps):
            count = min(component.block_steps, steps - first)
            model.run(component.source.read(first, count))
        change = np.abs(model.stored() - before)
        cycles += 1
    pending = model.pending
    model.steps = 0
    model.pending = pending
    moving = (change > settings.tolerance).reshape(model.members, -1).any(axis=0)
    if moving.any():
        _log.warning(
            "spin-up: after %d times %d year(s) the stores of %s still change by up to %.3g mm",
            cycles,
            settings.years,
            listed(ids[moving]),
            change.max(),
        )
    _keep(kept, component)
    return cycles


def _steps(component: Component, years: int) -> int:
    start = component.source.start
    day = start.astype("datetime64[D]")
    month = day.astype("datetime64[M]")
    later = (month + np.timedelta64(12 * years, "M")).astype("datetime64[D]") + (day - month)
    steps = int((later - day).astype(int)) * 86400 // component.model.step_seconds
    if steps > component.source.steps:
        raise ConfigError(
            f"spin_up.years: the run from {start} is shorter than {years} year(s); repeat fewer, "
            "or start earlier"
        )
    return steps


def _key(component: Component, settings: SpinUpConfig) -> str:
    """Return a digest of all that the result depends on."""
    model, source = component.model, component.source
    status = source.path.stat()
    digest = hashlib.sha256(component.trained.fingerprint.encode())
    digest.update(
        repr(
            (
                settings,
                source.path,
                status.st_mtime_ns,
                status.st_size,
                source.start,
                source.pet_method,
                model.step_seconds,
                model.dtype.name,
                model.routed,
                component.catchments.ids.tolist(),
                model.members,
            )
        ).encode()
    )
    for values in (*model.parameters.values(), model.area):
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()[:24]


def _keep(path: Path, component: Component) -> None:
    """Keep the result for later runs, where that is possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        state_file.save(path, component.model, path.stem, component.catchments.ids)
    except (OSError, StateError) as error:
        _log.info("the spin-up is not kept: %s", error)
