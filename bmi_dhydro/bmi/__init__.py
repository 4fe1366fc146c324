"""The Basic Model Interface 2.0: adapters between hosts and the components of this package."""

from .interface import BmiDhydro
from .river import BmiRiver

__all__ = ["BmiDhydro", "BmiRiver"]
