"""A page of results for a browser, in one file: a map, and the hydrograph of what is clicked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ResultsError
from ..files.whole import replaced
from .figures import OBSERVED, RAIN, SIMULATED, SNOW
from .maps import frame, outlines, stretch
from .overview import Overview

# Numbers of series that a page may hold: beyond, a browser would be slow to open it.
_MOST_NUMBERS = 20_000_000

_STYLE = """
body {font-family: system-ui, sans-serif; margin: 0; color: #222}
header {padding: .6em 1em; border-bottom: 1px solid #ddd}
h1 {font-size: 1.1em; margin: 0}
header label {margin-right: 1em; font-size: .9em}
#map {height: 46vh} #flow {height: 46vh}
"""

# Draws the map once, and the hydrograph of a catchment each time that one is chosen.
_SCRIPT = """
const data = JSON.parse(document.getElementById('data').textContent);
const times = data.times, small = {l: 60, r: 70, t: 30, b: 35};
const names = Object.keys(data.values), what = document.getElementById('what');
const which = document.getElementById('which');
for (const name of names) what.add(new Option(name, name));
data.ids.forEach((id, row) => which.add(new Option(id, row)));
function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
  return Array.from(new Float32Array(bytes.buffer), v => Number.isNaN(v) ? null : v);
}
function drawMap() {
  const values = data.values[what.value], row = Number(which.value), traces = [];
  if (data.longitude) {
    traces.push({x: data.lines[0], y: data.lines[1], mode: 'lines', hoverinfo: 'skip',
      line: {color: '#999', width: 1}, showlegend: false});
    traces.push({x: data.longitude, y: data.latitude, mode: 'markers', text: data.ids,
      customdata: data.ids.map((_, k) => k),
      hovertemplate: '%{text}: %{marker.color:.3g}<extra></extra>',
      marker: {size: data.ids.map((_, k) => k === row ? 16 : 9), color: values,
        colorscale: 'Viridis', showscale: true, line: {color: '#333', width: .5}}});
    Plotly.react('map', traces, {margin: small, dragmode: 'pan', showlegend: false,
      xaxis: {range: data.frame.slice(0, 2), title: {text: 'longitude'}},
      yaxis: {range: data.frame.slice(2), title: {text: 'latitude'}, scaleanchor: 'x',
        scaleratio: data.stretch}}, {scrollZoom: true, responsive: true});
  } else {
    Plotly.react('map', [{x: data.ids, y: values, type: 'bar',
      customdata: data.ids.map((_, k) => k)}], {margin: small, yaxis: {title: {text: what.value}}});
  }
}
function drawFlow() {
  const row = Number(which.value), traces = [], most = {};
  for (const one of data.series) {
    const y = unpacked(one.rows[row]);
    most[one.kind] = Math.max(1, ...y);
    if (one.kind === 'rain') traces.push({x: times, y: y, type: 'bar', name: one.name, yaxis: 'y2',
      marker: {color: one.color, line: {width: 0}}});
    else if (one.kind === 'snow') traces.push({x: times, y: y, name: one.name, yaxis: 'y3',
      fill: 'tozeroy', line: {color: one.color, width: 0}, opacity: .5});
    else if (one.kind === 'low') traces.push({x: times, y: y, name: one.name, showlegend: false,
      line: {color: one.color, width: 0}});
    else if (one.kind === 'high') traces.push({x: times, y: y, name: one.name, fill: 'tonexty',
      fillcolor: one.color + '2e', line: {color: one.color, width: 0}});
    else traces.push({x: times, y: y, name: one.name, line: {color: one.color, width: 1.3},
      connectgaps: false});
  }
  Plotly.react('flow', traces, {margin: {...small, r: 110}, bargap: 0, title: {text: data.ids[row]},
    legend: {orientation: 'h', y: 1.12, x: 1, xanchor: 'right'}, hovermode: 'x unified',
    xaxis: {domain: [0, 0.93]}, yaxis: {title: {text: 'flow, mm/d'}, rangemode: 'tozero'},
    yaxis2: {overlaying: 'y', side: 'right', title: {text: 'rain and snowfall, mm/d'},
      showgrid: false, range: [(most.rain || 1) * 3, 0]},
    yaxis3: {overlaying: 'y', side: 'right', anchor: 'free', position: 0.99, showgrid: false,
      title: {text: 'snowpack, mm'}, visible: most.snow > 1, range: [0, (most.snow || 1) * 2.2]}},
    {responsive: true, displayModeBar: false});
  document.body.dataset.shown = data.ids[row];
}
function choose(row) { which.value = row; drawMap(); drawFlow(); }
what.onchange = drawMap; which.onchange = () => choose(which.value);
choose(0);
document.getElementById('map').on('plotly_click', e => {
  const point = e.points.find(p => p.customdata !== undefined);
  if (point) choose(point.customdata);
});
"""


def write_page(path: Path, overview: Overview, title: str) -> Path:
    """Write a page that needs nothing but a browser: no server, no network.

    Parameters
    ----------
    path : Path
        HTML file.
    overview : Overview
    title : str

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ResultsError
        If results are too many numbers for a browser.
    """
    from plotly.offline import get_plotlyjs

    document = _document(overview)
    # What closes a script in HTML must not stand in one.
    text = json.dumps(document, allow_nan=False).replace("</", "<\\/")
    with replaced(path) as temporary:
        temporary.write_text(
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            f"<title>{_escaped(title)}</title><style>{_STYLE}</style>"
            f"<script>{get_plotlyjs()}</script></head><body>"
            f"<header><h1>{_escaped(title)}</h1>"
            '<label>catchment <select id="which"></select></label>'
            '<label>on the map <select id="what"></select></label></header>'
            '<div id="map"></div><div id="flow"></div>'
            f'<script type="application/json" id="data">{text}</script>'
            f"<script>{_SCRIPT}</script></body></html>\n",
            encoding="utf-8",
        )
    return path


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _document(overview: Overview) -> dict[str, Any]:
    """Return the numbers of a page."""
    series: list[dict[str, Any]] = []
    for name, kind, color in (("precipitation", "rain", RAIN), ("snow", "snow", SNOW)):
        if name in overview.others:
            series.append(_series(name, kind, color, overview.others[name].values))
    if overview.band is not None:
        # One after the other: the upper end is filled down to the lower one.
        for name, kind, values in zip(
            ("5 %", "5 to 95 %"), ("low", "high"), overview.band, strict=True
        ):
            series.append(_series(name, kind, SIMULATED, values.values))
    if overview.observed is not None:
        series.append(_series("observed flow", "line", OBSERVED, overview.observed.values))
    series.append(_series("simulated flow", "line", SIMULATED, overview.flow.values))
    numbers = len(series) * overview.flow.size
    if numbers > _MOST_NUMBERS:
        raise ResultsError(
            f"{numbers / 1e6:.0f} million numbers are too many for a page (at most "
            f"{_MOST_NUMBERS / 1e6:.0f}): give --start and --end, or results of fewer catchments"
        )
    document: dict[str, Any] = {
        "ids": overview.ids,
        "times": np.datetime_as_string(overview.flow["time"].values, "s").tolist(),
        "series": series,
        "values": {
            name.replace("$^{-1}$", "⁻¹"): _numbers(values)
            for name, values in overview.means().items()
        },
    }
    where = overview.coordinates()
    if where is not None:
        west, east, south, north = frame(*where)
        lines = outlines()
        document |= {
            "longitude": _numbers(where[0]),
            "latitude": _numbers(where[1]),
            "lines": [_numbers(lines[:, 0]), _numbers(lines[:, 1])],
            "frame": [west, east, south, north],
            "stretch": stretch(south, north),
        }
    return document


def _series(name: str, kind: str, color: str, values: NDArray) -> dict[str, Any]:
    """Return a series of each catchment, as base64 of single precision."""
    import base64

    rows = np.ascontiguousarray(values.T, dtype="<f4")
    packed = [base64.b64encode(row.tobytes()).decode("ascii") for row in rows]
    return {"name": name, "kind": kind, "color": color, "rows": packed}


def _numbers(values: NDArray) -> list[float | None]:
    """Return numbers as JSON has them: None where there is none."""
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values.tolist()]
