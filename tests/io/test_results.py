import subprocess
import sys
import textwrap

import numpy as np
import pytest
import xarray

from bmi_dhydro.catchments.synthetic import make_catchments
from bmi_dhydro.errors import ResultsError
from bmi_dhydro.io.results import ResultsWriter

VARIABLES = [("runoff", "mm", "runoff"), ("snow", "mm", "snow water equivalent")]


def writer(path, catchments=3):
    return ResultsWriter(
        path,
        make_catchments(catchments),
        VARIABLES,
        np.datetime64("2001-10-01T00:00:00"),
        3600,
        {"title": "test"},
    )


def test_results_are_cf_time_series(tmp_path):
    path = tmp_path / "results.nc"
    results = writer(path)
    rows = np.random.default_rng(0).random((5000, 2, 3)).astype(np.float32)
    for row in rows:
        results.write(row)
    assert not path.exists()
    results.close()
    results.close()
    with xarray.open_dataset(path) as data:
        assert data.attrs["featureType"] == "timeSeries"
        assert data.attrs["Conventions"] == "CF-1.10"
        assert data["station_id"].attrs["cf_role"] == "timeseries_id"
        assert data["station_id"].values.tolist() == ["cat-1", "cat-2", "cat-3"]
        assert data["runoff"].dims == ("time", "station")
        one = data["runoff"].sel(station="cat-2").values
        np.testing.assert_array_equal(one, rows[:, 0, 1])
        assert data["runoff"].attrs["units"] == "mm"
        np.testing.assert_array_equal(data["snow"].values, rows[:, 1])
        assert str(data["time"].values[1]) == "2001-10-01T01:00:00.000000000"
        bounds = data["time_bounds"].values
        assert (bounds[:-1, 1] == bounds[1:, 0]).all()
    assert [p.name for p in tmp_path.iterdir()] == ["results.nc"]


def test_abandoned_results_leave_nothing_and_spare_earlier_ones(tmp_path):
    path = tmp_path / "results.nc"
    path.write_text("earlier")
    results = writer(path)
    results.write(np.zeros((2, 3)))
    results.abandon()

    def write_on():
        for _ in range(5000):
            results.write(np.zeros((2, 3)))

    with pytest.raises(ResultsError, match="given up after an earlier error"):
        write_on()
    assert path.read_text() == "earlier"
    assert [p.name for p in tmp_path.iterdir()] == ["results.nc"]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ResultsError, match="results cannot be written"):
        writer(tmp_path / "none" / "results.nc")


def test_a_full_disk_leaves_nothing(tmp_path):
    """A limit on the size of files stands for the disk that fills up."""
    pytest.importorskip("resource", reason="needs limits on the size of files")
    path = tmp_path / "results.nc"
    path.write_text("earlier")
    program = textwrap.dedent(
        f"""
        import resource, signal
        import numpy as np
        from pathlib import Path
        from tests.io.test_results import writer
        from bmi_dhydro.errors import ResultsError
        results = writer(Path({str(path)!r}), 400)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
        random = np.random.default_rng(0)
        try:
            for _ in range(20000):
                results.write(random.random((2, 400)))
            results.close()
        except ResultsError as error:
            print(error)
        """
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert "results cannot be written" in result.stdout, result.stderr
    assert path.read_text() == "earlier"
    assert [p.name for p in tmp_path.iterdir()] == ["results.nc"]
