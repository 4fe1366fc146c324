"""Results that instances of a fleet write are those of one run of all catchments."""

import numpy as np
import pytest
import xarray

from bmi_dhydro import BmiDhydro
from bmi_dhydro.errors import ConfigError, ResultsError
from tests.hosts.test_fleet import DEPTH, IDS, folder, opened, short_blocks  # noqa: F401

STEPS = 50


def output(path, variables=""):
    return f"output:\n  file: {path}\n{variables}"


def whole(folder, path, extra=""):  # noqa: F811
    """Results of one component with all catchments."""
    text = (folder / "config.yaml").read_text().partition("output:")[0]
    config = folder / "whole.yaml"
    config.write_text(f"{text}{output(path)}{extra}")
    model = BmiDhydro()
    model.initialize(str(config))
    for _ in range(STEPS):
        model.update()
    model.finalize()
    return xarray.load_dataset(path)


def stepped(models, steps=STEPS):
    for _ in range(steps):
        for model in models:
            model.update()


def ended(models):
    for model in models:
        model.finalize()


@pytest.mark.parametrize("extra", ["", "dtype: float32\n", "model: default\n"])
def test_one_file_of_all_instances(folder, tmp_path, extra):  # noqa: F811
    path = tmp_path / "fleet.nc"
    if extra.startswith("model"):
        config = folder / "config.yaml"
        config.write_text(config.read_text().replace("model: fast", extra.strip()))
        extra = ""
    models = [opened(folder, name, extra=output(path) + extra) for name in IDS]
    stepped(models)
    assert not path.exists()
    ended(models)
    xarray.testing.assert_identical(
        xarray.load_dataset(path).drop_attrs(),
        whole(folder, tmp_path / "whole.nc", extra).drop_attrs(),
    )


def test_instances_that_go_on_alone_write_what_they_compute(folder, tmp_path):  # noqa: F811
    path = tmp_path / "fleet.nc"
    models = [opened(folder, name, extra=output(path)) for name in IDS]
    models[1].component  # noqa: B018  leaves before the first step
    stepped(models, 20)
    changed, same = models[2], opened(folder, IDS[2], shared=False)
    changed.set_value("FC", np.array([150.0]))
    stepped([same], 20)
    same.set_value("FC", np.array([150.0]))
    flow = []
    for _ in range(STEPS - 20):
        stepped([*models, same], 1)
        flow.append(same.get_value(DEPTH, np.empty(1))[0])
    ended([*models, same])
    with xarray.open_dataset(path) as results:
        written = results[DEPTH].values
    expected = whole(folder, tmp_path / "whole.nc")[DEPTH].values
    np.testing.assert_array_equal(written[20:, 2], np.float32(flow))
    assert not np.array_equal(written[20:, 2], expected[20:, 2])
    others = [k for k in range(len(IDS)) if k != 2]
    np.testing.assert_array_equal(written[:, others], expected[:, others])


def test_chosen_variables_in_any_order_of_instances(folder, tmp_path):  # noqa: F811
    path = tmp_path / "fleet.nc"
    wanted = output(path, "  variables: [soil_moisture, precipitation]\n")
    models = [opened(folder, name, extra=wanted) for name in IDS]
    # An instance may be far ahead of another.
    for model in reversed(models):
        stepped([model])
    ended(models)
    with xarray.open_dataset(path) as results:
        assert set(results.data_vars) >= {"soil_moisture", "precipitation"}
        assert results.sizes["time"] == STEPS
        assert np.isfinite(results["soil_moisture"]).all()


def test_instances_that_end_at_different_steps_leave_nothing(folder, tmp_path):  # noqa: F811
    path = tmp_path / "fleet.nc"
    models = [opened(folder, name, extra=output(path)) for name in IDS]
    stepped(models, 10)
    stepped(models[:3], 1)
    with pytest.raises(ResultsError, match="ended after 10 to 11 steps"):
        ended(models)
    assert list(tmp_path.glob("*fleet.nc*")) == []


def test_two_instances_of_a_catchment_are_refused(folder, tmp_path):  # noqa: F811
    models = [opened(folder, IDS[0], extra=output(tmp_path / "fleet.nc")) for _ in range(2)]
    with pytest.raises(ConfigError, match=f"{IDS[0]} has several instances"):
        models[0].update()


def test_processes_write_a_file_each(folder, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "1")
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"put \{rank\} into the name"):
        opened(folder, IDS[0], extra=output(tmp_path / "fleet.nc"))
    model = opened(folder, IDS[0], extra=output(tmp_path / "fleet-{rank}.nc"))
    stepped([model], 3)
    model.finalize()
    assert (tmp_path / "fleet-1.nc").exists()


def test_an_unknown_variable_is_refused_at_once(folder, tmp_path):  # noqa: F811
    wanted = output(tmp_path / "fleet.nc", "  variables: [soil_mositure]\n")
    with pytest.raises(ConfigError, match="soil_moisture"):
        opened(folder, IDS[0], extra=wanted)
