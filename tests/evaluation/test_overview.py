"""What `bmi-dhydro plot` draws: series, choices, what is bad input."""

import matplotlib.image
import numpy as np
import pytest
import xarray

from bmi_dhydro.cli.example import write_example
from bmi_dhydro.cli.example_flow import write_observed_flow
from bmi_dhydro.errors import ResultsError
from bmi_dhydro.evaluation.overview import Overview, draw_overview
from bmi_dhydro.run.simulation import run_config
from tests.cli.conftest import call


def made(folder, catchments=5, step="1d", days=800, more="", observed=True):
    """An example that has been run, and its observed flow."""
    config = write_example(folder, catchments, days, step, "file", model="fast")
    if observed:
        write_observed_flow(config)
    config.write_text(config.read_text() + more)
    run_config(config)
    return folder / "results.nc", folder / "observed.nc"


def shape(path):
    return matplotlib.image.imread(path).shape


def test_all_pictures_by_the_command(tmp_path):
    results, observed = made(tmp_path, 3, days=400)
    out = tmp_path / "plots"
    config = str(tmp_path / "config.yaml")
    text = call("plot", str(results), str(observed), "--out", str(out), "--config", config)
    names = [f"{n}.png" for n in ("hydrographs", "regime", "flow_duration", "map", "parameters")]
    assert sorted(p.name for p in out.iterdir()) == sorted(names)
    for name in names:
        assert name in text
        assert min(shape(out / name)[:2]) > 300


def test_series_are_those_of_the_files(tmp_path):
    results, observed = made(tmp_path)
    overview = Overview.read(results, observed)
    panel = overview.hydrograph(3)
    assert len(panel.dates) == 730
    with xarray.open_dataset(results) as data:
        rain = data["precipitation"].sel(station="cat-4").values[-730:]
        flow = data["land_surface_water__runoff_depth"].sel(station="cat-4").values[-730:]
    assert panel.precipitation.sum() == pytest.approx(rain.sum(), rel=1e-5)
    np.testing.assert_allclose(panel.simulated, 1000.0 * flow, rtol=1e-4)
    assert panel.snow.max() > 0.0
    means = overview.means()
    assert (means["runoff / precipitation"] < 1.0).all()
    assert set(means) > {"error of runoff, %", "largest snowpack, mm"}


def test_each_catchment_is_drawn_where_it_is_observed(tmp_path):
    results, observed = made(tmp_path, 3)
    with xarray.open_dataset(observed) as data:
        flow = data.load()
    name = next(key for key, values in flow.data_vars.items() if "time" in values.dims)
    place = {"station": 0, "time": slice(500, None)}
    flow[name][{dim: place[dim] for dim in flow[name].dims}] = np.nan
    flow.to_netcdf(tmp_path / "gaps.nc")
    overview = Overview.read(results, tmp_path / "gaps.nc")
    assert np.isfinite(overview.hydrograph(0).observed).sum() > 300
    assert overview.hydrograph(0).dates[-1] < overview.hydrograph(1).dates[-1]
    # The regime of simulated flow is of the same days.
    assert overview.chosen(["cat-2", "cat-1"]) == [1, 0]


def test_members_are_a_fan(tmp_path):
    noise = "ensemble: {members: 6, weather: {precipitation: {spread: 0.4}}}\n"
    results, _ = made(tmp_path, 2, more=noise, observed=False)
    overview = Overview.read(results)
    panel = overview.hydrograph(0)
    assert panel.simulated.shape == (730, 6)
    np.testing.assert_allclose(
        panel.simulated.mean(axis=1), overview.flow.values[-730:, 0], rtol=1e-5
    )
    assert (panel.simulated.std(axis=1) > 0.0).any()
    draw_overview(tmp_path / "out", overview)


@pytest.mark.parametrize("step", [pytest.param("1d", marks=pytest.mark.long), "1h"])
def test_one_catchment_has_one_panel_and_no_map(tmp_path, step):
    results, _ = made(tmp_path, 1, step, 40 if step == "1h" else 400, observed=False)
    written = draw_overview(tmp_path / "out", Overview.read(results))
    assert [path.stem for path in written] == ["hydrographs", "regime", "flow_duration"]
    one = shape(written[0])
    results, _ = made(tmp_path / "two", 2, step, 40 if step == "1h" else 400, observed=False)
    two = shape(draw_overview(tmp_path / "out2", Overview.read(results))[0])
    assert two[0] > 1.3 * one[0]


def test_a_period_is_drawn_as_a_whole(tmp_path):
    results, observed = made(tmp_path, 2)
    start, end = np.datetime64("2000-12-01"), np.datetime64("2000-12-11")
    overview = Overview.read(results, observed, start, end)
    assert overview.hydrograph(0, whole=True).dates.size == 10
    with pytest.raises(ResultsError, match="has no results between"):
        Overview.read(results, observed, np.datetime64("1990-01-01"), np.datetime64("1990-02-01"))


def test_bad_input(tmp_path):
    results, observed = made(tmp_path, 2)
    overview = Overview.read(results)
    with pytest.raises(ResultsError, match="there is no catchment cat-9; there are cat-1, cat-2"):
        draw_overview(tmp_path / "out", overview, ["cat-9"])
    with xarray.open_dataset(observed) as data:
        later = data.load().assign_coords(time=data["time"] + np.timedelta64(9000, "D"))
    later.to_netcdf(tmp_path / "later.nc")
    with pytest.raises(ResultsError, match="has no observation at the times and catchments"):
        Overview.read(results, tmp_path / "later.nc")
