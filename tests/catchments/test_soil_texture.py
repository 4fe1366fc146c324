"""Soil properties from texture: tables of land surface models, and real catchments."""

import numpy as np
import pytest

from bmi_dhydro.catchments.catchments import Catchments
from bmi_dhydro.catchments.soil_texture import soil_properties
from bmi_dhydro.errors import CatchmentError

# Sand and clay of the classes of texture, and what Cosby et al. (1984) give for them: table 5.
CLASSES = {
    "sand": (92.0, 3.0, 0.339, 2.79),
    "loam": (43.0, 18.0, 0.439, 5.25),
    "silty clay loam": (10.0, 34.0, 0.464, 8.72),
    "clay": (22.0, 58.0, 0.468, 11.55),
}


@pytest.mark.parametrize("name", CLASSES)
def test_classes_of_texture(name):
    sand, clay, porosity, exponent = CLASSES[name]
    found = soil_properties(sand, clay)
    # The regressions explain the classes, not every one of them exactly.
    assert found["soil_porosity"] == pytest.approx(porosity, abs=0.035)
    assert found["clapp_hornberger_b"] == pytest.approx(exponent, rel=0.2)
    assert 0.0 < found["wilting_point"] < found["soil_porosity"]


def test_sand_drains_and_clay_holds():
    found = soil_properties([90.0, 40.0, 10.0], [5.0, 20.0, 60.0])
    assert (np.diff(found["log10_saturated_conductivity"]) < 0).all()
    assert (np.diff(found["wilting_point"]) > 0).all()
    assert (np.diff(found["clapp_hornberger_b"]) > 0).all()
    conductivity = 10.0 ** found["log10_saturated_conductivity"]
    assert (conductivity > 1e-8).all()
    assert (conductivity < 1e-4).all()


def test_they_are_like_those_of_real_catchments(mopex_path):
    xarray = pytest.importorskip("xarray")
    with xarray.open_dataset(mopex_path) as data:
        table = dict(zip(data["attr"].values, data["attributes"].values.T, strict=True))
    mineral = table["soil_sand_pct"] + table["soil_clay_pct"] + table["soil_silt_pct"]
    sand, clay = (100.0 * table[f"soil_{name}_pct"] / mineral for name in ("sand", "clay"))
    found = soil_properties(sand, clay)
    for name, source, difference in (
        ("soil_porosity", "noah_poros", 0.02),
        ("wilting_point", "noah_wp", 0.03),
        ("log10_saturated_conductivity", "noah_log10_ksat", 0.3),
    ):
        assert abs(np.median(found[name]) - np.median(table[source])) < difference, name
        assert np.corrcoef(found[name], table[source])[0, 1] > 0.6, name


def test_unknown_texture_stays_unknown():
    found = soil_properties([np.nan, 40.0], [20.0, 20.0])
    for values in found.values():
        assert np.isnan(values[0])
        assert np.isfinite(values[1])


@pytest.mark.parametrize(("sand", "clay"), [(-1.0, 20.0), (70.0, 40.0), (0.4, -0.2)])
def test_what_cannot_be(sand, clay):
    with pytest.raises(CatchmentError, match="cannot be; give percent"):
        soil_properties([30.0, sand], [20.0, clay])


def test_a_table_gets_what_it_lacks_from_its_texture():
    columns = {
        "id": ["a", "b"],
        "area": [10.0, 20.0],
        "sand_percentage": [43.0, 22.0],
        "clay_percentage": [18.0, 58.0],
        "soil_porosity": [0.5, np.nan],
    }
    found = Catchments.from_columns(columns, "a table").attributes
    made = soil_properties([43.0, 22.0], [18.0, 58.0])
    assert found["soil_porosity"].tolist() == [0.5, made["soil_porosity"][1]]
    for name in ("wilting_point", "clapp_hornberger_b", "log10_saturated_conductivity"):
        np.testing.assert_array_equal(found[name], made[name])
    known = {key: [1.0, 2.0] for key in made}
    assert Catchments.from_columns({**columns, **known}, "a table").attributes[
        "soil_porosity"
    ].tolist() == [1.0, 2.0]
    with pytest.raises(CatchmentError, match="soil texture: 80 % sand and 58 % clay"):
        Catchments.from_columns({**columns, "sand_percentage": [43.0, 80.0]}, "a table")
