"""The Basic Model Interface 2.0: adapters between hosts and the components of this package."""

from .interface import BmiDhydro

__all__ = ["BmiDhydro"]
