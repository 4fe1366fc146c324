"""A complete, runnable folder, made of made-up catchments and weather."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..catchments.catchments import Catchments
from ..catchments.climate import climate_indices, day_of_year
from ..catchments.synthetic import Weather, make_catchments, make_weather
from ..config.settings import parse_step
from ..errors import ConfigError
from ..io.export import columns, write_catchments, write_weather
from ..units import SECONDS_PER_DAY
from ..weather.preparation import Preparation

# Length of the made-up record that climate indices are taken from.
_CLIMATE_YEARS = 10

_HEADER = """\
# A made-up example of bmi_dhydro: {count} catchment(s), {days} days, steps of {step}.
# All keys are explained by: bmi-dhydro docs config
model: {model:18} # a trained model that comes with the package (default, fast, ensemble), or a file
"""

_FILE = """\
catchments:
  table: catchments.csv   # id, area (km2), latitude, longitude, attributes
forcing:
  file: weather.nc        # read ahead, in blocks; potential evapotranspiration is computed
  potential_evapotranspiration: hargreaves
time:
  step: {step}
output:
  file: results.nc        # CF time series of all interface outputs
# Run it:  bmi-dhydro run {name}
"""

_HOST = """\
time:
  start: {start}
  step: {step}
# There is no forcing.file: the host sets precipitation, temperature and potential
# evapotranspiration before each update.
"""


def climate(weather: Weather, catchments: Catchments) -> dict[str, NDArray]:
    """Return the climate indices of daily weather, with Hargreaves evapotranspiration."""
    preparation = Preparation(
        "hargreaves",
        catchments.ids,
        catchments.latitude,
        catchments.longitude,
        weather.start,
        SECONDS_PER_DAY,
    )
    values = np.stack(
        [
            weather.precipitation,
            weather.temperature,
            weather.temperature_minimum,
            weather.temperature_maximum,
        ],
        axis=1,
    )
    forcing = preparation.block(values, 0)
    dates = weather.start.astype("datetime64[D]") + np.arange(forcing.shape[0])
    day = day_of_year(dates)
    return climate_indices(forcing[:, 0], forcing[:, 1], forcing[:, 2], day)


def write_example(
    folder: Path,
    catchments: int,
    days: int,
    step: str,
    forcing: str,
    seed: int = 0,
    replace_existing: bool = False,
    model: str = "default",
) -> Path:
    """Write a folder with a configuration, a catchment table and weather.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    catchments, days : int
    step : str
        Such as `1d` or `1h`.
    forcing : {"file", "host"}
        Whether the weather is in a file, or left to the host. Then a single catchment stands in
        the configuration itself.
    seed : int
    replace_existing : bool
        Whether a configuration that is there already is replaced.
    model : str
        Trained model that the configuration names.

    Returns
    -------
    Path
        The path of the configuration, `folder/config.yaml`.

    Raises
    ------
    ConfigError
        If there is a configuration already, or the step does not divide a day.
    """
    seconds = parse_step(step)
    path = folder / "config.yaml"
    if path.exists() and not replace_existing:
        raise ConfigError(f"{path} exists; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    made = make_catchments(catchments, seed)
    long_record = make_weather(made, _CLIMATE_YEARS * 365, seed=seed)
    made = replace(made, attributes={**made.attributes, **climate(long_record, made)})
    weather = make_weather(made, days, seconds, seed=seed)
    header = _HEADER.format(count=catchments, days=days, step=step, model=model)
    if forcing == "file":
        write_catchments(folder / "catchments.csv", made)
        write_weather(folder / "weather.nc", made, weather)
        path.write_text(header + _FILE.format(step=step, name=path))
        return path
    if catchments == 1:
        lines = ["catchments:", "  inline:             # the columns of a catchment table"]
        for name, values in columns(made).items():
            value = values[0] if name == "id" else f"{values[0]:.6g}"
            lines.append(f"    {name}: {value}")
        where = "\n".join(lines) + "\n"
    else:
        write_catchments(folder / "catchments.csv", made)
        where = "catchments:\n  table: catchments.csv\n"
    path.write_text(header + where + _HOST.format(start=weather.start, step=step))
    return path
