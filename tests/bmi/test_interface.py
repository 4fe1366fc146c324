"""The interface: names, values, time, and calls that make no sense."""

import sys

import numpy as np
import pytest
from bmipy import Bmi

from bmi_dhydro import BmiDhydro
from bmi_dhydro.errors import (
    ConfigError,
    DhydroError,
    ForcingError,
    OrderError,
    StateError,
    VariableError,
)
from bmi_dhydro.variables import INPUTS, OUTPUTS

RAIN, TEMPERATURE, PET = (item.name for item in INPUTS[:3])
DEPTH, FLUX, DISCHARGE = (item.name for item in OUTPUTS[:3])


@pytest.fixture
def model(host_example):
    bmi = BmiDhydro()
    bmi.initialize(str(host_example))
    yield bmi
    bmi.finalize()


@pytest.fixture
def many(many_host_example):
    bmi = BmiDhydro()
    bmi.initialize(str(many_host_example))
    yield bmi
    bmi.finalize()


def weather(bmi, steps, seed=0):
    """Set weather and step; return the runoff depths."""
    random = np.random.default_rng(seed)
    size = bmi.get_grid_size(0)
    runoff = np.empty((steps, size))
    for row in runoff:
        bmi.set_value(RAIN, random.gamma(0.3, 1.0, size))
        bmi.set_value(TEMPERATURE, random.normal(6.0, 8.0, size))
        bmi.set_value(PET, random.uniform(0.0, 0.2, size))
        bmi.update()
        bmi.get_value(DEPTH, row)
    return runoff


def changed(path, **keys):
    """Append keys to a configuration."""
    path.write_text(path.read_text() + "\n".join(f"{k}: {v}" for k, v in keys.items()) + "\n")
    return str(path)


def test_all_methods_are_there():
    abstract = Bmi.__abstractmethods__
    assert len(abstract) == 41
    assert not BmiDhydro.__abstractmethods__
    ours = BmiDhydro.__mro__[: BmiDhydro.__mro__.index(Bmi)]
    assert abstract <= set().union(*map(vars, ours))


def test_names_are_known_before_initialize():
    bmi = BmiDhydro()
    assert bmi.get_component_name() == "bmi_dhydro"
    assert len(bmi.get_output_var_names()) == bmi.get_output_item_count() == len(OUTPUTS)
    assert bmi.get_input_var_names() == (RAIN, TEMPERATURE, PET)


def test_lifecycle_methods_return_none(host_example):
    bmi = BmiDhydro()
    assert bmi.initialize(str(host_example)) is None
    assert bmi.update() is None
    assert bmi.update_until(bmi.get_current_time() + 86400.0) is None
    assert bmi.finalize() is None
    assert bmi.finalize() is None


def test_time(model):
    assert (model.get_start_time(), model.get_current_time()) == (0.0, 0.0)
    assert model.get_time_step() == 86400.0
    assert model.get_time_units() == "s"
    assert model.get_end_time() == sys.float_info.max
    model.update()
    assert model.get_current_time() == 86400.0
    model.update_until(5 * 86400.0)
    assert model.get_current_time() == 5 * 86400.0


def test_update_until_the_past_does_nothing(model):
    model.update_until(3 * 86400.0)
    model.update_until(86400.0)
    model.update_until(-1.0)
    assert model.get_current_time() == 3 * 86400.0


def test_update_until_a_part_of_a_step_is_refused_and_does_nothing(model):
    with pytest.raises(ValueError, match="only whole steps"):
        model.update_until(100000.0)
    assert model.get_current_time() == 0.0
    model.update_until(86400.0 * (1 + 1e-9))
    assert model.get_current_time() == 86400.0


def test_calendar_units(host_example):
    bmi = BmiDhydro()
    text = host_example.read_text().replace("time:\n", "time:\n  units: seconds since <start>\n")
    host_example.write_text(text)
    bmi.initialize(str(host_example))
    assert bmi.get_time_units() == "seconds since 2000-10-01 00:00:00"


@pytest.mark.parametrize("fixture", ["model", "many"])
def test_every_name_answers_every_question(request, fixture):
    bmi = request.getfixturevalue(fixture)
    names = [*bmi.get_input_var_names(), *bmi.get_output_var_names(), *bmi._known]
    assert len(bmi._known) > 60
    for name in names:
        grid = bmi.get_var_grid(name)
        assert bmi.get_var_location(name) == "node"
        assert isinstance(bmi.get_var_units(name), str)
        assert bmi.get_var_nbytes(name) == bmi.get_var_itemsize(name) * bmi.get_grid_size(grid)
        assert np.dtype(bmi.get_var_type(name)).itemsize == bmi.get_var_itemsize(name)
        values = np.empty(bmi.get_grid_size(grid), bmi.get_var_type(name))
        assert bmi.get_value(name, values) is values
        assert np.isfinite(values).all()
        one = np.empty(1, values.dtype)
        assert bmi.get_value_at_indices(name, one, np.array([values.size - 1])) is one
        assert one[0] == values[-1]


def test_metadata_are_plain_python(model):
    for name in model._known:
        assert type(model.get_var_grid(name)) is int
        assert type(model.get_var_itemsize(name)) is int
        assert type(model.get_var_nbytes(name)) is int
        assert type(model.get_var_units(name)) is str
    for value in (model.get_current_time(), model.get_end_time(), model.get_time_step()):
        assert type(value) is float
    for grid in (0, 1, 2):
        assert type(model.get_grid_size(grid)) is int
        assert type(model.get_grid_rank(grid)) is int


def test_units_are_of_one_water(many):
    weather(many, 30)
    step = many.get_time_step()
    area = many.get_value("area", np.empty(6))
    depth, flux, discharge = (many.get_value(n, np.empty(6)) for n in (DEPTH, FLUX, DISCHARGE))
    assert (depth > 0).all()
    np.testing.assert_allclose(flux, depth * 1000.0 * 3600.0 / step)
    np.testing.assert_allclose(discharge, depth * area * 1e6 / step)
    np.testing.assert_allclose(many.get_value("discharge", np.empty(6)), depth * 1000.0)


def test_many_catchments_equal_single_ones(many, host_example):
    together = weather(many, 40)
    single = BmiDhydro()
    single.initialize(str(host_example))
    # The first of the six is another made-up catchment of the same climate: give it its attributes.
    for name in many.component.parameters.attribute_names:
        single.set_value(name, many.get_value(name, np.empty(6))[:1])
    random = np.random.default_rng(0)
    for row in together:
        single.set_value(RAIN, random.gamma(0.3, 1.0, 6)[:1])
        single.set_value(TEMPERATURE, random.normal(6.0, 8.0, 6)[:1])
        single.set_value(PET, random.uniform(0.0, 0.2, 6)[:1])
        single.update()
        assert single.get_value(DEPTH, np.empty(1))[0] == pytest.approx(row[0], rel=1e-11)


def test_aliases_are_the_same_input(model):
    model.set_value("atmosphere_water__precipitation_leq-volume_flux", np.array([2.5]))
    assert model.get_value(RAIN, np.empty(1)) == [2.5]


def test_pointers_are_stable_and_current(model):
    pointers = {name: model.get_value_ptr(name) for name in model.get_output_var_names()}
    inputs = {name: model.get_value_ptr(name) for name in model.get_input_var_names()}
    for _ in range(5):
        weather(model, 3)
        for name, pointer in {**pointers, **inputs}.items():
            assert pointer is not None
            assert np.array_equal(pointer, model.get_value(name, np.empty(1)))
            assert np.shares_memory(pointer, model.get_value_ptr(name))


def test_inputs_can_be_set_through_their_pointer(model):
    model.get_value_ptr(RAIN)[:] = 4.0
    model.get_value_ptr(TEMPERATURE)[:] = 12.0
    model.update()
    assert model.get_value("rain", np.empty(1))[0] == pytest.approx(96.0)
    model.get_value_ptr(RAIN)[:] = -1.0
    with pytest.raises(ForcingError, match="is -1 mm h-1 for catchment cat-1 at 2000-10-02"):
        model.update()
    assert model.get_current_time() == 86400.0
    model.get_value_ptr(RAIN)[:] = 0.0
    model.update()


def test_parameters_can_be_set(model):
    size = model.component.model.components
    every = np.linspace(0.01, 0.05, size)
    model.set_value("K2_components", every)
    assert np.array_equal(model.get_value("K2_components", np.empty(size)), every)
    # To a host a parameter is one number: 8 bytes, the mean of its components.
    assert model.get_var_nbytes("K2") == model.get_var_itemsize("K2") == 8
    assert model.get_var_type("K2") == "float64"
    pointer = model.get_value_ptr("K2")
    assert pointer == pytest.approx(every.mean())
    model.set_value("K2", np.array([0.02]))
    assert pointer == 0.02
    assert (model.get_value("K2_components", np.empty(size)) == 0.02).all()
    model.set_value("FC", np.array([200.0]))
    assert (model.get_value_ptr("FC_components") == 200.0).all()
    for name in ("FC", "FC_components"):
        with pytest.raises(ValueError, match="read-only"):
            model.get_value_ptr(name)[:] = 1.0
    with pytest.raises(ValueError, match=f"K2_components has {size} values, but 3 were given"):
        model.set_value("K2_components", np.zeros(3))


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("K1", -3.0, "K1 cannot be -3 d-1 for catchment cat-1; 0 to 1 is possible"),
        ("K1", 1.5, "0 to 1 is possible"),
        ("FC", -5.0, "FC cannot be -5 mm"),
        ("FC_components", 0.0, "FC cannot be 0 mm"),
        ("route_delay", -1.0, "route_delay cannot be -1 d"),
        ("BETA", np.nan, "BETA cannot be nan"),
    ],
)
@pytest.mark.parametrize("many_of_them", [False, True])
def test_a_parameter_that_cannot_be_is_refused_until_it_is_mended(
    many, host_example, name, value, match, many_of_them
):
    bmi = BmiDhydro()
    bmi.initialize(str(host_example))
    model = many if many_of_them else bmi
    weather(model, 2)
    before = {key: np.array(v) for key, v in model.component.model.parameters.items()}
    size = model.get_grid_size(model.get_var_grid(name))
    with pytest.raises(ValueError, match=match):
        model.set_value(name, np.full(size, value))
    for key, array in model.component.model.parameters.items():
        assert np.array_equal(array, before[key])
    # NextGen's engine goes on whatever `set_value` raises.
    done = model.get_current_time()
    for _ in range(2):
        with pytest.raises(ValueError, match=match):
            model.update()
    assert model.get_current_time() == done
    model.set_value(name, np.full(size, 0.9 if "FC" not in name else 300.0))
    model.update()


@pytest.mark.parametrize("more", ["", "dtype: float32", "routing: none"])
def test_several_steps_asked_for_at_once(many_host_example, more):
    """Depths add up, rates are means, stores are those of the end: 15 minutes lose no water."""
    text = many_host_example.read_text().replace("step: 1d", "step: 15min")
    many_host_example.write_text(text + more + "\n")
    one, together = BmiDhydro(), BmiDhydro()
    for model in (one, together):
        model.initialize(str(many_host_example))
    pointer = together.get_value_ptr(DEPTH)
    names = [*together.get_output_var_names(), "melt", "discharge", "soil_moisture", "groundwater"]
    random = np.random.default_rng(0)
    for hour in range(30):
        for name, value in ((RAIN, random.gamma(0.5, 3.0, 6)), (TEMPERATURE, np.full(6, 4.0))):
            for model in (one, together):
                model.set_value(name, value)
        quarters: dict[str, list] = {name: [] for name in names}
        for _ in range(4):
            one.update()
            for name in names:
                size = one.get_grid_size(one.get_var_grid(name))
                quarters[name].append(one.get_value(name, np.empty(size, one.get_var_type(name))))
        together.update_until((hour + 1) * 3600.0)
        assert together.get_current_time() == one.get_current_time()
        for name, values in quarters.items():
            units, last = one.get_var_units(name), values[-1]
            expected = last
            if name in (DEPTH, "melt", "discharge"):
                expected = np.sum(values, axis=0)
            elif units in ("mm h-1", "m3 s-1"):
                expected = np.mean(values, axis=0)
            found = together.get_value(name, np.empty_like(last))
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-12, err_msg=name)
        assert np.array_equal(pointer, together.get_value(DEPTH, np.empty(6)))
    # One step more is one step.
    for model in (one, together):
        model.update()
    assert np.array_equal(*(m.get_value(DEPTH, np.empty(6)) for m in (one, together)))


def test_states_can_be_set_and_count(model):
    weather(model, 20)
    size = model.component.model.components
    model.set_value("lower_zone", np.full(size, 500.0))
    before = model.get_value(DEPTH, np.empty(1))[0]
    weather(model, 1)
    assert model.get_value(DEPTH, np.empty(1))[0] > before
    pointer = model.get_value_ptr("soil_moisture")
    pointer[:] = 7.0
    assert (model.get_value("soil_moisture", np.empty(size)) == 7.0).all()
    model.set_value_at_indices("snowpack", np.array([1, 3]), np.array([5.0, 6.0]))
    assert model.get_value("snowpack", np.empty(size))[[1, 3]].tolist() == [5.0, 6.0]
    with pytest.raises(ValueError, match="snowpack is a store and cannot be -1"):
        model.set_value("snowpack", np.full(size, -1.0))


@pytest.mark.parametrize(("value", "match"), [(np.nan, "is nan mm"), (-5.0, "is -5 mm")])
def test_a_state_that_cannot_be_is_found_behind_its_pointer(many, value, match):
    weather(many, 3)
    stores = many.get_value_ptr("soil_moisture")
    size = many.component.model.components
    kept = stores[2 * size + 1]
    stores[2 * size + 1] = value
    done = many.get_current_time()
    with pytest.raises(
        StateError, match=f"soil_moisture {match} for catchment cat-3 at 2000-10-04"
    ):
        many.update()
    assert many.get_current_time() == done
    stores[2 * size + 1] = kept
    many.update()


def test_the_routing_store_can_be_moved_to_another_object(model, host_example):
    weather(model, 20)
    other = BmiDhydro()
    other.initialize(str(host_example))
    for name in (*model.component.model.process.state_names, "routing_pending"):
        size = model.get_grid_size(model.get_var_grid(name))
        other.set_value(name, model.get_value(name, np.empty(size)))
    assert np.array_equal(weather(other, 10, seed=5), weather(model, 10, seed=5))


def test_setting_an_attribute_reruns_the_network_for_its_catchment(many):
    size = 6 * many.component.model.components
    before = many.get_value("BETA_components", np.empty(size)).reshape(6, -1)
    forest = many.get_value("forest_fraction", np.empty(6))
    forest[2] = 0.1
    many.set_value("forest_fraction", forest)
    after = many.get_value("BETA_components", np.empty(size)).reshape(6, -1)
    assert np.allclose(many.get_value("BETA", np.empty(6)), after.mean(axis=1))
    assert (after[2] != before[2]).any()
    assert np.array_equal(np.delete(after, 2, 0), np.delete(before, 2, 0))
    assert many.get_value("forest_fraction", np.empty(6))[2] == 0.1


def test_setting_the_area_changes_discharge_but_no_parameter_of_the_process(model):
    before = [model.get_value(name, np.empty(1)) for name in ("BETA", "K1")]
    model.set_value("area", np.array([10.0]))
    assert np.array_equal(before, [model.get_value(n, np.empty(1)) for n in ("BETA", "K1")])
    weather(model, 30)
    depth, discharge = (model.get_value(n, np.empty(1))[0] for n in (DEPTH, DISCHARGE))
    assert discharge == pytest.approx(depth * 10.0e6 / 86400.0)


@pytest.mark.parametrize("method", ["get_value", "get_value_ptr", "get_var_units", "set_value"])
def test_unknown_names_get_the_nearest(model, method):
    arguments = {"get_value": [np.empty(1)], "set_value": [np.zeros(1)]}.get(method, [])
    with pytest.raises(VariableError, match="did you mean 'land_surface_air__temperature'"):
        getattr(model, method)("land_surface_air_temperature", *arguments)


@pytest.mark.parametrize(
    ("name", "values", "error", "message"),
    [
        (RAIN, [1.0, 2.0], ValueError, "has 1 values, but 2 were given"),
        (RAIN, [], ValueError, "has 1 values, but 0 were given"),
        (RAIN, [np.nan], ForcingError, "cannot be nan mm h-1 for catchment cat-1 at 2000-10-01"),
        (RAIN, [-0.1], ForcingError, "cannot be -0.1 mm h-1 for catchment cat-1"),
        (RAIN, [np.inf], ForcingError, "cannot be inf"),
        (TEMPERATURE, [285.0], ForcingError, "cannot be 285 degC .* expected -90 to 70 degC"),
        (FLUX, [1.0], VariableError, "is an output and cannot be set"),
        ("aridity", [np.nan], ValueError, "aridity cannot be nan"),
        ("area", [-3.0], DhydroError, "'area' cannot be -3 km2 for cat-1"),
        ("FC", ["wet"], ValueError, "FC takes numbers"),
    ],
)
def test_bad_values_change_nothing(model, name, values, error, message):
    size = model.get_grid_size(model.get_var_grid(name))
    before = model.get_value(name, np.empty(size))
    with pytest.raises(error, match=message):
        model.set_value(name, np.array(values))
    assert np.array_equal(model.get_value(name, np.empty(size)), before)
    if name == "FC":
        model.set_value(name, np.array([300.0]))
    model.update()


def test_a_bad_value_among_many_names_its_catchment(many):
    rain = np.zeros(6)
    rain[4] = np.nan
    with pytest.raises(ForcingError, match="for catchment cat-5"):
        many.set_value(RAIN, rain)
    with pytest.raises(ValueError, match="has 6 values, but dest has room for 1"):
        many.get_value(DEPTH, np.empty(1))


def test_integers_and_lists_are_taken(model):
    model.set_value(RAIN, [2])
    model.set_value(TEMPERATURE, np.array([5], dtype=np.int32))
    assert model.get_value(RAIN, np.empty(1))[0] == 2.0


@pytest.mark.parametrize(
    "call",
    [
        lambda bmi: bmi.update(),
        lambda bmi: bmi.update_until(1.0),
        lambda bmi: bmi.get_current_time(),
        lambda bmi: bmi.get_value(DEPTH, np.empty(1)),
        lambda bmi: bmi.set_value(RAIN, np.zeros(1)),
        lambda bmi: bmi.get_grid_size(0),
        lambda bmi: bmi.get_var_units(RAIN),
    ],
)
def test_calls_out_of_order(host_example, call):
    bmi = BmiDhydro()
    with pytest.raises(OrderError, match="not initialized; call initialize"):
        call(bmi)
    bmi.initialize(str(host_example))
    with pytest.raises(OrderError, match="call finalize first"):
        bmi.initialize(str(host_example))
    bmi.update()
    bmi.finalize()
    with pytest.raises(OrderError, match="finalize was called"):
        call(bmi)
    bmi.initialize(str(host_example))
    assert bmi.get_current_time() == 0.0


def test_a_failed_initialize_leaves_a_usable_object(host_example, tmp_path):
    bmi = BmiDhydro()
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        bmi.initialize(str(tmp_path / "none.yaml"))
    with pytest.raises(ConfigError, match="needs the path"):
        bmi.initialize("")
    bmi.initialize(str(host_example))
    bmi.update()


def test_unset_inputs_are_zero_and_said_so(model, caplog):
    model.set_value(RAIN, np.array([1.0]))
    model.update()
    model.update()
    messages = [record.message for record in caplog.records]
    assert messages == [f"never set, so zero: {TEMPERATURE}, {PET}"]


@pytest.mark.parametrize(("grid", "rank"), [("points", 1), ("unstructured", 2)])
def test_grids_of_many_catchments(many_host_example, grid, rank):
    bmi = BmiDhydro()
    bmi.initialize(changed(many_host_example, grid=grid))
    assert (bmi.get_grid_type(0), bmi.get_grid_rank(0)) == (grid, rank)
    assert bmi.get_grid_size(0) == bmi.get_grid_node_count(0) == 6
    x, y = bmi.get_grid_x(0, np.empty(6)), bmi.get_grid_y(0, np.empty(6))
    assert (x < -60).all()
    assert (y > 25).all()
    assert bmi.get_grid_edge_count(0) == bmi.get_grid_face_count(0) == 0
    components = bmi.component.model.components
    assert bmi.get_grid_shape(1, np.empty(2, int)).tolist() == [6, components]
    assert bmi.get_grid_type(1) == "uniform_rectilinear"
    with pytest.raises(ValueError, match="grid 9 is unknown"):
        bmi.get_grid_size(9)


def test_one_catchment_is_a_scalar(model):
    assert model.get_grid_type(0) == "scalar"
    assert model.get_grid_rank(0) == 0
    assert model.get_grid_size(0) == 1


def test_parameters_of_the_configuration_replace_those_of_the_network(host_example):
    bmi = BmiDhydro()
    bmi.initialize(changed(host_example, parameters="{FC: 123.0, route_delay: 0.5}"))
    assert (bmi.get_value_ptr("FC") == 123.0).all()
    assert bmi.get_value_ptr("route_delay")[0] == 0.5
    bad = BmiDhydro()
    text = host_example.read_text().replace("FC:", "FCC:")
    host_example.write_text(text)
    with pytest.raises(ConfigError, match="parameters: 'FCC' is unknown"):
        bad.initialize(str(host_example))


def test_state_goes_through_files(host_example, tmp_path):
    path = changed(host_example, save_state=tmp_path / "state")
    first, whole = BmiDhydro(), BmiDhydro()
    first.initialize(path)
    whole.initialize(path)
    weather(first, 25)
    weather(whole, 25)
    first.finalize()
    second = BmiDhydro()
    second.initialize(changed(host_example, initial_state=tmp_path / "state"))
    assert np.array_equal(weather(second, 20, seed=9), weather(whole, 20, seed=9))


@pytest.mark.parametrize("method", ["oudin", "hamon", "hargreaves"])
def test_evapotranspiration_can_be_computed(host_example, method):
    bmi = BmiDhydro()
    more = "" if method == "hargreaves" else ", evapotranspiration_mismatch: rescale"
    forcing = f"{{potential_evapotranspiration: {method}{more}}}"
    bmi.initialize(changed(host_example, forcing=forcing))
    names = bmi.get_input_var_names()
    assert PET not in names
    assert len(names) == (4 if method == "hargreaves" else 2)
    low, high = 10.0, 22.0
    for name in names:
        value = {RAIN: 1.0, TEMPERATURE: 16.0}.get(name, low if "min" in name else high)
        bmi.set_value(name, np.array([value]))
    bmi.update_until(200 * 86400.0)
    evaporation = bmi.get_value("land_surface_water__evaporation_volume_flux", np.empty(1))[0]
    assert 1.0 < evaporation * 24 < 8.0


def test_float32_follows_float64(host_example):
    double, single = BmiDhydro(), BmiDhydro()
    double.initialize(str(host_example))
    single.initialize(changed(host_example, dtype="float32"))
    np.testing.assert_allclose(weather(single, 200), weather(double, 200), rtol=1e-4, atol=1e-9)
    assert single.get_var_type("snowpack") == "float32"
    assert single.get_var_type(DEPTH) == "float64"


def test_the_reference_kernel_gives_the_same(host_example):
    compiled, reference = BmiDhydro(), BmiDhydro()
    compiled.initialize(str(host_example))
    reference.initialize(changed(host_example, kernel="reference"))
    np.testing.assert_allclose(weather(reference, 50), weather(compiled, 50), rtol=1e-9)
