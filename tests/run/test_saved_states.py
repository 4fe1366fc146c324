"""States that a run starts from and saves."""

import numpy as np
import pytest

from bmi_dhydro import BmiDhydro
from bmi_dhydro.config import read_config
from bmi_dhydro.errors import StateError
from bmi_dhydro.run.component import Component
from tests.run.conftest import replaced, runoff


def test_the_state_saved_is_that_of_the_last_step_done(file_example, tmp_path):
    expected = runoff(file_example)
    replaced(file_example, "model: fast", f"save_state: {tmp_path / 'state'}\nmodel: fast")
    runoff(file_example, 123)
    text = file_example.read_text().replace("save_state:", "initial_state:")
    file_example.write_text(text.replace("  step: 1d", "  step: 1d\n  start: 2001-02-01"))
    # The climate is that of the table: a shorter run does not change the parameters.
    assert np.array_equal(runoff(file_example, 377), expected[123:])


def test_a_state_of_another_model_is_refused(file_example, host_example, tmp_path):
    replaced(host_example, "model: fast", f"save_state: {tmp_path / 's'}\nmodel: fast")
    bmi = BmiDhydro()
    bmi.initialize(str(host_example))
    bmi.finalize()
    replaced(file_example, "model: fast", f"initial_state: {tmp_path / 's'}\nmodel: fast")
    with pytest.raises(StateError, match="no state for catchment cat-2"):
        Component(read_config(file_example))
