import numpy as np
import pytest

from bmi_dhydro.catchments.catchments import Catchments
from bmi_dhydro.errors import CatchmentError
from tests.catchments.conftest import COLUMNS


def test_subset_keeps_the_order_asked_for():
    part = Catchments.from_columns(COLUMNS, "test").subset(np.array([1, 0]))
    assert part.ids.tolist() == ["a", "07"]
    assert part.attributes["aridity"].tolist() == [2.0, 1.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"aridty": [1, 2]}, "column 'aridty' is unknown; did you mean 'aridity'"),
        ({"area": None}, "column 'area' is missing"),
        ({"id": ["a", "a"]}, "id a stands twice"),
        ({"area": ["big", "small"]}, "column 'area' is not numeric"),
        ({"area": [0.0, 1.0]}, "area must be positive, in km2: 07"),
        ({"latitude": [91.0, 0.0]}, "latitude is beyond 90 degrees: 07"),
        ({"id": [], "area": [], "latitude": [], "aridity": []}, "there are no catchments"),
    ],
)
def test_bad_columns(change, message):
    columns = {**COLUMNS, **change}
    columns = {name: values for name, values in columns.items() if values is not None}
    with pytest.raises(CatchmentError, match=message):
        Catchments.from_columns(columns, "test")
