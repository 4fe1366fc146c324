"""Errors of flow, learned: of made-up errors that are known, and of what training did not see."""

import numpy as np
import pytest
from click.testing import CliRunner

from bmi_dhydro.cli.main import main
from bmi_dhydro.networks import trained_model
from bmi_dhydro.networks.flow_errors import OFFSET
from bmi_dhydro.training.flow_errors import LEAST_CATCHMENTS, coverage, learn_flow_errors
from tests.training.conftest import changed

# The 95 % quantile of the standard normal distribution.
NORMAL = 1.645


def made_up(catchments=40, days=800, seed=1):
    """Simulated flow, and observed flow that differs by a factor more where it is dry."""
    random = np.random.default_rng(seed)
    aridity = np.linspace(0.3, 2.5, catchments)
    simulated = np.exp(random.normal(0.5, 1.0, (days, catchments)))
    noise = 0.2 * aridity * random.normal(size=simulated.shape)
    observed = (simulated + OFFSET) * np.exp(noise) - OFFSET
    observed[observed < 0.0] = 0.0
    observed[:100, ::3] = np.nan
    return simulated, observed, {"aridity": aridity, "snow_fraction": np.zeros(catchments)}


@pytest.fixture(scope="module")
def learned():
    return learn_flow_errors(*made_up())


def test_quantiles_are_those_of_the_errors(learned):
    flow = np.full((1, 2), 4.0)
    rows = learned.quantiles(flow, {"aridity": np.array([0.6, 2.0])})[:, 0]
    spread = np.log(rows + OFFSET) - np.log(4.0 + OFFSET)
    np.testing.assert_allclose(spread[1], 0.0, atol=0.05)
    np.testing.assert_allclose(spread[2], NORMAL * 0.2 * np.array([0.6, 2.0]), rtol=0.2)
    np.testing.assert_allclose(spread[0], -NORMAL * 0.2 * np.array([0.6, 2.0]), rtol=0.2)


def test_new_errors_of_the_same_kind_lie_in_the_band(learned):
    simulated, observed, attributes = made_up(seed=2)
    shares = coverage(learned, simulated, observed, attributes)
    assert np.median(shares) == pytest.approx(0.9, abs=0.02)
    assert shares.min() > 0.8
    assert learned.about["catchments"] == 40
    assert learned.about["coverage"]["median"] == pytest.approx(0.9, abs=0.03)
    nothing = np.full_like(observed, np.nan)
    assert np.isnan(coverage(learned, simulated, nothing, attributes)).all()


def test_the_same_errors_give_the_same_band(learned):
    again = learn_flow_errors(*made_up())
    for name, values in learned.weights.items():
        np.testing.assert_array_equal(values, again.weights[name])


def test_a_few_catchments_or_days_teach_nothing():
    simulated, observed, attributes = made_up(LEAST_CATCHMENTS)
    assert learn_flow_errors(simulated, observed, attributes) is not None
    observed[:, 0] = np.nan
    assert learn_flow_errors(simulated, observed, attributes) is None
    assert learn_flow_errors(*(a[:300] for a in made_up()[:2]), made_up()[2]) is None


def test_without_aridity_flow_alone_decides():
    simulated, observed, _ = made_up()
    errors = learn_flow_errors(simulated, observed, {})
    assert errors.attributes == ()
    rows = errors.quantiles(np.array([[0.5, 5.0]]), {})
    assert (rows[0] < rows[2]).all()


def test_a_training_that_validates_learns_them(case, monkeypatch):
    monkeypatch.setattr("bmi_dhydro.training.flow_errors.LEAST_CATCHMENTS", 8)
    call = CliRunner().invoke(main, ["train", str(case)], catch_exceptions=False)
    assert call.exit_code == 0, call.output
    path = case.parent / "run" / "model.safetensors"
    assert trained_model.load(path).flow_errors.about["catchments"] == 8
    call = CliRunner().invoke(main, ["info", str(path)], catch_exceptions=False)
    assert "errors of flow: 5 to 95 % hold" in " ".join(call.output.split())
    # Without years to judge by there are no errors of days that were not seen.
    changed(case, "  validate: [2002-07-01, 2003-09-29]\n", "")
    changed(case, "output: run", "output: blind")
    assert CliRunner().invoke(main, ["train", str(case)]).exit_code == 0
    assert trained_model.load(case.parent / "blind" / "model.safetensors").flow_errors is None
