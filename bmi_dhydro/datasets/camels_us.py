"""CAMELS for the United States as it is distributed: text files of weather and flow, and tables.

Newman et al. (2015, 10.5194/hess-19-209-2015) and Addor et al. (2017, 10.5194/hess-21-5293-2017),
CC-BY-4.0. Files are found wherever they lie below the folder that is given.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..catchments.attributes import CAMELS_NAMES
from ..catchments.catchments import Catchments
from ..catchments.soil_texture import soil_properties
from ..errors import CatchmentError, ForcingError, listed
from ..progress_bar import Bar, no_progress
from ..units import SECONDS_PER_DAY
from ..weather.quantities import PRECIPITATION, TEMPERATURE_EXTREMES
from .records import (
    GaugedRecords,
    Record,
    check_days,
    check_range,
    differing_areas,
    together,
    without_negative,
)

if TYPE_CHECKING:
    import pandas

# Sources of weather, and the marks of their files.
PRODUCTS = {
    "daymet": "cida",
    "maurer_extended": "maurer",
    "maurer": "maurer",
    "nldas": "nldas",
    "nldas_extended": "nldas",
}

LICENCE = "CC-BY-4.0"
REFERENCE = (
    "Newman et al. 2015, 10.5194/hess-19-209-2015; Addor et al. 2017, 10.5194/hess-21-5293-2017"
)

_CUBIC_FOOT = 0.3048**3  # m3

# Flags of the United States Geological Survey, by their first letters in the files.
_QUALITIES = ("approved", "estimated", "provisional", "missing")
_FLAGS = {"A": 0, "A:e": 1, "P": 2, "M": 3}

# Attributes to take of each table, in whose units the vocabulary has them.
_ATTRIBUTES = {
    "vege": ("frac_forest", "lai_max", "lai_diff", "gvf_max", "gvf_diff"),
    "soil": ("sand_frac", "clay_frac", "soil_depth_pelletier", "max_water_content"),
    "geol": ("carbonate_rocks_frac", "geol_permeability"),
    "topo": ("elev_mean", "slope_mean"),
}


def read(
    folder: Path,
    product: str = "daymet",
    ids: Sequence[str] = (),
    bar: Bar = no_progress,
) -> GaugedRecords:
    """Read weather, flow and attributes.

    Parameters
    ----------
    folder : Path
        Has `basin_mean_forcing`, `usgs_streamflow` and `camels_topo.txt`, `camels_soil.txt`,
        `camels_vege.txt`, `camels_geol.txt`, at any depth.
    product : str
        Source of the weather, among `PRODUCTS`.
    ids : sequence of str
        Gauges, of eight digits; all that have weather, unless given.
    bar : callable
        Shows progress; see `progress_bar`.

    Returns
    -------
    GaugedRecords
        Flow is the depth over the area that stands in the head of the weather's file, as users of
        the data set take it. Soil porosity and conductivity are those of the data set; wilting
        point and exponent are made of texture (`catchments.soil_texture`).

    Raises
    ------
    CatchmentError
        If a table or the files of a catchment are missing, or malformed.
    ForcingError
        If days are missing (a calendar without 29 February), or values are of another unit.
    """
    if product not in PRODUCTS:
        raise ForcingError(f"weather of {product!r} is unknown; known: {', '.join(PRODUCTS)}")
    files = _weather_files(folder, product)
    chosen = list(ids) or sorted(files)
    without = [name for name in chosen if name not in files]
    if without:
        raise CatchmentError(f"{folder}: there is no weather of {product} for {listed(without)}")
    flow_files = _by_gauge(folder, "usgs_streamflow", "*_streamflow_qc.txt")
    without = [name for name in chosen if name not in flow_files]
    if without:
        raise CatchmentError(f"{folder}: there is no flow (usgs_streamflow) for {listed(without)}")
    tables = {name: _table(folder, name) for name in ("topo", "soil", "vege", "geol")}
    for name, table in tables.items():
        absent = [gauge for gauge in chosen if gauge not in table.index]
        if absent:
            raise CatchmentError(f"camels_{name}.txt: has no catchment {listed(absent)}")
    records, areas, notes = [], [], []
    with bar("reading", len(chosen)) as advance:
        for gauge in chosen:
            weather, start, area = _weather(files[gauge])
            days = len(weather[PRECIPITATION])
            flow, quality, note = _flow(flow_files[gauge], area, start, days)
            records.append(Record(start, weather, flow, quality))
            areas.append(area)
            notes += [note] if note else []
            advance(gauge)
    catchments = _catchments(chosen, np.array(areas), tables)
    known = np.array(chosen)
    notes += differing_areas(
        known,
        {
            "the weather's files": np.array(areas),
            "GAGES-II": _column(tables["topo"], "area_gages2", chosen),
            "the geospatial fabric": _column(tables["topo"], "area_geospa_fabric", chosen),
        },
    )
    return together(
        f"CAMELS-US ({product})", LICENCE, REFERENCE, catchments, records, _QUALITIES, notes
    )


def _weather_files(folder: Path, product: str) -> dict[str, Path]:
    """Return the weather file of each gauge; where there is none, say which other products are."""
    found = _by_gauge(folder, product, f"*_lump_{PRODUCTS[product]}_forcing_leap.txt")
    if not found:
        others = [other for other in PRODUCTS if _by_gauge(folder, other, "*_forcing_leap.txt")]
        more = f"it has {', '.join(others)}" if others else "it has none at all"
        raise ForcingError(
            f"{folder}: there is no weather of {product} "
            f"({product}/*_lump_{PRODUCTS[product]}_forcing_leap.txt); {more}"
        )
    return found


def _by_gauge(folder: Path, above: str, pattern: str) -> dict[str, Path]:
    """Return the files of a pattern that lie in a folder of some name, by the gauge they name."""
    return {
        path.name.split("_")[0]: path
        for path in sorted(folder.rglob(pattern))
        if above in path.relative_to(folder).parts
    }


def _table(folder: Path, name: str) -> pandas.DataFrame:
    import pandas

    path = next(iter(sorted(folder.rglob(f"camels_{name}.txt"))), None)
    if path is None:
        raise CatchmentError(f"{folder}: camels_{name}.txt is missing (the tables of attributes)")
    try:
        table = pandas.read_csv(path, sep=";", dtype={"gauge_id": str}).set_index("gauge_id")
    except (ValueError, KeyError) as error:
        raise CatchmentError(f"{path}: is no table of attributes ({error})") from None
    table.index = table.index.str.zfill(8)
    return table


def _column(table: pandas.DataFrame, name: str, ids: Sequence[str]) -> NDArray:
    if name not in table:
        raise CatchmentError(f"a table of attributes has no column {name!r}")
    return table.loc[list(ids), name].to_numpy(dtype=float)


def _catchments(
    ids: Sequence[str], area: NDArray, tables: dict[str, pandas.DataFrame]
) -> Catchments:
    def column(table: str, name: str) -> NDArray:
        return _column(tables[table], name, ids)

    attributes = {
        CAMELS_NAMES[name]: column(table, name)
        for table, names in _ATTRIBUTES.items()
        for name in names
    }
    texture = soil_properties(attributes["sand_percentage"], attributes["clay_percentage"])
    porosity = column("soil", "soil_porosity")
    conductivity = column("soil", "soil_conductivity") * (0.01 / 3600.0)  # cm h-1
    attributes |= {
        **texture,
        "soil_porosity": np.where(np.isfinite(porosity), porosity, texture["soil_porosity"]),
        "log10_saturated_conductivity": np.where(
            conductivity > 0.0,
            np.log10(np.maximum(conductivity, 1e-12)),
            texture["log10_saturated_conductivity"],
        ),
    }
    columns = {
        "id": list(ids),
        "area": area,
        "latitude": column("topo", "gauge_lat"),
        "longitude": column("topo", "gauge_lon"),
        "elevation": column("topo", "elev_mean"),
        **attributes,
    }
    return Catchments.from_columns(columns, "CAMELS-US")


def _weather(path: Path) -> tuple[dict[str, NDArray], np.datetime64, float]:
    """Return weather by quantity, the first day, and the area of the head in km2."""
    import pandas

    try:
        with path.open(encoding="latin-1") as file:
            head = [file.readline() for _ in range(4)]
        area = float(head[2]) * 1e-6
        # Names end in their units: PRCP(mm/day).
        names = re.split(r"\s+", head[3].strip())
        table = pandas.read_csv(path, sep=r"\s+", skiprows=4, header=None, names=names)
    except (ValueError, IndexError, OSError) as error:
        raise ForcingError(f"{path}: is no file of CAMELS weather ({error})") from None
    columns = {name.split("(")[0].lower(): name for name in names}
    start = _start_of(table, columns, path)
    weather = {}
    for quantity, short, unit, bounds in (
        (PRECIPITATION, "prcp", "mm/day", (0.02, 40.0)),
        (TEMPERATURE_EXTREMES[0], "tmin", "C", (-40.0, 30.0)),
        (TEMPERATURE_EXTREMES[1], "tmax", "C", (-30.0, 45.0)),
    ):
        name = columns.get(short)
        if name is None or not name.endswith(f"({unit})"):
            raise ForcingError(
                f"{path}: expected a column {short}({unit}), but it has {', '.join(names)}"
            )
        values = table[name].to_numpy(dtype=float)
        check_range(values, quantity, *bounds, f"{path}, {name}")
        weather[quantity] = values
    low, high = (weather[name] for name in TEMPERATURE_EXTREMES)
    if np.array_equal(low, high):
        raise ForcingError(
            f"{path}: lowest and highest temperature are the same on all days, as in the first "
            "edition of this product; take its extended one (maurer_extended), or daymet"
        )
    if "srad" in columns and "dayl" in columns:
        # The mean while there is daylight, and how long that is.
        daylight = table[columns["dayl"]].to_numpy(dtype=float) / SECONDS_PER_DAY
        weather["shortwave_radiation"] = table[columns["srad"]].to_numpy(dtype=float) * daylight
    return weather, start, area


def _start_of(table: pandas.DataFrame, columns: dict[str, str], path: Path) -> np.datetime64:
    """Return the first day; check that the others follow it."""
    try:
        year, month, day = (
            table[columns[name]].to_numpy(dtype=int) for name in ("year", "mnth", "day")
        )
    except (KeyError, ValueError) as error:
        raise ForcingError(f"{path}: has no columns Year, Mnth and Day ({error})") from None
    return first_of_days(year, month, day, path)


def first_of_days(year: NDArray, month: NDArray, day: NDArray, path: Path) -> np.datetime64:
    """Return the first of some days.

    Raises
    ------
    ForcingError
        If they do not follow each other in the calendar.
    """
    months = (year - 1970) * 12 + month - 1
    dates = months.astype("datetime64[M]").astype("datetime64[D]") + (day - 1)
    hint = "; is its calendar one without 29 February? Take the files *_forcing_leap.txt"
    check_days(dates, path, hint)
    return dates[0]


def _flow(
    path: Path, area: float, start: np.datetime64, days: int
) -> tuple[NDArray, NDArray, str | None]:
    """Return flow (mm d-1) and its quality on the days of the weather, and a note."""
    import pandas

    names = ["gauge", "year", "month", "day", "flow", "flag"]
    try:
        table = pandas.read_csv(path, sep=r"\s+", header=None, names=names, dtype={"flag": str})
        year, month, day = (table[name].to_numpy(dtype=int) for name in names[1:4])
        values = table["flow"].to_numpy(dtype=float)
    except (ValueError, OSError) as error:
        raise CatchmentError(f"{path}: is no file of CAMELS flow ({error})") from None
    first = first_of_days(year, month, day, path)
    values = np.where(values == -999.0, np.nan, values)
    values, note = without_negative(values, path.name)
    depth = values * (_CUBIC_FOOT * SECONDS_PER_DAY / (area * 1e3))
    check_range(depth, "flow in mm d-1", 0.0, 60.0, str(path))
    quality = table["flag"].map(_FLAGS).fillna(_FLAGS["P"]).to_numpy(dtype=int)
    flow, flags = np.full(days, np.nan), np.full(days, _FLAGS["M"])
    offset = int((first - start).astype(int))
    begin, end = max(0, offset), min(days, offset + len(depth))
    if end > begin:
        flow[begin:end] = depth[begin - offset : end - offset]
        flags[begin:end] = quality[begin - offset : end - offset]
    flags[np.isnan(flow)] = _FLAGS["M"]
    return flow, flags, note
