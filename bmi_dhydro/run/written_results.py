"""The file of results of a run, and what it says of where they come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..catchments.attributes import ATTRIBUTES, units_of
from ..catchments.catchments import Catchments
from ..config import OutputConfig
from ..io.results import ResultsWriter
from ..networks.trained_model import TrainedModel
from .clock import Clock
from .output_table import OutputTable

if TYPE_CHECKING:
    from .drivers.ahead import Ahead
    from .drivers.coupled import Coupled


def provenance(trained: TrainedModel, driver: Coupled | Ahead) -> dict[str, str]:
    """Return what results say of where they come from."""
    source, preparation = driver.source, driver.preparation
    method = preparation.method if source is None else source.evapotranspiration
    return {
        "trained_model": str(trained.about.get("name", "")),
        "trained_model_fingerprint": trained.fingerprint,
        "potential_evapotranspiration": (method or "of an unknown method")
        + (", rescaled" if preparation.factors is not None else ""),
        "potential_evapotranspiration_of_training": " or ".join(trained.evapotranspiration.methods)
        or "unknown",
    }


def results_writer(
    output: OutputConfig,
    catchments: Catchments,
    clock: Clock,
    table: OutputTable,
    about: dict[str, str],
    trained: TrainedModel,
) -> ResultsWriter:
    """Open the file of results that a configuration names, for the catchments of a run.

    Parameters
    ----------
    output : OutputConfig
        With `file`.
    catchments : Catchments
    clock : Clock
    table : OutputTable
    about : dict of str
        What is said of the whole, see `provenance`.
    trained : TrainedModel

    Raises
    ------
    ConfigError
        If a variable is unknown.
    ResultsError
        If it cannot be written.
    """
    columns = table.described(table.names_to_write(output))
    # What a band of flow depends on, so that it can be added to the results alone.
    errors = trained.flow_errors
    of_errors = {
        name: (catchments.attributes[name], units_of(name), ATTRIBUTES[name].long_name)
        for name in (() if errors is None else errors.attributes)
    }
    assert output.file is not None
    assert clock.start is not None
    return ResultsWriter(
        Path(output.file),
        catchments,
        columns,
        clock.start,
        clock.step_seconds,
        {"title": "Simulated water balance of catchments", **about},
        table.members,
        {
            "distance_to_training": (
                trained.distance(catchments.attributes),
                "1",
                "how unlike the catchments of training: Mahalanobis distance of the attributes "
                "to the nearest of them, over that within which 95 % of them have another; "
                "parameters are extrapolated above 1",
            ),
            **of_errors,
        },
    )
