"""The promises that every layer keeps, over the table of all layers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from autodiff import batch_jacobian, gradient_function
from keras import ops
from layer_table import CASES, build, make_condition
from marks import needs_tensorflow, once

import tfflows

every_layer = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
# The JAX run is there for the backend: what a condition changes is the same on both.
BOTH = [False, True] if keras.backend.backend() == "tensorflow" else [True]
with_and_without_condition = pytest.mark.parametrize("conditional", BOTH)
STOCHASTIC = "dequantize"
BORDER = "pad"  # its latents are more than its data: what the border holds, the inverse cuts off


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def test_the_table_has_every_layer():
    tested = {type(case.make()).__name__ for case in CASES}
    public = set(tfflows.layers.__all__) - {"FlowLayer", "Coupling", "DataDependentLayer"}
    assert tested == public


@every_layer
@with_and_without_condition
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-8)])
def test_inverse_undoes_forward_and_forward_undoes_inverse(case, conditional, dtype, tolerance):
    layer = build(case, conditional, dtype)
    condition = make_condition(conditional, 6, dtype)
    x = case.data(6, dtype=dtype)
    z, log_det = layer.forward_and_log_det(x, condition)
    back, inverse_log_det = layer.inverse_and_log_det(z, condition)
    assert keras.backend.standardize_dtype(z.dtype) == dtype
    assert tuple(log_det.shape) == tuple(inverse_log_det.shape) == (6,)
    np.testing.assert_allclose(back, x, atol=tolerance)
    np.testing.assert_allclose(inverse_log_det, -numpy(log_det), atol=tolerance, rtol=tolerance)

    if case.name == BORDER:
        return
    z = case.latent(layer, 6, dtype=dtype)
    x, inverse_log_det = layer.inverse_and_log_det(z, condition)
    again, log_det = layer.forward_and_log_det(x, condition)
    noise = 1 / layer.levels if case.name == STOCHASTIC else 0
    np.testing.assert_allclose(again, z, atol=tolerance + noise)
    np.testing.assert_allclose(inverse_log_det, -numpy(log_det), atol=tolerance, rtol=tolerance)


@every_layer
@with_and_without_condition
def test_log_det_is_that_of_the_autodiff_jacobian(case, conditional):
    if case.name == BORDER:
        pytest.skip("its Jacobian is not square")
    layer = build(case, conditional, "float64")
    condition = make_condition(conditional, 3, "float64")
    x = case.data(3, dtype="float64")
    jacobian = batch_jacobian(lambda v: layer.forward_and_log_det(v, condition)[0], x)
    _, log_det = layer.forward_and_log_det(x, condition)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobian)[1], atol=1e-8)
    if case.name == STOCHASTIC:
        return  # its inverse rounds, and has no derivative
    z = case.latent(layer, 3, dtype="float64")
    jacobian = batch_jacobian(lambda v: layer.inverse_and_log_det(v, condition)[0], z)
    _, log_det = layer.inverse_and_log_det(z, condition)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobian)[1], atol=1e-8)


@every_layer
def test_outputs_and_gradients_are_finite_at_every_scale(case):
    layer = build(case)

    def loss(v):
        z, log_det = layer.forward_and_log_det(v)
        return ops.sum(z) + ops.sum(log_det)

    find_gradients = gradient_function(loss, layer.trainable_weights)
    top = {"real": 3.0, "unit": 1.0, "integer": 7.0}[case.domain]
    x = case.data(4)
    inputs = {"given": x, "zeros": np.zeros_like(x), "constant": np.full_like(x, top)}
    for scale in (1e-6, 1e6) if case.domain != "integer" else ():
        limits = (0, 1) if case.domain == "unit" else (-np.inf, np.inf)
        inputs[scale] = np.clip(x * np.float32(scale), *limits)
    for name, x in inputs.items():
        z, log_det = layer.forward_and_log_det(x)
        assert np.isfinite(numpy(z)).all(), name
        assert np.isfinite(numpy(log_det)).all(), name
        assert np.isfinite(numpy(layer.inverse(z))).all(), name
        for gradient in find_gradients(x):
            assert np.isfinite(gradient).all(), name


@needs_tensorflow
@every_layer
@with_and_without_condition
def test_graph_and_xla_give_what_eager_gives_for_any_batch(case, conditional):
    import tensorflow as tf

    layer = build(case, conditional)
    spec = [tf.TensorSpec([None, *case.event_shape], "float32")]
    if conditional:
        spec.append(tf.TensorSpec([None, 3], "float32"))

    def both(x, condition=None):
        z, log_det = layer.forward_and_log_det(x, condition)
        return z, log_det, layer.inverse(z, condition)

    for jit, sizes in ((False, (0, 1, 5)), (True, (0, 5))):  # XLA compiles for each
        compiled = tf.function(both, input_signature=spec, jit_compile=jit)
        for n in sizes:
            args = [a for a in (case.data(n), make_condition(conditional, n)) if a is not None]
            for got, wanted in zip(compiled(*args), both(*args), strict=True):
                assert got.shape == wanted.shape
                np.testing.assert_allclose(got, wanted, atol=2e-5, rtol=1e-5)


@every_layer
@with_and_without_condition
def test_symbolic_call_gives_a_functional_model_with_the_log_det_as_its_loss(case, conditional):
    layer = build(case, conditional)
    x = keras.Input(case.event_shape)
    condition = keras.Input((3,)) if conditional else None
    z = layer(x, condition=condition)
    model = keras.Model([x, condition] if conditional else x, z)
    data, values = case.data(4), make_condition(conditional, 4)
    wanted, log_det = layer.forward_and_log_det(data, values)
    got = model([data, values] if conditional else data)
    assert tuple(z.shape[1:]) == tuple(wanted.shape[1:])
    np.testing.assert_allclose(got, wanted, atol=1e-6)
    np.testing.assert_allclose(model.losses, [-numpy(log_det).mean()], rtol=1e-5, atol=1e-6)


@once
@every_layer
@with_and_without_condition
def test_config_and_weights_survive_saving(case, conditional, tmp_path):
    layer = build(case, conditional)
    x, condition = case.data(4), make_condition(conditional, 4)
    wanted, log_det = layer.forward_and_log_det(x, condition)
    config = json.dumps(layer.get_config())

    inputs = keras.Input(case.event_shape)
    arguments = [inputs, keras.Input((3,))] if conditional else [inputs]
    model = keras.Model(arguments, layer(*arguments))
    model.save(tmp_path / "layer.keras")
    loaded = keras.saving.load_model(tmp_path / "layer.keras").layers[-1]
    model.save_weights(tmp_path / "layer.weights.h5")
    copy = type(layer).from_config(layer.get_config())
    arguments = [keras.Input(tensor.shape[1:]) for tensor in arguments]
    keras.Model(arguments, copy(*arguments)).load_weights(tmp_path / "layer.weights.h5")
    for other in (loaded, copy):
        assert json.dumps(other.get_config()) == config
        assert other.needs_adapt == layer.needs_adapt
        z, other_log_det = other.forward_and_log_det(x, condition)
        np.testing.assert_array_equal(z, wanted)
        np.testing.assert_array_equal(other_log_det, log_det)


@once
@every_layer
def test_a_mixed_policy_leaves_the_data_path_in_float32(case):
    layer = build(case, dtype="mixed_bfloat16")
    x = case.data(6)
    z, log_det = layer.forward_and_log_det(x)
    assert keras.backend.standardize_dtype(z.dtype) == "float32"
    assert keras.backend.standardize_dtype(log_det.dtype) == "float32"
    np.testing.assert_allclose(layer.inverse(z), x, atol=1e-4)
    wanted = build(case).forward_and_log_det(x)[0]
    np.testing.assert_allclose(z, wanted, atol=0.05, rtol=0.05)


@once
@every_layer
def test_an_unbuilt_layer_inverts_or_says_what_it_needs(case):
    reference = build(case)
    z = case.latent(reference, 3, dtype="float64")  # arrives in float64 and is cast
    layer = case.make()
    if type(layer).__name__ in ("Flatten", "FactorOut", "Pad", "Reshape"):
        with pytest.raises(ValueError, match="build"):
            layer.inverse(z)
        return
    x = layer.inverse(z)
    assert keras.backend.standardize_dtype(x.dtype) == "float32"
    assert tuple(x.shape) == (3, *case.event_shape)


@once
@every_layer
def test_wrong_shapes_and_conditions_are_refused_with_what_came(case):
    layer, conditional = build(case), build(case, True)
    x, condition = case.data(4), make_condition(True, 4)
    wrong = np.zeros((4, *case.event_shape[:-1], case.event_shape[-1] + 1), "float32")
    with pytest.raises(ValueError, match=r"Received: x of shape \(4, "):
        layer(wrong)
    with pytest.raises(ValueError, match="Received: z of shape"):
        layer.inverse(np.zeros((4, 99), "float32"))
    with pytest.raises(ValueError, match="Received: no condition"):
        conditional(x)
    with pytest.raises(ValueError, match=r"Received: condition of shape \(4, 2\)"):
        conditional(x, condition[:, :2])
    with pytest.raises(ValueError, match="without a condition"):
        layer(x, condition)


def test_both_backends_give_the_same_numbers(tmp_path):
    """Each case's outputs from equal weights, made by a process on the other backend."""
    if keras.backend.backend() == "jax":
        pytest.skip("the TensorFlow run of this suite starts the JAX process")
    script = Path(__file__).parents[1] / "helpers" / "write_layer_outputs.py"
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    subprocess.run([sys.executable, script, tmp_path / "jax.npz"], env=environment, check=True)
    stored = np.load(tmp_path / "jax.npz")
    for case in CASES:
        layer = build(case)
        z, log_det = layer.forward_and_log_det(case.data(4))
        np.testing.assert_allclose(stored[f"{case.name}/z"], z, atol=2e-5, rtol=1e-5)
        np.testing.assert_allclose(stored[f"{case.name}/log_det"], log_det, atol=2e-5, rtol=1e-5)
