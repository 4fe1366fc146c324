"""Weather read ahead: blocks, states looked at in between, results, climate."""

import warnings

import msgspec
import numpy as np
import pandas
import pytest
import xarray

from bmi_dhydro import BmiDhydro
from bmi_dhydro.catchments.attributes import CLIMATE
from bmi_dhydro.cli.example import write_example
from bmi_dhydro.config import read_config
from bmi_dhydro.errors import CatchmentError, ConfigError, ForcingError, StateError
from bmi_dhydro.run.component import Component
from bmi_dhydro.run.configured_model import ExtrapolationWarning
from bmi_dhydro.variables import INPUTS, OUTPUTS

DEPTH = OUTPUTS[0].name


def runoff(path, steps=500, look=lambda bmi, step: None):
    bmi = BmiDhydro()
    bmi.initialize(str(path))
    rows = np.empty((steps, bmi.get_grid_size(0)))
    for step, row in enumerate(rows):
        look(bmi, step)
        bmi.update()
        bmi.get_value(DEPTH, row)
    bmi.finalize()
    return rows


def replaced(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_the_component_reads_its_weather(file_example):
    bmi = BmiDhydro()
    bmi.initialize(str(file_example))
    assert bmi.get_input_var_names() == ()
    assert bmi.get_end_time() == 500 * 86400.0
    bmi.update_until(bmi.get_end_time())
    with pytest.raises(ForcingError, match="the run ended at 2002-02-13T00:00:00"):
        bmi.update()
    with pytest.raises(ForcingError, match="beyond the end of the run"):
        bmi.update_until(501 * 86400.0)
    bmi.finalize()


def test_weather_from_a_file_equals_the_same_from_a_host(file_example):
    expected = runoff(file_example)
    with xarray.open_dataset(file_example.parent / "weather.nc") as data:
        names = ("precipitation", "temperature", "temperature_minimum", "temperature_maximum")
        weather = np.stack([data[name].values.astype(float) for name in names])
    replaced(file_example, "  file: weather.nc ", "  # ")
    replaced(file_example, "  step: 1d", "  step: 1d\n  start: 2000-10-01")
    replaced(file_example, "output:", "# output:")
    replaced(file_example, "  file: results.nc", "  # ")
    bmi = BmiDhydro()
    bmi.initialize(str(file_example))
    order = ("precipitation", "temperature", "temperature_minimum", "temperature_maximum")
    sources = {item.source: item.name for item in INPUTS}
    for step in range(200):
        for row, source in enumerate(order):
            bmi.set_value(sources[source], weather[row, :, step])
        bmi.update()
        np.testing.assert_allclose(bmi.get_value(DEPTH, np.empty(5)), expected[step], rtol=1e-12)


def test_the_length_of_blocks_changes_nothing(file_example, monkeypatch):
    expected = runoff(file_example)
    for steps in (1, 7):
        monkeypatch.setattr("bmi_dhydro.weather.source.AHEAD_STEPS", steps)
        assert np.array_equal(runoff(file_example), expected)


def test_looking_at_states_changes_nothing(file_example):
    expected = runoff(file_example)
    seen = []

    def look(bmi, step):
        if step % 37 == 5:
            seen.append(bmi.get_value("soil_moisture", np.empty(bmi.get_grid_size(1))).sum())

    assert np.array_equal(runoff(file_example, look=look), expected)
    assert len(set(seen)) == len(seen) > 10

    def pinned(bmi, step):
        if step == 100:
            bmi.pointer = bmi.get_value_ptr("soil_moisture")
        if step > 100:
            assert np.array_equal(
                bmi.pointer, bmi.get_value("soil_moisture", np.empty(bmi.pointer.size))
            )

    assert np.array_equal(runoff(file_example, look=pinned), expected)


def test_setting_a_state_in_the_middle_of_a_block_counts_from_there(file_example):
    expected = runoff(file_example)

    def flood(bmi, step):
        if step == 123:
            size = bmi.get_grid_size(1)
            bmi.set_value("lower_zone", bmi.get_value("lower_zone", np.empty(size)) + 50.0)

    rows = runoff(file_example, look=flood)
    assert np.array_equal(rows[:123], expected[:123])
    assert (rows[123] > expected[123]).all()


def test_the_state_saved_is_that_of_the_last_step_done(file_example, tmp_path):
    expected = runoff(file_example)
    replaced(file_example, "model: default", f"save_state: {tmp_path / 'state'}\nmodel: default")
    runoff(file_example, 123)
    text = file_example.read_text().replace("save_state:", "initial_state:")
    file_example.write_text(text.replace("  step: 1d", "  step: 1d\n  start: 2001-02-01"))
    # The climate is that of the table: a shorter run does not change the parameters.
    assert np.array_equal(runoff(file_example, 377), expected[123:])


def test_results_hold_what_the_interface_gave(file_example):
    rows = runoff(file_example)
    with xarray.open_dataset(file_example.parent / "results.nc") as data:
        assert set(data) >= {item.name for item in OUTPUTS}
        np.testing.assert_allclose(data[DEPTH].values, rows, rtol=1e-6)
        assert data[DEPTH].attrs["units"] == "m"
        assert str(data["time"].values[0]).startswith("2000-10-01T00:00")
        assert len(data.attrs["trained_model_fingerprint"]) == 16


def test_chosen_variables_and_catchments(file_example):
    replaced(
        file_example, "  file: results.nc", "  variables: [rain, soil_moisture]\n  file: results.nc"
    )
    replaced(
        file_example, "  table: catchments.csv", "  select: [cat-4, cat-2]\n  table: catchments.csv"
    )
    runoff(file_example)
    with xarray.open_dataset(file_example.parent / "results.nc") as data:
        assert data["station_id"].values.tolist() == ["cat-4", "cat-2"]
        assert data["rain"].attrs["units"] == "mm"
        assert (data["soil_moisture"].values[-1] > 1.0).all()


def test_results_appear_only_when_the_run_is_finished(file_example):
    bmi = BmiDhydro()
    bmi.initialize(str(file_example))
    bmi.update()
    assert not (file_example.parent / "results.nc").exists()
    bmi.finalize()
    assert (file_example.parent / "results.nc").exists()


def table_without(file_example, *columns):
    path = file_example.parent / "catchments.csv"
    frame = pandas.read_csv(path)
    frame.drop(columns=list(columns)).to_csv(path, index=False)


def test_climate_missing_in_the_table_comes_from_the_weather(file_example, monkeypatch):
    columns = [name for name in CLIMATE if name != "aridity"]
    table_without(file_example, *columns)
    monkeypatch.setattr("bmi_dhydro.weather.source.AHEAD_BYTES", 15000)
    with warnings.catch_warnings():
        # 500 days of made-up weather are not quite a climate as the training catchments have.
        warnings.simplefilter("ignore", ExtrapolationWarning)
        made = Component(read_config(file_example))
    rain = made.catchments.attributes["mean_precipitation"]
    with xarray.open_dataset(file_example.parent / "weather.nc") as data:
        expected = data["precipitation"].mean("time").values * 24.0
    np.testing.assert_allclose(rain, expected, rtol=1e-5)
    made.abandon()


def test_a_month_of_weather_is_no_climate(file_example):
    table_without(file_example, "aridity")
    replaced(file_example, "  step: 1d", "  step: 1d\n  end: 2000-11-01")
    with pytest.raises(CatchmentError, match="at least 365 days of weather, but there are 31"):
        Component(read_config(file_example))


def test_missing_attributes_are_named(file_example):
    table_without(file_example, "soil_porosity", "forest_fraction")
    with pytest.raises(CatchmentError, match="lack: soil_porosity, forest_fraction"):
        Component(read_config(file_example))


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


def test_unknown_catchments_and_variables_are_refused(file_example):
    replaced(
        file_example, "  table: catchments.csv", "  select: [cat-1, cat-x]\n  table: catchments.csv"
    )
    with pytest.raises(CatchmentError, match="has no catchment cat-x"):
        Component(read_config(file_example))
    replaced(file_example, "  select: [cat-1, cat-x]\n", "")
    replaced(file_example, "  file: results.nc", "  variables: [rian]\n  file: results.nc")
    with pytest.raises(ConfigError, match="'rian' is unknown; did you mean 'rain'"):
        Component(read_config(file_example))
    assert not list(file_example.parent.glob(".*part"))


def test_evapotranspiration_needs_a_latitude(file_example):
    table_without(file_example, "latitude")
    with pytest.raises(ForcingError, match="after hargreaves needs the latitude of cat-1"):
        Component(read_config(file_example))


def test_a_state_of_another_model_is_refused(file_example, host_example, tmp_path):
    replaced(host_example, "model: default", f"save_state: {tmp_path / 's'}\nmodel: default")
    bmi = BmiDhydro()
    bmi.initialize(str(host_example))
    bmi.finalize()
    replaced(file_example, "model: default", f"initial_state: {tmp_path / 's'}\nmodel: default")
    with pytest.raises(StateError, match="no state for catchment cat-2"):
        Component(read_config(file_example))


def test_a_gap_in_the_weather_stops_the_run_and_leaves_no_results(file_example):
    import netCDF4

    with netCDF4.Dataset(file_example.parent / "weather.nc", "a") as data:
        data["temperature"][1, 300] = np.nan
    bmi = BmiDhydro()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bmi.initialize(str(file_example))
    with pytest.raises(
        ForcingError, match="temperature .* missing for catchment cat-2 at 2001-07-28"
    ):
        bmi.update()
    bmi.component.abandon()
    assert not (file_example.parent / "results.nc").exists()


def test_the_water_account_goes_on_after_a_restart(tmp_path):
    path = write_example(tmp_path, 3, 40, "1d", "file")
    config = read_config(path)
    saved = str(tmp_path / "s.nc")
    replace = msgspec.structs.replace
    whole = Component(config)
    for _ in range(40):
        whole.update()
    first = Component(replace(config, save_state=saved))
    for _ in range(25):
        first.update()
    first.close()
    start = str(first.clock.time)
    second = Component(replace(config, initial_state=saved, time=replace(config.time, start=start)))
    for _ in range(15):
        second.update()
    for name, values in whole.water_balance().items():
        np.testing.assert_allclose(second.water_balance()[name], values, rtol=1e-12, atol=1e-12)
    part = replace(config.catchments, select=["cat-3", "cat-1"])
    some = Component(
        replace(
            config, initial_state=saved, catchments=part, time=replace(config.time, start=start)
        )
    )
    np.testing.assert_array_equal(some.account.flows, first.account.flows[:, [2, 0]])
    # Of another time it is opened anew.
    assert (Component(replace(config, initial_state=saved)).account.flows == 0.0).all()
