"""Mistakes in the configuration of a training run."""

import pytest

from bmi_dhydro.errors import ConfigError
from bmi_dhydro.training.config import read_train_config
from tests.training.conftest import changed


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("components: 2", "componets: 2", "unknown key 'componets'; did you mean 'components'"),
        ("hidden: [8]", "hiden: [8]", "unknown key 'settings.hiden'; did you mean 'hidden'"),
        ("warm_up: 150", "warm_up: 400", "400 days leave nothing of a batch of 400 days"),
        ("2002-06-30]", "2000-06-30]", "split.train: 2000-06-30T00:00:00 is not after"),
        ("components: 2", "process: sac", "process: 'sac' is unknown; known: hbv, exp_hydro"),
        ("components: 2", "dynamic: [BETTA]", "'BETTA' is unknown; did you mean 'BETA'"),
        ("components: 2", "seeds: [1, 1]", "should be one or more different numbers"),
        ("{table: catchments.csv}", "{inline: {id: a}}", "training needs a table"),
    ],
)
def test_bad_configurations(case, old, new, message):
    changed(case, old, new)
    with pytest.raises(ConfigError, match=message):
        read_train_config(case)
