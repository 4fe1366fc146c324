"""Which day's rain does a flood's peak depend on?

A catchment runs for a year through the Basic Model Interface; then one call gives the derivative of
the highest flow with respect to the rain of each of the days before it.
"""

import tempfile
from pathlib import Path

import numpy as np

from bmi_dhydro import BmiDhydro
from bmi_dhydro.catchments.synthetic import make_catchments, make_weather
from bmi_dhydro.cli.example import write_example
from bmi_dhydro.variables import INPUTS, OUTPUTS

RAIN, TEMPERATURE, EVAPORATION = (item.name for item in INPUTS[:3])
FLOW = OUTPUTS[1].name  # mm h-1
DAYS_BACK = 30


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        config = write_example(Path(folder), 1, 1, "1d", "host")
        config.write_text(config.read_text() + f"history: {DAYS_BACK}\n")
        weather = make_weather(make_catchments(1), 365)
        model = BmiDhydro()
        model.initialize(str(config))
        flow = np.empty(1)
        highest, slopes, when = 0.0, np.zeros(DAYS_BACK), 0
        for day in range(365):
            model.set_value(RAIN, weather.precipitation[day] / 24.0)
            model.set_value(TEMPERATURE, weather.temperature[day])
            model.set_value(EVAPORATION, np.array([0.1]))
            model.update()
            if model.get_value(FLOW, flow)[0] > highest and day >= DAYS_BACK:
                highest, when = float(flow[0]), day
                seeds = {FLOW: np.ones(1)}  # of the last step: the peak itself
                slopes = model.vjp(seeds, [RAIN], DAYS_BACK)[RAIN][:, 0]
        model.finalize()

    print(f"highest flow: {24 * highest:.1f} mm d-1, on day {when}")
    print("days before   rain, mm   share of one more mm that is in the peak")
    for back in range(8):
        rain = weather.precipitation[when - back, 0]
        share = slopes[DAYS_BACK - 1 - back]
        print(f"{back:11d} {rain:10.1f}   {share:5.1%} {'#' * int(100 * share)}")
    assert slopes[-6:].sum() > 0.0


if __name__ == "__main__":
    main()
