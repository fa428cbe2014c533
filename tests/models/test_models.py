"""Every model keeps the promises of flows, with and without a condition, and refuses wrong data."""

import inspect

import keras
import numpy as np
import pytest
from keras import ops
from marks import once
from model_table import MODELS, data_for, every_model

from tfflows import models
from tfflows.testing import check_flow

# Their log-dets are estimates, by one direction per field: no Jacobian has them.
ESTIMATES = ("multi_scale_ffjord",)
# A density on a grid of 250,000 points would solve an equation for each: see test_ffjord's.
SOLVED = ("ffjord", "multi_scale_ffjord")


def left_out(name):
    """Promises that this model cannot keep, or that the test of its signatures checks."""
    skip = ["export"]
    if name in ESTIMATES:
        skip += ["change_of_variables", "samples"]
    if name in SOLVED:
        skip.append("density")
    return skip


# Their graphs take long to trace, and others have what they promise quickly: their layers
# (test_layers.py), a stack of such couplings (RealNVP), a mixture of the same network (MADEFlow).
# Export, saving, far rows and bad input have them quickly too.
SLOW = (
    "ffjord", "iaf", "jet", "made", "multi_scale_ffjord", "multi_scale_real_nvp", "nice", "nsf",
    "nsf_autoregressive", "real_nvp_batch_norm",
)  # fmt: skip


def in_time(name):
    return pytest.param(name, marks=pytest.mark.slow if name in SLOW else ())


def test_the_table_has_every_model():
    tested = {type(make()).__name__ for make in MODELS.values()}
    public = {name for name in models.__all__ if inspect.isclass(getattr(models, name))}
    assert tested == public | {"Flow"}


@pytest.mark.parametrize("name", [in_time(name) for name in MODELS])
def test_the_promises_of_flows(name):
    check_flow(MODELS[name], epochs=4, skip=left_out(name))


def with_a_condition(name):
    """All of them in slow runs: the layers keep their promises with a condition in any."""
    quick = name in ("made_mixture", "real_nvp")
    return pytest.param(name, marks=() if quick else pytest.mark.slow)


@once
@pytest.mark.parametrize("name", [with_a_condition(name) for name in MODELS])
def test_the_promises_with_a_condition(name):
    def make(dtype=None):
        return MODELS[name](condition_shape=(3,), dtype=dtype)

    check_flow(make, epochs=2, skip=[*left_out(name), "density", "fit"])


@every_model
def test_predict_is_encode(make):
    flow = make()
    x = data_for(flow, 6)
    np.testing.assert_allclose(flow.predict(x, verbose=0), flow.encode(x), atol=1e-4)


@once
@every_model
def test_wrong_shapes_and_conditions_are_refused(make):
    flow, conditional = make(), make(condition_shape=(3,))
    x = data_for(flow, 4)
    with pytest.raises(ValueError, match=r"Expected x of shape .*Received: x of shape \(4, 99\)"):
        flow.log_prob(np.zeros((4, 99), "float32"))
    with pytest.raises(ValueError, match=r"takes no condition\. Received: condition of shape"):
        flow.log_prob(x, np.zeros((4, 3), "float32"))
    with pytest.raises(ValueError, match=r"expects a condition \(3,\) per row.* Received: none"):
        conditional.log_prob(x)
    with pytest.raises(ValueError, match=r"Received: condition of shape \(4, 2\)"):
        conditional.log_prob(x, np.zeros((4, 2), "float32"))


@once
@every_model
def test_data_that_are_not_finite_or_out_of_range_are_refused(make):
    flow = make()
    flow.compile("adam")
    x = data_for(flow, 8).astype("float32")
    x[3] = np.nan
    with pytest.raises(ValueError, match="values that are NaN or inf; the first stands at x"):
        flow.fit(x, verbose=0)
    if flow.is_discrete:
        with pytest.raises(ValueError, match=r"data from 0 to 16\. Received: values from .* to 99"):
            flow.log_prob(np.full((2, *flow.event_shape), 99))


def test_the_density_of_a_field_integrates_to_one():
    keras.utils.set_random_seed(0)
    flow = MODELS["ffjord"]()
    for weight in flow.trainable_weights:
        weight.assign(0.2 * keras.random.normal(weight.shape))
    side = np.linspace(-6, 6, 61, dtype="float32")
    points = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    density = np.exp(ops.convert_to_numpy(flow.log_prob(points)))
    assert abs(density.sum() * (side[1] - side[0]) ** 2 - 1) < 0.01
