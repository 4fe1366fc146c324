import json

import numpy as np
import pytest
import torch
import xarray
import yaml

from bmi_dhydro import BmiDhydro
from bmi_dhydro.errors import CheckpointError
from bmi_dhydro.networks.trained_model import load
from bmi_dhydro.published.conversion import import_published
from bmi_dhydro.run.simulation import run_config
from tests.published.conftest import (
    FORMS,
    NAMES,
    TABLE,
    Published,
    random_weather,
    with_site,
    write_run,
)
from tests.published.reference_model import answer

WEATHER = random_weather(500, 5)


def simulated(path, weather, table, folder, **sections):
    """Run a configuration; return flow, evapotranspiration and snow as the reference does."""
    config = write_run(
        folder,
        path,
        weather,
        table,
        output={"variables": ["discharge", "evapotranspiration", "snowpack"]},
        **sections,
    )
    run_config(config)
    names = {"flow": "discharge", "et": "evapotranspiration", "snow": "snowpack"}
    with xarray.open_dataset(folder / "results.nc") as results:
        return {ours: results[name].transpose("time", ...).values for ours, name in names.items()}


def differences(found, expected):
    """Return median relative differences, as goals are given in."""
    return {
        name: np.median(np.abs(found[name] - values) / np.maximum(np.abs(values), 1e-6))
        for name, values in expected.items()
    }


# Each compiles kernels of its own, so that the others wait for the night.
BY_DAY = ("1.0", "1.1p, other order and logarithms", "2.0")


@pytest.mark.parametrize(
    "form",
    [form if form in BY_DAY else pytest.param(form, marks=pytest.mark.long) for form in FORMS],
)
def test_a_run_gives_what_publications_say(form, imported, tmp_path):
    expected = answer(FORMS[form], WEATHER, with_site(TABLE))
    found = simulated(imported(form), WEATHER, TABLE, tmp_path / "run")
    for name, values in expected.items():
        # Results are written in single precision.
        np.testing.assert_allclose(found[name], values, rtol=2e-5, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("form", BY_DAY)
def test_a_warm_up_with_held_parameters_is_that_of_publications(form, imported, tmp_path):
    expected = answer(FORMS[form], WEATHER, with_site(TABLE), warm_up=100, held=True)
    found = simulated(
        imported(form),
        WEATHER,
        TABLE,
        tmp_path / "run",
        time={"start": "2001-01-09"},
        spin_up={"before": "100d", "held": True},
    )
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=2e-5, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("form", BY_DAY[1:])
def test_a_warm_up_that_is_not_held_is_the_run_from_its_beginning(form, imported, tmp_path):
    path = imported(form)
    whole = simulated(path, WEATHER, TABLE, tmp_path / "whole")
    later = simulated(
        path,
        WEATHER,
        TABLE,
        tmp_path / "later",
        time={"start": "2001-01-09"},
        spin_up={"before": "100d"},
    )
    for name, values in later.items():
        assert np.array_equal(values, whole[name][100:])


@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.long)])
def test_what_the_makers_software_answers(real_files, dtype, tmp_path):
    weights = next(real_files.glob("*.pt"))
    path = tmp_path / "imported.safetensors"
    import_published(weights).save(path)
    with np.load(real_files / "reference.npz") as reference:
        weather = reference["x_phy"].transpose(0, 2, 1).astype(float)
        names = yaml.safe_load((real_files / "config.yaml").read_text())
        section = names.get("model", {}).get("nn") or names["dpl_model"]["nn_model"]
        table = dict(zip(section["attributes"], reference["attributes"].T, strict=True))
        expected = {
            "flow": reference["streamflow"],
            "et": reference["AET_hydro"],
            "snow": reference["SWE"],
        }
    days = len(expected["flow"])
    warm_up = len(weather) - days
    held = load(path).about["published"]["warm_up_states"] and warm_up
    start = np.datetime64("2000-10-01") + np.timedelta64(warm_up, "D")
    sections = {"time": {"start": str(start)}}
    if warm_up:
        sections["spin_up"] = {"before": f"{warm_up}d", "held": bool(held)}
    found = simulated(path, weather, table, tmp_path / "run", dtype=dtype, **sections)
    assert max(differences(found, expected).values()) < 1e-6
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-3, atol=2e-4, err_msg=name)


def test_dynamic_parameters_move_around_what_a_host_sets(imported, tmp_path):
    path = write_run(tmp_path / "run", imported("2.0"), WEATHER, TABLE, output=None)
    model = BmiDhydro()
    model.initialize(str(path))
    before = model.get_value_ptr("BETA").copy()
    model.set_value("BETA", before + 0.1)
    assert model.get_value_ptr("BETA") == pytest.approx(before + 0.1, rel=1e-6)
    model.update()
    model.finalize()


def refusal(tmp_path, form, change):
    """Return the message by which changed files are refused."""
    source = tmp_path / "source"
    published = FORMS[form]
    weights = published.write(source)
    change(source, published)
    with pytest.raises(CheckpointError) as error:
        import_published(weights)
    assert "\n" not in str(error.value)
    return str(error.value)


def changed_config(text, other):
    def change(source, published):
        path = source / "config.yaml"
        before = path.read_text()
        assert text in before
        path.write_text(before.replace(text, other))

    return change


def changed_weights(edit):
    def change(source, published):
        path = source / "model_ep50.pt"
        tensors = torch.load(path, weights_only=True)
        edit(tensors)
        torch.save(tensors, path)

    return change


def without_statistics(source, published):
    path = source / "normalization_statistics.json"
    table = json.loads(path.read_text())
    del table["frac_forest"]
    path.write_text(json.dumps(table))


@pytest.mark.parametrize(
    ("form", "change", "words"),
    [
        ("2.0", changed_config("Hbv_2", "Hbv_2_hourly"), ["hbv2hourly", "cannot be represented"]),
        ("1.1p", changed_config("Hbv_1_1p", "Hbv"), ["44 values", "another variant"]),
        ("1.1p", changed_config("nmul: 3", "nmul: 4"), ["another variant"]),
        ("2.0", changed_config("nmul: 3", "nmul: 4"), ["another variant"]),
        ("1.0", changed_config("parBETAET", "parRT"), ["RT", "dynamic_params"]),
        ("1.1p", changed_config("- prcp", "- srad"), ["srad", "forcings"]),
        ("1.1p", changed_config("- frac_forest", "- other"), ["other", "statistics"]),
        ("1.1p", changed_config("nearzero: 1.0e-05", "nearzero: 0.001"), ["nearzero"]),
        ("1.1p", changed_config("routing: true", "routing: false"), ["routing"]),
        ("1.1p", changed_config("model:", "something:"), ["dpl_model"]),
        ("1.1p", changed_config("nmul: 3", "nmul: many"), ["nmul", "many"]),
        ("2.0, static", changed_config("Hbv_2: []", "Hbv_2: [parBETA]"), ["BETA", "LSTM"]),
        ("1.1p", without_statistics, ["frac_forest", "statistics"]),
        (
            "1.1p",
            changed_weights(lambda w: w.update({"nn_model.attention": torch.ones(3)})),
            ["attention", "cannot be represented"],
        ),
        ("1.1p", changed_weights(lambda w: w.pop("nn_model.lstm.b_hh")), ["lstm.b_hh"]),
        ("2.0", changed_weights(lambda w: w.pop("nn_model.ann.h2h2.bias")), ["h2h2.bias"]),
        (
            "1.1p",
            changed_weights(lambda w: w["nn_model.lstm.w_hh"].fill_(float("nan"))),
            ["lstm.w_hh", "not finite"],
        ),
        (
            "1.1p",
            changed_weights(lambda w: w.update({"nn_model.lstm.w_ih": torch.ones(32, 9)})),
            ["lstm.w_ih", "(32, 8)"],
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_its_name(tmp_path, form, change, words):
    message = refusal(tmp_path, form, change)
    for word in words:
        assert word in message


def test_other_attributes_are_asked_for_by_name(imported, tmp_path):
    table = {name: values for name, values in TABLE.items() if name != "secret_index"}
    with pytest.raises(Exception, match="secret_index") as error:
        simulated(imported("1.1p"), WEATHER, table, tmp_path / "run")
    assert "lack" in str(error.value)


def test_an_attribute_without_a_value_is_refused(imported, tmp_path):
    table = TABLE | {"secret_index": np.array([np.nan, 1.0, 1.0, 1.0, 1.0])}
    with pytest.raises(
        Exception, match=r"secret_index.*c0 .its makers take the mean of training, 0.5."
    ):
        simulated(imported("1.1p"), WEATHER, table, tmp_path / "run")


def test_a_model_without_moving_parameters_has_no_lstm_in_a_run(imported, tmp_path):
    path = imported("1.0, no exponent")
    assert load(path).layout.dynamic == ()
    assert load(path).dynamics(dict.fromkeys(load(path).layout.needed, TABLE["area"])) is None


def test_the_form_is_written_down(imported):
    model = load(imported("1.1p of 2024"))
    assert model.layout.process.name == "hbv_1_1p"
    assert model.about["published"]["warm_up"] == 100
    assert model.about["licence"] == "none"
    assert model.layout.attributes == ("area", "mean_elevation", "forest_fraction", "secret_index")
    assert Published("Hbv_2", "both", NAMES, ("BETA",)).config()["observations"]
