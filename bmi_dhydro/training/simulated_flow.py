"""Flow that a trained model simulates for the catchments of a data set, without derivatives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..kernels.factory import Execution
from ..model.model import Model
from ..networks.trained_model import TrainedModel
from ..physics.unit_hydrograph import DISCHARGE
from .data import TrainingData


def simulated_flow(trained: TrainedModel, data: TrainingData, full: bool = False) -> NDArray:
    """Simulate all days from nearly empty stores, in single precision.

    Parameters
    ----------
    trained : TrainedModel
        Whose static parameters depend on attributes alone.
    data : TrainingData
    full : bool
        Whether the LSTM, where there is one, starts full instead of empty.

    Returns
    -------
    array, shape (days, catchments)
        In mm d-1.
    """
    process, routing = trained.parameters(data.attributes)
    dynamics = trained.dynamics(data.attributes)
    if full and dynamics is not None:
        dynamics.fill()
    model = Model(
        trained.layout.process,
        process,
        routing,
        data.attributes["area"],
        execution=Execution(dtype=np.float32),
        outputs=(DISCHARGE,),
        dynamics=dynamics,
    )
    forcing = data.forcing[:, : len(trained.layout.process.forcing_names)]
    return model.run(forcing.astype(float))[:, 0]
