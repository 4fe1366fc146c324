"""Values of printed code: kinds of numbers, elements, shapes, calls."""

import numpy as np
import pytest

from tests.kernels.cpu.test_assembler import compiled


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("-a", -7),
        ("a // 2 * 3 + a % 4", 12),
        ("values.shape[0] * 10 + values.shape[1]", 23),
        ("max(a, 9) - min(a, 2)", 7),
        ("places[1] + a", 12),
        ("2 * 3 + a", 13),
    ],
)
def test_whole_numbers(value, expected):
    run = compiled(f"return {value}", "a, values, places")
    assert run(7, np.zeros((2, 3)), np.array([3, 5], np.int32)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("-values[1, 2] + 1", -4.0),
        ("values[1, 0] / a", 0.75),
        ("a / 8 - 1.5 * b", -2.5),
        ("max(values[0, 1], b) + min(b, 0.5)", 2.5),
        ("1.0 / 3 - real(1.0 / 3) + b", 2.0),
    ],
)
def test_numbers(value, expected):
    values = np.arange(6.0).reshape(2, 3)
    compiled(f"values[0, 0] = {value}", "a, b, values")(np.int64(4), 2.0, values)
    assert values[0, 0] == expected


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("a < 5 and b > 1.0", True),
        ("a == 4 or b > 3.0", True),
        ("a != 4", False),
        ("a <= b", False),
        ("b >= 2", True),
    ],
)
def test_comparisons(condition, holds):
    text = f"if {condition}:\n    return 1\nreturn 0"
    assert compiled(text, "a, b")(4, 2.0) == holds
