"""Training finds what made the data, and says what is wrong with them."""

import dataclasses

import msgspec
import numpy as np
import pytest
import torch

from bmi_dhydro.evaluation.metrics import nse
from bmi_dhydro.model.model import Model
from bmi_dhydro.networks.parameter_network import DYNAMIC_HEAD, NetworkLayout, initial_weights
from bmi_dhydro.networks.trained_model import TrainedModel
from bmi_dhydro.physics import EXP_HYDRO, HBV
from bmi_dhydro.training.config import TrainingSettings
from bmi_dhydro.training.data import TrainingData
from bmi_dhydro.training.loop import Trainer, simulate, train
from tests.conftest import random_setup

LAYOUT = NetworkLayout(HBV, 4, ("aridity", "forest_fraction"))


def made_up(catchments=24, days=1100, layout=LAYOUT):
    """Flow of a network with other weights: what training should come close to."""
    forcing, _, _ = random_setup(catchments, 1, days, np.float32)
    random = np.random.default_rng(1)
    attributes = {name: random.normal(size=catchments) for name in layout.attributes}
    attributes["area"] = np.exp(random.uniform(4.0, 8.0, catchments))
    weights = {
        name: torch.as_tensor(value) for name, value in initial_weights(layout, (8,), 7).items()
    }
    inputs = torch.as_tensor(np.stack([attributes[n] for n in layout.attributes], 1)).float()
    area = torch.as_tensor(attributes["area"]).float()
    flow = simulate(layout, weights, inputs, area, torch.as_tensor(forcing)).numpy()
    flow[:, 3] = np.nan
    flow[200:600, 4] = np.nan
    return TrainingData(
        np.array([f"c{k}" for k in range(catchments)]),
        np.datetime64("2000-01-01") + np.arange(days),
        forcing,
        flow,
        attributes,
        np.zeros(catchments, bool),
        np.zeros(catchments, int),
        np.zeros(catchments),
        np.zeros(catchments),
    )


SETTINGS = TrainingSettings(
    hidden=(16,), batches=80, catchments=16, days=500, warm_up=150, learning_rate=2e-2
)


def test_training_learns_and_repeats_itself():
    data = made_up()
    losses = []
    observed = data.observed_in("2000-01-01", "2002-12-31")
    assert len(observed.ids) == 23
    weights, normalisation = train(
        LAYOUT, observed, SETTINGS, 0, lambda _, loss: losses.append(loss)
    )
    assert np.mean(losses[-10:]) < 0.25 * np.mean(losses[:5])
    again = Trainer(LAYOUT, observed, SETTINGS)
    assert [again.step() for _ in range(20)] == losses[:20]

    # The trained network in the model that users run gives the same flow as in training.
    trained = TrainedModel(LAYOUT, weights, normalisation)
    model = Model(
        HBV,
        *trained.parameters(observed.attributes),
        observed.attributes["area"],
        outputs=("discharge",),
    )
    ours = model.run(observed.forcing)[:, 0]
    with torch.no_grad():
        theirs = simulate(
            LAYOUT,
            {name: torch.as_tensor(value) for name, value in weights.items()},
            torch.as_tensor(normalisation(observed.attributes)).float(),
            torch.as_tensor(observed.attributes["area"]).float(),
            torch.as_tensor(observed.forcing),
        ).numpy()
    assert np.linalg.norm(ours - theirs) < 1e-4 * np.linalg.norm(theirs)
    assert np.nanmedian(nse(ours[150:], observed.streamflow[150:])) > 0.7


@pytest.mark.parametrize("dynamic", [(), ("BETA", "K0")])
def test_days_that_fill_the_stores_have_no_gradient_and_the_same_flow(dynamic):
    layout = NetworkLayout(HBV, 4, ("aridity", "forest_fraction"), dynamic)
    data = made_up(5, 60)
    weights = {name: torch.as_tensor(v) for name, v in initial_weights(layout, (8,), 1, 6).items()}
    generator = torch.Generator().manual_seed(0)
    if dynamic:
        weights[DYNAMIC_HEAD] = torch.randn(weights[DYNAMIC_HEAD].shape, generator=generator)
        weights["forcing_mean"], weights["forcing_deviation"] = torch.zeros(3), torch.ones(3)
    inputs = torch.randn((5, 2), generator=generator)
    area = torch.as_tensor(data.attributes["area"]).float()
    forcing = torch.as_tensor(data.forcing).clone().requires_grad_()
    flow = simulate(layout, weights, inputs, area, forcing, warm_up=20)
    whole = simulate(layout, weights, inputs, area, forcing)
    torch.testing.assert_close(flow, whole[20:], rtol=1e-5, atol=1e-7)
    flow.sum().backward()
    assert not forcing.grad[:20].any()
    assert forcing.grad[20:].any()


def test_data_sets_of_different_years_are_trained_on_together():
    one = made_up(days=900).observed_in("2000-01-01", "2002-12-31")
    other = made_up(catchments=11, days=800).observed_in("2000-01-01", "2002-12-31")
    ids = np.array([*(f"other-{k}" for k in range(9)), one.ids[0]])
    other = dataclasses.replace(other, ids=ids, dates=other.dates + np.timedelta64(1500, "D"))
    both = one.joined(other)
    assert len(both.ids) == len(one.ids) + 9
    assert len(both.dates) == 1500 + 800
    trainer = Trainer(LAYOUT, both, SETTINGS)
    seen = set()
    for batch in range(60):
        _, chosen, first = trainer._window(batch)
        window = both.forcing[first : first + SETTINGS.days][:, :, chosen]
        assert np.isfinite(window).all()
        seen |= set(both.ids[chosen].tolist())
    assert any(name.startswith("other") for name in seen)
    assert one.ids[3] in seen
    losses = [trainer.step() for _ in range(4)]
    assert np.isfinite(losses).all()


def test_averages_of_weights_are_kept_and_gone_on_with():
    data = made_up().observed_in("2000-01-01", "2002-12-31")
    settings = msgspec.structs.replace(SETTINGS, batches=30, average=0.9)
    trainer, every = Trainer(LAYOUT, data, settings), []
    for batch in range(30):
        if batch == 12:
            trainer = Trainer(LAYOUT, data, settings, progress=trainer.snapshot())
        trainer.step()
        every.append({name: value.numpy() for name, value in trainer.snapshot().weights.items()})
    first = initial_weights(LAYOUT, settings.hidden, 0)
    for name, average in trainer.result().items():
        expected = first[name].astype(float)
        for batch, weights in enumerate(every):
            remains = min(0.9, (batch + 1) / (batch + 10))
            expected = remains * expected + (1.0 - remains) * weights[name]
        np.testing.assert_allclose(average, expected, rtol=1e-4, atol=1e-6)
        assert name == "area_exponent" or not np.allclose(average, every[-1][name])


def test_any_process_can_be_trained():
    """A process model is one file in `physics`; training needs no more of it."""
    layout = NetworkLayout(EXP_HYDRO, 4, LAYOUT.attributes)
    data = made_up(layout=layout).observed_in("2000-01-01", "2002-12-31")
    losses = []
    train(layout, data, SETTINGS, 0, lambda _, loss: losses.append(loss))
    assert np.mean(losses[-10:]) < 0.4 * np.mean(losses[:5])


def test_a_loss_that_is_no_number_names_its_batch():
    data = made_up().observed_in("2000-01-01", "2002-12-31")
    data.forcing[:, 0, 5] = np.nan
    with pytest.raises(
        FloatingPointError, match="loss of batch 0 is nan and its gradient nan; days from 20"
    ):
        train(LAYOUT, data, SETTINGS)
