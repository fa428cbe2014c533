"""The distribution function of a mixture of logistics against float64 NumPy."""

import numpy as np
import pytest
from keras import ops
from scipy.special import expit, log_softmax, logit

from tfflows.transforms import LogisticMixtureCDF

K = 3


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def draw_parameters(n, spread=1.0, seed=0):
    return spread * np.random.default_rng(seed).normal(size=(3 * K + 2, n))


def by_definition(x, parameters):
    """z and dz/dx, of F and F' themselves: for x where neither F nor 1 - F vanishes."""
    logits, locations, log_scales = parameters[: 3 * K].reshape(3, K, -1)
    a, shift = parameters[3 * K :]
    locations = locations + np.linspace(-2, 2, K)[:, None]
    weights, scales = np.exp(log_softmax(logits, axis=0)), np.exp(np.clip(log_scales, -7, 7))
    below = expit((x - locations) / scales)
    cdf, density = (weights * below).sum(0), (weights * below * (1 - below) / scales).sum(0)
    log_scale = a / (1 + np.abs(a) / np.log(1e3))
    return logit(cdf) * np.exp(log_scale) + shift, density / (cdf * (1 - cdf)) * np.exp(log_scale)


def tensors(array, dtype="float32"):
    return [ops.convert_to_tensor(row.astype(dtype)) for row in array]


def test_it_is_the_logit_of_the_mixtures_distribution_function():
    parameters, x = draw_parameters(500), 2 * np.random.default_rng(1).normal(size=500)
    wanted, slope = by_definition(x, parameters)
    z, log_slope = LogisticMixtureCDF(K).forward(*tensors(x[None]), tensors(parameters))
    np.testing.assert_allclose(z, wanted, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(log_slope, np.log(slope), atol=1e-4)


def test_one_component_is_affine_everywhere():
    x = np.array([-1e6, -3.0, 0.0, 1e-6, 2.0, 1e6])
    parameters = np.repeat([[0.3], [1.2], [-0.4], [0.5], [-2.0]], len(x), axis=1)
    z, log_slope = LogisticMixtureCDF(1).forward(*tensors(x[None]), tensors(parameters))
    log_scale = 0.5 / (1 + 0.5 / np.log(1e3))
    np.testing.assert_allclose(z, (x - 1.2) * np.exp(0.4 + log_scale) - 2, rtol=1e-5)
    np.testing.assert_allclose(log_slope, 0.4 + log_scale, rtol=1e-5)


@pytest.mark.parametrize("spread", [1.0, 4.0])
def test_the_inverse_is_exact_also_far_out_and_on_steep_steps(spread):
    transform = LogisticMixtureCDF(K)
    x = np.random.default_rng(1).normal(size=400) * np.logspace(-3, 3, 400)
    parameters = tensors(draw_parameters(400, spread))
    z, log_slope = transform.forward(*tensors(x[None]), parameters)
    back, inverse_log_slope = transform.inverse(z, parameters)
    # An error of z in its last bits moves x by it over the slope, flat between components.
    rounding = 2e-6 * (1 + np.abs(numpy(z))) * np.exp(np.minimum(-numpy(log_slope), 30))
    error = np.abs(numpy(back) - x)
    assert (error <= 1e-6 * (1 + np.abs(x)) + rounding).all()
    again, _ = transform.forward(back, parameters)
    np.testing.assert_allclose(again, z, rtol=2e-5, atol=2e-4)
    settled = error < 1e-5
    np.testing.assert_allclose(
        numpy(inverse_log_slope)[settled], -numpy(log_slope)[settled], atol=0.05
    )


def test_it_needs_components():
    with pytest.raises(ValueError, match=r"num_components must be a positive integer. Received: 0"):
        LogisticMixtureCDF(0)
