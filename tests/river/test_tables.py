"""Networks come from files of several kinds."""

import sqlite3
from contextlib import closing

import numpy as np
import pandas
import pytest
import xarray

from bmi_dhydro.errors import NetworkError
from bmi_dhydro.physics import MUSKINGUM_CUNGE
from bmi_dhydro.river.tables import read_network
from tests.river.conftest import made_up

ROUTE_LINK = {
    "length": "Length",
    "bottom_width": "BtmWdth",
    "top_width": "TopWdth",
    "floodplain_width": "TopWdthCC",
    "manning_n": "n",
    "floodplain_manning_n": "nCC",
    "side_slope": "ChSlp",
    "slope": "So",
}
GAUGE, CATCHMENT = "08123850", "cat-17"


@pytest.fixture
def network():
    return made_up(12, 2)


def table(network):
    """Return the network as a table."""
    below = np.where(network.to >= 0, network.ids[network.to], "")
    return pandas.DataFrame(
        {
            "id": network.ids,
            "to": below,
            **network.parameters,
            "gauge": [GAUGE, *[""] * 11],
            "catchment": [CATCHMENT, *[""] * 11],
            "longitude": np.linspace(-99.0, -98.0, 12),
            "latitude": np.linspace(30.0, 31.0, 12),
        }
    )


def write_hydrofabric(path, network, attributes="flowpath-attributes", **other):
    """Write the tables of a hydrofabric, as NextGen has them."""
    ids = [f"wb-{name}" for name in network.ids]
    # As in the real ones a nexus has the number of the flowpath below it, or one of its own.
    nexus = [
        f"nex-{network.ids[k]}" if k >= 0 else f"tnx-{1000 + n}" for n, k in enumerate(network.to)
    ]
    flowpaths = pandas.DataFrame(
        {"id": ids, "toid": nexus, "divide_id": [f"cat-{name}" for name in network.ids]}
    )
    points = pandas.DataFrame({"id": nexus}).drop_duplicates()
    points["toid"] = [f"wb-{n[4:]}" if n.startswith("nex") else "wb-0" for n in points["id"]]
    names = {**ROUTE_LINK, "length": "Length_m"}
    geometry = pandas.DataFrame({names[n]: network.parameters[n] for n in names})
    geometry.insert(0, "id", ids)
    geometry["rl_gages"] = [GAUGE, *[None] * (len(ids) - 1)]
    tables = {"flowpaths": flowpaths, "nexus": points, attributes: geometry, **other}
    with closing(sqlite3.connect(path)) as database:
        for name, rows in tables.items():
            rows.to_sql(name, database, index=False)
    return path


def same(found, network, prefix=""):
    assert found.ids.tolist() == [prefix + name for name in network.ids]
    np.testing.assert_array_equal(found.to, network.to)
    np.testing.assert_allclose(
        found.parameters_of(MUSKINGUM_CUNGE), network.parameters_of(MUSKINGUM_CUNGE)
    )
    assert found.gauges == {GAUGE: 0}


@pytest.mark.parametrize("kind", ["csv", "parquet", "nc"])
def test_tables(network, tmp_path, kind):
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    path, rows = tmp_path / f"rivers.{kind}", table(network)
    if kind == "csv":
        rows.to_csv(path, index=False)
    elif kind == "parquet":
        rows.to_parquet(path)
    else:
        rows.to_xarray().rename(index="reach_number").to_netcdf(path)
    found = read_network(path)
    same(found, network)
    assert found.catchments == {CATCHMENT: 0}
    assert found.latitude[-1] == 31.0
    np.testing.assert_array_equal(found.parameters["celerity"], network.parameters["celerity"])


def test_the_route_link_file_of_the_national_water_model(network, tmp_path):
    below = np.where(network.to >= 0, network.ids[network.to].astype(int), 0)
    gauges = np.array([f"{GAUGE:>15}".encode(), *[b" " * 15] * 11], dtype="S15")
    xarray.Dataset(
        {
            "link": ("feature_id", network.ids.astype(np.int32)),
            "to": ("feature_id", below.astype(np.int32)),
            "gages": ("feature_id", gauges),
            "lon": ("feature_id", np.linspace(-99.0, -98.0, 12, dtype=np.float32)),
            "lat": ("feature_id", np.linspace(30.0, 31.0, 12, dtype=np.float32)),
            **{n: ("feature_id", network.parameters[k]) for k, n in ROUTE_LINK.items()},
        }
    ).to_netcdf(tmp_path / "RouteLink.nc")
    same(read_network(tmp_path / "RouteLink.nc"), network)


@pytest.mark.parametrize("attributes", ["flowpath-attributes", "flowpath-attributes-ml"])
def test_a_hydrofabric(network, tmp_path, attributes):
    found = read_network(write_hydrofabric(tmp_path / "h.gpkg", network, attributes))
    same(found, network, "wb-")
    assert found.catchments == {f"cat-{name}": k for k, name in enumerate(network.ids)}


def test_what_is_missing_is_named(network, tmp_path):
    with pytest.raises(NetworkError, match="none.csv: no such file"):
        read_network(tmp_path / "none.csv")
    (tmp_path / "a.shp").write_text("")
    with pytest.raises(NetworkError, match=r"a .csv, .parquet, .nc or .gpkg file, not '.shp'"):
        read_network(tmp_path / "a.shp")
    for kind in ("gpkg", "nc", "parquet"):
        (tmp_path / f"a.{kind}").write_text("no such thing, but long enough to be looked at")
        with pytest.raises(NetworkError, match=rf"a\.{kind}: no"):
            read_network(tmp_path / f"a.{kind}")
    (tmp_path / "a.csv").write_text("")
    with pytest.raises(NetworkError, match="no table"):
        read_network(tmp_path / "a.csv")
    table(network).drop(columns="to").to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(NetworkError, match=r"no column 'to' \(or toid, to_id, downstream\)"):
        read_network(tmp_path / "b.csv")
    rows = table(network).astype({"slope": object})
    rows.loc[3, "slope"] = "steep"
    rows.to_csv(tmp_path / "c.csv", index=False)
    with pytest.raises(NetworkError, match=r"c\.csv: slope: .*steep"):
        read_network(tmp_path / "c.csv")
    with closing(sqlite3.connect(write_hydrofabric(tmp_path / "d.gpkg", network))) as database:
        database.execute(
            'DELETE FROM "flowpath-attributes" WHERE id = ?', (f"wb-{network.ids[4]}",)
        )
        database.commit()
    with pytest.raises(NetworkError, match=f"lacks flowpath wb-{network.ids[4]}"):
        read_network(tmp_path / "d.gpkg")
    with closing(sqlite3.connect(write_hydrofabric(tmp_path / "e.gpkg", network))) as database:
        database.execute('DROP TABLE "flowpath-attributes"')
        database.commit()
    with pytest.raises(NetworkError, match="no table of the geometry of flowpaths"):
        read_network(tmp_path / "e.gpkg")
