"""What `tfflows.tfp` refuses, and what it says."""

import sys
import types

import keras
import numpy as np
import pytest
from marks import needs_tensorflow

import tfflows
from tfflows import layers
from tfflows.tfp import (
    TFPBijector,
    TFPDistribution,
    as_bijector,
    as_distribution,
    hmc_chains,
    neutra,
)
from tfflows.tfp.substrate import check_version, probability

pytestmark = needs_tensorflow
tfp = pytest.importorskip("tensorflow_probability") if keras.backend.backend() != "jax" else None
if tfp is not None:
    import tensorflow as tf

    tfd, tfb = tfp.distributions, tfp.bijectors


def register(make):
    return keras.saving.register_keras_serializable(package="test_tfp_bad_input")(make)


@register
def triangular(variable):
    shift = variable("shift", [0.1, 0.2, 0.3])
    return tfb.Shift(shift)(tfb.ScaleMatvecTriL(tfb.FillScaleTriL()(variable("tril", np.ones(6)))))


@register
def laplace(variable):
    scale = tf.exp(variable("log_scale", np.full(3, -0.5)))
    return tfd.Independent(tfd.Laplace(variable("loc", [0.5, 0.0, -0.5]), scale), 1)


@register
def own_variables(variable):
    return tfb.Shift(tf.Variable(np.zeros(3, "float32"), name="unseen"))


@register
def matrix(variable):
    return tfb.CholeskyOuterProduct()


@register
def absolute(variable):
    return tfb.AbsoluteValue()


@register
def one_way(variable):
    class OneWay(tfb.Bijector):
        def __init__(self):
            super().__init__(forward_min_event_ndims=0)

        def _forward(self, x):
            return x**3

    return OneWay()


@register
def two_shifts(variable):
    return tfb.Shift(np.zeros(2, "float32"))


@register
def rows_of_shifts(variable):
    return tfb.Shift(np.zeros((4, 3), "float32"))


@register
def bijector_class(variable):
    return tfb.Exp


@register
def parts(variable):
    return tfb.Split(3)


@register
def batch(variable):
    return tfd.Normal(np.zeros(3, "float32"), 1.0)


@register
def float64_base(variable):
    return tfd.MultivariateNormalDiag(np.zeros(3))


def real_nvp():
    return tfflows.models.RealNVP((3,), num_couplings=2, hidden_units=(8,))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (own_variables, r"would neither train nor be saved.*Received: .*unseen"),
        (matrix, r"at least 2 axes. Received: data of event shape \(3,\)"),
        (absolute, "has no inverse"),
        (one_way, "must have both directions and a log-det"),
        (laplace, "must return a bijector"),
        (bijector_class, "must return a bijector of .*, of one tensor. Received: <class"),
        (parts, "must return a bijector of .*, of one tensor. Received: .*Split"),
        (two_shifts, r"fails on data of event shape \(3,\) and dtype float32"),
        (rows_of_shifts, r"one row to one row.*Received: \(4, 3\), \(4, 3\) and \(\)"),
    ],
)
def test_bijectors_that_do_not_fit_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        tfflows.Flow(TFPBijector(make), (3,))


def test_factories_and_bases_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"a function that is registered by keras.saving"):
        TFPBijector(lambda variable: tfb.Identity())
    for make, message in (
        (batch, r"event shape \(3,\) and no batch shape"),
        (float64_base, "must return a distribution of dtype float32"),
        (triangular, "must return a distribution of"),
    ):
        with pytest.raises(ValueError, match=message):
            tfflows.Flow(layers.Reverse(), (3,), base=TFPDistribution(make))


def test_values_and_flows_that_do_not_fit_are_refused():
    distribution, bijector = as_distribution(real_nvp()), as_bijector(real_nvp())
    for call in (distribution.log_prob, bijector.forward, bijector.inverse):
        with pytest.raises(ValueError, match=r"events of shape \('...', 3\). Received: \(6, 2\)"):
            call(tf.zeros((6, 2)))
    for convert in (as_distribution, as_bijector):
        with pytest.raises(ValueError, match=r"Expected a flow of tfflows. Received: 'flow'"):
            convert("flow")


def test_chains_that_cannot_run_are_refused():
    flow = real_nvp()
    with pytest.raises(ValueError, match=r"must map x \(4, 3\) to log-densities \(4,\)"):
        neutra(flow, lambda x: x, 4, 10, 10)
    with pytest.raises(ValueError, match=r"Received: nan in chain 0 \(4 of 4"):
        neutra(flow, lambda x: x[:, 0] * np.nan, 4, 10, 10)
    with pytest.raises(ValueError, match="at least 2 chains"):
        neutra(flow, lambda x: x[:, 0], 1, 10, 10)
    with pytest.raises(ValueError, match='must be "hmc" or "nuts"'):
        neutra(flow, lambda x: x[:, 0], 4, 10, 10, method="gibbs")
    with pytest.raises(ValueError, match="num_leapfrog must be at least 1"):
        neutra(flow, lambda x: x[:, 0], 4, 10, 10, num_leapfrog=0)
    with pytest.raises(ValueError, match="target_acceptance must be between 0 and 1"):
        neutra(flow, lambda x: x[:, 0], 4, 10, 10, target_acceptance=1.5)
    with pytest.raises(ValueError, match=r"start of real numbers. Received: dtype int64"):
        hmc_chains(lambda x: x[:, 0], np.zeros((4, 3), int), 10, 10)
    with pytest.warns(UserWarning, match="No proposal was accepted: take a smaller step_size"):
        hmc_chains(
            lambda x: -tf.reduce_sum(x**2, -1), tf.zeros((4, 3)), 4, 0, step_size=1e6, seed=0
        )


def test_a_missing_or_old_package_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_probability", None)
    probability.cache_clear()
    missing = r"requires tensorflow_probability 0.25.*pip install.*Installed: .*tensorflow \d"
    with pytest.raises(ImportError, match=missing):
        probability()
    with pytest.raises(ImportError, match=missing):
        tfflows.Flow(TFPBijector(absolute), (3,))
    broken = types.ModuleType("tensorflow_probability")  # as one for another TensorFlow
    monkeypatch.setitem(sys.modules, "tensorflow_probability", broken)
    with pytest.raises(ImportError, match="Its import raised: AttributeError"):
        probability()
    with pytest.raises(ImportError, match=r"pip install.*Received: version 0.19.0"):
        check_version("0.19.0")
    check_version("0.26.0-dev20261027")
    monkeypatch.undo()
    probability.cache_clear()
