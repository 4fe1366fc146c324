"""The calendar, as equations that depend on the sun's height need it."""

from __future__ import annotations


def day_of_year(days: int) -> int:
    """Return the day of the year, 1 to 366, in the Gregorian calendar.

    Plain arithmetic, so that it can be compiled. Years are counted from March, whose first days
    come after a leap day, if there is one.

    Parameters
    ----------
    days : int
        Since 1 January 1970.

    References
    ----------
    Howard Hinnant: chrono-compatible low-level date algorithms (`civil_from_days`).
    """
    since_march_0 = days + 719468
    era = since_march_0 // 146097
    of_era = since_march_0 - era * 146097
    year_of_era = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    since_march = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    if since_march >= 306:
        # January and February.
        return since_march - 305
    leap = year_of_era % 4 == 0 and (year_of_era % 100 != 0 or year_of_era == 0)
    return since_march + 60 + (1 if leap else 0)
