"""Equations, each written once; nothing here knows how it is executed."""

from .exp_hydro import EXP_HYDRO
from .hbv import HBV
from .learned_curves import with_learned_curves
from .linear_reach import LINEAR
from .muskingum_cunge import MUSKINGUM_CUNGE, MUSKINGUM_CUNGE_NWM
from .process import Parameter, Process, Quantity, between_bounds, per_step, share_between_bounds
from .published_hbv import PUBLISHED
from .reach import ReachProcess

PROCESSES: dict[str, Process] = {process.name: process for process in (HBV, EXP_HYDRO, *PUBLISHED)}
REACH_PROCESSES: dict[str, ReachProcess] = {
    process.name: process for process in (MUSKINGUM_CUNGE, MUSKINGUM_CUNGE_NWM, LINEAR)
}

__all__ = [
    "EXP_HYDRO",
    "HBV",
    "LINEAR",
    "MUSKINGUM_CUNGE",
    "MUSKINGUM_CUNGE_NWM",
    "PROCESSES",
    "REACH_PROCESSES",
    "Parameter",
    "Process",
    "Quantity",
    "ReachProcess",
    "between_bounds",
    "per_step",
    "share_between_bounds",
    "with_learned_curves",
]
