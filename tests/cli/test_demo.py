"""The demonstration."""

import numpy as np
import xarray

from tests.cli.conftest import call


def test_demo(tmp_path):
    text = call("demo", "--out", tmp_path / "demo", "--catchments", 6, "--years", 1)
    for word in (
        "humid",
        "snowy",
        "dry",
        "wet winters",
        "6 catchments x 16 parallel parameter sets, 365 days",
    ):
        assert word in text
    assert (tmp_path / "demo" / "hydrograph.png").stat().st_size > 50_000
    with xarray.open_dataset(tmp_path / "demo" / "results.nc") as data:
        assert data.sizes == {"station": 6, "time": 365, "bounds": 2}
        assert np.isfinite(data["land_surface_water__runoff_depth"]).all()
    call("demo", "--out", tmp_path / "demo", "--catchments", 2, "--years", 1)
