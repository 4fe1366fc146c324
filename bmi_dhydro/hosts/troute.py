"""The configuration of t-route, which routes a NextGen run through its rivers."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CatchmentError
from ..machine import processors

# Where a package has it.
ROUTING = "troute.yaml"

# As the National Water Model routes: five minutes, twelve of them in an hour of the engine.
_SECONDS = 300

# Layers of a hydrofabric 2.2 that t-route reads, and their columns.
_LAYERS = ("flowpaths", "flowpath-attributes", "network")
_COLUMNS = {
    "key": "id",
    "downstream": "toid",
    "dx": "Length_m",
    "n": "n",
    "ncc": "nCC",
    "s0": "So",
    "bw": "BtmWdth",
    "waterbody": "WaterbodyID",
    "gages": "gage",
    "tw": "TopWdth",
    "twcc": "TopWdthCC",
    "musk": "MusK",
    "musx": "MusX",
    "cs": "ChSlp",
    "alt": "alt",
}


def troute_configuration(
    geopackage: Path, start: np.datetime64, end: np.datetime64, step_seconds: int
) -> dict[str, Any]:
    """Return the configuration of t-route for a package in the layout of NextGen in a Box.

    Runoff is taken from the nexuses that the engine writes to `outputs/ngen`, flow goes to
    `outputs/troute` each hour; without reservoirs and assimilation, from dry channels.

    Parameters
    ----------
    geopackage : Path
        A hydrofabric 2.2 with its rivers.
    start, end : datetime64[s]
        Start and end of the run; the end is not included.
    step_seconds : int
        Length of a step of the engine.

    Raises
    ------
    CatchmentError
        If the hydrofabric has no rivers.
    """
    with closing(sqlite3.connect(f"file:{geopackage}?mode=ro", uri=True)) as database:
        tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master")}
    lacking = [name for name in _LAYERS if name not in tables]
    if lacking:
        raise CatchmentError(
            f"{geopackage}: has no layer {', '.join(lacking)}, which t-route needs; take a "
            "hydrofabric 2.2 with rivers, leave --routing out, or give a configuration of your own"
        )
    steps = int((end - start).astype("timedelta64[s]").astype(int)) // _SECONDS
    return {
        "log_parameters": {"showtiming": True, "log_level": "INFO"},
        "network_topology_parameters": {
            "supernetwork_parameters": {
                "geo_file_path": f"./config/{geopackage.name}",
                "columns": _COLUMNS,
            },
            "waterbody_parameters": {"break_network_at_waterbodies": False},
        },
        "compute_parameters": {
            "parallel_compute_method": "by-subnetwork-jit-clustered",
            "compute_kernel": "V02-structured",
            "assume_short_ts": False,
            "subnetwork_target_size": 100,
            "cpu_pool": processors(),
            "restart_parameters": {"start_datetime": str(start).replace("T", " ")},
            "forcing_parameters": {
                "qts_subdivisions": step_seconds // _SECONDS,
                "dt": _SECONDS,
                "qlat_input_folder": "./outputs/ngen/",
                "qlat_file_pattern_filter": "nex-*",
                "binary_nexus_file_folder": "./outputs/parquet/",
                "nts": steps,
                # All in one loop, so that one file has the whole run.
                "max_loop_size": steps,
            },
            "data_assimilation_parameters": {
                "streamflow_da": {
                    "streamflow_nudging": False,
                    "diffusive_streamflow_nudging": False,
                },
                "reservoir_da": {
                    "reservoir_persistence_da": {
                        "reservoir_persistence_usgs": False,
                        "reservoir_persistence_usace": False,
                    },
                    "reservoir_rfc_da": {"reservoir_rfc_forecasts": False},
                },
            },
        },
        "output_parameters": {
            "stream_output": {
                "stream_output_directory": "./outputs/troute/",
                "stream_output_time": -1,
                "stream_output_type": ".nc",
                "stream_output_internal_frequency": 60,
            },
        },
    }
