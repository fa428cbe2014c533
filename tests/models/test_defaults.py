"""Defaults of models of vectors: what they are, and that they train where data are not kind."""

import keras
import numpy as np
import pytest
from keras import ops
from marks import once

from tfflows import distributions, layers
from tfflows.evaluation import GaussianBaseline
from tfflows.models import FFJORD, MAF, NICE, NSF, MADEFlow, RealNVP
from tfflows.testing import randomize
from tfflows.transforms.log_scale import deep_log_scale, log_scale_bound

STACKS = {
    FFJORD: {},
    MADEFlow: {"hidden_units": (4,)},
    MAF: {"num_layers": 1, "hidden_units": (4,)},
    NICE: {"num_couplings": 1, "hidden_units": (4,)},
    NSF: {"num_steps": 1, "hidden_units": 4},
    RealNVP: {"num_couplings": 1, "hidden_units": (4,)},
}


@once
@pytest.mark.parametrize("model", STACKS)
def test_vectors_are_standardized_and_nothing_else(model):
    vectors, plain = model((3,), **STACKS[model]), model((3,), preprocessing=[], **STACKS[model])
    for flow in (vectors, model.from_config(vectors.get_config())):
        assert isinstance(flow.flow_layers[0], layers.Standardize)
    for flow in (plain, model.from_config(plain.get_config())):
        assert not isinstance(flow.flow_layers[0], layers.Standardize)
    assert isinstance(model((2, 2, 1), **STACKS[model]).flow_layers[0], layers.Flatten)


def bounds(flow):
    transforms = [getattr(layer, "transform", None) for layer in flow.flow_layers]
    couplings = [getattr(layer, "log_scale", None) for layer in flow.flow_layers]
    found = [each.log_scale for each in transforms if each] + couplings
    return {each for each in found if isinstance(each, str | float)}


def test_couplings_without_a_linear_layer_move_every_element():
    flow = NSF((5,), num_steps=2, hidden_units=4, num_bins=3, linear="none", preprocessing=[])
    kinds = [type(layer) for layer in flow.flow_layers]
    assert kinds == [layers.ActNorm, layers.SplineCoupling, layers.SplineCoupling]
    for layer in flow.flow_layers[1:]:
        randomize(layer)
    x = np.random.default_rng(0).normal(size=(8, 5)).astype("float32")
    z = ops.convert_to_numpy(flow.encode(x))
    assert (np.abs(z - x) > 1e-4).any(axis=0).all()


@once
def test_a_stack_scales_an_element_by_no_more_than_float32_holds():
    assert bounds(RealNVP((3,), 10, (4,))) == {"soft_clip"}
    assert bounds(MAF((3,), 5, (4,))) == {"soft_clip"}
    (coupling,), (layer,) = bounds(RealNVP((3,), 32, (4,))), bounds(MAF((3,), 20, (4,)))
    assert coupling**16 == pytest.approx(1e15)
    assert layer**20 == pytest.approx(1e15)
    assert bounds(RealNVP((3,), 32, (4,), log_scale=2.0)) == {2.0}
    bound = log_scale_bound(deep_log_scale(20))
    s = np.asarray([-1e9, 0.0, 1e-3, 1e9])
    np.testing.assert_allclose(bound(s), [-np.log(layer), 0, 1e-3, np.log(layer)], rtol=1e-3)
    with pytest.raises(ValueError, match=r"a largest scale above 1\. Received: 0\.5"):
        RealNVP((3,), 2, (4,), log_scale=0.5)


@once
def test_configs_of_version_1_keep_the_defaults_of_their_time():
    for model in (RealNVP, MAF):
        config = {
            k: v for k, v in model((3,), 12, (4,)).get_config().items() if k != "config_version"
        }
        del config["log_scale"], config["preprocessing"]
        again = model.from_config(config)
        assert bounds(again) == {"soft_clip"}
        assert not isinstance(again.flow_layers[0], layers.Standardize)


def val_nll(flow, x, epochs, learning_rate=2e-3):
    """The last of a training on three quarters of the rows."""
    keras.utils.set_random_seed(0)
    flow.compile(keras.optimizers.Adam(learning_rate))
    data, held_out = x[: len(x) * 3 // 4], x[len(x) * 3 // 4 :]
    history = flow.fit(data, batch_size=200, epochs=epochs, verbose=0, validation_data=(held_out,))
    return history.history["val_nll"][-1]


@pytest.mark.slow
def test_cauchy_columns_come_to_their_entropy_on_a_t_base():
    """On a normal base they end nats above it, and single rows far above."""
    x = np.random.default_rng(0).standard_cauchy((8000, 3)).astype("float32")
    flow = RealNVP((3,), 4, (32, 32), base=distributions.StudentT(1.0))
    held_out = x[6000:].astype("float64")
    assert val_nll(flow, x, 20) < 3 * np.log(np.pi) + np.log1p(held_out**2).sum(1).mean() + 0.15


@pytest.mark.slow
def test_columns_of_very_different_scales_come_to_their_gaussian():
    x = np.random.default_rng(0).normal(size=(4000, 10)) * 10.0 ** np.arange(-5, 5)
    x = x.astype("float32")
    best = -GaussianBaseline(x).evaluate(x).log_likelihood
    assert val_nll(RealNVP((10,), 4, (32, 32)), x, 10) < best + 0.5


@pytest.mark.slow
def test_a_deep_stack_on_columns_with_outliers_trains():
    rng = np.random.default_rng(0)
    x = (rng.standard_t(1.5, size=(4000, 19)) @ rng.normal(size=(19, 19))).astype("float32")
    x[::100] *= 100
    start = -GaussianBaseline(x).evaluate(x).log_likelihood
    assert val_nll(RealNVP((19,), 32, (32, 32)), x, 10) < start
