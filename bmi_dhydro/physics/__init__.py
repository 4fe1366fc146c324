"""Equations, each written once; nothing here knows how it is executed."""

from .hbv import HBV
from .process import Parameter, Process, Quantity, between_bounds, per_step

PROCESSES: dict[str, Process] = {process.name: process for process in (HBV,)}

__all__ = ["HBV", "PROCESSES", "Parameter", "Process", "Quantity", "between_bounds", "per_step"]
