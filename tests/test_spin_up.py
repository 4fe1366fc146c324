import numpy as np
import pytest

from bmi_dhydro import BmiDhydro
from bmi_dhydro.errors import ConfigError


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """A folder that is kept for compiled kernels, and one for spin-ups."""
    monkeypatch.setattr("bmi_dhydro.spin_up.cache_folder", lambda: tmp_path / "kept")
    return tmp_path / "kept"


def opened(path, extra=""):
    text = path.read_text().partition("output:")[0]
    target = path.with_name("spin.yaml")
    target.write_text(text + extra)
    model = BmiDhydro()
    model.initialize(str(target))
    return model


def test_stores_come_into_balance_and_the_clock_stays(file_example, own_cache, caplog):
    caplog.set_level("INFO")
    model = opened(file_example, "spin_up: {tolerance: 0.5}\n")
    assert model.get_current_time() == 0.0
    component = model.component
    before = component.model.stored()
    assert before.min() > 20.0
    year = component.source.read(0, 365)
    component.model.run(year)
    assert np.abs(component.model.stored() - before).max() < 1.0
    assert len(list((own_cache / "spin_up").iterdir())) == 1


def test_it_is_what_repeating_by_hand_gives(file_example):
    spun = opened(file_example, "spin_up: {tolerance: 0.001, most: 3}\n")
    plain = opened(file_example).component
    year = plain.source.read(0, 365)
    for _ in range(3):
        plain.model.run(year)
    assert np.array_equal(spun.component.model.state, plain.model.state)
    assert np.array_equal(spun.component.model.pending, plain.model.pending)


def test_the_result_is_kept_for_the_same_run_only(file_example, own_cache, caplog):
    first = opened(file_example, "spin_up: {tolerance: 0.5}\n")
    caplog.set_level("INFO")
    second = opened(file_example, "spin_up: {tolerance: 0.5}\n")
    assert "0 repetitions" in caplog.text
    assert np.array_equal(second.component.model.state, first.component.model.state)
    for model in (first, second):
        model.update()
    name = first.get_output_var_names()[0]
    assert np.array_equal(*(m.get_value(name, np.empty(5)) for m in (first, second)))
    opened(file_example, "spin_up: {tolerance: 0.5}\nparameters: {K2: 0.01}\n")
    assert len(list((own_cache / "spin_up").iterdir())) == 2
    kept = next((own_cache / "spin_up").iterdir())
    kept.write_bytes(b"damaged")
    opened(file_example, "spin_up: {tolerance: 0.5}\n")
    opened(file_example, "spin_up: {tolerance: 0.5}\nparameters: {K2: 0.01}\n")
    assert "the kept spin-up is made again" in caplog.text


def test_what_does_not_settle_is_said_so(file_example, caplog):
    opened(file_example, "spin_up: {tolerance: 0.000001, most: 2}\n")
    assert "after 2 times 1 year(s) the stores of cat-1" in caplog.text


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("spin_up: {years: 2}", r"spin_up.years: the run from 2000-10-01.* is shorter than 2 year"),
        ("spin_up: {years: 0}", "spin_up.years: 0 is not more than zero"),
        ("spin_up: {}\ninitial_state: s.nc", "give either it or initial_state"),
    ],
)
def test_bad_configurations(file_example, extra, message):
    with pytest.raises(ConfigError, match=message):
        opened(file_example, extra + "\n")


def test_a_host_cannot_be_repeated(host_example):
    with pytest.raises(ConfigError, match="spin_up: needs forcing.file"):
        opened(host_example, "spin_up: {}\n")
