"""Files of published models with random weights, in the formats in which there are some."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas
import pytest
import xarray
import yaml

from bmi_dhydro.published.conversion import import_published
from tests.conftest import DATA
from tests.published.reference_model import BOUNDS

torch = pytest.importorskip("torch", reason="needs torch, which reads the weights")

ATTRIBUTES = ("area", "elev_mean", "frac_forest", "secret_index")
NAMES = tuple(BOUNDS)


@dataclass
class Published:
    """A model, and what its files say."""

    process: str
    kind: str  # lstm, mlp, both
    parameters: tuple[str, ...]
    dynamic: tuple[str, ...] = ()
    sets: int = 3
    units: int = 8
    forcings: tuple[str, ...] = ("prcp", "tmean", "pet")
    attributes: tuple[str, ...] = ATTRIBUTES
    logarithms: tuple[str, ...] = ()
    generation: str = "model"
    old_names: bool = False
    statistics: dict = field(default_factory=dict)
    weights: dict = field(default_factory=dict)

    def __post_init__(self):
        random = np.random.default_rng(3)
        names = (*self.forcings, *self.attributes)
        middles = {"prcp": 3.0, "tmean": 8.0, "pet": 2.0, "area": 300.0, "elev_mean": 900.0}
        self.statistics = {
            name: [0.0, 10.0, middles.get(name, 0.5), 1.0 + 0.5 * middles.get(name, 0.5)]
            for name in names
        }
        self.statistics["area"][3], self.statistics["elev_mean"][3] = 4000.0, 800.0
        self.statistics["secret_index"][3] = 1.5
        for name in self.logarithms:
            self.statistics[name] = [0.0, 2.0, -0.3, 0.6]

        def layer(name, outputs, inputs, scale=1.0):
            return {
                f"{name}.weight": random.normal(0, scale / np.sqrt(inputs), (outputs, inputs)),
                f"{name}.bias": random.normal(0, 0.3, outputs),
            }

        def lstm(prefix, outputs):
            h = self.units
            made = layer("linear_in", h, len(names))
            for kind in ("w_ih", "w_hh"):
                made[f"lstm.{kind}"] = random.normal(0, 1.0 / np.sqrt(h), (4 * h, h))
            for kind in ("b_ih", "b_hh"):
                made[f"lstm.{kind}"] = random.normal(0, 0.3, 4 * h)
            made |= layer("linear_out", outputs, h, 2.0)
            return {prefix + name: value for name, value in made.items()}

        def perceptron(prefix, outputs):
            made = layer("i2h", 16, len(self.attributes), 1.4)
            for k in (1, 2, 3):
                made |= layer(f"h2h{k}", 16, 16, 1.4)
            made |= layer("h2o", outputs, 16)
            return {prefix + name: value for name, value in made.items()}

        static = [name for name in self.parameters if name not in self.dynamic]
        if self.kind == "lstm":
            self.weights = lstm("", len(self.parameters) * self.sets + 2)
        elif self.kind == "mlp":
            self.weights = perceptron("", len(static) * self.sets + 2)
        else:
            self.weights = lstm("lstminv.", len(self.dynamic) * self.sets)
            self.weights |= perceptron("ann.", len(static) * self.sets + 2)
        self.weights = {name: value.astype(np.float32) for name, value in self.weights.items()}

    def config(self):
        """Return the configuration as its generation writes it."""
        dynamic = {self.process: [f"par{name}" for name in self.dynamic]}
        observations = {"upstream_area_name": "area", "elevation_name": "elev_mean"}
        if self.generation == "model":
            return {
                "model": {
                    "warmup": 100,
                    "use_log_norm": list(self.logarithms),
                    "phy": {
                        "name": [self.process],
                        "nmul": self.sets,
                        "warmup_states": True,
                        "dynamic_params": dynamic,
                        "routing": True,
                        "nearzero": 1e-5,
                        "forcings": list(self.forcings),
                    },
                    "nn": {
                        "name": "LstmModel",
                        "forcings": list(self.forcings),
                        "attributes": list(self.attributes),
                    },
                },
                "observations": observations,
            }
        return {
            self.generation: {
                "phy_model": {
                    "model": [self.process],
                    "nmul": self.sets,
                    "warm_up": 100,
                    "warm_up_states": False,
                    "dynamic_params": dynamic,
                    "routing": True,
                    "use_log_norm": list(self.logarithms),
                    "forcings": list(self.forcings),
                },
                "nn_model": {
                    "model": "LSTM",
                    "forcings": list(self.forcings),
                    "attributes": list(self.attributes),
                },
            },
            "observations": observations,
        }

    def write(self, folder: Path) -> Path:
        """Write all three files; return that of the weights."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {}
        for name, value in self.weights.items():
            if self.old_names:
                name = name.replace("linear_in", "linearIn").replace("linear_out", "linearOut")
            tensors[f"nn_model.{name}"] = torch.tensor(value)
        torch.save(tensors, folder / "model_ep50.pt")
        (folder / "config.yaml").write_text(yaml.safe_dump(self.config()))
        text = json.dumps(self.statistics)
        (folder / "normalization_statistics.json").write_text(text)
        return folder / "model_ep50.pt"


FORMS = {
    "1.0": Published("Hbv", "lstm", NAMES[:13], ("BETA", "BETAET")),
    "1.0, exponent that does not move": Published("HBV", "lstm", NAMES[:13], ("BETA",)),
    "1.0, no exponent": Published("HBV1_0", "lstm", NAMES[:12]),
    "1.1p": Published("Hbv_1_1p", "lstm", NAMES[:14], ("BETA", "K0", "BETAET")),
    "1.1p of 2024": Published(
        "HBV_1_1p",
        "lstm",
        NAMES[:14],
        ("BETA", "K0", "BETAET"),
        generation="dpl_model",
        old_names=True,
    ),
    "1.1p, other order and logarithms": Published(
        "Hbv_1_1p",
        "lstm",
        NAMES[:14],
        ("K1", "BETA"),
        forcings=("pet", "prcp", "tmean"),
        logarithms=("prcp", "area"),
        generation="delta_model",
    ),
    "2.0": Published("Hbv_2", "both", NAMES, ("K0", "BETA", "BETAET")),
    "2.0, static": Published("Hbv_2", "mlp", NAMES),
}


def random_weather(days, catchments, seed=0):
    """Return precipitation, temperature and potential evapotranspiration."""
    random = np.random.default_rng(seed)
    season = np.sin(np.arange(days) / 58.0)[:, None]
    noise = random.normal(0.0, 4.0, (days, catchments))
    return np.stack(
        [
            random.gamma(0.25, 14.0, (days, catchments)),
            6.0 + 11.0 * season + noise,
            np.maximum(2.0 + 2.0 * season + 0.1 * noise, 0.0),
        ],
        axis=1,
    )


# Small and large rivers, lowland and mountains.
TABLE = {
    "area": np.array([40.0, 900.0, 2499.0, 2600.0, 9000.0]),
    "elev_mean": np.array([200.0, 2100.0, 1999.0, 900.0, 2500.0]),
    "frac_forest": np.array([0.1, 0.9, 0.5, 0.3, 0.0]),
    "secret_index": np.array([3.0, -1.0, 0.5, 0.2, 1.1]),
}
SOURCE_NAMES = {"upstream_area": "area", "elevation": "elev_mean"}


def with_site(table):
    """Return attributes with those that the process of 2.0 needs."""
    return table | {ours: table[theirs] for ours, theirs in SOURCE_NAMES.items()}


def write_run(folder, model, weather, table, **sections):
    """Write catchments, weather and a configuration; return the configuration's path."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = [f"c{k}" for k in range(weather.shape[2])]
    frame = pandas.DataFrame({"id": ids, "latitude": 40.0, **table})
    frame.to_csv(folder / "catchments.csv", index=False)
    time = np.arange(len(weather)).astype("timedelta64[D]") + np.datetime64("2000-10-01", "ns")
    xarray.Dataset(
        {
            name: (("time", "catchment"), weather[:, k], {"units": units})
            for k, (name, units) in enumerate(
                (("precipitation", "mm d-1"), ("temperature", "degC"), ("pet", "mm d-1"))
            )
        },
        {"time": time, "catchment": ids},
    ).to_netcdf(folder / "weather.nc")
    config = {
        "catchments": {"table": "catchments.csv", "climate": "table"},
        "model": str(model),
        "forcing": {"file": "weather.nc", "potential_evapotranspiration": "forcing"},
        "output": {"file": "results.nc"},
    }
    for name, section in sections.items():
        both = isinstance(section, dict) and isinstance(config.get(name), dict)
        config[name] = {**config[name], **section} if both else section
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in config.items() if v is not None}))
    return path


@pytest.fixture
def imported(tmp_path):
    """Return a function that writes the files of a form, and returns the trained model's path."""

    def make(form):
        weights = FORMS[form].write(tmp_path / "source")
        path = tmp_path / "imported.safetensors"
        import_published(weights, about={"licence": "none", "source": "random"}).save(path)
        return path

    return make


@pytest.fixture(params=["dhbv_1_0", "dhbv_1_1p", "dhbv_1_1p_2024", "dhbv_2_0"])
def real_files(request):
    """A folder with files that the makers' software wrote, and what it answers."""
    folder = DATA / "dmg" / request.param
    if not folder.exists():
        pytest.skip(f"needs {folder.name}, which is not on this machine")
    return folder
