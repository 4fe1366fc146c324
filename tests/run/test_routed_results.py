"""Results of catchments, routed to gauges."""

import netCDF4
import numpy as np
import pandas
import pytest
import xarray
from click.testing import CliRunner

from bmi_dhydro.cli.main import main
from bmi_dhydro.errors import NetworkError, ResultsError
from bmi_dhydro.river.network import Network
from bmi_dhydro.river.river import River
from bmi_dhydro.river.tables import read_network
from bmi_dhydro.run import routed_results
from bmi_dhydro.run.routed_results import Routing, route_results
from tests.river.conftest import made_up, storm
from tests.river.test_tables import write_hydrofabric

FLOW = "channel_exit_water_x-section__volume_flow_rate"
REACHES, STEPS = 20, 30


@pytest.fixture
def network():
    """Twenty reaches; every second has a catchment, two have gauges."""
    bare = made_up(REACHES, 2)
    gauges, catchments = [""] * REACHES, [""] * REACHES
    gauges[0], gauges[7] = "0123", "0456"
    for k in range(0, REACHES, 2):
        catchments[k] = f"cat-{k}"
    below = np.where(bare.to >= 0, bare.ids[bare.to], "0")
    return Network.of(bare.ids, below, bare.parameters, gauges, catchments=catchments)


def write(path, network, values, units="m3 s-1", hours=1, members=False, area=True):
    """Write runoff of the catchments of a network, those that come last first."""
    ids = list(network.catchments)[::-1]
    times = np.datetime64("2001-01-01") + np.arange(len(values)) * np.timedelta64(hours, "h")
    axes = ("time", "member", "station") if members else ("time", "station")
    data = xarray.Dataset(
        {
            "station_id": ("station", ids, {"cf_role": "timeseries_id"}),
            FLOW: (axes, values, {"units": units}),
            "time": times,
        }
    )
    if area:
        data["area"] = ("station", np.linspace(5.0, 50.0, len(ids)))
    data.to_netcdf(path)
    return np.array([network.catchments[name] for name in ids]), data["area"].values if area else 0


def routed(path):
    with xarray.open_dataset(path) as data:
        return data.load()


@pytest.mark.parametrize("process", ["muskingum_cunge", "linear"])
def test_flow_at_gauges_is_that_of_the_river(network, tmp_path, process, monkeypatch):
    values = storm(network, STEPS)[:, : REACHES // 2]
    places, area = write(tmp_path / "runoff.nc", network, values)
    lateral = np.zeros((STEPS, REACHES))
    lateral[:, places] = values
    river = River(network, process, 3600, dtype=np.float64)
    start = lateral[0].copy()
    for k in network.order:
        if network.to[k] >= 0:
            start[network.to[k]] += start[k]
    river.set_flow(start)
    expected = river.run(lateral)
    # In several blocks, which changes nothing.
    for together in (10**6, 7 * len(places)):
        monkeypatch.setattr(routed_results, "_VALUES_TOGETHER", together)
        done = route_results(
            tmp_path / "runoff.nc",
            network,
            tmp_path / "gauges.nc",
            Routing(process, dtype="float64"),
        )
        found = routed(tmp_path / "gauges.nc")
        assert found["station_id"].values.tolist() == ["0123", "0456"] == done.stations.tolist()
        np.testing.assert_allclose(found[FLOW].values, expected.mean_flow[:, [0, 7]], rtol=1e-6)
        for name, key, _, _ in routed_results.VARIABLES[1:]:
            np.testing.assert_allclose(
                found[name].values, getattr(expected, key)[:, [0, 7]], rtol=1e-6
            )
        upstream = np.isin(places, network.upstream(0))
        assert found["area"].values[0] == pytest.approx(area[upstream].sum())
        assert done.without_runoff == REACHES // 2
        assert done.balance["in"] == pytest.approx(values.sum() * 3600.0)


@pytest.mark.parametrize(
    ("units", "hours", "metres"),
    [("mm h-1", 1, 1e-3), ("m", 1, 1.0), ("mm", 24, 1e-3), ("kg m-2 s-1", 6, 6 * 3.6)],
)
def test_depths_and_rates_become_volumes(network, tmp_path, units, hours, metres):
    values = storm(network, STEPS)[:, : REACHES // 2]
    _, area = write(tmp_path / "runoff.nc", network, values, units, hours)
    routing = Routing("linear", "all")
    done = route_results(tmp_path / "runoff.nc", network, tmp_path / "all.nc", routing)
    volume = (values * area).sum() * 1e6 * metres
    assert done.balance["in"] == pytest.approx(volume, rel=1e-5)
    assert done.stations.size == REACHES
    write(tmp_path / "bare.nc", network, values, units, hours, area=False)
    with pytest.raises(ResultsError, match=r"a variable 'area' \(km2\) is needed"):
        route_results(tmp_path / "bare.nc", network, tmp_path / "all.nc")


def test_every_member_has_its_own_river(network, tmp_path, monkeypatch):
    monkeypatch.setattr(routed_results, "_VALUES_TOGETHER", 9 * 3 * REACHES // 2)
    random = np.random.default_rng(0)
    values = storm(network, STEPS)[:, None, : REACHES // 2] * random.uniform(
        0.5, 2.0, (STEPS, 3, 1)
    )
    write(tmp_path / "runoff.nc", network, values, members=True)
    route_results(tmp_path / "runoff.nc", network, tmp_path / "all.nc", Routing(at="outlets"))
    together = routed(tmp_path / "all.nc")[FLOW]
    assert together.dims == ("time", "member", "station")
    for member in range(3):
        write(tmp_path / "one.nc", network, values[:, member])
        route_results(tmp_path / "one.nc", network, tmp_path / "o.nc", Routing(at="outlets"))
        np.testing.assert_array_equal(
            routed(tmp_path / "o.nc")[FLOW].values, together.values[:, member]
        )


def test_a_run_is_routed_and_evaluated_at_a_gauge(tmp_path, file_example):
    """From weather over catchments of this package to scores at a gauge, with the commands."""
    catchments = pandas.read_csv(file_example.parent / "catchments.csv", dtype={"id": str})
    ids = catchments["id"].tolist()
    parameters = {k: v[: len(ids)] for k, v in made_up(12).parameters.items()}
    rows = pandas.DataFrame(
        {"id": range(1, len(ids) + 1), "to": [2, 3, 4, 5, 0][: len(ids)], **parameters}
    )
    rows["catchment"], rows["gauge"] = ids, ["", "", "", "", "01234567"][: len(ids)]
    rows.to_csv(tmp_path / "rivers.csv", index=False)

    def command(*arguments):
        result = CliRunner().invoke(main, [str(a) for a in arguments])
        assert result.exit_code == 0, result.output
        return result.output

    for workers in (1, 2):
        out = tmp_path / f"runoff{workers}.nc"
        command("run", file_example, "--out", out, "--workers", workers)
        said = command("route", out, tmp_path / "rivers.csv", tmp_path / f"g{workers}.nc")
        assert "5 reaches, 5 catchments, 500 steps; flow at 1 places" in said
    one, two = (routed(tmp_path / f"g{k}.nc") for k in (1, 2))
    xarray.testing.assert_equal(one[FLOW], two[FLOW])
    command("evaluate", tmp_path / "g1.nc", tmp_path / "g2.nc", "--out", tmp_path / "s")
    scores = pandas.read_csv(tmp_path / "s" / "scores.csv", dtype={0: str})
    assert scores.iloc[0, 0] == "01234567"
    assert scores["nse"][0] == pytest.approx(1.0)


def test_divides_of_a_hydrofabric_drain_to_its_flowpaths(network, tmp_path):
    bare = made_up(REACHES, 2)
    path = write_hydrofabric(tmp_path / "h.gpkg", bare)
    fabric = read_network(path)
    values = storm(bare, STEPS)
    places, _ = write(tmp_path / "runoff.nc", fabric, values)
    done = route_results(tmp_path / "runoff.nc", fabric, tmp_path / "out.nc", Routing(at="outlets"))
    assert done.without_runoff == 0
    assert done.stations.tolist() == [f"wb-{name}" for name in bare.ids[bare.to < 0]]
    assert places.size == REACHES


def test_bad_input(network, tmp_path):
    values = storm(network, STEPS)[:, : REACHES // 2]
    path, out = tmp_path / "runoff.nc", tmp_path / "out.nc"
    write(path, network, values)
    for at, match in (
        ("9999", "9999 is neither a reach nor a gauge"),
        (["0123", "x"], "x is neither"),
    ):
        with pytest.raises(NetworkError, match=match):
            route_results(path, network, out, Routing(at=at))
    with pytest.raises(NetworkError, match="the network has no gauges"):
        route_results(
            path,
            Network.of(
                network.ids,
                ["0"] * REACHES,
                network.parameters,
                catchments=[f"cat-{k}" for k in range(REACHES)],
            ),
            out,
            Routing(at="gauges"),
        )
    few = network.subset(network.upstream(0))
    with pytest.raises(NetworkError, match=r"catchment cat-.* drains to no reach; the network has"):
        route_results(path, few, out)
    with pytest.raises(ResultsError, match="has no runoff snow"):
        route_results(path, network, out, Routing(variable="snow"))
    with netCDF4.Dataset(path, "a") as data:
        data[FLOW][11, 3] = np.nan
    name = list(network.catchments)[::-1][3]
    with pytest.raises(ResultsError, match=f"{name} at 2001-01-01T11:00:00 is missing"):
        route_results(path, network, out)
    write(path, network, values[:1])
    with pytest.raises(ResultsError, match="two steps or more"):
        route_results(path, network, out)
    path.write_bytes(b"no such file, but long enough to be read")
    with pytest.raises(ResultsError, match="not a readable NetCDF"):
        route_results(path, network, out)
    assert not out.exists()
    assert not list(tmp_path.glob(".*"))
