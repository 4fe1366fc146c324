"""The band of what may be observed, beside the flow of a run."""

import numpy as np
import pytest
import xarray

from bmi_dhydro import BmiDhydro
from bmi_dhydro.cli.example import write_example
from bmi_dhydro.networks import trained_model
from bmi_dhydro.run.flow_band import add_band
from bmi_dhydro.variables import FLOW, RUNOFF_FLUX
from tests.cli.conftest import call
from tests.run.conftest import replaced

SHARES = ("q05", "q50", "q95")


@pytest.fixture
def example(tmp_path, model_with_errors):
    path = write_example(tmp_path, 5, 120, "1d", "file", model="fast")
    return replaced(path, "model: fast", f"model: {model_with_errors}")


def band(path, name=RUNOFF_FLUX):
    with xarray.open_dataset(path) as data:
        return np.stack([data[f"{name}_{share}"].values for share in SHARES])


def run(config, name="band.nc", *options):
    out = config.parent / name
    call("run", str(config), "--band", "--out", str(out), *options)
    return out


def test_the_band_is_that_of_the_models_errors(example, model_with_errors):
    out = run(example)
    call("run", str(example), "--out", str(example.parent / "plain.nc"))
    errors = trained_model.load(model_with_errors).flow_errors
    with (
        xarray.open_dataset(out) as data,
        xarray.open_dataset(example.parent / "plain.nc") as plain,
    ):
        # What an ordinary run writes is there as it was.
        for name in plain.variables:
            np.testing.assert_array_equal(data[name].values, plain[name].values)
        depth = 24.0 * data[RUNOFF_FLUX].values.astype(float)
        expected = errors.quantiles(depth, {"aridity": data["aridity"].values})
        area = data["area"].values
        units = {data[f"{FLOW}_{share}"].attrs["units"] for share in SHARES}
        assert "95% quantile" in data[f"{RUNOFF_FLUX}_q95"].attrs["long_name"]
    np.testing.assert_allclose(band(out), expected / 24.0, rtol=1e-5)
    np.testing.assert_allclose(band(out, FLOW), expected * area / 86.4, rtol=1e-5)
    assert units == {"m3 s-1"}


def test_one_catchment_has_the_band_that_it_has_among_others(example):
    every = band(run(example))
    replaced(example, "catchments:", "catchments:\n  select: [cat-3]")
    np.testing.assert_array_equal(band(run(example, "one.nc"))[..., 0], every[..., 2])


def test_workers_give_the_same_band(example):
    np.testing.assert_array_equal(
        band(run(example)), band(run(example, "divided.nc", "--workers", "2"))
    )


def test_results_that_a_host_or_a_fleet_has_written_take_a_band_too(example, model_with_errors):
    expected = band(run(example))
    text = example.read_text() + "\nfleet: true\n"
    instances = []
    for k in range(1, 6):
        path = example.with_name(f"cat-{k}.yaml")
        path.write_text(text.replace("catchments:", f"catchments:\n  select: [cat-{k}]"))
        instances.append(BmiDhydro())
        instances[-1].initialize(str(path))
    for _ in range(120):
        for instance in instances:
            instance.update()
    for instance in instances:
        instance.finalize()
    out = example.parent / "results.nc"
    add_band(out, trained_model.load(model_with_errors).flow_errors)
    np.testing.assert_array_equal(band(out), expected)


def test_a_restart_in_the_middle_gives_the_same_band(example):
    whole = band(run(example))
    text = example.read_text()
    first = example.with_name("first.yaml")
    half = "2000-11-30"
    first.write_text(text.replace("time:", f"time:\n  end: {half}") + "\nsave_state: half.nc\n")
    run(first, "first.nc")
    later = example.with_name("later.yaml")
    begun = text.replace("time:", f"time:\n  start: {half}") + "\ninitial_state: half.nc\n"
    later.write_text(begun)
    parts = [band(first.with_name("first.nc")), band(run(later, "later.nc"))]
    assert parts[0].shape[1] == 60
    # Climate indices of half a run would be others; those of the table are the same.
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("step: 1d", "step: 1h", "time.step: --band takes the errors that"),
        ("\nmodel:", "\nparameters: {FC: 200.0}\nmodel:", "parameters: --band takes the errors"),
        ("\nmodel:", "\nparameter_file: x.safetensors\nmodel:", "parameter_file: --band takes"),
        ("\nmodel:", "\nensemble: {members: 2}\nmodel:", "ensemble: --band takes the errors that"),
        ("\nmodel:", "\nrouting: none\nmodel:", "routing: --band takes the errors that"),
        ("output:", "output:\n  variables: [recharge]", "output.variables: --band is of flow"),
    ],
)
def test_errors_of_something_else_are_refused(example, old, new, message):
    replaced(example, old, new)
    out = example.parent / "band.nc"
    assert message in " ".join(
        call("run", str(example), "--band", "--out", str(out), code=1).split()
    )
    assert not out.exists()


def test_only_the_flow_that_is_written_has_a_band(example):
    replaced(example, "output:", f"output:\n  variables: [{FLOW}]")
    out = run(example)
    with xarray.open_dataset(out) as data:
        assert f"{FLOW}_q05" in data
        assert f"{RUNOFF_FLUX}_q05" not in data
    assert (np.diff(band(out, FLOW), axis=0) >= 0.0).all()


def test_single_precision_spin_up_and_moving_parameters(example):
    expected = band(run(example))
    replaced(example, "\nmodel:", "\ndtype: float32\nspin_up: {before: 60d}\nmodel:")
    replaced(example, "time:", "time:\n  start: 2000-11-30")
    found = band(run(example, "late.nc"))
    # The same days, from stores that the days before them have filled.
    np.testing.assert_allclose(found, expected[:, 60:], rtol=2e-3, atol=1e-5)
