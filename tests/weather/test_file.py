"""Weather files of every layout, and every way in which they can be wrong."""

import netCDF4
import numpy as np
import pytest

from bmi_dhydro.errors import ForcingError
from bmi_dhydro.weather.file import ForcingFile
from bmi_dhydro.weather.quantities import PET, PRECIPITATION, TEMPERATURE

IDS = ["cat-1", "cat-2", "cat-3"]
STEPS = 48


def values(offset=0.0, scale=1.0):
    random = np.random.default_rng(0)
    return scale * random.random((STEPS, len(IDS))) + offset


def write(
    path,
    variables=None,
    time_first=True,
    time_units="hours since 1999-12-31 00:00:00",
    times=None,
    calendar="standard",
    id_name="station_id",
    ids=IDS,
):
    """Write a file; variables are {name: (values [time, catchment], attributes)}."""
    if variables is None:
        variables = {
            "prcp": (values(), {"units": "mm h-1"}),
            "tas": (values(280.0, 10.0), {"units": "K"}),
            "pet": (values(0.0, 0.2), {"units": "mm h-1"}),
        }
    with netCDF4.Dataset(path, "w") as data:
        data.createDimension("catchment", len(ids))
        data.createDimension("time", STEPS)
        station = data.createVariable(id_name, str, ("catchment",))
        station[:] = np.array(ids, dtype=object)
        if id_name == "station_id":
            station.cf_role = "timeseries_id"
        time = data.createVariable("time", "f8", ("time",))
        time.units, time.calendar = time_units, calendar
        time[:] = np.arange(STEPS) if times is None else times
        for name, (array, attributes) in variables.items():
            dims = ("time", "catchment") if time_first else ("catchment", "time")
            variable = data.createVariable(name, "f8", dims)
            variable.setncatts(attributes)
            variable[:] = array if time_first else array.T
    return path


def test_damaged_files_end_in_one_message(tmp_path):
    """Whatever bit is flipped and wherever the file ends: weather, or an error of ours."""
    path, bad = write(tmp_path / "w.nc"), tmp_path / "bad.nc"
    whole = path.read_bytes()
    with ForcingFile(path, IDS, {}, 3600) as file:
        expected = file.read((PRECIPITATION, TEMPERATURE, PET), 0, STEPS)
    random = np.random.default_rng(0)
    refused = 0
    damages = [bytes(whole[:length]) for length in random.integers(1, len(whole), 40)]
    for place in random.integers(0, len(whole), 200):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << random.integers(8)
        damages.append(bytes(flipped))
    for content in damages:
        # A new name each time: HDF5 keeps files open that it could not close.
        bad = tmp_path / f"{refused}bad.nc"
        bad.write_bytes(content)
        try:
            with ForcingFile(bad, IDS, {}, 3600) as file:
                values = file.read((PRECIPITATION, TEMPERATURE, PET), 0, file.steps)
        except ForcingError:
            refused += 1
            continue
        assert values.shape[1:] == expected.shape[1:]
    assert refused > 40


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"times": np.full(STEPS, np.nan)}, "time has values that are no times|missing values"),
        (
            {"times": np.arange(STEPS) * 1e12},
            "time (cannot be decoded|has times that are thousands)",
        ),
        ({"time_units": "s", "times": np.arange(STEPS) * 1e15}, "thousands of years away"),
    ],
)
def test_times_that_are_none(tmp_path, change, match):
    with pytest.raises(ForcingError, match=match):
        ForcingFile(write(tmp_path / "w.nc", **change), IDS, {}, 3600)


def test_a_variable_of_another_shape_is_named(tmp_path):
    path = write(tmp_path / "w.nc")
    with netCDF4.Dataset(path, "a") as data:
        data.createDimension("level", 2)
        data.createVariable("rain", "f8", ("time", "level")).units = "mm h-1"
    with pytest.raises(ForcingError, match=r"rain \(precipitation\) has dimensions time, level"):
        ForcingFile(path, IDS, {PRECIPITATION: "rain"}, 3600)


def write_nextgen(path):
    """The layout of NextGen forcing files."""
    with netCDF4.Dataset(path, "w") as data:
        data.createDimension("catchment-id", len(IDS))
        data.createDimension("time", STEPS)
        data.createVariable("ids", str, ("catchment-id",))[:] = np.array(IDS, dtype=object)
        time = data.createVariable("Time", "i4", ("catchment-id", "time"))
        time.units = "s"
        time[:] = np.arange(STEPS) * 3600 + 946598400
        for name, units, array in (
            ("precip_rate", "mm s^-1", values() / 3600.0),
            ("TMP_2maboveground", "K", values(280.0, 10.0)),
        ):
            variable = data.createVariable(name, "f4", ("catchment-id", "time"))
            variable.units = units
            variable[:] = array.T
    return path


def opened(path, ids=IDS, step=3600, **names):
    return ForcingFile(path, ids, names, step)


@pytest.mark.parametrize("time_first", [True, False])
def test_both_orders_of_dimensions(tmp_path, time_first):
    with opened(write(tmp_path / "w.nc", time_first=time_first)) as file:
        assert str(file.start) == "1999-12-31T00:00:00"
        assert file.steps == STEPS
        block = file.read((PRECIPITATION, TEMPERATURE, PET), 5, 10)
    np.testing.assert_allclose(block[:, 0], values()[5:15])
    np.testing.assert_allclose(block[:, 1], values(280.0, 10.0)[5:15] - 273.15)
    np.testing.assert_allclose(block[:, 2], values(0.0, 0.2)[5:15])


def test_the_nextgen_layout(tmp_path):
    with opened(write_nextgen(tmp_path / "forcings.nc")) as file:
        assert str(file.start) == "1999-12-31T00:00:00"
        block = file.read((PRECIPITATION, TEMPERATURE), 0, STEPS)
    np.testing.assert_allclose(block[:, 0], values(), rtol=1e-6)
    np.testing.assert_allclose(block[:, 1], values(280.0, 10.0) - 273.15, atol=1e-4)


def test_a_part_of_the_catchments_in_another_order(tmp_path):
    with opened(write(tmp_path / "w.nc"), ids=["cat-3", "cat-1"]) as file:
        block = file.read((PRECIPITATION,), 0, STEPS)
    np.testing.assert_allclose(block[:, 0], values()[:, [2, 0]])


def test_hours_become_days(tmp_path):
    with opened(write(tmp_path / "w.nc"), step=86400) as file:
        assert file.steps == 2
        block = file.read((PRECIPITATION, TEMPERATURE), 0, 2)
    np.testing.assert_allclose(block[:, 0], values().reshape(2, 24, 3).sum(axis=1))
    expected = values(280.0, 10.0).reshape(2, 24, 3).mean(axis=1) - 273.15
    np.testing.assert_allclose(block[:, 1], expected)


@pytest.mark.parametrize(
    ("units", "factor"),
    [("mm h-1", 1.0), ("kg m-2 s-1", 3600.0), ("mm", 1.0), ("m", 1000.0), ("kg m-2", 1.0)],
)
def test_units_of_precipitation(tmp_path, units, factor):
    variables = {"pr": (values(), {"units": units}), "tas": (values(), {"units": "degC"})}
    with opened(write(tmp_path / "w.nc", variables)) as file:
        np.testing.assert_allclose(file.read((PRECIPITATION,), 0, 3)[:, 0], factor * values()[:3])


def test_variables_by_standard_name_and_by_configuration(tmp_path):
    variables = {
        "rain": (values(), {"units": "mm h-1", "standard_name": "lwe_precipitation_rate"}),
        "heat": (values(5.0), {"units": "degC"}),
    }
    path = write(tmp_path / "w.nc", variables)
    with opened(path, temperature="heat") as file:
        assert set(file.available) == {PRECIPITATION, TEMPERATURE}
    with opened(path) as file, pytest.raises(ForcingError, match="no variable for temperature"):
        file.read((TEMPERATURE,), 0, 1)


def test_mean_temperature_of_extremes(tmp_path):
    variables = {
        "pr": (values(), {"units": "mm h-1"}),
        "tmin": (values(), {"units": "degC"}),
        "tmax": (values() + 4.0, {"units": "degC"}),
    }
    with opened(write(tmp_path / "w.nc", variables)) as file:
        np.testing.assert_allclose(file.read((TEMPERATURE,), 0, 5)[:, 0], values()[:5] + 2.0)


def test_a_period_within_the_file(tmp_path):
    with opened(write(tmp_path / "w.nc")) as file:
        file.begin_at(np.datetime64("1999-12-31T06:00:00"), np.datetime64("1999-12-31T09:00:00"))
        assert file.steps == 3
        np.testing.assert_allclose(file.read((PRECIPITATION,), 0, 3)[:, 0], values()[6:9])


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("1999-12-30", None, "it covers 1999-12-31T00:00:00 to 2000-01-02T00:00:00, not"),
        ("1999-12-31", "2000-02-01", "it covers"),
        ("1999-12-31T00:30", None, "none of its steps begins at 1999-12-31T00:30"),
    ],
)
def test_a_period_that_does_not_fit(tmp_path, start, end, message):
    with opened(write(tmp_path / "w.nc")) as file, pytest.raises(ForcingError, match=message):
        file.begin_at(np.datetime64(start, "s"), end and np.datetime64(end, "s"))


def hours(change):
    result = np.arange(float(STEPS))
    change(result)
    return result


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"calendar": "noleap"}, "its calendar is 'noleap'"),
        ({"calendar": "360_day"}, "its calendar is '360_day'"),
        ({"time_units": "fortnights since 1999-01-01"}, "time cannot be decoded"),
        ({"time_units": "hours"}, "time has units 'hours'; write"),
        (
            {"times": hours(lambda t: t.__setitem__(slice(20, None), t[20:] + 1))},
            "a gap or a change of step after 1999-12-31T19:00:00",
        ),
        ({"times": hours(lambda t: t.__setitem__(10, 3.0))}, "time does not increase after"),
        ({"ids": ["cat-1", "cat-2", "x"]}, "it has no weather for catchment cat-3"),
        ({"id_name": "nobody"}, "no variable names its catchments"),
        ({"variables": {"tas": (values(), {"units": "K"})}}, "no precipitation that is recognised"),
        ({"variables": {"pr": (values(), {})}}, "pr has no units"),
        ({"variables": {"pr": (values(), {"units": "cfs"})}}, "unit 'cfs' is unknown|cannot be"),
        ({"variables": {"pr": (values(), {"units": "K"})}}, r"pr \(precipitation\): 'K' cannot be"),
    ],
)
def test_unusable_files(tmp_path, options, message):
    with pytest.raises(ForcingError, match=message) as caught:
        opened(write(tmp_path / "w.nc", **options))
    assert "w.nc" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, r"precipitation \(prcp\) is missing for catchment cat-2 at 1999-12-31T07:00:00"),
        (-0.5, r"precipitation \(prcp\) is impossible \(-0.5\) for catchment cat-2 at 1999-12-31T"),
    ],
)
def test_wrong_values_are_named_with_catchment_and_time(tmp_path, value, message):
    rain = values()
    rain[7, 1] = value
    variables = {"prcp": (rain, {"units": "mm h-1"}), "tas": (values(), {"units": "degC"})}
    with opened(write(tmp_path / "w.nc", variables)) as file:
        file.read((PRECIPITATION,), 0, 7)
        with pytest.raises(ForcingError, match=message):
            file.read((PRECIPITATION,), 5, 10)


def test_kelvin_called_celsius_is_noticed(tmp_path):
    variables = {
        "pr": (values(), {"units": "mm h-1"}),
        "tas": (values(280.0), {"units": "degC"}),
    }
    with (
        opened(write(tmp_path / "w.nc", variables)) as file,
        pytest.raises(ForcingError, match="temperature .* is impossible"),
    ):
        file.read((TEMPERATURE,), 0, 1)


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(ForcingError, match="no such weather file"):
        opened(tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("not NetCDF")
    with pytest.raises(ForcingError, match="not a readable NetCDF file"):
        opened(tmp_path / "text.nc")


def test_names_that_are_not_there(tmp_path):
    path = write(tmp_path / "w.nc")
    with pytest.raises(ForcingError, match="no variable 'prpc'.*did you mean 'prcp'"):
        opened(path, precipitation="prpc")
    with pytest.raises(ForcingError, match="'rain' is unknown"):
        opened(path, rain="prcp")


def test_a_step_that_the_file_does_not_divide(tmp_path):
    with pytest.raises(ForcingError, match="step is 3600 s, which does not divide the model's 900"):
        opened(write(tmp_path / "w.nc"), step=900)


def test_a_file_that_another_thread_finds_to_be_garbage_is_closed_by_its_own(tmp_path):
    import gc
    import threading

    from bmi_dhydro.cli.example import write_example
    from bmi_dhydro.io import netcdf

    write_example(tmp_path, 2, 10, "1d", "file", model="fast")
    gc.collect()

    class Ring:
        pass

    ring = Ring()
    ring.itself, ring.reader = ring, netcdf.Reader(tmp_path / "weather.nc")
    data = ring.reader.data
    gc.disable()
    try:
        del ring
        thread = threading.Thread(target=gc.collect)
        thread.start()
        thread.join()
    finally:
        gc.enable()
    assert data.isopen()
    assert [item[0] for item in netcdf._LEFT] == [data]
    netcdf.Reader(tmp_path / "weather.nc").close()
    assert not data.isopen()
    assert not netcdf._LEFT
