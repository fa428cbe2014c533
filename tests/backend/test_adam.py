"""Adam in few operations takes the steps of Keras' own."""

import keras
import numpy as np
import pytest

from tfflows.backend.adam import fuse_adam

pytestmark = pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX keeps Keras' step")
RNG = np.random.default_rng(0)
SHAPES = [(3, 2), (2,), ()]
GRADS = [[RNG.normal(size=shape).astype("float32") for shape in SHAPES] for _ in range(5)]


def trained(make, fused):
    optimizer = make()
    if fused:
        fuse_adam(optimizer)
    weights = [keras.Variable(np.full(shape, 0.5), dtype="float32") for shape in SHAPES]
    for grads in GRADS:
        optimizer.apply([keras.ops.convert_to_tensor(grad) for grad in grads], weights)
    return optimizer, weights


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.optimizers.Adam(0.1, beta_1=0.8, beta_2=0.95, epsilon=1e-4),
        lambda: keras.optimizers.AdamW(0.1, weight_decay=0.1, global_clipnorm=0.5, use_ema=True),
        lambda: keras.optimizers.Adam(0.1, gradient_accumulation_steps=2),
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.1)),
        lambda: keras.optimizers.Adam(0.1, amsgrad=True),
    ],
    ids=["adam", "adamw", "accumulated", "scaled", "amsgrad"],
)
def test_steps_and_state_are_those_of_keras(make):
    own, expected = trained(make, fused=False)
    fused, weights = trained(make, fused=True)
    for weight, other in zip(weights, expected, strict=True):
        assert not np.allclose(weight.numpy(), 0.5)
        np.testing.assert_allclose(weight.numpy(), other.numpy(), rtol=1e-5, atol=1e-6)
    for state, other in zip(fused.variables, own.variables, strict=True):
        np.testing.assert_allclose(state.numpy(), other.numpy(), rtol=1e-5, atol=1e-6)


def test_subclasses_keep_their_own_steps():
    class Halved(keras.optimizers.Adam):
        def update_step(self, gradient, variable, learning_rate):
            super().update_step(gradient, variable, learning_rate / 2)

    _, expected = trained(lambda: keras.optimizers.Adam(0.05), fused=False)
    _, weights = trained(lambda: Halved(0.1), fused=True)
    np.testing.assert_allclose(weights[0].numpy(), expected[0].numpy(), rtol=1e-5)
