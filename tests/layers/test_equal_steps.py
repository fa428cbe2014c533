"""Runs of equal steps as one scan: the numbers and gradients of the layers one by one."""

import keras
import numpy as np
import pytest
from marks import needs_tensorflow

from tfflows import Flow, layers, models, networks
from tfflows.backend import compilation
from tfflows.backend.scan import scan
from tfflows.layers import equal_steps
from tfflows.layers.equal_steps import scanned_layers
from tfflows.testing import randomize
from tfflows.testing.derivatives import value_and_gradients


def make_glow(**kwargs):
    return models.Glow((4, 4, 1), 1, 3, 4, quantization_levels=None, **kwargs)


def make_glow_of_scales(**kwargs):
    return models.Glow((8, 8, 1), 2, 3, 4, quantization_levels=None, **kwargs)


def make_realnvp(**kwargs):
    return models.RealNVP((5,), 6, (8,), **kwargs)


def make_jet(**kwargs):
    return models.Jet((8, 8, 1), 4, 16, 4, 1, 1, quantization_levels=None, **kwargs)


def make_nsf(**kwargs):
    return models.NSF((4,), 4, 8, 1, num_bins=4, **kwargs)


def make_maf(**kwargs):
    return models.MAF((4,), 4, (8,), **kwargs)


def make_masks(**kwargs):
    stack = []
    for i in range(3):
        kept = np.random.default_rng(i).permutation(16).reshape(4, 4, 1) < 8
        network = networks.ConvResNet(4, 1, dtype=kwargs.get("dtype"))
        stack.append(layers.AffineCoupling(kept, i % 2, network, **kwargs))
    return Flow(stack, (4, 4, 1), dtype=kwargs.get("dtype"))


# Layer by layer, all take long to compile: a graph and XLA's are tried on the quickest model.
QUICK = [(make_realnvp, False), (make_realnvp, True)]
ALL = [make_glow, make_glow_of_scales, make_realnvp, make_jet, make_nsf, make_maf, make_masks]


def compiled(function, jit):
    """A function of arrays in a trace, on TensorFlow a graph or XLA's."""
    if keras.backend.backend() == "jax":
        return function
    import tensorflow as tf

    return tf.function(function, jit_compile=jit, autograph=False)


def marked(make, jit):
    marks = [] if jit else [needs_tensorflow]
    return pytest.param(make, jit, marks=marks + [pytest.mark.slow] * ((make, jit) not in QUICK))


@pytest.mark.parametrize(
    ("make", "jit"), [marked(make, jit) for make in ALL for jit in (True, False)]
)
@pytest.mark.usefixtures("optimized_graphs")
def test_a_scan_computes_what_the_layers_compute(make, jit, monkeypatch):
    scans = []
    monkeypatch.setattr(equal_steps, "scan", lambda *args: scans.append(args) or scan(*args))
    flow = randomize(make(dtype="float64"))
    x = np.random.default_rng(0).normal(size=(3, *flow.event_shape))
    z = np.random.default_rng(1).normal(size=(3, *flow.latent_shape))

    def run(scan_layers):
        def outputs(x, z):
            with scanned_layers(scan_layers), compilation.xla_scope(jit):
                return flow.log_density(x), *flow.inverse_and_log_det(z), flow.generate(z)

        return compiled(value_and_gradients(outputs, flow.trainable_variables), jit)(x, z)

    found, expected = run(True), run(False)
    assert scans
    for one, other in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-9)
