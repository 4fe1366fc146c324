"""The model of a configuration."""

import pandas
import pytest

from bmi_dhydro.config import read_config
from bmi_dhydro.run.component import Component
from bmi_dhydro.run.configured_model import ExtrapolationWarning


def test_catchments_unlike_those_of_training_are_named(file_example):
    path = file_example.parent / "catchments.csv"
    frame = pandas.read_csv(path)
    frame.loc[3, "mean_temperature"] = 40.0
    frame.to_csv(path, index=False)
    with pytest.warns(ExtrapolationWarning) as caught:
        Component(read_config(file_example)).abandon()
    together, alone = (str(item.message) for item in caught)
    assert "1 of 5 catchments are unlike any that the model was trained on" in together
    assert "attributes together: cat-4 (up to" in together
    assert "'mean_temperature' is outside the range of training" in alone
    assert "for cat-4 (as far as 40);" in alone
