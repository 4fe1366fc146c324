"""Observed flow as assimilation and scores need it: in equal steps, gaps as NaN."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..config import ObservedConfig
from ..errors import ResultsError, listed
from ..evaluation.series import averaged, read_flow_of
from ..units import SECONDS_PER_DAY

_log = logging.getLogger(__name__)


class ObservedFlow:
    """Observed flow of some catchments.

    Parameters
    ----------
    wanted : ObservedConfig
    ids : array of str, shape (catchments,)
    step_seconds : int
        Length of a step of the model. Observations in shorter steps are averaged over it; in longer
        ones they must be a multiple.

    Attributes
    ----------
    seconds : int
        Length of an observed step.
    start : datetime64[s]
        Start of the first step.
    values : array, shape (observed steps, catchments)
        In mm per observed step; NaN where there is none.

    Raises
    ------
    ResultsError
        If the file cannot be read, has none of the catchments, or steps that do not fit.
    """

    def __init__(self, wanted: ObservedConfig, ids: NDArray, step_seconds: int) -> None:
        path = Path(wanted.file)
        flow = read_flow_of(ids, path, wanted.variable)
        times = flow["time"].values.astype("datetime64[s]")
        lengths = np.unique(np.diff(times).astype(int))
        if times.size < 2 or lengths[0] <= 0 or (lengths % lengths[0]).any():
            raise ResultsError(f"{path}: observed flow is not in equal steps")
        seconds = int(lengths[0])
        if seconds < step_seconds:
            flow = averaged(path, flow, step_seconds)
            seconds = step_seconds
        if seconds % step_seconds:
            raise ResultsError(
                f"{path}: observed flow is in steps of {seconds} s, which is no multiple of the "
                f"model's {step_seconds} s"
            )
        times = flow["time"].values.astype("datetime64[s]")
        self.seconds = seconds
        self.start: np.datetime64 = times[0]
        rows = (times - times[0]).astype(int) // seconds
        self.values = np.full((int(rows[-1]) + 1, len(ids)), np.nan)
        self.values[rows] = flow.values * (seconds / SECONDS_PER_DAY)
        unobserved = ids[np.isnan(self.values).all(axis=0)]
        if unobserved.size:
            _log.info("%s: no observed flow of %s", path, listed(unobserved))

    def index(self, time: np.datetime64) -> int:
        """Return how many observed steps end at a time or before; negative before the first."""
        return int((time - self.start).astype(int)) // self.seconds

    def first_after(self, time: np.datetime64) -> int:
        """Return the first observed step that starts at a time or after."""
        return max(0, -(-int((time - self.start).astype(int)) // self.seconds))

    def between(self, begin: np.datetime64, end: np.datetime64) -> tuple[np.datetime64, NDArray]:
        """Return the observed steps that lie in a period.

        Returns
        -------
        start : datetime64[s]
            Start of the first step.
        values : array, shape (observed steps, catchments)
        """
        first = self.first_after(begin)
        start = self.start + np.timedelta64(first * self.seconds, "s")
        return start, self.values[first : max(first, self.index(end))]

    def mean(self, until: np.datetime64) -> NDArray:
        """Return the mean of what was observed before a time, in mm per observed step."""
        past = self.values[: max(0, self.index(until))]
        count = np.isfinite(past).sum(axis=0)
        return np.where(count, np.nansum(past, axis=0) / np.maximum(count, 1), np.nan)
