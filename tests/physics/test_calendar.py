"""The day of the year is that of the calendar, over centuries."""

import datetime

import numpy as np

from bmi_dhydro.physics.calendar import day_of_year


def test_every_day_of_five_hundred_years():
    first = datetime.date(1700, 1, 1)
    epoch = datetime.date(1970, 1, 1)
    for k in range(0, 182_621, 1):
        date = first + datetime.timedelta(days=k)
        expected = date.toordinal() - datetime.date(date.year, 1, 1).toordinal() + 1
        assert day_of_year((date - epoch).days) == expected, date


def test_it_is_that_of_numpy():
    dates = np.arange("1999-12-25", "2001-01-05", dtype="datetime64[D]")
    years = dates.astype("datetime64[Y]").astype("datetime64[D]")
    expected = (dates - years).astype(int) + 1
    assert [day_of_year(int(day)) for day in dates.astype(int)] == expected.tolist()
