"""Noise of members: standard normal, correlated as said, and a function of its place alone."""

import numpy as np
import pytest

from bmi_dhydro.config import EnsembleConfig, NoiseConfig
from bmi_dhydro.errors import ConfigError
from bmi_dhydro.kernels.cpu.noise import correlated_noise
from bmi_dhydro.physics import HBV
from bmi_dhydro.run.perturbation import Perturbation

KEYS = np.random.default_rng(0).integers(0, 2**63, 400).astype(np.uint64)


def wanted(**more):
    noise = {"precipitation": NoiseConfig(spread=0.4, hours=24.0)}
    return EnsembleConfig(members=50, seed=3, weather=noise, **more)


@pytest.mark.parametrize("hours", [0.0, 6.0, 48.0])
def test_it_is_standard_normal(hours):
    noise = correlated_noise(KEYS, np.arange(200) * 3600, hours)
    assert abs(noise.mean()) < 0.03
    assert abs(noise.std() - 1.0) < 0.03
    assert 0.9 < (np.abs(noise) < 1.96).mean() / 0.95 < 1.1


def test_its_correlation_is_what_the_documentation_says():
    hours = 12.0
    noise = correlated_noise(KEYS, np.arange(400) * 3600, hours)

    def correlation(lag):
        return (noise[lag:] * noise[:-lag]).mean()

    assert correlation(12) == pytest.approx(0.32, abs=0.03)
    assert correlation(24) == pytest.approx(0.0, abs=0.03)
    assert correlation(1) > 0.95


def test_it_does_not_depend_on_blocks_or_neighbours():
    times = np.arange(100) * 3600
    whole = correlated_noise(KEYS, times, 10.0)
    assert np.array_equal(whole[40:60, 5:9], correlated_noise(KEYS[5:9], times[40:60], 10.0))
    before = correlated_noise(KEYS, times - 50 * 3600, 10.0)
    assert np.array_equal(before[50:], whole[:50])


def test_depths_are_multiplied_with_a_mean_of_one_and_others_moved():
    ids = np.array([f"cat-{k}" for k in range(30)])
    noise = {
        "precipitation": NoiseConfig(spread=0.4, hours=24.0),
        "temperature": NoiseConfig(spread=1.5, hours=24.0),
    }
    perturbation = Perturbation(EnsembleConfig(members=50, weather=noise), ids, HBV, 86400)
    weather = np.full((60, 3, 30), 10.0)
    moved = perturbation.forcing(weather, 0)
    assert moved.shape == (60, 3, 1500)
    assert moved[:, 0].mean() == pytest.approx(10.0, rel=0.01)
    assert moved[:, 0].min() > 0.0
    assert moved[:, 1].std() == pytest.approx(1.5, rel=0.03)
    assert (moved[:, 2] == 10.0).all()


def test_a_catchment_has_the_same_noise_among_others():
    weather = np.full((20, 3, 3), 10.0)
    three = Perturbation(wanted(), np.array(["a", "b", "c"]), HBV, 86400).forcing(weather, 0)
    alone = Perturbation(wanted(), np.array(["b"]), HBV, 86400).forcing(weather[:, :, :1], 0)
    assert np.array_equal(three[:, :, 1::3], alone)


def test_stores_are_moved_where_a_day_begins():
    states = {"soil_moisture": NoiseConfig(spread=0.1, hours=48.0)}
    perturbation = Perturbation(wanted(states=states), np.array(["a"]), HBV, 3600)
    assert perturbation.starts_day(86400)
    assert not perturbation.starts_day(3600)
    assert perturbation.steps_until_moved(5 * 3600, 100) == 19
    assert perturbation.steps_until_moved(0, 10) == 10
    state = np.full((len(HBV.states), 50, 2), 100.0)
    perturbation.states(state, 0)
    row = HBV.state_names.index("soil_moisture")
    assert state[row].std() == pytest.approx(10.0, rel=0.3)
    assert np.array_equal(state[row, :, 0], state[row, :, 1])
    assert (np.delete(state, row, axis=0) == 100.0).all()


def test_an_unknown_store():
    with pytest.raises(ConfigError, match=r"ensemble\.states: 'soil' is unknown"):
        Perturbation(wanted(states={"soil": NoiseConfig(spread=0.1)}), np.array(["a"]), HBV, 86400)
