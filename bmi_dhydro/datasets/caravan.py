"""Caravan: one layout for catchments of the world, in which many data sets are distributed.

Kratzert et al. (2023, 10.1038/s41597-023-01975-w), CC-BY-4.0; the parts have licences of their own.
Weather is that of ERA5-Land over the catchment, by local days; flow is in mm d-1.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..catchments.catchments import Catchments
from ..catchments.soil_texture import soil_properties
from ..errors import CatchmentError, ForcingError, listed
from ..io.netcdf import READ_ERRORS, loaded
from ..progress_bar import Bar, no_progress
from ..weather.quantities import PET, PRECIPITATION, TEMPERATURE, TEMPERATURE_EXTREMES
from .records import GaugedRecords, Record, check_days, check_range, together, without_negative

if TYPE_CHECKING:
    import pandas

LICENCE = "CC-BY-4.0; see the licence of each source"
REFERENCE = "Kratzert et al. 2023, 10.1038/s41597-023-01975-w"

# Variables by quantity, and between what their means lie: beyond, they are in another unit.
_VARIABLES = {
    PRECIPITATION: ("total_precipitation_sum", 0.02, 40.0),
    TEMPERATURE: ("temperature_2m_mean", -40.0, 40.0),
    TEMPERATURE_EXTREMES[0]: ("temperature_2m_min", -50.0, 35.0),
    TEMPERATURE_EXTREMES[1]: ("temperature_2m_max", -35.0, 50.0),
}
_FLOW = "streamflow"

# Potential evapotranspiration, where it is asked for; that of ERA5-Land itself is far too high.
PET_VARIABLES = {
    "penman_monteith": "potential_evaporation_sum_FAO_PENMAN_MONTEITH",
    "era5_land": "potential_evaporation_sum_ERA5_LAND",
}

# Attributes of the vocabulary by column of HydroATLAS, and what its values are multiplied with.
_ATTRIBUTES = {
    "forest_fraction": ("for_pc_sse", 0.01),
    "sand_percentage": ("snd_pc_sav", 1.0),
    "clay_percentage": ("cly_pc_sav", 1.0),
    "mean_elevation": ("ele_mt_sav", 1.0),
}


def sources_in(folder: Path) -> list[str]:
    """Return the sources of catchments that a folder has: camels, camelsgb, hysets, lamah, ..."""
    found = {
        path.name.removeprefix("attributes_other_").removesuffix(".csv")
        for path in folder.rglob("attributes_other_*.csv")
    }
    return sorted(found)


def read(
    folder: Path,
    source: str | None = None,
    ids: Sequence[str] = (),
    evapotranspiration: str | None = None,
    bar: Bar = no_progress,
) -> GaugedRecords:
    """Read weather, flow and attributes of a source.

    Parameters
    ----------
    folder : Path
        Has `attributes/SOURCE/attributes_other_SOURCE.csv`, `attributes_hydroatlas_SOURCE.csv`,
        and `timeseries/netcdf/SOURCE` or `timeseries/csv/SOURCE`, at any depth.
    source : str, optional
        Such as `camelsgb`; may be left out where there is one only.
    ids : sequence of str
        Gauges, such as `camelsgb_10002`; all that have a series, unless given.
    evapotranspiration : {"penman_monteith", "era5_land"}, optional
        Which potential evapotranspiration to take along; none, unless given, so that it is computed
        from temperatures as for other data sets.
    bar : callable
        Shows progress; see `progress_bar`.

    Returns
    -------
    GaugedRecords
        Soil properties are made of texture (`catchments.soil_texture`).

    Raises
    ------
    CatchmentError
        If a table or the files of a catchment are missing, or malformed.
    ForcingError
        If days are missing, or values are of another unit.
    """
    source = _source_of(folder, source)
    other, atlas = (_table(folder, name, source) for name in ("other", "hydroatlas"))
    files = _series_files(folder, source)
    chosen = list(ids) or sorted(set(files) & set(other.index))
    for what, known in (("series", files), ("row in attributes_other", other.index)):
        absent = [name for name in chosen if name not in known]
        if absent or not chosen:
            raise CatchmentError(f"{folder}: there is no {what} of {listed(absent) or source}")
    absent = [name for name in chosen if name not in atlas.index]
    if absent:
        raise CatchmentError(f"attributes_hydroatlas_{source}.csv: has no row of {listed(absent)}")
    records, notes = [], []
    with bar("reading", len(chosen)) as advance:
        for gauge in chosen:
            record, note = _record(files[gauge], evapotranspiration)
            records.append(record)
            notes += [note] if note else []
            advance(gauge)
    catchments = _catchments(chosen, other, atlas)
    return together(f"Caravan ({source})", LICENCE, REFERENCE, catchments, records, (), notes)


def _series_files(folder: Path, source: str) -> dict[str, Path]:
    """Return the file of each gauge of a source; NetCDF where there are both kinds."""
    return {
        path.stem: path
        for kind in ("csv", "nc")
        for path in sorted(folder.rglob(f"{source}_*.{kind}"))
    }


def _source_of(folder: Path, source: str | None) -> str:
    """Return the source that is meant: the one that is named, or the only one there is.

    Parameters
    ----------
    folder : Path
    source : str, optional

    Raises
    ------
    CatchmentError
        If it is not there, or there are several and none is named.
    """
    found = sources_in(folder)
    if not found:
        raise CatchmentError(
            f"{folder}: there is no attributes_other_SOURCE.csv; is it a folder of Caravan?"
        )
    if source is None and len(found) == 1:
        return found[0]
    if source not in found:
        which = "name one" if source is None else f"{source!r} is not among them"
        raise CatchmentError(f"{folder}: has {', '.join(found)}; {which}")
    return source


def _table(folder: Path, name: str, source: str) -> pandas.DataFrame:
    import pandas

    path = next(iter(sorted(folder.rglob(f"attributes_{name}_{source}.csv"))), None)
    if path is None:
        raise CatchmentError(f"{folder}: attributes_{name}_{source}.csv is missing")
    try:
        return pandas.read_csv(path, dtype={"gauge_id": str}).set_index("gauge_id")
    except (ValueError, KeyError) as error:
        raise CatchmentError(f"{path}: is no table of attributes ({error})") from None


def _catchments(ids: Sequence[str], other: pandas.DataFrame, atlas: pandas.DataFrame) -> Catchments:
    def column(table: pandas.DataFrame, name: str) -> NDArray:
        if name not in table:
            raise CatchmentError(f"a table of attributes has no column {name!r}")
        return table.loc[list(ids), name].to_numpy(dtype=float)

    attributes = {name: column(atlas, key) * factor for name, (key, factor) in _ATTRIBUTES.items()}
    # HydroATLAS has slopes in tenths of a degree.
    degrees = 0.1 * column(atlas, "slp_dg_sav")
    attributes["mean_slope"] = 1000.0 * np.tan(np.radians(degrees))
    attributes |= soil_properties(attributes["sand_percentage"], attributes["clay_percentage"])
    columns = {
        "id": list(ids),
        "area": column(other, "area"),
        "latitude": column(other, "gauge_lat"),
        "longitude": column(other, "gauge_lon"),
        "elevation": attributes["mean_elevation"],
        **attributes,
    }
    return Catchments.from_columns(columns, "Caravan")


def _series(path: Path) -> tuple[NDArray, dict[str, NDArray]]:
    """Return the days of a file, and its variables."""
    import pandas

    try:
        if path.suffix == ".csv":
            table = pandas.read_csv(path, parse_dates=["date"])
            columns = {str(name): table[name].to_numpy() for name in table.columns}
        else:
            data = loaded(path)
            columns = {str(name): variable.values for name, variable in data.variables.items()}
        dates = columns.pop("date").astype("datetime64[D]")
    except (*READ_ERRORS, pandas.errors.ParserError) as error:
        raise ForcingError(f"{path}: is no series of Caravan ({error})") from None
    check_days(dates, path)
    return dates, columns


def _record(path: Path, evapotranspiration: str | None) -> tuple[Record, str | None]:
    dates, columns = _series(path)
    wanted = dict(_VARIABLES)
    if evapotranspiration is not None:
        if evapotranspiration not in PET_VARIABLES:
            raise ForcingError(
                f"potential evapotranspiration of {evapotranspiration!r} is unknown; known: "
                f"{', '.join(PET_VARIABLES)}"
            )
        wanted[PET] = (PET_VARIABLES[evapotranspiration], 0.05, 20.0)
    absent = [name for name, _, _ in wanted.values() if name not in columns]
    if absent or _FLOW not in columns:
        raise ForcingError(
            f"{path}: has no {listed(absent or [_FLOW])}; it has {listed(columns, 60)}"
        )
    weather = {}
    for quantity, (name, lowest, highest) in wanted.items():
        weather[quantity] = columns[name].astype(float)
        check_range(weather[quantity], quantity, lowest, highest, f"{path}, {name}")
    # Flow may be longer than the weather: what is taken are the days that have weather.
    known = np.flatnonzero(np.isfinite(np.stack(list(weather.values()))).all(axis=0))
    if not known.size:
        raise ForcingError(f"{path}: has no day with all of its weather")
    flow, note = without_negative(columns[_FLOW].astype(float), path.name)
    whole = Record(dates[0], weather, flow)
    return whole.between(dates[known[0]], int(known[-1] - known[0]) + 1), note
