"""Base distributions against closed forms, SciPy and TensorFlow Probability."""

import keras
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from autodiff import gradient_function
from keras import ops
from layer_table import randomize
from marks import needs_tensorflow

from tfflows import distributions
from tfflows.backend import rng

EVENT = (3,)
MAKERS = {
    "standard_normal": lambda **kw: distributions.StandardNormal(**kw),
    "standard_logistic": lambda **kw: distributions.StandardLogistic(**kw),
    "diagonal_normal": lambda **kw: distributions.DiagonalNormal(**kw),
    "diagonal_normal_classes": lambda **kw: distributions.DiagonalNormal(4, **kw),
    "student_t": lambda **kw: distributions.StudentT(3.0, **kw),
    "uniform": lambda **kw: distributions.Uniform(-4.0, 5.0, **kw),
    "mixture": lambda **kw: distributions.MixtureOfGaussians(5, **kw),
    "mixture_classes": lambda **kw: distributions.MixtureOfGaussians(5, 4, **kw),
}
every_base = pytest.mark.parametrize("name", MAKERS)


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def build(name, event_shape=EVENT, dtype="float64"):
    base = MAKERS[name](dtype=dtype)
    base.build((None, *event_shape))
    return randomize(base)


def labels_for(name, n):
    return np.arange(n) % 4 if name.endswith("classes") else None


def density(base, z, label):
    """log p(z | label) from SciPy."""
    if isinstance(base, distributions.StandardNormal):
        return scipy.stats.norm.logpdf(z).sum()
    if isinstance(base, distributions.StandardLogistic):
        return scipy.stats.logistic.logpdf(z).sum()
    if isinstance(base, distributions.Uniform):
        return scipy.stats.uniform.logpdf(z, base.low, base.high - base.low).sum()
    if isinstance(base, distributions.StudentT):
        return scipy.stats.t.logpdf(z, 0.1 + np.exp(numpy(base.log_df))).sum()
    mean, scale = numpy(base.mean)[label or 0], np.exp(numpy(base.log_scale)[label or 0])
    components = scipy.stats.norm.logpdf(z, mean, scale)
    if isinstance(base, distributions.DiagonalNormal):
        return components.sum()
    log_weights = scipy.special.log_softmax(numpy(base.logits)[label or 0])
    return scipy.special.logsumexp(log_weights + components.sum(axis=-1))


@every_base
def test_log_prob_is_scipys(name):
    base = build(name)
    z = np.random.default_rng(0).normal(size=(8, *EVENT)) * 3
    labels = labels_for(name, 8)
    wanted = [density(base, z[i], None if labels is None else labels[i]) for i in range(8)]
    np.testing.assert_allclose(base.log_prob(z, labels), wanted, rtol=1e-10)


@every_base
def test_log_prob_is_finite_far_away_where_there_is_mass(name):
    base = build(name, dtype="float32")
    z = np.asarray([[0.0] * 3, [1e6] * 3, [-1e6] * 3], "float32")
    found = np.isfinite(numpy(base.log_prob(z, labels_for(name, 3)))).tolist()
    assert found == [True, name != "uniform", name != "uniform"]


def test_students_t_has_a_gradient_in_its_degrees_and_none_that_is_nan_far_out():
    base = distributions.StudentT(4.0, dtype="float64")
    base.build((None, 1))
    z = np.asarray([[0.5], [-3.0], [40.0], [1e8], [1e100]])

    def loss(z):
        return ops.sum(base.log_prob(z))

    (gradient,) = gradient_function(loss, base.trainable_weights)(z)[1:]
    step = 1e-5
    values = [scipy.stats.t.logpdf(z, 0.1 + 3.9 * np.exp(s)).sum() for s in (step, -step)]
    np.testing.assert_allclose(gradient, (values[0] - values[1]) / (2 * step), rtol=1e-5)
    assert not distributions.StudentT(trainable_df=False).trainable_weights
    with pytest.raises(ValueError, match=r"df must be above 0\.1 and finite\. Received: 0"):
        distributions.StudentT(0)


@every_base
@pytest.mark.parametrize("by_row", [False, True])
def test_samples_follow_the_density(name, by_row):
    base = build(name, (1,))
    n, label = 4000, 2
    labels = np.full(n, label) if name.endswith("classes") else None
    if by_row:
        noise = rng.RowNoise(np.stack([np.arange(n), np.full(n, 9)], 1), "float64")
        z = numpy(base.draw(noise, labels))[:, 0]
    else:
        z = numpy(base.sample(n, labels, seed=1))[:, 0]
    grid = np.sinh(np.linspace(-12, 12, 60001))  # out to 8e4, for heavy tails
    grid_labels = np.full(len(grid), label) if labels is not None else None
    density = np.exp(numpy(base.log_prob(grid[:, None], grid_labels)))
    cdf = scipy.integrate.cumulative_trapezoid(density, grid, initial=0)
    assert abs(cdf[-1] - 1) < 1e-3
    assert scipy.stats.kstest(z, lambda v: np.interp(v, grid, cdf)).pvalue > 1e-3


@every_base
def test_temperature_shrinks_towards_the_centres(name):
    base = build(name)
    labels = labels_for(name, 16)
    cold = numpy(base.sample(16, labels, seed=0, temperature=0.0))
    warm = numpy(base.sample(16, labels, seed=0, temperature=0.5))
    hot = numpy(base.sample(16, labels, seed=0, temperature=1.0))
    np.testing.assert_allclose(warm - cold, 0.5 * (hot - cold), atol=1e-12)


@pytest.mark.parametrize("name", ["diagonal_normal_classes", "mixture_classes"])
def test_labels_and_one_hot_rows_say_the_same(name):
    base = build(name)
    z = np.random.default_rng(0).normal(size=(8, *EVENT))
    labels = labels_for(name, 8)
    wanted = base.log_prob(z, labels)
    for condition in (np.eye(4)[labels], labels[:, None]):
        np.testing.assert_allclose(base.log_prob(z, condition), wanted)
    unknown = numpy(base.log_prob(z[:3], np.asarray([0, 4, -1])))
    assert np.isnan(unknown).tolist() == [False, True, True]
    with pytest.raises(ValueError, match="Received: none"):
        base.log_prob(z)
    with pytest.raises(ValueError, match=r"condition of shape \(8, 3\)"):
        base.log_prob(z, np.zeros((8, 3)))


@every_base
def test_config_round_trip(name):
    base = build(name, dtype="float32")
    copy = type(base).from_config(base.get_config())
    copy.build((None, *EVENT))
    copy.set_weights(base.get_weights())
    z, labels = np.ones((4, *EVENT), "float32"), labels_for(name, 4)
    np.testing.assert_array_equal(copy.log_prob(z, labels), base.log_prob(z, labels))


@needs_tensorflow
def test_mixture_is_that_of_tensorflow_probability():
    tfp = pytest.importorskip("tensorflow_probability")
    base = build("mixture")
    mixture = tfp.distributions.MixtureSameFamily(
        tfp.distributions.Categorical(logits=base.logits.value[0]),
        tfp.distributions.MultivariateNormalDiag(
            base.mean.value[0], ops.exp(base.log_scale.value[0])
        ),
    )
    z = np.random.default_rng(0).normal(size=(8, *EVENT))
    np.testing.assert_allclose(base.log_prob(z), mixture.log_prob(z), rtol=1e-10)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="Received: 0"):
        distributions.MixtureOfGaussians(0)
    with pytest.raises(ValueError, match="Received: -1"):
        distributions.DiagonalNormal(-1)
    with pytest.raises(ValueError, match="build"):
        distributions.StandardNormal().sample(3)
    with pytest.raises(ValueError, match=r"z of shape \(2, 4\)"):
        build("standard_normal").log_prob(np.zeros((2, 4)))


@pytest.mark.slow
def test_a_trained_mixture_finds_the_components():
    rng = np.random.default_rng(0)
    x = (rng.choice([-4.0, 4.0], (2000, 1)) + 0.5 * rng.normal(size=(2000, 1))).astype("float32")
    import tfflows

    flow = tfflows.Flow([], (1,), base=distributions.MixtureOfGaussians(2, seed=1))
    flow.compile(keras.optimizers.Adam(0.05))
    flow.fit(x, epochs=40, batch_size=200, verbose=0)
    np.testing.assert_allclose(np.sort(numpy(flow.base.mean).ravel()), [-4, 4], atol=0.2)
    np.testing.assert_allclose(numpy(flow.base.log_scale), np.log(0.5), atol=0.2)


def mixture_of_conditionals(dims=3, dtype="float64", condition_shape=None, **kwargs):
    base = distributions.AutoregressiveMixture(4, (12,), dtype=dtype, **kwargs)
    base.build((None, dims), condition_shape)
    return randomize(base)


def test_autoregressive_mixture_is_a_product_of_scipys_mixtures():
    base = mixture_of_conditionals(order="reversed")
    z = np.random.default_rng(0).normal(size=(6, 3)) * 2
    parameters = numpy(base.network(z[:, ::-1].copy()))[:, :, ::-1].reshape(6, 3, 4, 3)
    log_weights = scipy.special.log_softmax(parameters[:, 0], axis=1)
    mean = parameters[:, 1] + np.linspace(-2, 2, 4)[None, :, None]
    s = parameters[:, 2]
    scale = np.exp(s / (1 + np.abs(s / np.log(1e3))))
    terms = log_weights + scipy.stats.norm.logpdf(z[:, None], mean, scale)
    wanted = scipy.special.logsumexp(terms, axis=1).sum(axis=1)
    np.testing.assert_allclose(base.log_prob(z), wanted, rtol=1e-10)
    assert np.isfinite(numpy(base.log_prob(z * 1e6))).all()


def test_samples_of_an_autoregressive_mixture_follow_its_conditionals():
    """Each element's distribution function at the sample, given those before, is uniform."""
    base = mixture_of_conditionals(dims=10, condition_shape=(None, 2), order="random", seed=0)
    condition = np.random.default_rng(0).normal(size=(3000, 2))
    z = numpy(base.sample(3000, condition, seed=1))[:, base._order]
    parameters = numpy(base.network(z, condition)).reshape(-1, 3, 4, 10)
    weights = scipy.special.softmax(parameters[:, 0], axis=1)
    mean = parameters[:, 1] + np.linspace(-2, 2, 4)[None, :, None]
    s = parameters[:, 2]
    scale = np.exp(s / (1 + np.abs(s / np.log(1e3))))
    uniform = (weights * scipy.stats.norm.cdf(z[:, None], mean, scale)).sum(axis=1)
    for i in range(10):
        assert scipy.stats.kstest(uniform[:, i], "uniform").pvalue > 1e-3
    corr = np.corrcoef(uniform.T) - np.eye(10)
    assert np.abs(corr).max() < 0.08


def test_draws_of_a_mixture_that_grow_from_element_to_element_stay_finite():
    base = distributions.AutoregressiveMixture(3, (150,))
    base.build((None, 150))
    randomize(base, spread=3.0)
    z = np.asarray(base.sample(20, seed=0))
    assert np.abs(z).max() > 1e4  # they do grow
    assert np.isfinite(z).all()
