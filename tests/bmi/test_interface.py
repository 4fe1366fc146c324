"""The interface: names, values, time, and calls that make no sense."""

import numpy as np
import pytest
from bmipy import Bmi

from bmi_dhydro import BmiDhydro
from bmi_dhydro.errors import (
    ConfigError,
)
from tests.bmi.conftest import DEPTH, PET, RAIN, TEMPERATURE, changed, weather


def test_all_methods_are_there():
    abstract = Bmi.__abstractmethods__
    assert len(abstract) == 41
    assert not BmiDhydro.__abstractmethods__
    ours = BmiDhydro.__mro__[: BmiDhydro.__mro__.index(Bmi)]
    assert abstract <= set().union(*map(vars, ours))


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


def test_unset_inputs_are_zero_and_said_so(model, caplog):
    model.set_value(RAIN, np.array([1.0]))
    model.update()
    model.update()
    messages = [record.message for record in caplog.records]
    assert messages == [f"never set, so zero: {TEMPERATURE}, {PET}"]


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
