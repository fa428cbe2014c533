"""Scores of flows whose densities, latents and gradients are known."""

import numpy as np
import pytest
from scipy import stats

from tfflows import Flow, layers, models
from tfflows.anomaly import SCORES, combined, complexity, scores, several_models

SCALE = np.array([2.0, 0.5, 1.0])


@pytest.fixture(scope="module")
def gaussian():
    """z = x / SCALE: a normal of known deviations."""
    layer = layers.DiagonalScaling()
    flow = Flow([layer], (3,))
    layer.log_scale.assign(-np.log(SCALE))
    return flow


@pytest.fixture(scope="module")
def normal_rows():
    return (np.random.default_rng(0).normal(size=(3_000, 3)) * SCALE).astype("float32")


@pytest.fixture(scope="module")
def rows():
    x = (2 * np.random.default_rng(1).normal(size=(40, 3)) * SCALE).astype("float32")
    x[0] = 0
    return x


def nll_of(x):
    return -stats.norm(0, SCALE).logpdf(x).sum(axis=1)


def test_nll_and_typicality(gaussian, normal_rows, rows):
    found = scores.NegativeLogLikelihood(gaussian).fit(normal_rows)(rows)
    np.testing.assert_allclose(found, nll_of(rows), rtol=1e-5)
    typicality = scores.Typicality(gaussian).fit(normal_rows)
    entropy = nll_of(normal_rows).mean()
    np.testing.assert_allclose(typicality(rows), np.abs(nll_of(rows) - entropy), atol=1e-4)
    assert typicality.of_batch(rows) == pytest.approx(abs(nll_of(rows).mean() - entropy), abs=1e-4)
    assert typicality(rows)[0] > np.median(typicality(normal_rows))  # the mode, likely and rare


def test_norms_of_latents_and_of_gradients(gaussian, normal_rows, rows):
    norm = np.linalg.norm(rows / SCALE, axis=1)
    mean = np.linalg.norm(normal_rows / SCALE, axis=1).mean()
    found = scores.LatentNorm(gaussian).fit(normal_rows)(rows)
    np.testing.assert_allclose(found, np.abs(norm - mean), atol=1e-4)
    slope = rows / SCALE**2 * normal_rows.std(axis=0)
    found = scores.ScoreNorm(gaussian).fit(normal_rows)(rows)
    np.testing.assert_allclose(found, np.linalg.norm(slope, axis=1), rtol=1e-4, atol=1e-5)


def test_ratio_and_ensemble(gaussian, rows):
    wide = Flow([layers.DiagonalScaling()], (3,))
    ratio = several_models.LikelihoodRatio(gaussian, wide)(rows)
    background = -stats.norm(0, 1).logpdf(rows).sum(axis=1)
    np.testing.assert_allclose(ratio, nll_of(rows) - background, rtol=1e-4, atol=1e-4)
    both = np.stack([nll_of(rows), background])
    expected = both.mean(axis=0) + both.var(axis=0)
    np.testing.assert_allclose(several_models.Ensemble([gaussian, wide])(rows), expected, rtol=1e-4)


@pytest.mark.parametrize("kind", ["density_of_states", "joint_density"])
def test_densities_of_statistics_call_both_ends_abnormal(gaussian, normal_rows, kind):
    score = SCORES[kind](gaussian).fit(normal_rows)
    usual = np.sort(score(normal_rows[:500]))
    centre, far, further = score(np.array([[0, 0, 0], [16, 4, 8], [160, 40, 80]]))
    assert centre > np.median(usual)
    assert far > usual[-1]
    assert further > far


def test_the_density_of_states_is_a_kernel_density(gaussian, normal_rows):
    """Of one statistic, against SciPy's with the same bandwidth."""
    score = combined.DensityOfStates(gaussian, [scores.NegativeLogLikelihood]).fit(normal_rows)
    nll = nll_of(normal_rows)
    low, high = np.quantile(nll, [0.25, 0.75])
    standard = np.arcsinh((nll - np.median(nll)) / ((high - low) / 1.349))
    low, high = np.quantile(standard, [0.25, 0.75])
    bandwidth = 0.9 * min(standard.std(), (high - low) / 1.349) * len(nll) ** -0.2
    density = stats.gaussian_kde(standard, bandwidth / standard.std(ddof=1))
    expected = -density.logpdf(standard[:50])
    np.testing.assert_allclose(score(normal_rows[:50]), expected, atol=0.02)


def test_the_joint_density_is_that_of_the_mixture(gaussian, normal_rows):
    score = SCORES["joint_density"](gaussian).fit(normal_rows)
    vector = np.asarray(score._vector((normal_rows[:20],)), "float64")
    weights = np.log(np.diagonal(score.precisions, axis1=1, axis2=2)).sum(axis=1)
    shares = np.exp(score.log_weights - weights + np.log(2 * np.pi))
    assert shares.sum() == pytest.approx(1)
    covariances = [np.linalg.inv(p @ p.T) for p in score.precisions]
    parts = [
        share * stats.multivariate_normal(mean, covariance).pdf(vector)
        for share, mean, covariance in zip(shares, score.means, covariances, strict=True)
    ]
    np.testing.assert_allclose(score(normal_rows[:20]), -np.log(sum(parts)), atol=1e-3)


@pytest.mark.parametrize("kind", ["density_of_states", "joint_density", "score_norm", "fisher"])
def test_constant_columns_and_equal_rows_leave_scores_finite(gaussian, kind):
    for x in (np.zeros((50, 3), "float32"), np.ones((50, 3), "float32") * [1, 0, 0]):
        score = SCORES[kind](gaussian).fit(x)
        assert np.isfinite(score(np.array([[1.0, 0, 0], [0, 0, 0], [1e6, -1e6, 0]]))).all()


def test_the_fisher_score_is_of_gradients_in_the_weights(gaussian, normal_rows, rows):
    """log p = -sum(log s) - sum((x / s)^2) / 2 has the slope (x / s)^2 - 1 in the log of s."""
    score = scores.FisherScore(gaussian).fit(normal_rows)

    def features(x):
        return np.log((((x / SCALE) ** 2 - 1) ** 2).sum(axis=1))

    usual = features(normal_rows)
    expected = ((features(rows) - usual.mean()) / usual.std()) ** 2
    np.testing.assert_allclose(score(rows), expected, rtol=1e-2, atol=1e-3)


@pytest.fixture(scope="module")
def image_flow():
    return models.NICE((8, 8, 1), 1, (4,), preprocessing=[layers.Dequantize(256)])


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    smooth = np.clip(np.cumsum(rng.integers(-3, 4, (30, 8, 8, 1)), axis=1) + 90, 0, 255)
    return np.concatenate([smooth, rng.integers(0, 256, (30, 8, 8, 1))]).astype("uint8")


def coded_bits(image):
    """The length of an image, coded symbol by symbol with counts that adapt."""
    image, counts, bits = image[..., 0].astype(int), np.full(9, 0.5), 0.0
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            left = image[i, j - 1] if j else 0
            up = image[i - 1, j] if i else 0
            corner = image[i - 1, j - 1] if i and j else 0
            predicted = sorted([left, up, left + up - corner])[1]
            size = int(abs(image[i, j] - predicted)).bit_length()
            bits += size - np.log2(counts[size] / counts.sum())
            counts[size] += 1
    return bits


def test_the_code_length_is_that_of_an_adaptive_coder(images):
    found = np.asarray(complexity.code_length(images))
    np.testing.assert_allclose(found, [coded_bits(image) for image in images], rtol=1e-5)
    assert complexity.code_length(np.zeros((1, 8, 8, 1)))[0] < 30


@pytest.mark.parametrize("name", ["adaptive", "zlib", "bz2", "lzma", "png"])
def test_complexity_is_less_the_length_of_the_file(image_flow, images, name):
    found = complexity.ComplexityCorrected(image_flow, name)(images)
    if name == "adaptive":
        lengths = [coded_bits(image) for image in images]
    else:
        lengths = [8 * len(complexity.COMPRESSORS[name](image)) for image in images]
    bits = -np.asarray(image_flow.log_prob(images)) / np.log(2)
    np.testing.assert_allclose(found, bits - np.array(lengths), rtol=1e-5, atol=1e-2)


def test_given_complexity_is_the_distance_from_a_line(image_flow, images):
    score = complexity.GivenComplexity(image_flow).fit(images)
    lengths = np.array([coded_bits(image) for image in images])
    bits = -np.asarray(image_flow.log_prob(images), "float64") / np.log(2)
    slope, start = np.polyfit(lengths, bits, 1)
    errors = bits - start - slope * lengths
    slope, start = np.polyfit(lengths, np.abs(errors), 1)
    least = np.quantile(start + slope * lengths, 0.01)
    expected = errors / np.maximum(start + slope * lengths, least)
    np.testing.assert_allclose(score(images), expected, rtol=1e-2, atol=1e-2)


def test_unusual_complexity_is_a_ratio_of_lengths_either_way(image_flow, images):
    score = complexity.UnusualComplexity(image_flow).fit(images)
    lengths = np.log([coded_bits(image) for image in images])
    np.testing.assert_allclose(score(images), np.abs(lengths - lengths.mean()), atol=1e-5)


def test_what_does_not_fit_is_refused(gaussian, image_flow):
    with pytest.raises(ValueError, match=r"Complexity is of images of whole numbers"):
        complexity.ComplexityCorrected(gaussian)
    with pytest.raises(ValueError, match=r"compressor must be one of .*Received: 'rar'"):
        complexity.ComplexityCorrected(image_flow, "rar")
    narrow = Flow([layers.DiagonalScaling()], (2,))
    with pytest.raises(
        ValueError,
        match=r"a background of events \(3,\) of real numbers\. Received: one of events \(2,\)",
    ):
        several_models.LikelihoodRatio(gaussian, narrow)
    with pytest.raises(ValueError, match="at least 2 models"):
        several_models.Ensemble([gaussian])
    with pytest.raises(ValueError, match=r"at least one\. Received: none"):
        combined.DensityOfStates(gaussian, [])


def test_a_row_without_a_density_has_the_largest_score(gaussian):
    found = scores.NegativeLogLikelihood(gaussian)(np.array([[0, 0, 0], [3e38, 0, 0]]))
    assert found[1] == np.finfo("float32").max > found[0]
