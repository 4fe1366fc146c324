"""Writers of data sets in the layouts in which they are distributed: a handful of made-up days."""

import netCDF4
import numpy as np
import pandas
import pytest

GAUGES = ["01013500", "01022500", "02011400"]
AREAS = [2252.7, 573.6, 406.5]  # km2
DAYS = pandas.date_range("1990-10-01", "1994-09-30")
CUBIC_FOOT = 0.028316846592


def series(seed, days=1461):
    """Return rain (mm d-1), lowest and highest temperature (degC), and flow (mm d-1)."""
    random = np.random.default_rng(seed)
    season = -np.cos(2 * np.pi * np.arange(days) / 365.25)
    rain = random.gamma(0.3, 10.0, days).round(2)
    low = (4.0 + 11.0 * season + random.normal(0, 3, days)).round(2)
    return rain, low, (low + random.uniform(4, 14, days)).round(2), random.gamma(1.0, 1.5, days)


def write_camels(folder, product="daymet", mark="cida", leap=True):
    """Write weather, flow and tables as the CAMELS data set for the United States has them."""
    root = folder / "basin_dataset_public_v1p2"
    capital = str.upper if product != "daymet" else str.lower
    days = DAYS if leap else DAYS[~((DAYS.month == 2) & (DAYS.day == 29))]
    for k, (gauge, area) in enumerate(zip(GAUGES, AREAS, strict=True)):
        rain, low, high, flow = series(k)
        path = root / "basin_mean_forcing" / product / gauge[:2]
        path.mkdir(parents=True, exist_ok=True)
        head = f"{44.0 + k:.2f}\n{250.0 + k:.1f}\n{area * 1e6:.0f}\n"
        head += "Year Mnth Day Hr\t" + "\t".join(
            [
                "dayl(s)",
                f"{capital('prcp')}(mm/day)",
                f"{capital('srad')}(W/m2)",
                "swe(mm)",
                "tmax(C)",
                "tmin(C)",
                "vp(Pa)",
            ]
        )
        rows = [
            f"{day.year} {day.month:02d} {day.day:02d} 12\t43200.00\t{rain[i]}\t300.00\t0.00\t"
            f"{high[i]}\t{low[i]}\t500.00"
            for i, day in enumerate(DAYS)
            if day in days
        ]
        text = head + "\n" + "\n".join(rows) + "\n"
        (path / f"{gauge}_lump_{mark}_forcing_leap.txt").write_text(text)
        path = root / "usgs_streamflow" / gauge[:2]
        path.mkdir(parents=True, exist_ok=True)
        rows = []
        # Flow begins half a year later, and has gaps.
        for i, day in enumerate(DAYS[180:], 180):
            feet = flow[i] * area * 1e3 / 86400.0 / CUBIC_FOOT
            value, flag = (f"{feet:.2f}", "A:e" if i % 50 == 1 else "A")
            if i % 100 == 0:
                value, flag = "-999.00", "M"
            rows.append(f"{gauge} {day.year} {day.month:02d} {day.day:02d} {value:>10} {flag}")
        (path / f"{gauge}_streamflow_qc.txt").write_text("\n".join(rows) + "\n")
    tables = {
        "topo": {
            "gauge_lat": [47.2, 44.6, 38.0],
            "gauge_lon": [-68.6, -67.9, -79.9],
            "elev_mean": [250.3, 92.7, 500.0],
            "slope_mean": [21.6, 17.8, 50.0],
            "area_gages2": [AREAS[0], AREAS[1] * 1.2, AREAS[2]],
            "area_geospa_fabric": AREAS,
        },
        "soil": {
            "soil_depth_pelletier": [7.4, 17.4, 1.2],
            "soil_depth_statsgo": [1.2, 1.5, 1.0],
            "soil_porosity": [0.46, 0.42, 0.43],
            "soil_conductivity": [1.1, 2.4, np.nan],
            "max_water_content": [0.56, 0.63, 0.4],
            "sand_frac": [27.8, 59.4, 40.0],
            "silt_frac": [55.2, 28.1, 40.0],
            "clay_frac": [16.3, 12.0, 20.0],
        },
        "vege": {
            "frac_forest": [0.91, 0.92, 0.99],
            "lai_max": [4.17, 4.87, 5.1],
            "lai_diff": [3.34, 3.75, 4.2],
            "gvf_max": [0.80, 0.86, 0.9],
            "gvf_diff": [0.37, 0.34, 0.4],
        },
        "geol": {"carbonate_rocks_frac": [0.0, 0.0, 0.2], "geol_permeability": [-14.7, -14.2, -13]},
    }
    (root / "camels_attributes_v2.0").mkdir(exist_ok=True)
    for name, columns in tables.items():
        frame = pandas.DataFrame({"gauge_id": GAUGES, **columns})
        path = root / "camels_attributes_v2.0" / f"camels_{name}.txt"
        frame.to_csv(path, sep=";", index=False)
    return root


def write_caravan(folder, source="camelsgb", kind="nc", days=DAYS, kelvin=0.0):
    """Write series and tables as Caravan has them."""
    gauges = [f"{source}_{number}" for number in (101, 102)]
    for k, gauge in enumerate(gauges):
        rain, low, high, flow = series(k + 10, len(days))
        flow[::70] = np.nan
        columns = {
            "streamflow": flow,
            "total_precipitation_sum": rain,
            "temperature_2m_mean": 0.5 * (low + high) + kelvin,
            "temperature_2m_min": low + kelvin,
            "temperature_2m_max": high + kelvin,
            "potential_evaporation_sum_FAO_PENMAN_MONTEITH": np.full(len(days), 2.0),
        }
        path = folder / "timeseries" / ("netcdf" if kind == "nc" else "csv") / source
        path.mkdir(parents=True, exist_ok=True)
        if kind == "csv":
            pandas.DataFrame({"date": days, **columns}).to_csv(path / f"{gauge}.csv", index=False)
            continue
        with netCDF4.Dataset(path / f"{gauge}.nc", "w") as data:
            data.createDimension("date", len(days))
            date = data.createVariable("date", "i8", ("date",))
            date.units = "days since 1990-10-01 00:00:00"
            date[:] = (days - DAYS[0]).days
            for name, values in columns.items():
                data.createVariable(name, "f4", ("date",))[:] = values
    path = folder / "attributes" / source
    path.mkdir(parents=True, exist_ok=True)
    other = {"gauge_lat": [51.0, 56.1], "gauge_lon": [-1.0, -4.2], "area": [120.0, 340.0]}
    atlas = {
        "for_pc_sse": [20.0, 45.0],
        "snd_pc_sav": [40.0, 50.0],
        "cly_pc_sav": [25.0, 15.0],
        "slt_pc_sav": [35.0, 35.0],
        "ele_mt_sav": [80.0, 410.0],
        "slp_dg_sav": [22.0, 90.0],
    }
    for name, columns in (("other", other), ("hydroatlas", atlas)):
        frame = pandas.DataFrame({"gauge_id": gauges, **columns})
        frame.to_csv(path / f"attributes_{name}_{source}.csv", index=False)
    return folder


@pytest.fixture
def camels(tmp_path):
    return write_camels(tmp_path)


@pytest.fixture
def caravan(tmp_path):
    return write_caravan(tmp_path / "Caravan")
