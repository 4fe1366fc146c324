"""Equations, each written once; nothing here knows how it is executed."""

from .exp_hydro import EXP_HYDRO
from .hbv import HBV
from .learned_curves import with_learned_curves
from .process import Parameter, Process, Quantity, between_bounds, per_step, share_between_bounds

PROCESSES: dict[str, Process] = {process.name: process for process in (HBV, EXP_HYDRO)}

__all__ = [
    "EXP_HYDRO",
    "HBV",
    "PROCESSES",
    "Parameter",
    "Process",
    "Quantity",
    "between_bounds",
    "per_step",
    "share_between_bounds",
    "with_learned_curves",
]
