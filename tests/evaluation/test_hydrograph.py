"""What a hydrograph draws, and that nothing covers anything."""

import numpy as np
import pytest

from bmi_dhydro.evaluation.figures import figure
from bmi_dhydro.evaluation.hydrograph import Hydrograph, draw

DATES = np.arange("2001-01-01", "2001-03-02", dtype="datetime64[D]")


def drawn(**more):
    made, axes = figure()
    random = np.random.default_rng(0)
    panel = Hydrograph("a place", DATES, **{"simulated": random.gamma(1.0, 2.0, 60), **more})
    draw(axes[0, 0], panel)
    made.canvas.draw()
    return made, axes[0, 0]


def labels(axis):
    return [text.get_text() for text in axis.get_legend().get_texts()]


def test_rain_hangs_from_above_and_snow_has_an_axis():
    random = np.random.default_rng(1)
    rain, snow = random.gamma(0.3, 20.0, 60), np.linspace(0.0, 80.0, 60)
    made, axis = drawn(precipitation=rain, snow=snow, observed=random.gamma(1.0, 2.0, 60))
    low, high = made.axes[1].get_ylim()
    assert low == pytest.approx(3.0 * rain.max())
    assert high == 0.0
    assert "snowpack, mm" in [other.get_ylabel() for other in made.axes]
    assert labels(axis) == [
        "simulated flow",
        "observed flow",
        "precipitation",
        "water in the snowpack",
    ]
    # The legend stands above the axes.
    box = axis.get_legend().get_window_extent()
    assert box.y0 >= axis.get_window_extent().y1 - 1.0


def test_members_are_a_fan_and_thresholds_stop_above_the_flow():
    random = np.random.default_rng(2)
    members = random.gamma(2.0, 1.0, (60, 20))
    thresholds = {2.0: 4.0, 10.0: 1.2 * members.max(), 50.0: 9.0 * members.max()}
    _, axis = drawn(simulated=members, thresholds=thresholds, start=DATES[0], label="forecast")
    assert labels(axis) == ["10% to 90% of 20 members", "median"]
    shown = [text.get_text() for text in axis.texts]
    assert shown == ["once in 2 years", "once in 10 years"]
    assert axis.get_ylim()[1] < 2.0 * thresholds[10.0]


def test_what_was_before_a_forecast():
    past = DATES[:10] - np.timedelta64(10, "D")
    _, axis = drawn(
        start=DATES[0], past=(past, np.ones(10)), past_observed=(past, np.full(10, 2.0))
    )
    assert labels(axis) == ["simulated flow", "first step of earlier ones", "observed flow"]
    assert axis.get_xlim()[0] == pytest.approx(np.float64(past[0].astype(int)))


def test_gaps_and_nothing_at_all():
    observed = np.full(60, np.nan)
    _, axis = drawn(
        observed=observed, precipitation=observed, snow=observed, simulated=np.zeros(60)
    )
    assert labels(axis) == ["simulated flow"]
