"""Continuous flows: gradients, estimates of the trace, regularizers, and what cannot be solved."""

import math

import keras
import numpy as np
import pytest
from autodiff import gradient_function
from keras import ops
from layer_table import randomize

import tfflows
from tfflows.layers import ContinuousFlow
from tfflows.networks import DynamicsConvNet, DynamicsMLP
from tfflows.ode.solvers import DormandPrince, FixedStep


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def make(network=None, shape=(3,), dtype="float64", condition_shape=None, **kwargs):
    layer = ContinuousFlow(network or DynamicsMLP((6,), dtype=dtype), dtype=dtype, **kwargs)
    layer.build((None, *shape), condition_shape)
    return randomize(layer)


class _Field(keras.layers.Layer):
    def build(self, x_shape, condition_shape=None):
        pass


def rows(n, *shape):
    return np.random.default_rng(0).normal(size=(n, *shape))


def test_the_adjoint_equation_gives_the_gradients_of_backpropagation():
    x, condition, gradients = rows(4, 3), rows(4, 2), []
    tight = DormandPrince(1e-8, 1e-8)
    for settings in (
        {"solver": FixedStep("rk4", 8)},
        {"solver": FixedStep("rk4", 8), "adjoint": True},
        {"solver": tight},
    ):
        layer = make(condition_shape=(None, 2), trace="exact", **settings)

        def loss(x, condition, layer=layer):
            z, log_det = layer.forward_and_log_det(x, condition, training=True)
            return ops.sum(ops.square(z)) + ops.sum(log_det)

        gradients.append(gradient_function(loss, layer.trainable_weights)(x, condition))
    for other in gradients[1:]:
        for got, wanted in zip(other, gradients[0], strict=True):
            assert np.abs(got - wanted).max() <= 1e-4 * np.abs(wanted).max()


@pytest.mark.parametrize("noise", ["rademacher", "normal"])
def test_hutchinsons_estimate_is_right_on_average(noise):
    x = np.repeat(rows(1, 3), 4000, axis=0).astype("float32")
    layer = make(dtype="float32", noise=noise, seed=0, solver=FixedStep("rk4", 4))
    _, exact = layer.forward_and_log_det(x[:1])
    estimates = numpy(layer.forward_and_log_det(x, training=True)[1])
    error = estimates.std() / len(x) ** 0.5
    assert estimates.std() > 0.01
    assert abs(estimates.mean() - numpy(exact)[0]) < 4 * error + 1e-4


def test_frequencies_are_sines_and_cosines_of_octaves():
    """A network of one layer, linear in them, against NumPy."""
    network = DynamicsMLP((5,), kind="concat", activation="linear", frequencies=2, dtype="float64")
    network.build((None, 3))
    randomize(network)
    x, time = rows(4, 3), np.asarray([0.1, 0.4, 0.8, 1.0])

    def waves(values, lowest):
        angles = np.concatenate([lowest * values, 2 * lowest * values], axis=1)
        return np.concatenate([values, np.sin(angles), np.cos(angles)], axis=1)

    def layer(x, kernel, bias, of_time):
        return x @ kernel + bias + waves(time[:, None], np.pi) @ of_time

    first, last = (list(map(numpy, each.get_weights())) for each in network.layers)
    wanted = layer(layer(waves(x, np.pi / 4), *first), *last)
    np.testing.assert_allclose(network(x, time), wanted, atol=1e-12)
    with pytest.raises(ValueError, match=r"frequencies must be at least 0. Received: -1"):
        DynamicsMLP(frequencies=-1)


def test_a_radial_field_is_given_norm_and_direction_and_has_a_part_along_the_state():
    """A network of one hidden layer, linear, against NumPy."""
    network = DynamicsMLP((5,), "concat", "linear", polar_features=True, dtype="float64")
    network.build((None, 3))
    randomize(network)
    x, time = rows(4, 3), np.asarray([0.1, 0.4, 0.8, 1.0])
    norm = np.sqrt(np.mean(x**2, axis=1, keepdims=True) + 0.01)
    features = np.concatenate([time[:, None], math.sqrt(6) * np.log(norm)], axis=1)

    def layer(x, kernel, bias, of_features):
        return x @ kernel + bias + features @ of_features

    first, last, gain = (
        list(map(numpy, each.get_weights())) for each in (*network.layers, network.gain)
    )
    wanted = layer(layer(np.concatenate([x, x / norm], axis=1), *first), *last)
    wanted += x * (features @ gain[0] + gain[1])
    np.testing.assert_allclose(network(x, time), wanted, atol=1e-12)


def test_the_log_norms_of_normal_rows_have_mean_0_and_deviation_1():
    """So that a layer tells them apart, whatever the number of elements."""
    network = DynamicsMLP((1,), "concat", "linear", polar_features=True)
    network.build((None, 100))
    network.gain.kernel.assign(np.eye(2, 100)[::-1])
    x = np.random.default_rng(0).normal(size=(5000, 100)).astype("float32")
    log_norms = (numpy(network(x, np.zeros(1))) / x)[:, 0]
    assert abs(log_norms.mean()) < 0.15
    assert abs(log_norms.std() - 1) < 0.05


def test_images_go_through_convolutions():
    network = DynamicsConvNet((3,), dtype="float64")
    layer = make(network, (2, 2, 2), trace="exact", solver=FixedStep("rk4", 8))
    x = rows(3, 2, 2, 2)
    z, log_det = layer.forward_and_log_det(x)
    stepped, stepped_log_det = layer.forward_and_log_det(x, training=True)
    np.testing.assert_allclose(stepped, z, atol=1e-4)
    np.testing.assert_allclose(stepped_log_det, log_det, atol=1e-4)
    np.testing.assert_allclose(layer.inverse(z), x, atol=1e-4)


def test_samples_are_solved_without_a_trace():
    """By no more evaluations, to the same place, and with gradients by the adjoint equation."""
    layer = make(test_solver=DormandPrince(1e-7, 1e-7))
    z = rows(4, 3)
    x, _ = layer.inverse_and_log_det(z)
    with_trace = int(layer.pop_evaluations())
    layer._rates = None  # which would compute it
    np.testing.assert_allclose(layer.inverse(z), x, atol=1e-6)
    assert int(layer.pop_evaluations()) <= with_trace
    (slope,) = gradient_function(lambda z: ops.sum(layer.inverse(z)), [])(z)
    moved = z.copy()
    moved[0, 1] += 1e-4
    change = (numpy(layer.inverse(moved)) - numpy(x)).sum() / 1e-4
    np.testing.assert_allclose(slope[0, 1], change, rtol=1e-2)


class _Waves(_Field):
    """dz/dt = 1 + sin(k z) / k^2, whose trace cos(k z) / k is of another size than the field."""

    def call(self, z, time, condition=None):
        return ops.cast(1 + ops.sin(FREQUENCY * z) / FREQUENCY**2, z.dtype)


FREQUENCY = 20.0


def wave_log_det(x):
    """In closed form: an autonomous field in one dimension has dz/dx = f(z) / f(x)."""
    from scipy.integrate import quad
    from scipy.optimize import brentq

    def speed(z):
        return 1 + np.sin(FREQUENCY * z) / FREQUENCY**2

    def time(end):
        return quad(lambda z: 1 / speed(z), x, end, epsabs=1e-13, limit=400)[0]

    return np.log(speed(brentq(lambda end: time(end) - 1, x + 0.5, x + 1.5, xtol=1e-13)) / speed(x))


def test_the_tolerance_holds_for_the_log_det_of_each_row():
    """Of a field whose state a few steps over all of its waves would solve."""
    x = np.asarray([[0.3], [-1.0], [0.7]])
    wanted = [wave_log_det(float(start)) for start in x[:, 0]]
    for by_row in (True, False):
        layer = make(_Waves(dtype="float64"), (1,), test_solver=DormandPrince(by_row=by_row))
        z, log_det = layer.forward_and_log_det(x)
        assert np.abs(numpy(log_det) - wanted).max() < 1e-4
    assert np.abs(numpy(layer.inverse_and_log_det(z)[1]) + wanted).max() < 1e-4


def test_regularizers_are_the_integrals_of_speed_and_jacobian():
    """Of a constant Jacobian A and a field A z that rotates: |f| = |A z| = 2 |z| on the way."""

    class Rotation(_Field):
        def call(self, z, time, condition=None):
            return ops.matmul(z, ops.convert_to_tensor([[0.0, 2.0], [-2.0, 0.0]], z.dtype))

    x = rows(5, 2).astype("float32")
    for weights in ({"kinetic_weight": 0.5}, {"jacobian_weight": 0.1}):
        layer = make(Rotation(), (2,), "float32", trace="exact", **weights)
        layer(x, training=True)
        mean = 4 * np.square(x).sum(1).mean() if "kinetic_weight" in weights else 8
        log_det_loss, cost = sorted(float(loss) for loss in layer.losses)
        np.testing.assert_allclose(log_det_loss, 0, atol=1e-5)
        np.testing.assert_allclose(cost, next(iter(weights.values())) * mean / 2, rtol=1e-3)
        layer(x)
        assert len(layer.losses) == 1


class _Explosion(_Field):
    """dz/dt = z^2, which is infinite at t = 1 / z(0)."""

    def call(self, z, time, condition=None):
        return ops.square(z)


@pytest.mark.slow
def test_a_flow_says_where_its_field_explodes():
    flow = tfflows.Flow([ContinuousFlow(_Explosion())], (2,))
    assert np.isfinite(flow.log_prob(np.full((2, 2), 0.3, "float32"))).all()
    x = np.asarray([[0.3, 0.3], [2.0, 0.1]], "float32")
    message = r"came to t = 0\.(49|50)\d* on its way to 1, at \|z\| = .* in row 1, after \d+ eval"
    for call in (flow.log_prob, flow.encode, flow.flow_layers[0]):
        with pytest.raises(FloatingPointError, match=message):
            call(x)


def test_training_raises_the_likelihood_and_logs_the_evaluations():
    keras.utils.set_random_seed(0)
    x = (rows(512, 2) * [2.0, 0.5] + [1.0, 0.0]).astype("float32")
    network = DynamicsMLP((16,))
    layer = ContinuousFlow(network, FixedStep("rk4", 4), DormandPrince(1e-4, 1e-4), "exact")
    flow = tfflows.Flow([layer], (2,))
    flow.compile(keras.optimizers.Adam(2e-2))
    history = flow.fit(x, batch_size=64, epochs=6, verbose=0).history
    best = 1 + np.log(2 * np.pi)  # the entropy of the normal that x is of
    assert history["nll"][0] > history["nll"][-1]
    assert history["nll"][-1] < best + 0.1
    assert history["evaluations"] == [16.0] * 6


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"trace must be one of .* Received: 'full'"):
        ContinuousFlow(trace="full")
    with pytest.raises(ValueError, match=r"kinetic_weight must be at least 0. Received: -1"):
        ContinuousFlow(kinetic_weight=-1)
    with pytest.raises(ValueError, match=r"solver of tfflows.ode.* Received: 'rk4'"):
        ContinuousFlow(solver="rk4")
    with pytest.raises(ValueError, match=r"computes in float32. Received: .* bfloat16"):
        make(DynamicsMLP(dtype="mixed_bfloat16"), dtype="float32")
    with pytest.raises(ValueError, match="expects vectors, or images"):
        make(shape=(3, 3))
    with pytest.warns(UserWarning, match="An exact trace of 200 elements costs 200 products"):
        make(shape=(200,), trace="exact")


def test_convolutional_dynamics_take_an_empty_batch():
    network = DynamicsConvNet((4,))
    network.build((None, 2, 2, 1), (None, 3))
    for rows in (0, 2):
        x, condition = np.zeros((rows, 2, 2, 1), "float32"), np.zeros((rows, 3), "float32")
        assert network(x, np.float32(0.5), condition).shape == (rows, 2, 2, 1)
        assert network(x, np.zeros(rows, "float32"), condition).shape == (rows, 2, 2, 1)
