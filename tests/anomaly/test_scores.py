"""Scores of flows whose densities, latents and gradients are known."""

import bz2
import lzma
import zlib

import numpy as np
import pytest
from scipy import stats

from tfflows import Flow, layers, models
from tfflows.anomaly import scores

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
    ratio = scores.LikelihoodRatio(gaussian, wide)(rows)
    background = -stats.norm(0, 1).logpdf(rows).sum(axis=1)
    np.testing.assert_allclose(ratio, nll_of(rows) - background, rtol=1e-4, atol=1e-4)
    both = np.stack([nll_of(rows), background])
    expected = both.mean(axis=0) + both.var(axis=0)
    np.testing.assert_allclose(scores.Ensemble([gaussian, wide])(rows), expected, rtol=1e-4)


def test_density_of_states_calls_both_ends_abnormal(gaussian, normal_rows):
    score = scores.DensityOfStates(gaussian).fit(normal_rows)
    usual = np.sort(score(normal_rows[:500]))
    centre, far, further = score(np.array([[0, 0, 0], [16, 4, 8], [160, 40, 80]]))
    assert centre > np.median(usual)
    assert far > usual[-1]
    assert further > far


def test_complexity_is_less_the_shortest_file():
    flow = models.NICE((8, 8, 1), 1, (4,), preprocessing=[layers.Dequantize(256)])
    rng = np.random.default_rng(0)
    x = np.stack([np.zeros((8, 8, 1)), rng.integers(0, 256, (8, 8, 1))]).astype("uint8")
    found = scores.ComplexityCorrected(flow)(x)
    lengths = [
        min(len(c(row.tobytes())) for c in (zlib.compress, bz2.compress, lzma.compress))
        for row in x
    ]
    bits = -np.asarray(flow.log_prob(x)) / np.log(2)
    np.testing.assert_allclose(found, bits - 8 * np.array(lengths), rtol=1e-5)


def test_what_does_not_fit_is_refused(gaussian):
    with pytest.raises(ValueError, match="Complexity is of whole numbers"):
        scores.ComplexityCorrected(gaussian)
    with pytest.raises(ValueError, match=r"background of events \(3,\). Received: \(2,\)"):
        scores.LikelihoodRatio(gaussian, Flow([layers.DiagonalScaling()], (2,)))
    with pytest.raises(ValueError, match="at least 2 flows"):
        scores.Ensemble([gaussian])
