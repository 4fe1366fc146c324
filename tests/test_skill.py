"""The script that makes the table of skill runs from data to table, on made-up catchments."""

import importlib.util
import re
import sys
from pathlib import Path

import msgspec
import numpy as np
import pandas
import pytest
import xarray
from click.testing import CliRunner

pytest.importorskip("torch", reason="needs torch")

from bmi_dhydro.training import flow_errors

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "skill.py"
COUNT = 8


@pytest.fixture(scope="module")
def skill():
    specification = importlib.util.spec_from_file_location("skill_of_camels", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    for name, recipe in module.RECIPES.items():
        few = {"batches": 2, "catchments": 4, "days": 500, "hidden": (4,), "memory": 3}
        settings = msgspec.structs.replace(recipe.settings, **few)
        module.RECIPES[name] = module.replace(recipe, settings=settings)
    with pytest.MonkeyPatch.context() as patch:
        # Errors of the few catchments here, and roughly.
        patch.setattr(flow_errors, "LEAST_CATCHMENTS", 2)
        patch.setattr(flow_errors, "_STEPS", 30)
        yield module


@pytest.fixture(scope="module")
def data_file(tmp_path_factory):
    """A file in the layout of the shared one, in which flow of some test years is withheld."""
    random = np.random.default_rng(0)
    time = pandas.date_range("1980-01-01", "2008-12-31")
    shape = (COUNT, len(time))
    season = -np.cos(2 * np.pi * np.arange(len(time)) / 365.25)
    low = 4.0 + 10.0 * season + random.normal(0, 3, shape)
    series = {
        "prcp": random.gamma(0.3, 10.0, shape),
        "tmin": low,
        "tmax": low + 9.0,
        "tmean": low + 4.5,
        "pet": np.maximum(2.0 + 2.0 * season, 0.1) + np.zeros(shape),
        "srad": random.uniform(50, 300, shape),
        "streamflow": random.gamma(1.0, 1.5, shape),
    }
    test = (time >= "1989-10-01") & (time < "1999-10-01")
    series["streamflow"][:3, test] = np.nan
    names = ["noah_poros", "noah_log10_ksat", "soil_sand_pct", "soil_clay_pct", "forest_frac"]
    table = random.uniform(0.3, 0.5, (COUNT, len(names) + 1))
    table[:, 2:4] *= 60.0
    table[:, -1] = random.uniform(50, 900, COUNT)
    path = tmp_path_factory.mktemp("skill") / "camels.nc"
    xarray.Dataset(
        {
            **{name: (("basin", "time"), values) for name, values in series.items()},
            "attributes": (("basin", "attr"), table),
            "qc_flag": ("basin", np.zeros(COUNT, int)),
            "fold_spatial": ("basin", np.arange(COUNT) // 4),
            "usual_531": ("basin", np.r_[np.ones(COUNT - 1, int), 0]),
            "gauge_lat": ("basin", np.full(COUNT, 40.0)),
            "gauge_lon": ("basin", np.full(COUNT, -80.0)),
        },
        {
            "basin": [f"{k:08d}" for k in range(COUNT)],
            "time": time,
            "attr": [*names, "area_km2"],
        },
    ).to_netcdf(path)
    return path


def call(skill, *arguments):
    result = CliRunner().invoke(skill.main, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("name", ["static", "static_nextgen", "dynamic"])
def test_a_model_is_trained_kept_and_scored_again(skill, data_file, tmp_path, name):
    picture = tmp_path / "skill.png"
    begun = call(skill, data_file, "--train", name, "--folder", tmp_path, "--picture", picture)
    again = call(skill, data_file, "--folder", tmp_path)
    # Seven of the usual catchments, of which three have no flow in the test years.
    row, _ = (line for line in again.splitlines() if f" {name}_0 " in line)
    assert row in begun
    assert "half a year" in again
    assert " 4 " in row
    assert picture.stat().st_size > 10_000
    choice = call(skill, data_file, "--folder", tmp_path, "--years", "choice")
    assert " 7 " in next(line for line in choice.splitlines() if f" {name}_0 " in line)


def test_quantities_that_no_training_saw_are_compared(skill):
    random = np.random.default_rng(0)
    dates = np.arange("1989-10-01", "1999-10-01", dtype="datetime64[D]")
    season = 1.0 + np.sin(2 * np.pi * np.arange(len(dates)) / 365.25)[:, None]
    observed = season * random.gamma(0.5, 2.0, (len(dates), 12)) * np.linspace(0.5, 2.0, 12)
    rain = random.gamma(0.5, 6.0, observed.shape)
    observed[40:60] = np.nan
    flow = np.nan_to_num(observed)
    found = skill.not_learned({"same": flow, "doubled": 2.0 * flow}, observed, rain, dates)
    same, doubled = found["same"], found["doubled"]
    for correlation, difference in same.values():
        assert correlation == pytest.approx(1.0)
        assert difference == 0.0
    assert doubled["runoff ratio"][0] == pytest.approx(1.0)
    expected = np.median(
        np.nansum(observed, axis=0) / rain[np.isfinite(observed[:, 0])].sum(axis=0)
    )
    assert doubled["runoff ratio"][1] == pytest.approx(expected)
    assert doubled["baseflow index"][1] == pytest.approx(0.0, abs=1e-12)


def test_half_the_flow_of_whole_years_has_passed(skill):
    years = np.repeat([1990, 1991, 1992], [365, 366, 365])
    flow = np.zeros((len(years), 3))
    flow[[100, 365 + 120, 731 + 110], 0] = 1.0
    flow[:, 1] = 1.0
    flow[:, 2] = flow[:, 0]
    flow[400, 2] = np.nan  # of 1991
    expected = [110.0, 182.0, 105.0]
    np.testing.assert_allclose(skill.half_flow_day(flow, years), expected, atol=0.5)


def test_several_seeds_have_a_mean_and_a_band(skill, data_file, tmp_path):
    for seed in range(3):
        call(skill, data_file, "--train", "static", "--seed", seed, "--folder", tmp_path)
    text = call(skill, data_file, "--folder", tmp_path)
    assert " static, mean of 3 " in text
    found = re.search(r"static: the band of 3 seeds, 5 to 95 %, holds (\d+) % of the days", text)
    assert 0 < int(found[1]) < 90
    held = re.findall(r"static_(\d): 5 to 95 % of errors of 1981 to 1989 hold (\d+) %", text)
    assert [seed for seed, _ in held] == ["0", "1", "2"]
    assert all(int(share) > 20 for _, share in held)


def test_the_peer_is_trained_on_all_weather(skill, data_file, tmp_path):
    assert skill.read(data_file).forcing.shape[1] == 6
    text = call(skill, data_file, "--train", "lstm", "--folder", tmp_path)
    assert " lstm_0 " in text
    # It is kept, and scored again.
    assert [path.name for path in tmp_path.iterdir()] == ["lstm_0.safetensors"]
    assert call(skill, data_file, "--folder", tmp_path) == text


def test_flow_of_the_test_years_is_not_learned_from(skill, data_file, monkeypatch):
    seen = []

    class Watched(skill.Trainer):
        def __init__(self, layout, data, *more, **named):
            seen.append(data)
            super().__init__(layout, data, *more, **named)

    monkeypatch.setattr(skill, "Trainer", Watched)
    skill.train(skill.read(data_file), skill.RECIPES["static"], 0, "watched")
    (data,) = seen
    known = data.dates[np.isfinite(data.streamflow).any(axis=1)]
    assert (str(known[0]), str(known[-1])) == ("1999-10-01", "2008-09-30")
    assert str(data.dates[0]) == "1998-10-01"


def test_groups_are_left_out_once(skill, data_file, tmp_path, monkeypatch):
    text = call(skill, data_file, "--train", "static", "--space", "regions")
    assert "without group 0" in text
    assert "without group 1" in text
    # Kept models are not trained again.
    for name in ("static", "lstm"):
        kept = ("--folder", tmp_path, "--space", "regions", "--train", name)
        call(skill, data_file, *kept, "--held-out", "1")
        begun = call(skill, data_file, *kept)
        with monkeypatch.context() as patch:
            patch.setattr(skill, "train", None)
            assert call(skill, data_file, *kept) == begun
    assert len(list(tmp_path.iterdir())) == 4
    text = call(skill, data_file, "--train", "static", "--space", "3", "--held-out", "0,2")
    assert "without group 0,2" in text
    assert "days in" in text
    text = call(skill, data_file, "--train", "static", "--space", "3")
    assert text.count("without group") == 3
    assert "3 random folds" in text
