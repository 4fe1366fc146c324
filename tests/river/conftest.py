"""Made-up rivers."""

import numpy as np

from bmi_dhydro.river.network import Network


def made_up(reaches=60, outlets=2, seed=0, width=1.0):
    """Return a random network whose channels are filled to different depths."""
    random = np.random.default_rng(seed)
    to = np.zeros(reaches, dtype=int)
    for k in range(outlets, reaches):
        to[k] = random.integers(max(0, k - 12), k) + 1
    # Ids in no order.
    ids = random.permutation(reaches) + 1
    bottom = width * random.uniform(0.5, 4.0, reaches)
    parameters = {
        "length": random.uniform(300.0, 6000.0, reaches),
        "bottom_width": bottom,
        "top_width": bottom * 1.6,
        "floodplain_width": bottom * 5.0,
        "manning_n": random.uniform(0.03, 0.08, reaches),
        "floodplain_manning_n": random.uniform(0.08, 0.15, reaches),
        "side_slope": random.uniform(0.3, 1.5, reaches),
        "slope": 10.0 ** random.uniform(-4.0, -1.5, reaches),
        "celerity": random.uniform(0.3, 2.0, reaches),
        "weight": random.uniform(0.0, 0.4, reaches),
    }
    below = np.where(to > 0, ids[to - 1], 0)
    return Network.of(ids, below, parameters)


def storm(network, steps, seed=1, most=3.0):
    """Return lateral inflow (steps, reaches): a rain storm after little."""
    random = np.random.default_rng(seed)
    hours = np.arange(steps)[:, None]
    peak = most * np.exp(-(((hours - 0.4 * steps) / (0.15 * steps)) ** 2))
    return (0.05 + peak) * random.uniform(0.2, 1.0, (steps, len(network)))
