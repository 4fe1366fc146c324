"""A run that reads its weather, and computes a block of steps at a time."""

import warnings

import numpy as np
import pytest
import xarray

from bmi_dhydro import BmiDhydro
from bmi_dhydro.errors import ForcingError
from bmi_dhydro.variables import INPUTS
from tests.run.conftest import DEPTH, replaced, runoff


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
