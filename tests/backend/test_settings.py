"""A setting that is changed after the first call holds in the next one."""

import keras
import numpy as np
import pytest
from keras import ops
from layer_table import randomize
from model_table import small_field

import tfflows
from tfflows import layers, ode
from tfflows.backend.settings import settings_version

X = np.random.default_rng(0).normal(size=(8, 2)).astype("float32")


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def test_a_solver_changed_after_the_first_call_is_the_one_that_solves():
    flow = randomize(small_field())
    field = flow.flow_layers[-1]
    field.test_solver = ode.FixedStep("euler", 1)
    coarse = numpy(flow.log_prob(X))
    field.test_solver.num_steps = 3
    finer = numpy(flow.log_prob(X))
    np.testing.assert_allclose(finer, flow.log_density(X), rtol=1e-5)  # which is not compiled
    assert np.abs(coarse - finer).max() > 1e-3


def test_an_inversion_changed_after_the_first_call_is_the_one_that_inverts():
    layer = layers.MaskedAutoregressive(hidden_units=(8,))
    flow = randomize(tfflows.Flow([layer], (4,)))
    z = np.concatenate([X, X], axis=1)
    x = numpy(flow.inverse(z))
    layer.inversion, layer.tolerance = "jacobi", 1e9
    assert np.abs(numpy(flow.inverse(z)) - x).max() > 1e-4  # ends after one sweep
    layer.tolerance = 0.0
    np.testing.assert_allclose(flow.inverse(z), x, atol=1e-5)


def test_evaluation_sees_a_changed_setting():
    flow = randomize(small_field())
    flow.compile(keras.optimizers.SGD(0.0))
    field = flow.flow_layers[-1]
    for steps in (1, 3):
        field.test_solver = ode.FixedStep("euler", steps)
        logs = flow.evaluate(X, verbose=0, return_dict=True)
        assert logs["evaluations"] == steps


@pytest.mark.parametrize("compiled_again", [True, False])
def test_frozen_layers_do_not_train_and_thawed_ones_do(compiled_again):
    flow = tfflows.Flow([layers.ActNorm(), layers.DiagonalScaling()], (2,))
    flow.compile(keras.optimizers.SGD(0.1))
    flow.fit(X, verbose=0)
    first, second = flow.flow_layers
    for is_trainable in (False, True):
        first.trainable = is_trainable
        if compiled_again:
            flow.compile(keras.optimizers.SGD(0.1))
        if not compiled_again and keras.backend.backend() == "jax":
            with pytest.raises(ValueError, match=r"`trainable` of a layer.*compile\(optimizer\) a"):
                flow.fit(X, verbose=0)
            return
        before = [numpy(layer.log_scale).copy() for layer in (first, second)]
        flow.fit(X + 1, verbose=0)
        moved = [
            (numpy(layer.log_scale) != old).all()
            for layer, old in zip((first, second), before, strict=True)
        ]
        assert moved == [is_trainable, True]


def test_making_and_calling_flows_changes_no_setting():
    flow = randomize(tfflows.Flow([layers.MaskedAutoregressive(hidden_units=(8,))], (2,)))
    flow.compile("adam", run_eagerly=True)
    before = settings_version()
    tfflows.models.RealNVP((2,))
    flow.fit(X, verbose=0)
    flow.sample(2)
    assert settings_version() == before
