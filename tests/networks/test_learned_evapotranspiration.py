"""Factors between methods of potential evapotranspiration, in both hemispheres."""

import numpy as np
import pytest

from bmi_dhydro.networks.learned_evapotranspiration import (
    LearnedEvapotranspiration,
    in_season,
    monthly_factors,
)

MONTHS = np.arange(1.0, 13.0)


def test_the_south_has_summer_half_a_year_later():
    latitude = np.array([40.0, -40.0, np.nan])
    values = in_season(MONTHS[:, None], latitude)
    assert values[:, 0].tolist() == MONTHS.tolist()
    assert values[:, 1].tolist() == [*MONTHS[6:], *MONTHS[:6]]
    # Where the latitude is unknown, the north is meant.
    assert values[:, 2].tolist() == MONTHS.tolist()
    again = in_season(values[:, 1:2], latitude[1:2])
    assert again[:, 0].tolist() == MONTHS.tolist()


def test_factors_bring_one_method_to_the_other_in_the_mean():
    random = np.random.default_rng(0)
    latitude = np.array([50.0, 10.0, -35.0])
    own = random.uniform(1.0, 4.0, (12, 3))
    seasonal = in_season(np.linspace(0.5, 1.6, 12)[:, None], latitude)
    factors = monthly_factors(own * seasonal, own, latitude)
    np.testing.assert_allclose(factors, np.linspace(0.5, 1.6, 12), atol=0.4)
    same = monthly_factors(own, own, latitude)
    assert same == (1.0,) * 12


def test_a_month_without_evapotranspiration_has_a_factor_too():
    own = np.ones((12, 1))
    other = np.ones((12, 1))
    other[0] = 0.0
    assert monthly_factors(own, other, np.array([60.0]))[0] == 1.0


def test_a_description_is_read_again():
    learned = LearnedEvapotranspiration(("hargreaves",), {"oudin": tuple([1.25] * 12)})
    assert (
        LearnedEvapotranspiration.described(
            {"potential_evapotranspiration": learned.description()}, {}
        )
        == learned
    )
    factors = learned.factors("oudin", np.array([1.0, -1.0]))
    assert factors.shape == (12, 2)
    assert (factors == 1.25).all()
    assert learned.factors("hamon", np.array([1.0])) is None


@pytest.mark.parametrize("row", [[1.0] * 11, [1.0] * 11 + [0.0], [1.0] * 11 + [float("inf")]])
def test_impossible_factors(row):
    own = {"methods": ["hargreaves"], "monthly": {"oudin": row}}
    with pytest.raises(ValueError, match="monthly factors of oudin"):
        LearnedEvapotranspiration.described({"potential_evapotranspiration": own}, {})


def test_older_files_say_it_to_people_only():
    about = {"training": {"potential_evapotranspiration": "hargreaves"}}
    assert LearnedEvapotranspiration.described({}, about).methods == ("hargreaves",)
    for said in ("", "auto", "forcing"):
        about = {"training": {"potential_evapotranspiration": said}}
        assert LearnedEvapotranspiration.described({}, about).methods == ()
