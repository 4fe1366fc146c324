"""Bounds of parameters for calibration tools."""

import numpy as np
import pytest
import yaml

from bmi_dhydro.hosts.run_check import check_run
from tests.hosts.conftest import IDS, RARE, changed, params
from tests.hosts.replay import Engine

pytestmark = pytest.mark.filterwarnings(RARE)


def test_bounds_for_calibration(write):
    """What a calibration tool may try is accepted by an instance, at its ends too."""
    folder, _ = write(spin_up=0)
    entries = yaml.safe_load((folder / "config" / "dhydro_calibration.yml").read_text())
    assert [entry["name"] for entry in entries["bmi_dhydro"]][:3] == ["BETA", "FC", "K0"]
    values = np.empty(1)
    for key in ("min", "init", "max"):
        chosen = {entry["name"]: entry[key] for entry in entries["bmi_dhydro"]}
        changed(folder, lambda d, chosen=chosen: params(d).update(model_params=chosen))
        check_run(folder)
        engine = Engine(folder, IDS)
        assert np.isfinite(engine.advance(5)).all()
        for name, value in chosen.items():
            assert engine.modules["cat-2"][0].bmi.get_value(name, values)[0] == pytest.approx(value)
