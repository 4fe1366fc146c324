"""Hindcasts: what the chain would have said, scored."""

import numpy as np
import pandas
import pytest
import xarray
from click.testing import CliRunner

from bmi_dhydro.cli.example import write_example
from bmi_dhydro.cli.main import main
from bmi_dhydro.errors import ConfigError
from bmi_dhydro.forecast import hindcast as hindcasts
from bmi_dhydro.forecast.chain import Chain, complete_catchments
from bmi_dhydro.forecast.config import read_forecast_config
from bmi_dhydro.io.catchment_table import read_table
from bmi_dhydro.run.simulation import run_config
from bmi_dhydro.variables import RUNOFF_FLUX
from tests.forecast.conftest import CONFIG, OBSERVED, changed

NOISE = "ensemble: {members: 5, weather: {precipitation: {spread: 0.4}}}\n"


def made(path, days=6, **options):
    config = read_forecast_config(path)
    first = np.datetime64("2001-03-01", "s")
    times = first + np.arange(days) * np.timedelta64(1, "D")
    catchments = complete_catchments(config, first)
    return hindcasts.hindcast(config, catchments, times, **options)


@pytest.mark.parametrize(
    "assimilation",
    [
        "",
        "assimilation: {window: 3d}\n",
        NOISE + "assimilation: {method: ensemble_filter}\n",
        NOISE + "assimilation: {window: 3d}\n",
        "model: fast\nassimilation: {window: 3d}\n",
    ],
)
def test_a_hindcast_is_what_the_chain_says(wrong_case, assimilation):
    wrong_case.write_text(wrong_case.read_text() + assimilation)
    result = made(wrong_case)
    chain = Chain(read_forecast_config(wrong_case))
    for k, time in enumerate(result.times):
        with xarray.open_dataset(chain.run(time)) as data:
            flow = data[RUNOFF_FLUX].values * 24.0
        np.testing.assert_allclose(result.flow[hindcasts.FORECAST][k], flow, rtol=1e-6, atol=1e-7)
    assert (hindcasts.OPEN_LOOP in result.flow) == bool(assimilation)


def test_a_horizon_shorter_than_an_observed_step(tmp_path):
    write_example(tmp_path, 2, 60, "1h", "file")
    run_config(tmp_path / "config.yaml", tmp_path / "hours.nc")
    with xarray.open_dataset(tmp_path / "hours.nc") as data:
        daily = data[[RUNOFF_FLUX]].resample(time="1D").mean()
        daily[RUNOFF_FLUX].attrs["units"] = "mm h-1"
        daily.assign(station_id=data["station_id"]).to_netcdf(tmp_path / "observed.nc")
    path = tmp_path / "chain.yaml"
    path.write_text(CONFIG.format(step="1h").replace("horizon: 3d", "horizon: 12h") + OBSERVED)
    config = read_forecast_config(path)
    first = np.datetime64("2000-11-01", "s")
    with pytest.raises(
        ConfigError, match="'12h' is shorter than a step of the observed flow, 86400"
    ):
        hindcasts.hindcast(config, read_table(tmp_path / "catchments.csv"), np.array([first]))


def test_observations_and_persistence(wrong_case):
    result = made(wrong_case)
    with xarray.open_dataset(wrong_case.parent / "observed.nc") as run:
        truth = run[RUNOFF_FLUX].load() * 24.0
    for k, time in enumerate(result.times):
        days = time + np.arange(3) * np.timedelta64(1, "D")
        np.testing.assert_allclose(result.observed[k], truth.sel(time=days), rtol=1e-6)
        before = truth.sel(time=time - np.timedelta64(1, "D"))
        np.testing.assert_allclose(result.flow[hindcasts.PERSISTENCE][k, 2, 0], before, rtol=1e-6)


def test_hourly_steps_are_scored_by_observed_days(tmp_path):
    from bmi_dhydro.cli.example import write_example
    from bmi_dhydro.run.simulation import run_config
    from tests.forecast.conftest import CONFIG, OBSERVED

    write_example(tmp_path, 2, 120, "6h", "file")
    run_config(tmp_path / "config.yaml", tmp_path / "r.nc")
    with xarray.open_dataset(tmp_path / "r.nc") as data:
        daily = data[[RUNOFF_FLUX]].resample(time="1D").mean()
        daily[RUNOFF_FLUX].attrs["units"] = "mm h-1"
        daily["station_id"] = data["station_id"]
        daily.to_netcdf(tmp_path / "observed.nc")
    path = tmp_path / "chain.yaml"
    path.write_text(CONFIG.format(step="6h") + OBSERVED + "assimilation: {window: 3d}\n")
    config = read_forecast_config(path)
    first = np.datetime64("2000-12-01T06", "s")
    times = first + np.arange(5) * np.timedelta64(6, "h")
    result = hindcasts.hindcast(config, complete_catchments(config, first), times)
    assert result.lead_seconds.tolist() == [86400, 172800, 259200]
    # The weather is right, so only the first forecasts' days that are cut differ.
    aligned = [k for k, time in enumerate(times) if str(time)[11:13] == "00"]
    for k in aligned:
        np.testing.assert_allclose(
            result.flow[hindcasts.OPEN_LOOP][k, :, 0], result.observed[k], rtol=1e-4
        )


def test_scores():
    random = np.random.default_rng(0)
    observed = random.gamma(2.0, 1.0, (40, 2, 3))
    observed[:, :, 2] = np.nan
    flow = observed[:, :, None] + 0.5
    flow = np.where(np.isfinite(flow), flow, 1.0)
    times = np.datetime64("2001-01-01", "s") + np.arange(40) * np.timedelta64(1, "D")
    persistence = np.ones((40, 2, 1, 3))
    result = hindcasts.Hindcast(
        np.array(["a", "b", "c"]),
        times,
        np.array([86400, 172800]),
        {hindcasts.FORECAST: flow, hindcasts.PERSISTENCE: persistence},
        observed,
    )
    table = hindcasts.scores(result)
    own = table[(table["kind"] == hindcasts.FORECAST) & (table["lead_days"] == 1.0)]
    np.testing.assert_allclose(own["rmse"], [0.5, 0.5, np.nan])
    np.testing.assert_allclose(own["crps"], [0.5, 0.5, np.nan])
    assert own["forecasts"].tolist() == [40, 40, 0]
    medians = hindcasts.summary(table)
    assert (medians["catchments"] == 2).all()


def test_the_ranked_probability_score():
    random = np.random.default_rng(1)
    members, observed = random.normal(size=(3, 7, 2)), random.normal(size=(3, 2))
    found = hindcasts.continuous_ranked_probability_score(members, observed)
    expected = np.zeros(2)
    for k in range(3):
        own = members[k]
        apart = np.abs(own - observed[k]).mean(axis=0)
        pairs = np.abs(own[:, None] - own[None]).sum(axis=(0, 1)) / (7 * 6)
        expected += (apart - 0.5 * pairs) / 3
    np.testing.assert_allclose(found, expected)


def test_the_command(wrong_case, tmp_path):
    wrong_case.write_text(wrong_case.read_text() + "assimilation: {window: 3d}\n")
    arguments = ["hindcast", str(wrong_case), "--from", "2001-03-01", "--to", "2001-03-10"]
    result = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path / "h")])
    assert result.exit_code == 0, result.output
    assert "10 forecasts, medians over 5 catchments" in result.output
    table = pandas.read_csv(tmp_path / "h" / "scores.csv")
    assert set(table["kind"]) == {"forecast", "without assimilation", "persistence"}
    assert (tmp_path / "h" / "skill_by_lead.png").stat().st_size > 10_000


def test_catchments_without_observed_flow_are_counted_too(wrong_case, tmp_path):
    with xarray.open_dataset(tmp_path / "observed.nc") as data:
        flow = data.load()
    flow[RUNOFF_FLUX][:, 3:] = np.nan
    flow.to_netcdf(tmp_path / "few.nc")
    changed(wrong_case, "observed.nc", "few.nc")
    arguments = ["hindcast", str(wrong_case), "--from", "2001-03-01", "--to", "2001-03-03"]
    result = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path / "h")])
    assert result.exit_code == 0, result.output
    words = " ".join(result.output.split())
    assert "medians over 3 catchments of 5; the others have no observed flow" in words
    assert not (tmp_path / "chain").exists()


def test_bad_input(case):
    with pytest.raises(ConfigError, match="a hindcast needs observed flow"):
        made(case)
    for options, match in (
        (["--from", "2001-03-05", "--to", "2001-03-01"], "is before --from"),
        (["--from", "2001-03-01", "--to", "2001-03-05", "--every", "6h"], "no multiple"),
    ):
        result = CliRunner().invoke(main, ["hindcast", str(case), *options])
        assert result.exit_code == 1
        assert match in result.output


def test_observations_of_strangers_are_refused(wrong_case):
    changed(wrong_case, "table: catchments.csv", "table: catchments.csv, select: [cat-2]")
    with xarray.open_dataset(wrong_case.parent / "observed.nc") as data:
        part = data.isel(station=[0, 2]).load()
    part.to_netcdf(wrong_case.parent / "observed.nc")
    with pytest.raises(Exception, match="has flow of cat-1, cat-3, but of none of the catchments"):
        made(wrong_case)
