"""A trained differentiable hydrology model behind the Basic Model Interface.

Importing the package is cheap: torch, Numba and netCDF4 load when something needs them.
"""

__version__ = "0.1.0"

from .bmi import BmiDhydro, BmiRiver

__all__ = ["BmiDhydro", "BmiRiver", "__version__"]
