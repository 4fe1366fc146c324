"""eWaterCycle: the component as one of its models, in this environment or in a container.

Found by the entry points `ewatercycle.models` (https://ewatercycle.readthedocs.io).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import xarray
from ewatercycle.base.model import ContainerizedModel, LocalModel, eWaterCycleModel
from ewatercycle.container import ContainerImage
from pydantic import model_validator
from typing_extensions import Self

from .. import __version__
from ..bmi import BmiDhydro
from ..errors import ConfigError
from .ewatercycle_setup import WEATHER_FILE, catchment_ids, configuration, weather_of, write_checked

# What the Dockerfile of the project is built as.
IMAGE = f"bmi-dhydro-grpc4bmi:{__version__}"

# What parameter sets name as the model that they are for.
_TARGET = "dhydro"


class _CatchmentModel(eWaterCycleModel):
    """Set-up and coordinates of a model whose values are those of catchments."""

    @model_validator(mode="after")
    def _check_parameter_set(self) -> Self:
        """Check that a parameter set is for this model, in a container or not."""
        if self.parameter_set and self.parameter_set.target_model.lower() != _TARGET:
            raise ValueError(
                f"the parameter set {self.parameter_set.name} is for "
                f"{self.parameter_set.target_model}; target_model must be {_TARGET}"
            )
        return self

    def _make_cfg_file(self, **changes: Any) -> Path:
        """Write the configuration of a run, and the weather of the forcing beside it.

        Parameters
        ----------
        **changes
            Keys of the configuration of a run: `model="fast"`, `time={"step": "1h"}`; sections
            are merged with those of the parameter set. `start_time` and `end_time` (ISO 8601) stand
            for `time.start` and `time.end`.

        Returns
        -------
        Path
            config.yaml in the folder of the run.

        Raises
        ------
        ConfigError
            If neither the parameter set nor the changes say which catchments, or a key is wrong.
        """
        if self.forcing is not None:
            changes = {
                "start_time": self.forcing.start_time,
                "end_time": self.forcing.end_time,
                **changes,
            }
            if self.forcing.filenames:
                changes["forcing"] = {
                    "file": str(self._cfg_dir / WEATHER_FILE),
                    **changes.get("forcing", {}),
                }
        wanted = configuration(self._base, changes)
        if self.forcing is not None and self.forcing.filenames:
            files = {
                name: Path(self.forcing.directory) / file
                for name, file in self.forcing.filenames.items()
            }
            weather_of(files, catchment_ids(wanted), self._cfg_dir / WEATHER_FILE)
        return write_checked(wanted, self._cfg_dir / "config.yaml")

    @property
    def parameters(self) -> Any:
        """Keys of the configuration that the parameter set has, and their values."""
        base = self._base
        return {}.items() if base is None else configuration(base, {}).items()

    @property
    def _base(self) -> Path | None:
        """The configuration of the parameter set, if there is one."""
        if self.parameter_set is None:
            return None
        if self.parameter_set.config is None:
            raise ConfigError(
                f"the parameter set {self.parameter_set.name} names no config: give that of a run, "
                "such as `bmi-dhydro example` writes"
            )
        return Path(self.parameter_set.directory) / self.parameter_set.config

    def get_latlon_grid(self, name: str) -> tuple[Any, Any, Any]:
        """Return latitudes and longitudes of the catchments, and the shape of the variable.

        Parameters
        ----------
        name : str
            Name of a variable.
        """
        latitude, longitude, _ = super().get_latlon_grid(name)
        return latitude, longitude, (len(latitude),)

    def _coords_to_indices(
        self, name: str, lat: Iterable[float], lon: Iterable[float]
    ) -> list[int]:
        """Return the catchment whose coordinates are nearest to each place."""
        latitude, longitude, _ = self.get_latlon_grid(name)
        narrower = np.cos(np.deg2rad(latitude))
        return [
            int(np.nanargmin(((longitude - x) * narrower) ** 2 + (latitude - y) ** 2))
            for y, x in zip(lat, lon, strict=True)
        ]

    def get_value_as_xarray(self, name: str) -> xarray.DataArray:
        """Return the values of a variable: dimensions time and catchment, with coordinates.

        Parameters
        ----------
        name : str
            Name of a variable that has one value for each catchment.
        """
        latitude, longitude, shape = self.get_latlon_grid(name)
        return xarray.DataArray(
            np.reshape(self.get_value(name), (1, *shape)),
            dims=("time", "catchment"),
            coords={
                "time": [self.time_as_datetime.replace(tzinfo=None)],
                "latitude": ("catchment", latitude, {"units": "degrees_north"}),
                "longitude": ("catchment", longitude, {"units": "degrees_east"}),
            },
            name=name,
            attrs={"units": self.bmi.get_var_units(name)},
        )


class Dhydro(_CatchmentModel, LocalModel):
    """bmi_dhydro in this Python environment.

    Examples
    --------
    >>> from ewatercycle.models import Dhydro
    >>> model = Dhydro(parameter_set=parameter_set, forcing=forcing)
    >>> config_file, _ = model.setup(model="fast")
    >>> model.initialize(config_file)
    """

    bmi_class: type[BmiDhydro] = BmiDhydro

    @property
    def version(self) -> str:
        """Version of the package."""
        return __version__


class DhydroContainer(_CatchmentModel, ContainerizedModel):
    """bmi_dhydro in a container, of the image that the project's Dockerfile makes."""

    bmi_image: ContainerImage = ContainerImage(IMAGE)
