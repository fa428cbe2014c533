"""The promises that every layer keeps: one function each, which raises where one is broken."""

import json
import math
import re
import tempfile
from pathlib import Path

import keras
import numpy as np

from tfflows.backend.compilation import compile_method
from tfflows.testing.derivatives import jacobian_and_log_det, value_and_gradients
from tfflows.testing.expect import (
    BrokenPromise,
    expect,
    expect_close,
    expect_dtype,
    expect_finite,
    expect_shape,
    to_numpy,
)
from tfflows.testing.layer_case import LayerCase


def log_det_is_that_of_the_jacobian(case: LayerCase, conditional: bool) -> None:
    """The log_det of forward, [batch], is that of the autodiff Jacobian, in float64."""
    layer = case.build(conditional, "float64")
    inputs = case.inputs(3, conditional, "float64")
    latent_shape = layer.latent_event_shape(case.event_shape)
    _expect_log_det(case, "log_det", layer.forward_and_log_det, latent_shape, inputs)


def inverse_log_det_is_that_of_the_jacobian(case: LayerCase, conditional: bool) -> None:
    """The inverse's log_det is minus forward's, and that of its own Jacobian."""
    layer = case.build(conditional, "float64")
    condition = case.inputs(3, conditional, "float64")[1:]
    inputs = [case.latents(layer, 3, "float64", *condition), *condition]
    _expect_log_det(case, "inverse_log_det", layer.inverse_and_log_det, case.event_shape, inputs)


def _expect_log_det(case, promise, function, shape, inputs):
    size = math.prod(shape)
    square = size == math.prod(inputs[0].shape[1:])
    expect(square, promise, "z to have as many elements as x", f"{inputs[0].shape[1:]}, {shape}")
    jacobian, log_det = jacobian_and_log_det(function, size, *inputs)
    expect_shape(promise, "log_det", log_det, (3 * size,))
    name, wanted = "log_det to be log|det| of the autodiff Jacobian", np.linalg.slogdet(jacobian)[1]
    tolerance = case.tolerance("float64")
    expect_close(promise, name, log_det, np.repeat(wanted, size), tolerance, tolerance)


def inverse_undoes_forward(case: LayerCase, conditional: bool, dtype: str) -> None:
    """inverse(forward(x)) is x, in float32 and float64, which all outputs then are."""
    layer = case.build(conditional, dtype)
    x, *condition = case.inputs(6, conditional, dtype)
    z, log_det = layer.forward_and_log_det(x, *condition)
    back, inverse_log_det = layer.inverse_and_log_det(z, *condition)
    expect_shape("round_trip", "z", z, (6, *layer.latent_event_shape(case.event_shape)))
    for name, tensor in (("z", z), ("log_det", log_det), ("x", back)):
        expect_dtype("round_trip", name, tensor, dtype)
    tolerance = case.tolerance(dtype)
    expect_close("round_trip", "inverse(forward(x)) to be x", back, x, tolerance, tolerance / 100)
    _expect_opposite(case, log_det, inverse_log_det, dtype)


def forward_undoes_inverse(case: LayerCase, conditional: bool, dtype: str) -> None:
    """forward(inverse(z)) is z, in float32 and float64."""
    layer = case.build(conditional, dtype)
    _, *condition = case.inputs(6, conditional, dtype)
    z = case.latents(layer, 6, dtype, *condition)
    x, inverse_log_det = layer.inverse_and_log_det(z, *condition)
    again, log_det = layer.forward_and_log_det(x, *condition)
    atol, rtol = case.tolerance(dtype) + case.latent_noise, case.tolerance(dtype) / 100
    expect_close("latent_round_trip", "forward(inverse(z)) to be z", again, z, atol, rtol)
    _expect_opposite(case, log_det, inverse_log_det, dtype)


def _expect_opposite(case, log_det, inverse_log_det, dtype):
    name, tolerance = "the inverse's log_det to be minus forward's", case.tolerance(dtype)
    expect_shape("log_det", "log_det", log_det, (6,))
    wanted = -to_numpy(log_det)
    expect_close("inverse_log_det", name, inverse_log_det, wanted, tolerance, tolerance)


def outputs_and_gradients_are_finite(case: LayerCase, conditional: bool) -> None:
    """Outputs and gradients are finite for zeros, constants and scales from 1e-6 to 1e6."""
    layer = case.build(conditional)
    weights = layer.trainable_weights
    evaluate = value_and_gradients(lambda *v: layer.forward_and_log_det(*v), weights)
    invert = compile_method(layer, lambda z, *condition: layer.inverse(z, *condition), jit=False)
    x, *condition = case.inputs(4, conditional)
    differentiated = ["x", "the condition"][: 1 + len(condition)] + [w.path for w in weights]
    for inputs, values in _inputs_of_every_scale(case, x).items():
        outputs, gradients = evaluate(values, *condition)
        back = invert(outputs[0], *condition)
        for name, tensor in zip(("z", "log_det", "inverse(z)"), (*outputs, back), strict=True):
            expect_finite("finite", f"{name} for {inputs}", tensor)
        for name, gradient in zip(differentiated, gradients, strict=True):
            expect_finite("finite", f"the gradient in {name} for {inputs}", gradient)


def _inputs_of_every_scale(case, x):
    inputs = {"x as given": x}
    if case.draw_data is not None:
        return inputs  # zeros and scales may be outside of its domain
    top = {"unit": 1.0, "integer": 7.0}.get(case.domain, 3.0)
    inputs["a constant"] = np.full_like(x, top)
    if case.domain != "positive":
        inputs["zeros"] = np.zeros_like(x)
    if case.domain != "integer":
        limits = (0, 1) if case.domain == "unit" else (-np.inf, np.inf)
        for scale in (1e-6, 1e6):
            inputs[f"x times {scale:g}"] = np.clip(x * np.float32(scale), *limits)
    return inputs


def every_mode_gives_the_same_for_any_batch(case: LayerCase, conditional: bool) -> None:
    """Rows depend on themselves only; batches of 0, 1 and n agree, eager and compiled."""
    layer = case.build(conditional)
    rows = case.inputs(5, conditional)
    inputs = {n: [a[:n] for a in rows] for n in (0, 1, 5)}

    def evaluate(x, *condition):
        z, log_det = layer.forward_and_log_det(x, *condition)
        return z, log_det, layer.inverse(z, *condition)

    eager = {n: evaluate(*args) for n, args in inputs.items()}
    names = ("z", "log_det", "inverse(z)")

    def expect_equal(mode, n, received):
        for name, got, wanted in zip(names, received, eager[5], strict=True):
            what = f"{name} {mode}, batch {n}, to be that of eager rows"
            expect_close("batches", what, got, wanted[:n], 2e-5, 1e-5)

    for n in (0, 1):
        expect_equal("in eager mode", n, eager[n])
    # What XLA makes of a layer with its condition has in it what it makes of it without.
    xla = conditional == case.modes[-1]
    for mode, compiled, sizes in _compiled(layer, evaluate, rows, xla):
        for n in sizes:
            expect_equal(mode, n, compiled(*inputs[n]))


def _compiled(layer, function, rows, xla):
    """(name, function compiled, batch sizes to call it with) for each mode of the backend."""
    if keras.backend.backend() != "tensorflow":
        return [("compiled", compile_method(layer, function, jit=True), (5,))]
    import tensorflow as tf

    specs = [tf.TensorSpec([None, *array.shape[1:]], "float32") for array in rows]
    graph = tf.function(function, input_signature=specs).get_concrete_function()

    @tf.function(input_signature=specs, jit_compile=True)
    def by_xla(*tensors):
        return graph(*tensors)

    def by_graph(*arrays):
        return graph(*(tf.constant(array) for array in arrays))

    modes = [("under tf.function", by_graph, (0, 1, 5)), ("under XLA", by_xla, (0, 5))]
    return modes if xla else modes[:1]


def symbolic_call_gives_a_model(case: LayerCase, conditional: bool) -> None:
    """A call on keras.Input gives a model, with -mean(log_det) as its loss."""
    layer = case.build(conditional)
    arrays = case.inputs(4, conditional)
    inputs = [keras.Input(array.shape[1:]) for array in arrays]
    z = layer(*inputs)
    model = keras.Model(inputs, z)
    wanted, log_det = layer.forward_and_log_det(*arrays)
    got = model(arrays)
    expect_shape("symbolic", "the symbolic z", z, (None, *wanted.shape[1:]))
    expect_close("symbolic", "z of the model to be the layer's", got, wanted, 1e-6)
    expect(len(model.losses) == 1, "symbolic", "one loss of the model", f"{len(model.losses)}")
    loss, wanted = model.losses[0], -to_numpy(log_det).mean()
    expect_close("symbolic", "the model's loss to be -mean(log_det)", loss, wanted, 1e-6, 1e-5)


def config_and_weights_survive_saving(case: LayerCase, conditional: bool) -> None:
    """.keras, and config with .weights.h5, give the same layer without custom_objects."""
    layer = case.build(conditional)
    arrays = case.inputs(4, conditional)
    wanted, log_det = layer.forward_and_log_det(*arrays)
    config = json.dumps(layer.get_config())
    with tempfile.TemporaryDirectory() as folder:
        model = _functional(layer, arrays)
        model.save(Path(folder) / "layer.keras")
        loaded = keras.saving.load_model(Path(folder) / "layer.keras").layers[-1]
        model.save_weights(Path(folder) / "layer.weights.h5")
        copy = type(layer).from_config(layer.get_config())
        _functional(copy, arrays).load_weights(Path(folder) / "layer.weights.h5")
    for way, other in ((".keras", loaded), ("get_config and .weights.h5", copy)):
        came = json.dumps(other.get_config())
        expect(came == config, "saving", f"the config {config} after {way}", came)
        expect(
            other.needs_adapt == layer.needs_adapt,
            "saving",
            f"needs_adapt {layer.needs_adapt} after {way}",
            other.needs_adapt,
        )
        z, other_log_det = other.forward_and_log_det(*arrays)
        expect_close("saving", f"z to be the same after {way}", z, wanted, 0)
        expect_close("saving", f"log_det to be the same after {way}", other_log_det, log_det, 0)


def _functional(layer, arrays):
    inputs = [keras.Input(array.shape[1:]) for array in arrays]
    return keras.Model(inputs, layer(*inputs))


def a_mixed_policy_leaves_the_data_path_alone(case: LayerCase, conditional: bool) -> None:
    """Under mixed_bfloat16 the data path stays in float32, and exact."""
    layer = case.build(conditional, "mixed_bfloat16")
    x, *condition = case.inputs(6, conditional)
    z, log_det = layer.forward_and_log_det(x, *condition)
    for name, tensor in (("z", z), ("log_det", log_det)):
        expect_dtype("mixed_precision", name, tensor, "float32")
    back, tolerance = layer.inverse(z, *condition), case.tolerance("float32")
    expect_close("mixed_precision", "inverse(forward(x)) to be x", back, x, tolerance)
    wanted = case.build(conditional).forward_and_log_det(x, *condition)[0]
    expect_close("mixed_precision", "z to be near that of float32", z, wanted, 0.05, 0.05)


def an_unbuilt_layer_inverts_or_says_what_it_needs(case: LayerCase, conditional: bool) -> None:
    """The inverse builds a new layer, or says that it must be built."""
    _, *condition = case.inputs(3, conditional)
    # Arrives in float64 and is cast.
    z = to_numpy(case.latents(case.build(conditional), 3, "float64", *condition))
    layer = case.new()
    try:
        x = layer.inverse(z, *condition)
    except ValueError as error:
        says = "build" in str(error)
        expect(says, "unbuilt_inverse", "an error that speaks of `build`", f"{error}")
        return
    expect_dtype("unbuilt_inverse", "x", x, "float32")
    expect_shape("unbuilt_inverse", "x", x, (3, *case.event_shape))


def wrong_shapes_and_conditions_are_refused(case: LayerCase, conditional: bool) -> None:
    """A wrong shape or a missing condition is a ValueError that says what came."""
    with_condition = case.build(True)
    x, condition = case.inputs(4, True)
    *leading, last = case.event_shape or (1,)
    longer = np.zeros((4, *leading, last + 1), "float32")
    given = [condition] if conditional else []
    layer = with_condition if conditional else case.build()
    _expect_refusal("x of a wrong shape", longer.shape, layer, longer, *given)
    z = np.zeros((4, 99, 1, 2), "float32")
    _expect_refusal("z of a wrong shape", z.shape, layer.inverse, z, *given)
    _expect_refusal("no condition where one is due", None, with_condition, x)
    wrong = np.concatenate([condition, condition], axis=-1)
    _expect_refusal("a condition of a wrong shape", wrong.shape, with_condition, x, wrong)
    if not conditional:
        _expect_refusal("a condition where none is due", condition.shape, layer, x, condition)


def _expect_refusal(what, shape, call, *args):
    """`call(*args)` raises a ValueError that says "Received: ", with the shape if there is one."""
    try:
        call(*args)
    except ValueError as error:
        received = re.search(r"Received: (.*)", str(error))
        sides = "" if shape is None else ", ".join(str(side) for side in shape[1:])
        says = received is not None and sides in received.group(1)
        expect(says, "errors", f'"Received: ..." with {shape} for {what}', f"{error}")
    else:
        raise BrokenPromise("errors", f"Expected a ValueError for {what}. Received: no error")


def a_condition_matters_or_changes_nothing(case: LayerCase, conditional: bool) -> None:
    """A condition changes the outputs, or nothing where the layer looks at none."""
    layer = case.build(True)
    x, condition = case.inputs(4, True)
    z, log_det = layer.forward_and_log_det(x, condition)
    if case.condition_shape is not None:
        others = layer.forward_and_log_det(x, case.condition(4, seed=8))
        changes = any(np.any(to_numpy(a) != b) for a, b in zip(others, (z, log_det), strict=True))
        expect(changes, "condition", "outputs that change with the condition", "the same outputs")
        return
    plain = case.build()
    wanted = plain.forward_and_log_det(x)
    received = (z, log_det, layer.inverse(z, condition))
    for got, right in zip(received, (*wanted, plain.inverse(wanted[0])), strict=True):
        expect_close("condition", "a condition to change nothing", got, right, 0)
    symbolic_call_gives_a_model(case, conditional=True)
