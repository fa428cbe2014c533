"""What tfflows.testing catches, by which promise, and what it lets pass."""

import doctest
import importlib
import inspect
import math
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops
from marks import needs_tensorflow
from model_table import small_flow

import tfflows
from tfflows import distributions, layers, testing
from tfflows.networks import MLP
from tfflows.testing import check_flow, check_layer

ROOT = Path(__file__).parents[1]
register = keras.saving.register_keras_serializable(package="broken")


class Scale(tfflows.layers.FlowLayer):
    """z = x exp(s), log_det = sum(s)."""

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        self.s = self.add_weight(name="s", shape=self.event_shape, initializer="zeros")

    def _log_det(self, x):
        return ops.broadcast_to(ops.sum(self.s), (ops.shape(x)[0],))

    def _forward(self, x, condition=None, training=False):
        return x * ops.exp(self.s), self._log_det(x)

    def _inverse(self, z, condition=None, training=False):
        return z * ops.exp(-self.s), -self._log_det(z)


@register
class LogDetTwice(Scale):
    def _log_det(self, x):
        return 2 * super()._log_det(x)


@register
class LogDetOfOneColumn(Scale):
    def _log_det(self, x):
        return super()._log_det(x)[:, None]


@register
class InverseOnce(Scale):
    """Its inverse log_det is right."""

    def _inverse(self, z, condition=None, training=False):
        return z * ops.exp(self.s), -self._log_det(z)


@register
class InverseLogDetOfForward(Scale):
    def _inverse(self, z, condition=None, training=False):
        return z * ops.exp(-self.s), self._log_det(z)


@register
class OntoPositives(layers.FlowLayer):
    """Half of the latents come from no data."""

    def _forward(self, x, condition=None, training=False):
        return ops.exp(x), ops.sum(x, axis=-1)

    def _inverse(self, z, condition=None, training=False):
        return ops.log(ops.abs(z)), -ops.sum(ops.log(ops.abs(z)), axis=-1)


@register
class Overflowing(layers.FlowLayer):
    """Inf minus inf is NaN."""

    def _forward(self, x, condition=None, training=False):
        large = ops.exp(x)
        return x, ops.sum(large - large, axis=-1)

    def _inverse(self, z, condition=None, training=False):
        return z, ops.zeros_like(z[:, 0])


@register
class ShiftByTheBatch(Scale):
    def _forward(self, x, condition=None, training=False):
        return x + ops.cast(ops.shape(x)[0], x.dtype), ops.zeros_like(x[:, 0])

    def _inverse(self, z, condition=None, training=False):
        return z - ops.cast(ops.shape(z)[0], z.dtype), ops.zeros_like(z[:, 0])


@register
class WithoutLoss(Scale):
    def add_loss(self, loss):
        pass


@register
class ForgetfulConfig(Scale):
    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def _forward(self, x, condition=None, training=False):
        z, log_det = super()._forward(self.factor * x)
        return z, log_det + self.event_shape[0] * math.log(self.factor)

    def _inverse(self, z, condition=None, training=False):
        x, log_det = super()._inverse(z / self.factor)
        return x, log_det - self.event_shape[0] * math.log(self.factor)


@register
class RoundedUnderAPolicy(Scale):
    def _forward(self, x, condition=None, training=False):
        x = ops.cast(ops.cast(x, self.dtype_policy.compute_dtype), x.dtype)
        return super()._forward(x)


@register
class SilentAboutTheInverse(Scale):
    def data_event_shape(self, latent_shape):
        raise ValueError("No.")


@register
class WithoutChecks(Scale):
    def _check_shapes(self, x, condition, inverse):
        pass


@register
class MovedByAnyCondition(Scale):
    def _forward(self, x, condition=None, training=False):
        z, log_det = super()._forward(x)
        return (z if condition is None else z + condition), log_det

    def _inverse(self, z, condition=None, training=False):
        return super()._inverse(z if condition is None else z - condition)


BROKEN = {
    LogDetTwice: ("log_det", "autodiff Jacobian.* off by 0"),
    LogDetOfOneColumn: ("log_det", r"shape \(9,\). Received: \(9, 1\)"),
    InverseOnce: ("round_trip", r"inverse\(forward\(x\)\) to be x.* off by .* where 0.0001"),
    OntoPositives: ("latent_round_trip", r"forward\(inverse\(z\)\) to be z"),
    InverseLogDetOfForward: ("inverse_log_det", "minus forward"),
    ShiftByTheBatch: ("batches", r"z in eager mode, batch 1.* off by 4"),
    Overflowing: ("finite", r"log_det for x times 1e\+06 to be finite. Received: nan"),
    WithoutLoss: ("symbolic", "one loss"),
    RoundedUnderAPolicy: ("mixed_precision", "to be x.* off by 0.00"),
    SilentAboutTheInverse: ("unbuilt_inverse", "`build`. Received: No."),
    WithoutChecks: ("errors", "x of a wrong shape|Expected no error"),
    MovedByAnyCondition: ("condition", "change nothing"),
}


@pytest.mark.parametrize("layer", BROKEN, ids=lambda layer: layer.__name__)
def test_a_broken_layer_is_caught_by_the_promise_it_breaks(layer):
    promise, text = BROKEN[layer]
    with pytest.raises(AssertionError) as caught:
        check_layer(layer, (3,))
    assert str(caught.value).startswith(
        f"{layer.__name__} breaks the promise `{promise}`: Expected"
    )
    assert re.search(text, str(caught.value)), caught.value


def test_a_config_that_forgets_an_argument_is_caught():
    with pytest.raises(AssertionError, match=r"promise `saving`: Expected z to be the same"):
        check_layer(lambda: ForgetfulConfig(factor=2.0), (3,))


def test_a_layer_that_python_looks_into_is_caught_where_it_is_compiled():
    @register
    class Peeking(Scale):
        def _forward(self, x, condition=None, training=False):
            assert float(ops.sum(self.s)) < 100
            return super()._forward(x)

    first = "batches" if keras.backend.backend() == "tensorflow" else "log_det|batches"
    with pytest.raises(AssertionError, match=f"promise `({first})`: Expected no error. Received"):
        check_layer(Peeking, (3,))


def test_a_class_that_keras_cannot_find_is_caught():
    class Unregistered(Scale):
        pass

    with pytest.raises(
        AssertionError,
        match=r"(?s)promise `saving`: Expected no error. .*could not be deserialized",
    ):
        check_layer(Unregistered, (3,))


def test_a_condition_that_changes_nothing_is_caught():
    with pytest.raises(AssertionError, match="promise `condition`: Expected outputs that change"):
        check_layer(register(Scale), (3,), condition_shape=(2,))


def test_a_failure_says_that_it_came_with_a_condition():
    @register
    class WrongWithACondition(MovedByAnyCondition):
        def _inverse(self, z, condition=None, training=False):
            return Scale._inverse(self, z)

    with pytest.raises(AssertionError, match=r"`round_trip` \(with a condition\): Expected inv"):
        check_layer(WrongWithACondition, (3,), condition_shape=(3,))


def test_promises_can_be_left_out_by_name():
    case = testing.LayerCase("scale", Scale, (3,), skip=("finite", "batches"))
    promises = {check.promise for check in testing.layer_checks(case)}
    assert promises == set(testing.LAYER_PROMISES) - {"finite", "batches"}
    check_layer(Overflowing, (3,), skip=("finite", "batches", "saving"))
    with pytest.raises(ValueError, match=r"Expected `skip` .* Received: .'finit'."):
        check_layer(Scale, (3,), skip=("finit",))
    with pytest.raises(ValueError, match=r"Expected `domain` .* Received: 'negative'"):
        check_layer(Scale, (3,), domain="negative")


def test_what_make_returns_is_checked():
    with pytest.raises(TypeError, match=r"to return a FlowLayer. Received: <Dense"):
        check_layer(lambda: keras.layers.Dense(3), (3,))
    layer = Scale()
    with pytest.raises(AssertionError, match=r"a layer of dtype float64.* Received: float32"):
        check_layer(lambda: layer, (3,))
    with pytest.raises(AssertionError, match=r"a new layer each time. Received: scale"):
        check_layer(lambda: layer, (3,), skip=tuple(testing.LAYER_PROMISES)[:4])


@register
class LogOfPositives(layers.FlowLayer):
    """z = log x + shift(condition), of positive x."""

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        shape = (self.condition_shape[0], self.event_shape[0])
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer="zeros")

    def _forward(self, x, condition=None, training=False):
        z = ops.log(x) + ops.matmul(condition, self.kernel)
        return z, -ops.sum(ops.log(x), axis=-1)

    def _inverse(self, z, condition=None, training=False):
        log_x = z - ops.matmul(condition, self.kernel)
        return ops.exp(log_x), ops.sum(log_x, axis=-1)


def test_a_layer_with_a_domain_of_its_own_that_needs_its_condition_passes():
    def positives(n):
        return np.random.default_rng(0).lognormal(size=(n, 2))

    needs = {"condition_shape": (2,), "needs_condition": True}
    check_layer(LogOfPositives, (2,), data=positives, **needs)


def test_random_weights_keep_to_names_constraints_and_integers():
    layer = layers.BatchNorm()
    layer.build((None, 2))
    assert ops.convert_to_numpy(testing.randomize(layer).running_variance).min() > 0
    dense = keras.layers.Dense(30, kernel_constraint=keras.constraints.NonNeg())
    dense.build((None, 3))
    testing.randomize(dense, spread=2.0)
    kernel, bias = (ops.convert_to_numpy(weight) for weight in dense.weights)
    assert kernel.min() == 0 < kernel.max()
    assert 1 < bias.std() < 3
    dequantize = layers.Dequantize(8, seed=3)
    dequantize.build((None, 2))
    before = ops.convert_to_numpy(dequantize.seed_generator.state)
    np.testing.assert_array_equal(testing.randomize(dequantize).seed_generator.state, before)


def on_tensorflow():
    return keras.backend.backend() == "tensorflow"


def _dequantize():
    return layers.Dequantize(8)


def _coupling():
    return layers.AffineCoupling(conditioner=MLP((8,)))


def _flow(*stack, base=None):
    return lambda: tfflows.Flow([layer() for layer in stack], (2,), base=base and base())


@needs_tensorflow
def test_exports_pass():
    others = sorted(set(testing.FLOW_PROMISES) - {"export"})
    check_flow(lambda: small_flow(num_couplings=2), export=True, skip=others)


@pytest.mark.slow
def test_flows_pass():
    """In quick runs tests/models/test_models.py has all: real_nvp, with a condition, and glow."""
    check_flow(lambda: small_flow(num_couplings=2), export=on_tensorflow())
    check_flow(lambda dtype=None: small_flow((3,), num_couplings=2, dtype=dtype))
    check_flow(_flow(_dequantize, layers.Logit, layers.ActNorm, _coupling))


class Unnormalised(distributions.StandardNormal):
    def _log_prob(self, z, condition):
        return super()._log_prob(z, condition) + np.log(2)


@pytest.mark.parametrize(
    ("make", "promise", "text"),
    [
        (_flow(Scale, base=Unnormalised), "density", r"0.98\d\d \+- 0.02.* Received: 1.9"),
        (_flow(LogDetTwice), "change_of_variables", "autodiff Jacobian.* off by 0"),
        (_flow(InverseOnce), "round_trip", r"inverse\(encode\(x\)\) to be x"),
        (_flow(layers.Reverse), "fit", r"an nll below .* after 5 epochs"),
    ],
    ids=["unnormalised", "log_det", "inverse", "learns_nothing"],
)
def test_a_broken_flow_is_caught_by_the_promise_it_breaks(make, promise, text):
    with pytest.raises(AssertionError, match=f"breaks the promise `{promise}`: .*{text}"):
        check_flow(make)


def test_check_flow_refuses_unknown_promises_and_other_models():
    with pytest.raises(ValueError, match=r"Received: .'fits'."):
        check_flow(small_flow, skip=("fits",))
    with pytest.raises(TypeError, match=r"to return a Flow. Received: <Dense"):
        check_flow(lambda: keras.layers.Dense(2))


def test_the_examples_of_the_docstrings_run():
    names = [module.name for module in pkgutil.iter_modules(testing.__path__, "tfflows.testing.")]
    results = [doctest.testmod(importlib.import_module(name)) for name in names]
    assert sum(result.attempted for result in results) > 5
    assert not any(result.failed for result in results)
    for name in testing.__all__:
        assert inspect.getdoc(getattr(testing, name))


@needs_tensorflow
def test_checks_on_jax_need_neither_tensorflow_nor_pytest():
    code = """
import sys
from tfflows import layers, testing
testing.check_layer(layers.DiagonalScaling, (2,), skip=("saving",))
assert "pytest" not in sys.modules
assert "tensorflow" not in sys.modules
"""
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
