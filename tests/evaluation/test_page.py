"""The page of results, opened in a real browser: a map, and the hydrograph that is clicked."""

import dataclasses
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from bmi_dhydro.errors import ResultsError
from bmi_dhydro.evaluation import page
from bmi_dhydro.evaluation.overview import Overview
from tests.evaluation.test_overview import made

pytest.importorskip("plotly", reason="needs plotly")

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")

# Clicks the map where the third catchment is, as plotly hands a click on.
CLICK = """<script>
window.addEventListener('load', () => setTimeout(() => {
  document.getElementById('map').emit('plotly_click', {points: [{customdata: 2}]});
  document.body.dataset.drawn = document.querySelectorAll('#flow .scatterlayer .trace').length;
}, 500));
</script></body>"""


def opened(path):
    """What a browser makes of a page, without a network."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("needs a browser: chromium or chrome")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += ["--virtual-time-budget=10000", "--host-resolver-rules=MAP * ~NOTFOUND"]
    command += [f"--user-data-dir={path.parent / 'profile'}", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout


def test_a_click_on_the_map_draws_the_catchment(tmp_path):
    results, observed = made(tmp_path, 4)
    overview = Overview.read(results, observed)
    path = page.write_page(tmp_path / "page.html", overview, "a <run> & more")
    text = path.read_text()
    assert "https://cdn" not in re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    path.write_text(text.replace("</body>", CLICK))
    dom = opened(path)
    assert 'data-shown="cat-3"' in dom
    # Snow, observed and simulated flow are lines; rain is bars.
    assert 'data-drawn="3"' in dom
    assert "a &lt;run&gt; &amp; more" in dom
    assert dom.count('class="main-svg"') >= 2


def test_a_band_is_filled_between_its_ends(tmp_path):
    results, _ = made(tmp_path, 4, observed=False)
    overview = Overview.read(results)
    overview = dataclasses.replace(overview, band=(0.5 * overview.flow, 2.0 * overview.flow))
    path = page.write_page(tmp_path / "page.html", overview, "a run")
    text = path.read_text()
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    series = json.loads(found[1])["series"]
    assert [one["kind"] for one in series] == ["rain", "snow", "low", "high", "line"]
    path.write_text(text.replace("</body>", CLICK))
    dom = opened(path)
    assert 'data-drawn="4"' in dom
    # Snow and the band, each in the picture and in the legend.
    assert dom.count('class="js-fill"') == 4
    assert "fill: rgb(11, 98, 164); fill-opacity: 0.180392" in dom


def test_numbers_are_those_of_the_results(tmp_path):
    results, _ = made(tmp_path, 2, observed=False)
    overview = Overview.read(results)
    text = page.write_page(tmp_path / "page.html", overview, "a run").read_text()
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    document = json.loads(found[1])
    import base64

    flow = next(one for one in document["series"] if one["name"] == "simulated flow")
    row = np.frombuffer(base64.b64decode(flow["rows"][1]), "<f4")
    np.testing.assert_allclose(row, overview.flow.values[:, 1], rtol=1e-6)
    assert document["ids"] == ["cat-1", "cat-2"]
    assert document["times"][0] == "2000-10-01T00:00:00"


def test_too_many_numbers_are_said(tmp_path, monkeypatch):
    results, _ = made(tmp_path, 2, observed=False)
    monkeypatch.setattr(page, "_MOST_NUMBERS", 1000)
    with pytest.raises(ResultsError, match="too many for a page"):
        page.write_page(tmp_path / "page.html", Overview.read(results), "a run")
    assert not (tmp_path / "page.html").exists()
