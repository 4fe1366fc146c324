"""The state that a NextGen run starts from: made of its weather, or given."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ..config import CatchmentsConfig, Config, ForcingConfig, SpinUpConfig, TimeConfig
from ..errors import ConfigError, StateError
from ..files.whole import link_or_copy
from ..io import state_file
from ..model.state import SavedState
from ..networks.trained_model import load
from ..progress_bar import Bar
from ..run.component import Component
from ..run.configured_model import ExtrapolationWarning
from .realization import STEP_SECONDS

if TYPE_CHECKING:
    from .package_options import PackageOptions


def run_of_weather(table: Path, forcing: Path, method: str, options: PackageOptions) -> Config:
    """Return a run of the divides by the whole weather of a package.

    Parameters
    ----------
    table : Path
        Catchment table.
    forcing : Path
    method : str
        Method of potential evapotranspiration.
    options : PackageOptions
    """
    return Config(
        catchments=CatchmentsConfig(table=str(table), climate="table"),
        model=options.model,
        forcing=ForcingConfig(
            file=str(forcing),
            potential_evapotranspiration=method,  # type: ignore[arg-type]
            evapotranspiration_mismatch="accept",
        ),
        time=TimeConfig(step="1h"),
    )


def place_state(
    target: Path,
    table: Path,
    forcing: Path,
    method: str,
    start: np.datetime64,
    options: PackageOptions,
    notes: list[str],
    bar: Bar,
) -> bool:
    """Put a state to start from into the package, if there is one or it can be made.

    The stores are filled by the first years of the weather, and the model run from its beginning to
    the start of the run.

    Parameters
    ----------
    target : Path
        Replaced, or removed where the run begins without a state.
    table : Path
        Catchments, with their attributes.
    forcing : Path
    method : str
        Method of potential evapotranspiration.
    start : datetime64[s]
        Start of the run.
    options : PackageOptions
    notes : list of str
        Sentences on what was done are added.
    bar : callable
        Makes a progress bar.

    Returns
    -------
    bool
        Whether there is a state.

    Raises
    ------
    DhydroError
        If a state that was given cannot be used.
    """
    cold = "the run begins with nearly empty stores, so that its first months are too dry"
    if options.initial_state is not None:
        _place_given_state(options, target)
        notes.append(f"initial state: {options.initial_state.name}")
        return True
    target.unlink(missing_ok=True)
    if not options.spin_up:
        notes.append(f"{cold}: give --initial-state")
        return False
    document = msgspec.structs.replace(
        run_of_weather(table, forcing, method, options),
        spin_up=SpinUpConfig(years=options.spin_up),
        parameter_file=None if options.parameters is None else str(options.parameters),
        save_state=str(target),
    )
    try:
        with warnings.catch_warnings():
            # They are among the notes.
            warnings.simplefilter("ignore", ExtrapolationWarning)
            component = Component(document, bar=bar)
    except ConfigError as error:
        notes.append(f"{cold} ({error}): give longer weather, or --initial-state")
        return False
    assert component.clock.start is not None
    steps = int((start - component.clock.start).astype(int)) // STEP_SECONDS
    with bar("to the start", steps) as advance:
        for _ in range(steps):
            component.update()
            advance()
    component.close()
    notes.append(
        f"initial state: stores filled by {options.spin_up} year(s) of {forcing.name}"
        + (", and run to the start" if steps else "")
        + (f", with {method} in place of the other module" if options.multi is not None else "")
    )
    return True


def _place_given_state(options: PackageOptions, target: Path) -> None:
    """Put the state that was given into the package; those of several instances as one."""
    assert options.initial_state is not None
    if not options.initial_state.is_dir():
        link_or_copy(options.initial_state, target)
        return
    process = load(options.model).layout.process
    paths = sorted(options.initial_state.glob("*.nc"))
    if not paths:
        raise StateError(f"{options.initial_state}: there are no states (*.nc)")
    states = [state_file.read(path, process.state_names) for path in paths]
    first = states[0]
    for path, state in zip(paths, states, strict=True):
        for what in ("time", "fingerprint", "step_seconds", "steps", "substeps", "members"):
            theirs, ours = getattr(state, what), getattr(first, what)
            if theirs != ours:
                raise StateError(f"{path}: its {what} is {theirs}, but {ours} in {paths[0].name}")
    state_file.write(target, SavedState.joined(states), process)
