"""Distribution functions of histograms against np.interp, in numbers and on a flow's data."""

import itertools

import numpy as np
import pytest
from autodiff import gradients
from keras import ops
from layer_table import randomize
from scipy.special import logit
from scipy.stats import logistic

from tfflows.models import TarFlow
from tfflows.transforms import HistogramCDF

K = 5


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def draw(n, spread=2.0, seed=0):
    """Numbers in [0, 1] and parameters `[K, n]`."""
    rng = np.random.default_rng(seed)
    return rng.uniform(size=n), spread * rng.normal(size=(K, n))


def masses_of(parameters):
    exponentials = np.exp(parameters)
    return (1 - 1e-4) * exponentials / exponentials.sum(axis=0) + 1e-4 / K


def tensors(array, dtype="float64"):
    return [ops.convert_to_tensor(row.astype(dtype)) for row in array]


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.0, 2.0)])
def test_it_is_the_logit_of_what_goes_straight_from_knot_to_knot(low, high):
    x, parameters = draw(200)
    masses = masses_of(parameters)
    heights = np.concatenate([np.zeros((1, 200)), np.cumsum(masses, axis=0)])
    knots = np.linspace(0, 1, K + 1)
    wanted = [np.interp(*each) for each in zip(x, [knots] * 200, heights.T, strict=True)]
    data = low + (high - low) * x
    z, log_slope = HistogramCDF(K, low, high).forward(*tensors(data[None]), tensors(parameters))
    wanted = np.array(wanted)
    np.testing.assert_allclose(z, logit(wanted), rtol=1e-10)
    chosen = np.take_along_axis(masses, np.floor(x * K).astype(int)[None], axis=0)[0]
    slope = K * chosen / (high - low) / (wanted * (1 - wanted))
    np.testing.assert_allclose(log_slope, np.log(slope), rtol=1e-10)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-12)])
def test_the_inverse_takes_it_back(dtype, tolerance):
    transform = HistogramCDF(K)
    x, parameters = draw(500)
    parameters = tensors(parameters, dtype)
    z, log_slope = transform.forward(*tensors(x[None], dtype), parameters)
    back, inverse_log_slope = transform.inverse(z, parameters)
    np.testing.assert_allclose(back, x, atol=tolerance)
    np.testing.assert_allclose(inverse_log_slope, -numpy(log_slope), atol=1e-5)


@pytest.mark.parametrize("method", ["forward", "inverse"])
def test_the_log_slope_is_that_of_autodiff(method):
    transform = HistogramCDF(K)
    x, parameters = draw(100)
    parameters = tensors(parameters)

    def run(values):
        return ops.sum(getattr(transform, method)(values, parameters)[0])

    (slope,) = gradients(run, tensors(x[None]), [])
    _, log_slope = getattr(transform, method)(*tensors(x[None]), parameters)
    np.testing.assert_allclose(np.log(numpy(slope)), log_slope, atol=1e-10)


def test_on_a_logistic_base_the_density_is_the_histograms():
    x, parameters = draw(200)
    z, log_slope = HistogramCDF(K).forward(*tensors(x[None]), tensors(parameters))
    base = logistic.logpdf(numpy(z))
    chosen = np.take_along_axis(masses_of(parameters), np.floor(x * K).astype(int)[None], axis=0)
    np.testing.assert_allclose(base + numpy(log_slope), np.log(K * chosen[0]), atol=1e-10)


def test_data_outside_have_no_density_and_the_ends_have_one():
    x = np.array([-1e6, -1e-3, 0.0, 1.0, 1.001, 1e6])
    z, log_slope = HistogramCDF(K).forward(*tensors(x[None]), tensors(draw(6)[1]))
    assert np.isfinite(numpy(z)).all()
    assert np.isfinite(numpy(log_slope)).tolist() == [False, False, True, True, False, False]


def test_latents_far_out_stay_in_the_interval():
    z = np.array([-1e6, -100.0, 0.0, 100.0, 1e6])
    x, log_slope = HistogramCDF(K).inverse(
        *tensors(z[None], "float32"), tensors(draw(5)[1], "float32")
    )
    assert ((numpy(x) >= 0) & (numpy(x) < 1)).all()
    np.testing.assert_allclose(numpy(x)[[0, 1]], 0, atol=1e-6)
    np.testing.assert_allclose(numpy(x)[[3, 4]], 1, atol=1e-6)
    assert not np.isnan(numpy(log_slope)).any()


def test_every_level_comes_back_from_its_bin():
    levels = np.arange(256)
    parameters = np.random.default_rng(0).normal(size=(256, 256))
    transform = HistogramCDF(256)
    for share in (0.0, 0.5, 0.999):
        x = tensors(((levels + share) / 256)[None], "float32")[0]
        z, _ = transform.forward(x, tensors(parameters, "float32"))
        back, _ = transform.inverse(z, tensors(parameters, "float32"))
        moved = np.abs(256 * numpy(back) - levels - share)
        assert moved.max() < 0.01


def test_float64_tells_bins_apart_at_their_edges():
    x, parameters = np.array([0.6 - 1e-12, 0.6 + 1e-12]), np.repeat(draw(1)[1], 2, axis=1)
    z, log_slope = HistogramCDF(K).forward(*tensors(x[None]), tensors(parameters))
    density = np.exp(logistic.logpdf(numpy(z)) + numpy(log_slope))
    np.testing.assert_allclose(density, K * masses_of(parameters)[[2, 3], [0, 1]], rtol=1e-9)


def test_a_sequence_and_one_tensor_of_parameters_are_the_same():
    transform = HistogramCDF(3)
    outputs = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(4, 2, 6)))
    x = ops.convert_to_tensor(np.random.default_rng(1).uniform(size=(4, 2, 2)))
    z, log_slope = transform.forward(x, transform.split(outputs))
    other, other_slope = transform.forward(x, ops.split(outputs, 3, axis=-1))
    np.testing.assert_allclose(z, other)
    np.testing.assert_allclose(log_slope, other_slope)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"num_bins must be an integer of at least 2. Received: 1"):
        HistogramCDF(1)
    with pytest.raises(ValueError, match=r"Expected finite `low` < `high`. Received: 1.0, 1.0"):
        HistogramCDF(4, 1.0, 1.0)
    with pytest.raises(ValueError, match=r"num_bins is for data in .0, 1., without logit"):
        TarFlow((4, 4, 1), num_bins=4, logit=1e-6)
    with pytest.raises(ValueError, match="num_components is of the layers after the first"):
        TarFlow((4, 4, 1), depth=1, num_bins=4, num_components=2)


def test_levels_have_their_probabilities_in_a_tar_flow():
    levels = 3
    arguments = {"patch": 1, "depth": 1, "width": 8, "num_blocks": 1, "num_heads": 2}
    flow = TarFlow((1, 2, 1), **arguments, quantization_levels=levels, num_bins=levels)
    flow.build((None, 1, 2, 1))
    randomize(flow)
    images = np.array(list(itertools.product(range(levels), repeat=2))).reshape(-1, 1, 2, 1)
    log_p = numpy(flow.log_prob(images))
    np.testing.assert_allclose(np.exp(log_p).sum(), 1, atol=1e-5)
    # The noise changes nothing: the bound of many draws is that of one.
    np.testing.assert_allclose(flow.log_prob(images, num_draws=8), log_p, atol=1e-5)
    first = np.exp(log_p).reshape(levels, levels).sum(axis=1)
    alone = TarFlow((1, 1, 1), **arguments, quantization_levels=levels, num_bins=levels)
    alone.build((None, 1, 1, 1))
    randomize(alone)
    one = np.exp(numpy(alone.log_prob(np.arange(levels).reshape(-1, 1, 1, 1))))
    np.testing.assert_allclose(one.sum(), 1, atol=1e-5)
    assert first.max() - first.min() > 0.05  # it is no uniform distribution


def test_a_tar_flow_of_histograms_integrates_to_one():
    # The second layer is affine, and goes the other way.
    flow = TarFlow((1, 2, 1), 1, 2, 8, 1, 2, quantization_levels=None, num_bins=4)
    flow.build((None, 1, 2, 1))
    randomize(flow)
    side = (np.arange(200) + 0.5) / 200
    grid = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 1, 2, 1)
    density = np.exp(numpy(flow.log_prob(grid.astype("float32"))))
    np.testing.assert_allclose(density.mean(), 1, atol=2e-3)
    assert density.std() > 0.1


def test_images_come_back_from_their_latents_to_the_level():
    flow = TarFlow((4, 4, 1), 1, 1, 8, 1, 2, quantization_levels=17, num_bins=17)
    flow.build((None, 4, 4, 1))
    randomize(flow)
    images = np.random.default_rng(0).integers(0, 17, size=(64, 4, 4, 1))
    np.testing.assert_array_equal(flow.inverse(flow(images)), images)
