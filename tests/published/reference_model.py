"""Delta-HBV models written again from their publications, in NumPy alone: what imports must give.

Nothing of the package is used here.
"""

import numpy as np

BOUNDS = {
    "BETA": (1, 6),
    "FC": (50, 1000),
    "K0": (0.05, 0.9),
    "K1": (0.01, 0.5),
    "K2": (0.001, 0.2),
    "LP": (0.2, 1),
    "PERC": (0, 10),
    "UZL": (0, 100),
    "TT": (-2.5, 2.5),
    "CFMAX": (0.5, 10),
    "CFR": (0, 0.1),
    "CWH": (0, 0.2),
    "BETAET": (0.3, 5),
    "C": (0, 1),
    "RT": (0, 20),
    "AC": (0, 2500),
}
FLOOR = 1e-5


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def lstm(weights, inputs):
    """Return the outputs (days, catchments, outputs) of linear, rectifier, LSTM, linear."""
    w = {name: np.asarray(value, dtype=float) for name, value in weights.items()}
    units = w["lstm.w_hh"].shape[1]
    hidden = cell = np.zeros((inputs.shape[1], units))
    rows = []
    for day in inputs:
        entered = np.maximum(day @ w["linear_in.weight"].T + w["linear_in.bias"], 0.0)
        gates = (
            entered @ w["lstm.w_ih"].T + w["lstm.b_ih"] + hidden @ w["lstm.w_hh"].T + w["lstm.b_hh"]
        )
        i, f, g, o = np.split(gates, 4, axis=1)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        hidden = sigmoid(o) * np.tanh(cell)
        rows.append(hidden @ w["linear_out.weight"].T + w["linear_out.bias"])
    return np.stack(rows)


def perceptron(weights, inputs):
    """Return the outputs of rectifier layers and a sigmoid."""
    names = [name.removesuffix(".weight") for name in weights if name.endswith(".weight")]
    values = inputs
    for name in names:
        matrix = np.asarray(weights[f"{name}.weight"], dtype=float)
        values = values @ matrix.T + np.asarray(weights[f"{name}.bias"], dtype=float)
        if name != names[-1]:
            values = np.maximum(values, 0.0)
    return sigmoid(values)


def day(state, weather, p, upstream_area=None):
    """Return the stores after a day and its fluxes; `p` by name, absent ones are of other forms."""
    sp, mw, sm, suz, slz = state
    rain_or_snow, t, pet = weather
    rain = np.where(t >= p["TT"], rain_or_snow, 0.0)
    sp = sp + np.where(t < p["TT"], rain_or_snow, 0.0)
    melt = np.minimum(np.maximum(p["CFMAX"] * (t - p["TT"]), 0.0), sp)
    mw, sp = mw + melt, sp - melt
    frozen = np.minimum(np.maximum(p["CFR"] * p["CFMAX"] * (p["TT"] - t), 0.0), mw)
    sp, mw = sp + frozen, mw - frozen
    to_soil = np.maximum(mw - p["CWH"] * sp, 0.0)
    mw = mw - to_soil
    recharge = (rain + to_soil) * np.clip((sm / p["FC"]) ** p["BETA"], 0.0, 1.0)
    sm = sm + rain + to_soil - recharge
    excess = np.maximum(sm - p["FC"], 0.0)
    sm = sm - excess
    share = sm / (p["LP"] * p["FC"])
    share = np.clip(share ** p["BETAET"] if "BETAET" in p else share, 0.0, 1.0)
    et = np.minimum(sm, pet * share)
    sm = np.maximum(sm - et, FLOOR)
    if "C" in p:
        rise = np.minimum(slz, p["C"] * slz * (1.0 - np.minimum(sm / p["FC"], 1.0)))
        sm, slz = np.maximum(sm + rise, FLOOR), np.maximum(slz - rise, FLOOR)
    suz = suz + recharge + excess
    percolation = np.minimum(suz, p["PERC"])
    suz = suz - percolation
    q0 = p["K0"] * np.maximum(suz - p["UZL"], 0.0)
    suz = suz - q0
    q1 = p["K1"] * suz
    suz, slz = suz - q1, slz + percolation
    if "RT" in p:
        a = upstream_area[:, None]
        small = np.clip((a - p["AC"]) / 1000.0, -1.0, 1.0) * p["RT"]
        large = np.exp(np.clip(-(a - 2500.0) / 50.0, -10.0, 0.0)) * p["RT"]
        slz = np.maximum(slz + np.where(a < 2500.0, small, large), FLOOR)
    q2 = p["K2"] * slz
    return (sp, mw, sm, suz, slz - q2), {"flow": q0 + q1 + q2, "et": et, "snow": sp}


def routed(flow, share_a, share_b):
    """Route flow (days, catchments) by the gamma distribution of 15 days."""
    times = np.arange(15)[:, None] + 0.5
    weights = times ** (2.9 * share_a + 0.1 - 1.0) * np.exp(-times / (6.5 * share_b + 0.5))
    weights = weights / weights.sum(axis=0)
    result = np.zeros_like(flow)
    for lag, weight in enumerate(weights):
        result[lag:] += weight * flow[: len(flow) - lag]
    return result


def answer(published, weather, attributes, warm_up=0, held=False):
    """Return flow, evapotranspiration and snow (days after `warm_up`, catchments).

    `weather` (days, 3, catchments) is precipitation, temperature, potential evapotranspiration;
    `attributes` has an array for each of `published.attributes`, and `upstream_area` and
    `elevation` where the form needs them.
    """
    names, sets = published.parameters, published.sets
    columns = {"prcp": weather[:, 0], "tmean": weather[:, 1], "pet": weather[:, 2]}
    columns = {name: columns[name] for name in published.forcings}
    days = len(weather)
    for name in published.attributes:
        columns[name] = np.tile(attributes[name], (days, 1))
    scaled = []
    for name, values in columns.items():
        if name in published.logarithms:
            values = np.log10(np.sqrt(values) + 0.1)
        _, _, mean, deviation = published.statistics[name]
        scaled.append((values - mean) / deviation)
    inputs = np.stack(scaled, axis=2)
    static_inputs = inputs[0, :, len(published.forcings) :]
    moving = {}
    if published.kind == "lstm":
        shares = sigmoid(lstm(published.weights, inputs))
        shares = {name: shares[:, :, k * sets : (k + 1) * sets] for k, name in enumerate(names)} | {
            "routing": shares[:, :, -2:]
        }
        static = {name: values[-1] for name, values in shares.items()}
        moving = {name: shares[name] for name in published.dynamic}
    else:
        own = {n: v for n, v in published.weights.items() if n.startswith(("i2h", "h2"))}
        own |= {
            n.removeprefix("ann."): v for n, v in published.weights.items() if n.startswith("ann.")
        }
        given = perceptron(own, static_inputs)
        rest = [name for name in names if name not in published.dynamic]
        static = {name: given[:, k * sets : (k + 1) * sets] for k, name in enumerate(rest)}
        static["routing"] = given[:, -2:]
        if published.kind == "both":
            own = {
                n.removeprefix("lstminv."): v
                for n, v in published.weights.items()
                if n.startswith("lstminv.")
            }
            shares = sigmoid(lstm(own, inputs))
            moving = {
                name: shares[:, :, k * sets : (k + 1) * sets]
                for k, name in enumerate(published.dynamic)
            }
    used = [name for name in names if name != "BETAET" or name in moving or "C" in names]

    def values(when):
        table = {}
        for name in used:
            low, high = BOUNDS[name]
            if held and when < warm_up:
                source = shares[name] if published.kind == "lstm" else moving.get(name)
                share = static[name] if source is None else source[warm_up - 1]
            else:
                share = moving[name][when] if name in moving else static[name]
            table[name] = low + share * (high - low)
        if "RT" in names:
            high = attributes["elevation"][:, None] >= 2000.0
            table["TT"] = np.where(high, 4.0, table["TT"])
        return table

    state = tuple(np.full((weather.shape[2], sets), 0.001) for _ in range(5))
    rows = []
    for when, row in enumerate(weather):
        state, fluxes = day(state, row[:, :, None], values(when), attributes.get("upstream_area"))
        rows.append({name: value.mean(axis=1) for name, value in fluxes.items()})
    series = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    first = warm_up if held else 0
    flow = routed(series["flow"][first:], *static["routing"].T)[warm_up - first :]
    return {"flow": flow, "et": series["et"][warm_up:], "snow": series["snow"][warm_up:]}
