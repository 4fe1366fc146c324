"""Where the parameters of catchments come from: the network, unless something replaced them.

A parameter that the configuration, a parameter file or a host has given stays as it is when an
attribute changes: only what the network gave follows the attributes.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..catchments.attributes import units_of
from ..catchments.catchments import Catchments
from ..errors import CatchmentError, listed
from ..model.model import Model
from ..networks.trained_model import TrainedModel
from .configured_model import ExtrapolationWarning, check_parameter


class CatchmentParameters:
    """The parameters of a run's catchments, and the attributes that they depend on.

    Parameters
    ----------
    trained : TrainedModel
    catchments : Catchments
    model : Model
    given : dict of array of bool, shape (catchments,)
        Which catchments have a parameter, by its name, from elsewhere than the network.

    Attributes
    ----------
    given : dict of array of bool, shape (catchments,)
    """

    def __init__(
        self,
        trained: TrainedModel,
        catchments: Catchments,
        model: Model,
        given: dict[str, NDArray],
    ) -> None:
        self._trained = trained
        self._catchments = catchments
        self._model = model
        self.given = given
        self._means: dict[str, NDArray] = {}

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """Attributes that decide the parameters of a catchment, and its area."""
        return tuple(dict.fromkeys((*self._trained.layout.needed, "area")))

    def attribute(self, name: str) -> NDArray:
        """Return an attribute of the catchments: shape (catchments,)."""
        if name == "area":
            return self._catchments.area
        return self._catchments.attributes[name]

    def set_parameter(
        self, name: str, values: ArrayLike, rows: slice | NDArray = slice(None)
    ) -> None:
        """Give some catchments a parameter, for good; arguments as `Model.set_parameter`.

        Raises
        ------
        ValueError
            If a value is impossible; names the catchment. Nothing is changed then.
        """
        check_parameter(self._model, name, values, self._catchments.ids[rows])
        self._model.set_parameter(name, values, rows)
        self.given[name][rows] = True
        self._refresh(name)

    def means(self, name: str) -> NDArray:
        """Return the mean over the parameter sets of a parameter, current whatever changes it.

        Returns
        -------
        array, shape (catchments,)
            The same one each time; float64.
        """
        if name not in self._means:
            self._means[name] = np.empty(len(self._catchments))
            self._refresh(name)
        return self._means[name]

    def _refresh(self, *names: str) -> None:
        """Bring the means that somebody holds up to date."""
        for name in names or tuple(self._means):
            if name in self._means:
                values = self._model.parameters[name].astype(float)
                self._means[name][:] = values if values.ndim == 1 else values.mean(axis=1)

    def take(self, other: CatchmentParameters, row: int, place: int) -> None:
        """Give the catchment at `place` the parameters and attributes of that at `row` of others.

        Parameters
        ----------
        other : CatchmentParameters
            Parameters that come from the same trained model.
        row, place : int
        """
        one, here = slice(row, row + 1), np.array([place])
        source, target = other._model, self._model
        self._catchments.area[place] = other._catchments.area[row]
        for name, values in other._catchments.attributes.items():
            if name in self._catchments.attributes:
                self._catchments.attributes[name][place] = values[row]
        for name, given in other.given.items():
            self.given[name][place] = given[row]
        target.area[place] = source.area[row]
        names = source.process.parameter_names
        target.set_parameters(
            np.stack([source.parameters[name][one] for name in names]),
            np.stack([v[one] for name, v in source.parameters.items() if name not in names]),
            here,
        )
        if source.dynamics is not None and target.dynamics is not None:
            target.dynamics.set_inputs(here, source.dynamics.inputs[one])
        self._refresh()

    def set_attribute(self, name: str, values: NDArray) -> NDArray:
        """Change an attribute; the network gives the catchments that it changes for new parameters.

        Area acts on the unit hydrograph, and on parameters where the network sees it.

        Parameters
        ----------
        name : str
            Among `attribute_names`.
        values : array, shape (catchments,)

        Returns
        -------
        array of int
            Rows of the catchments that have changed.

        Raises
        ------
        CatchmentError
            If a value is not finite, or an area not positive, or static parameters depend on the
            weather, so that they cannot follow; nothing is changed then.
        """
        values = np.asarray(values, dtype=float)
        changed = self.differing(name, values)
        if not changed.size:
            return changed
        layout = self._trained.layout
        if layout.static_by == "weather" and name in layout.needed:
            raise CatchmentError(
                f"attribute {name!r}: cannot be changed, since static parameters of this model "
                "come of the weather of a period and would not follow; change it in the table"
            )
        self.attribute(name)[changed] = values[changed]
        catchments = self._catchments
        if name == "area":
            self._model.set_area(values[changed], changed)
            if name not in self._trained.layout.needed:
                return changed
            catchments.attributes[name][changed] = values[changed]
        attributes = {key: array[changed] for key, array in catchments.attributes.items()}
        for warning in self._trained.check(catchments.ids[changed], attributes):
            warnings.warn(warning, ExtrapolationWarning, stacklevel=5)
        self._follow_network(attributes, changed)
        return changed

    def differing(self, name: str, values: NDArray) -> NDArray:
        """Return the rows of catchments for which these values of an attribute are new ones.

        Raises
        ------
        CatchmentError
            As `set_attribute`.
        """
        wrong = ~np.isfinite(values) | ((name == "area") & ~(values > 0))
        if wrong.any():
            raise CatchmentError(
                f"attribute {name!r} cannot be {values[wrong][0]:g} {units_of(name)} for "
                f"{listed(self._catchments.ids[wrong])}"
            )
        return np.flatnonzero(self.attribute(name) != values)

    def _follow_network(self, attributes: dict[str, NDArray], rows: NDArray) -> None:
        """Give catchments what the network says, but for what something else has given."""
        trained, model = self._trained, self._model
        process, routing = trained.parameters(attributes)
        current = model.parameters
        names = tuple(current)
        for k, name in enumerate(names):
            fixed = self.given[name][rows]
            own = process[k] if k < len(process) else routing[k - len(process)]
            own[fixed] = current[name][rows[fixed]]
        model.set_parameters(process, routing, rows)
        if model.dynamics is not None:
            inputs = trained.normalisation(attributes)
            for member in range(model.members):
                model.dynamics.set_inputs(rows + member * len(self._catchments), inputs)
        self._refresh()
