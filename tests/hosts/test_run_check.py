"""What does not fit together is found before the engine starts."""

import shutil

import pytest
from click.testing import CliRunner

from bmi_dhydro.cli.main import main
from bmi_dhydro.errors import ConfigError
from bmi_dhydro.hosts.run_check import check_run
from tests.hosts.conftest import RARE, changed, params

pytestmark = pytest.mark.filterwarnings(RARE)


@pytest.mark.parametrize(
    "options",
    [{}, {"fleet": True}, {"evapotranspiration": "computed"}],
    ids=["coupled", "fleet", "computed"],
)
def test_what_was_written_is_right(write, options):
    folder, _ = write(**options)
    assert check_run(folder)[0].startswith("3 divides from 2001-10-10T00:00:00 to 2001-10-16")
    result = CliRunner().invoke(main, ["ngen", "--check", str(folder)])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda d: d["time"].update(start_time="2001-10-11 00:00:00"),
            "cat-1: time.start is 2001-10-10T00:00:00, but the realization starts at 2001-10-11",
        ),
        (
            lambda d: d["time"].update(end_time="2001-11-11 00:00:00"),
            "it covers 2000-10-01T00:00:00 to 2001-10-16T00:00:00, not",
        ),
        (lambda d: d["time"].update(output_interval=300), "output_interval: is 300, expected 3600"),
        (
            lambda d: params(d).update(output_variables=["soil_moisture"]),
            "'soil_moisture' is not published",
        ),
        (
            lambda d: params(d).update(main_output_variable="land_surface_water__runoff"),
            "main_output_variable: the engine takes it for a depth in m",
        ),
        (lambda d: params(d).update(model_params={"K1": -3.0}), "K1"),
        (lambda d: params(d).update(model_params={"K9": 0.1}), "'K9' is no parameter; known: BETA"),
        (lambda d: params(d).update(model_params={"K1": "fast"}), "K1 is 'fast', no number"),
        (lambda d: params(d).update(model_params={"K1": [0.1, 0.2]}), "K1 has 1 values, not 2"),
        (lambda d: params(d).update(init_config="one.yml"), "by which an instance is recognised"),
        (
            lambda d: params(d).update(variables_names_map={}),
            "does not have land_surface_water__po",
        ),
        (lambda d: d.pop("time"), "is no realization of this component"),
    ],
)
@pytest.mark.parametrize("fleet", [False, True], ids=["coupled", "fleet"])
def test_what_does_not_fit_is_said(write, change, message, fleet):
    if fleet and "does not have" in message:
        pytest.skip("a fleet takes no inputs of the engine")
    folder, _ = write(fleet=fleet, spin_up=0)
    changed(folder, change)
    with pytest.raises(ConfigError, match=message):
        check_run(folder)


def test_a_package_that_lost_a_file_or_its_evapotranspiration(year, write):
    folder, _ = write(spin_up=0)
    weather = folder / "forcings" / "forcings.nc"
    weather.unlink()
    shutil.copy(year / "f.nc", weather)
    with pytest.raises(ConfigError, match="does not have potential_evapotranspiration"):
        check_run(folder)
    (folder / "config" / "cat_config" / "DHYDRO" / "cat-2.yml").unlink()
    with pytest.raises(ConfigError, match="there is no configuration of cat-2"):
        check_run(folder)
    weather.unlink()
    with pytest.raises(ConfigError, match="no such weather file"):
        check_run(folder)
