"""Several steps that a host asks for at once."""

import numpy as np
import pytest

from bmi_dhydro import BmiDhydro
from tests.bmi.conftest import DEPTH, RAIN, TEMPERATURE


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
