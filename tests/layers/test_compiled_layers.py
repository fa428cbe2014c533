"""The walk of `adapt`, compiled once for each structure, against the walk op by op."""

import numpy as np
import pytest
from keras import ops

from tfflows import Flow, layers, models, networks
from tfflows.backend import compilation
from tfflows.testing import randomize


def make_glow():
    return models.Glow((4, 4, 1), 2, 2, 4, condition_shape=(2,)), 100


class Shifted(layers.DiagonalScaling):
    def _forward(self, x, condition=None, training=False):
        z, log_det = super()._forward(x, condition, training)
        return z + float(np.asarray(ops.convert_to_numpy(x)).size), log_det  # only op by op


def make_own():
    stack = [layers.ActNorm(), Shifted(), layers.Permute(seed=0), layers.ActNorm()]
    return Flow(stack, (4,)), 50


def make_vectors():
    stack = []
    for i in range(2):
        network = networks.MLP((5,))
        stack += [layers.LULinear(seed=i), layers.AffineCoupling("half", i % 2, network)]
        stack += [layers.BatchNorm(), layers.ActNorm()]
    return Flow(stack, (3,)), 50


@pytest.mark.parametrize("make", [make_glow, make_own, make_vectors])
def test_adapt_takes_the_statistics_of_the_walk_op_by_op(make, monkeypatch):
    flow, rows = make()
    randomize(flow)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (rows, *flow.event_shape)).astype("float32")
    condition = rng.normal(size=(rows, 2)).astype("float32") if flow.condition_shape else None
    monkeypatch.setattr("tfflows.layers.flow_layer.MAX_CHUNK_ELEMENTS", 16 * 16)  # up to 7 chunks
    flow.adapt(x if condition is None else (x, condition))
    found = [ops.convert_to_numpy(weight) for weight in flow.weights]
    for layer in flow.flow_layers:  # as `adapt` does, but that nothing is compiled
        layer.adapt(x, condition)
        x = layer.forward_and_log_det(x, condition)[0]
    for weight, value in zip(flow.weights, found, strict=True):
        np.testing.assert_allclose(value, weight, rtol=1e-4, atol=1e-4, err_msg=weight.path)


def test_layers_of_one_structure_are_compiled_once(monkeypatch):
    count, compile_function = [], compilation.compile_function
    monkeypatch.setattr(
        compilation, "compile_function", lambda f: count.append(f) or compile_function(f)
    )
    counts = []
    for depth in (1, 5):
        models.Glow((4, 4, 2), 1, depth, 2, quantization_levels=None).adapt(np.ones((3, 4, 4, 2)))
        counts.append(len(count))
        count.clear()
    # Squeeze, and of the first step what stands before its ActNorm; then ActNorm, 1x1 and coupling.
    assert counts == [1, 4]
