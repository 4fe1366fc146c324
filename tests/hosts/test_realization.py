"""What the realization of a run says."""

import json

import numpy as np
import pytest

from bmi_dhydro.errors import ConfigError
from tests.hosts.conftest import IDS, RARE
from tests.hosts.replay import Engine

pytestmark = pytest.mark.filterwarnings(RARE)


def test_an_output_that_is_not_published_is_refused(write):
    with pytest.raises(ConfigError, match="--output: 'soil_moisture' is not published"):
        write(outputs=("soil_moisture",))


def test_rain_and_melt_are_published(write):
    names = ("atmosphere_water__rainfall_leq-volume_flux", "snowpack__melt_volume_flux")
    folder, _ = write(outputs=names)
    engine = Engine(folder, IDS)
    bmi = engine.modules["cat-1"][0].bmi
    assert set(names) <= set(bmi.get_output_var_names())
    rain, melt, flux = np.empty(1), np.empty(1), np.empty(1)
    for warmth, share in ((20.0, 1.0), (-20.0, 0.0)):
        for name, value in zip(bmi.get_input_var_names(), (2.5, warmth, 0.1), strict=True):
            bmi.set_value(name, np.array([value]))
        bmi.update()
        bmi.get_value(names[0], rain)
        bmi.get_value(names[1], melt)
        bmi.get_value("melt", flux)
        assert rain[0] == pytest.approx(2.5 * share)
        assert melt[0] == pytest.approx(flux[0])
        assert bmi.get_var_units(names[0]) == bmi.get_var_units(names[1]) == "mm h-1"


def test_routing_is_turned_on_by_its_configuration(write, tmp_path):
    (tmp_path / "route.yaml").write_text("bmi_parameters: {}\n")
    folder, _ = write(routing=tmp_path / "route.yaml")
    document = json.loads((folder / "config" / "realization.json").read_text())
    path = document["routing"]["t_route_config_file_with_path"]
    assert (folder / path).read_text() == "bmi_parameters: {}\n"
