"""Roots of increasing functions."""

import keras
import numpy as np
import pytest
from keras import ops
from marks import needs_tensorflow

from tfflows.backend.roots import increasing_root

FUNCTIONS = {
    "line": (lambda x: 3 * x - 1, 1 / 3),
    "flat": (lambda x: (x - 0.7) ** 5, 0.7),
    "steep": (lambda x: ops.sign(x - 0.2) * ops.sqrt(ops.abs(x - 0.2)), 0.2),
    "exponential": (lambda x: ops.exp(40 * x) - 2, np.log(2) / 40),
    "step": (lambda x: ops.where(x < -0.4, -1.0, 1e6), -0.4),
    "at the lower end": (lambda x: x + 1, -1),
    "at the upper end": (lambda x: x - 2, 2),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_roots_are_found(name):
    function, wanted = FUNCTIONS[name]
    low = ops.convert_to_tensor(np.full((3,), -1.0, "float32"))
    high = ops.convert_to_tensor(np.full((3,), 2.0, "float32"))
    root = ops.convert_to_numpy(increasing_root(function, low, high))
    np.testing.assert_allclose(root, wanted, atol=1e-6)


def test_elements_do_not_wait_for_one_that_is_nan():
    y = ops.convert_to_tensor(np.float32([0.5, np.nan, -3.0, 1e6]))
    root = increasing_root(lambda x: x + 0.9 * ops.sin(x) - y, y - 1, y + 1)
    left = ops.convert_to_numpy(root + 0.9 * ops.sin(root) - y)
    assert np.isnan(left[1])
    np.testing.assert_allclose(left[[0, 2]], 0, atol=1e-6)
    assert abs(left[3]) < 0.2  # four units of rounding at 1e6
    assert keras.backend.standardize_dtype(root.dtype) == "float32"


@needs_tensorflow  # runs loops in Python, step by step
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_search_ends_where_only_rounding_is_left(dtype):
    y = ops.convert_to_tensor(np.linspace(-3, 3, 1000).astype(dtype))
    rounding = 4096 * float(np.finfo(dtype).eps)  # of numbers near 4096

    def function(x):
        x = (x + 4096) - 4096
        return x + 0.9 * x / (1 + ops.abs(x)) - y

    def search(**arguments):
        seen = []

        def counting(x):
            seen.append(x)
            return function(x)

        return increasing_root(counting, y - 1, y + 1, **arguments), len(seen)

    exact, number = search()
    root, number_to_rounding = search(rounding=rounding)
    assert number_to_rounding + 6 <= number
    np.testing.assert_allclose(root, exact, rtol=0, atol=2 * rounding)
    assert np.abs(ops.convert_to_numpy(function(root))).max() <= rounding
