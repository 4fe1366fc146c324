"""Forecasts in files."""

import numpy as np
import xarray
from click.testing import CliRunner

from bmi_dhydro.cli.main import main
from bmi_dhydro.variables import RUNOFF_FLUX
from tests.forecast.conftest import DAYS, NOISE, chain, day


def test_files_say_what_they_are(case):
    case.write_text(case.read_text() + NOISE)
    path = chain(case).run(DAYS[0])
    with xarray.open_dataset(path) as data:
        assert data["forecast_reference_time"].values == DAYS[0]
        assert data["time"].values[1] == day("2001-03-02")
        assert data["lead_time"].values.astype(float).tolist()[0] == 0.0
        assert data["lead_time"].attrs["standard_name"] == "forecast_period"
        assert data["member"].attrs["standard_name"] == "realization"
        assert data[RUNOFF_FLUX].dims == ("time", "member", "station")
        quantile = data[f"{RUNOFF_FLUX}_quantile"]
        assert quantile.dims == ("time", "quantile", "station")
        expected = np.quantile(data[RUNOFF_FLUX].values, [0.1, 0.5, 0.9], axis=1)
        np.testing.assert_allclose(quantile.values.transpose(1, 0, 2), expected, rtol=1e-5)
        volume = data["channel_exit_water_x-section__volume_flow_rate_quantile"]
        np.testing.assert_allclose(
            volume.values, quantile.values * data["area"].values / 3.6, rtol=1e-5
        )
        assert data.attrs["analysis_begins"] == "2000-10-01T00:00:00"
        assert data["water_added"].values.tolist() == [0.0] * 5


def test_a_damaged_forecast_is_shown_as_such(case, tmp_path):
    path = chain(case).run(DAYS[0])
    path.write_bytes(path.read_bytes()[:3000])
    result = CliRunner().invoke(main, ["forecast", str(case), "--status"])
    assert result.exit_code == 0, result.output
    assert "damaged" in result.output
