"""Weather read ahead: blocks, states looked at in between, results, climate."""

import msgspec
import numpy as np

from bmi_dhydro.cli.example import write_example
from bmi_dhydro.config import read_config
from bmi_dhydro.run.component import Component


def test_the_water_account_goes_on_after_a_restart(tmp_path):
    path = write_example(tmp_path, 3, 40, "1d", "file", model="fast")
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
