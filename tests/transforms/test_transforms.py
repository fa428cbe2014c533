"""The rational-quadratic spline as a function: its shape, ends, knots and limits."""

import keras
import numpy as np
import pytest
from autodiff import gradients
from keras import ops
from layer_table import randomize
from marks import needs_tensorflow

from tfflows.layers import SplineCoupling
from tfflows.networks import MLP
from tfflows.transforms import RationalQuadraticSpline

K, BOUND = 5, 2.5
both_kinds = pytest.mark.parametrize("circular", [False, True])


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def make(circular=False):
    return RationalQuadraticSpline(K, BOUND, circular)


def draw_parameters(spline, shape, spread=1.0, dtype="float64"):
    rng = np.random.default_rng(0)
    values = spread * rng.normal(size=(spline.num_parameters, *shape))
    return list(ops.convert_to_tensor(values.astype(dtype)))


def one_curve(spline, x, spread=1.0):
    """Parameters of one spline, repeated for every element of x `[n]`."""
    return [ops.broadcast_to(p, x.shape) for p in draw_parameters(spline, (1,), spread)]


def softmax(p):
    return np.exp(p) / np.exp(p).sum(axis=0)


def knots_of(parameters, circular=False):
    """x_k, y_k and derivatives, each `[K + 1, ...]`, of parameters `[P, ...]` by the definition."""
    sizes = [
        2 * BOUND * (1e-3 + (1 - K * 1e-3) * softmax(p))
        for p in (parameters[:K], parameters[K : 2 * K])
    ]
    x, y = (np.concatenate([0 * s[:1], np.cumsum(s, axis=0)]) - BOUND for s in sizes)
    slopes = np.log1p(np.exp(parameters[2 * K :] + np.log(np.expm1(1 - 1e-3)))) + 1e-3
    ends = [slopes[:1], slopes[:0]] if circular else [np.ones_like(x[:1])] * 2
    slopes = np.concatenate([slopes, ends[0]] if circular else [ends[0], slopes, ends[1]])
    return x, y, slopes


@both_kinds
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_zero_parameters_are_the_identity_to_the_last_bit(circular, dtype):
    spline = make(circular)
    x = np.concatenate([[0, 1e-30, BOUND, -BOUND, 1e6], np.linspace(-4, 4, 999)]).astype(dtype)
    zeros = [np.zeros_like(x)] * spline.num_parameters

    def both(x, *parameters):
        return *spline.forward(x, parameters), *spline.inverse(x, parameters)

    ways = [lambda *args: both(*map(ops.convert_to_tensor, args))]
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        ways += [tf.function(both, jit_compile=jit) for jit in (False, True)]
    else:
        import jax

        ways.append(jax.jit(both))
    for way in ways:
        z, log_slope, back, inverse_log_slope = way(x, *zeros)
        np.testing.assert_array_equal(z, x)
        np.testing.assert_array_equal(back, x)
        np.testing.assert_array_equal(log_slope, np.zeros_like(x))
        np.testing.assert_array_equal(inverse_log_slope, np.zeros_like(x))


@both_kinds
def test_it_rises_everywhere_and_its_log_derivative_is_that_of_autodiff(circular):
    spline = make(circular)
    x = np.linspace(-1.4 * BOUND, 1.4 * BOUND, 1000)
    parameters = one_curve(spline, x, spread=2.0)
    for way in (spline.forward, spline.inverse):
        z, log_slope = (numpy(v) for v in way(ops.convert_to_tensor(x), parameters))
        assert (np.diff(z) > 0).all()
        (slope,) = gradients(lambda v, way=way: ops.sum(way(v, parameters)[0]), [x], [])
        np.testing.assert_allclose(log_slope, np.log(slope), atol=1e-9)


@both_kinds
def test_knots_are_met_with_their_derivatives(circular):
    spline = make(circular)
    parameters = np.asarray(draw_parameters(spline, (7,)))
    x, y, slopes = knots_of(parameters, circular)
    for k in range(K + 1):
        z, log_slope = spline.forward(ops.convert_to_tensor(x[k]), list(map(ops.array, parameters)))
        np.testing.assert_allclose(z, y[k], atol=1e-12)
        np.testing.assert_allclose(log_slope, np.log(slopes[k]), atol=1e-12)
        back, log_slope = spline.inverse(
            ops.convert_to_tensor(y[k]), list(map(ops.array, parameters))
        )
        np.testing.assert_allclose(back, x[k], atol=1e-12)
        np.testing.assert_allclose(log_slope, -np.log(slopes[k]), atol=1e-12)


def test_tails_are_the_identity_and_join_smoothly():
    spline = make()
    x = np.asarray([-1e6, -BOUND - 1e-9, -BOUND, -BOUND + 1e-9, BOUND - 1e-9, BOUND, 3.0, 1e6])
    z, log_slope = spline.forward(ops.convert_to_tensor(x), one_curve(spline, x, 3.0))
    np.testing.assert_allclose(z, x, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(log_slope, 0, atol=1e-5)
    np.testing.assert_array_equal(numpy(z)[[0, 1, 6, 7]], x[[0, 1, 6, 7]])
    np.testing.assert_array_equal(numpy(log_slope)[[0, 1, 6, 7]], 0)


def test_a_circular_spline_repeats_and_has_no_seam():
    spline = make(circular=True)
    x = np.linspace(-BOUND, BOUND, 101)
    parameters = one_curve(spline, x, 2.0)
    z, log_slope = (numpy(v) for v in spline.forward(ops.convert_to_tensor(x), parameters))
    for turns in (-3, 1):
        moved = ops.convert_to_tensor(x + 2 * BOUND * turns)
        again, again_log_slope = spline.forward(moved, parameters)
        np.testing.assert_allclose(again, z + 2 * BOUND * turns, atol=1e-12)
        np.testing.assert_allclose(again_log_slope, log_slope, atol=1e-9)
        back, _ = spline.inverse(again, parameters)
        np.testing.assert_allclose(back, moved, atol=1e-12)
    np.testing.assert_allclose(z[[0, -1]], [-BOUND, BOUND], atol=1e-12)
    assert abs(log_slope[0] - log_slope[-1]) < 1e-12
    assert abs(log_slope[0]) > 0.1
    beside = np.asarray([BOUND - 1e-9, BOUND + 1e-9])
    z, log_slope = spline.forward(ops.convert_to_tensor(beside), [p[:2] for p in parameters])
    np.testing.assert_allclose(z, BOUND, atol=1e-7)
    assert abs(numpy(log_slope)[0] - numpy(log_slope)[1]) < 1e-7


@both_kinds
@pytest.mark.parametrize(
    ("dtype", "spread", "tolerance"),
    [
        ("float32", 0.3, 1e-4),
        ("float32", 2.0, 1e-4),
        ("float64", 2.0, 1e-8),
        ("float64", 10.0, 1e-6),
    ],
)
def test_inverse_undoes_forward(circular, dtype, spread, tolerance):
    spline = make(circular)
    points = np.random.default_rng(1).normal(size=(4000,)) * BOUND
    parameters = draw_parameters(spline, points.shape, spread, dtype)
    x = ops.convert_to_tensor(points.astype(dtype))
    for there, back in ((spline.forward, spline.inverse), (spline.inverse, spline.forward)):
        z, log_slope = there(x, parameters)
        again, back_log_slope = back(z, parameters)
        assert keras.backend.standardize_dtype(again.dtype) == dtype
        # Where a curve is flat, z has not the digits to say which x it came from.
        steepness = np.maximum(1, np.exp(numpy(back_log_slope)))
        np.testing.assert_array_less(np.abs(numpy(again) - numpy(x)) / steepness, tolerance)
        if spread < 1:
            np.testing.assert_allclose(
                back_log_slope, -numpy(log_slope), atol=tolerance, rtol=tolerance
            )


@both_kinds
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("spread", [0.0, 1.0, 1e3, 1e6])
def test_values_and_gradients_are_finite_for_any_input_and_parameters(circular, dtype, spread):
    spline = make(circular)
    knots = knots_of(np.asarray(draw_parameters(spline, (1,))))[:2]
    x = np.concatenate(
        [[0, BOUND, -BOUND, BOUND + 1e-6, *10.0 ** np.arange(-6, 7)], *knots], axis=None
    )
    parameters = [numpy(p) for p in draw_parameters(spline, x.shape, spread, dtype)]
    for way in (spline.forward, spline.inverse):

        def loss(x, *parameters, way=way):
            z, log_slope = way(x, parameters)
            return ops.sum(z) + ops.sum(log_slope)

        assert np.isfinite(numpy(loss(x.astype(dtype), *parameters)))
        for gradient in gradients(loss, [x.astype(dtype), *parameters], []):
            assert np.isfinite(gradient).all()


def test_gradients_of_the_inverse_reach_the_parameters():
    """d log p of samples needs them: they are those of finite differences."""
    spline = make()
    z = np.linspace(-2, 2, 6)
    parameters = [numpy(p) for p in draw_parameters(spline, z.shape)]

    def loss(z, *parameters):
        x, log_slope = spline.inverse(z, parameters)
        return ops.sum(ops.square(x)) + ops.sum(log_slope)

    found = gradients(loss, [z, *parameters], [])
    for i in range(len(found)):
        step = [np.zeros_like(z) for _ in found]
        step[i] += 1e-6
        ends = [
            float(
                loss(
                    *[
                        ops.convert_to_tensor(v + s * d)
                        for v, d in zip([z, *parameters], step, strict=True)
                    ]
                )
            )
            for s in (1, -1)
        ]
        np.testing.assert_allclose(found[i].sum(), (ends[0] - ends[1]) / 2e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_bins": 1}, "num_bins must be .*Received: 1$"),
        ({"num_bins": 1000}, "num_bins must be .*Received: 1000$"),
        ({"num_bins": 4.0}, r"num_bins must be .*Received: 4\.0$"),
        ({"bound": 0}, "bound must be .*Received: 0$"),
        ({"bound": -1.0}, r"bound must be .*Received: -1\.0$"),
        ({"bound": float("nan")}, "bound must be .*Received: nan$"),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RationalQuadraticSpline(**arguments)


def test_config_makes_an_equal_spline():
    spline = RationalQuadraticSpline(6, 1.5, True)
    copy = RationalQuadraticSpline.from_config(spline.get_config())
    assert copy.get_config() == {"num_bins": 6, "bound": 1.5, "circular": True}
    assert copy.num_parameters == 18


def test_a_circular_coupling_has_no_seam_in_what_it_keeps_either():
    layer = SplineCoupling(conditioner=MLP((8,)), bound=BOUND, circular=True)
    layer.build((None, 4))
    randomize(layer)
    x = np.random.default_rng(0).uniform(-BOUND, BOUND, (9, 4)).astype("float32")
    turns = 2 * BOUND * np.asarray([1, 0, -1, 2], "float32")
    z, log_det = layer.forward_and_log_det(x)
    moved, moved_log_det = layer.forward_and_log_det(x + turns)
    assert np.abs(numpy(z) - x).max() > 0.1
    np.testing.assert_allclose(moved, numpy(z) + turns, atol=1e-4)
    np.testing.assert_allclose(moved_log_det, log_det, atol=1e-4)


@needs_tensorflow
def test_it_is_the_spline_of_tensorflow_probability():
    tfb = pytest.importorskip("tensorflow_probability").bijectors
    spline = make()
    x = np.linspace(-1.2 * BOUND, 1.2 * BOUND, 500)
    parameters = np.stack(draw_parameters(spline, x.shape))
    knots_x, knots_y, slopes = (v.T for v in knots_of(parameters))
    oracle = tfb.RationalQuadraticSpline(
        np.diff(knots_x), np.diff(knots_y), slopes[:, 1:-1], range_min=-BOUND
    )
    z, log_slope = spline.forward(ops.convert_to_tensor(x), list(parameters))
    np.testing.assert_allclose(z, oracle.forward(x), atol=1e-12)
    wanted = oracle.forward_log_det_jacobian(x, event_ndims=0)
    np.testing.assert_allclose(log_slope, wanted, atol=1e-10)
    back, log_slope = spline.inverse(ops.convert_to_tensor(x), list(parameters))
    np.testing.assert_allclose(back, oracle.inverse(x), atol=1e-12)
    wanted = oracle.inverse_log_det_jacobian(x, event_ndims=0)
    np.testing.assert_allclose(log_slope, wanted, atol=1e-10)
