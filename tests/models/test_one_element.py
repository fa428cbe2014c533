"""Events of one element: a coupling has nothing to keep, and an autoregressive layer no order."""

import numpy as np
import pytest
from keras import ops
from marks import once

from tfflows import layers, networks, ode
from tfflows.models import FFJORD, IAF, MAF, NICE, NSF, MADEFlow, RealNVP
from tfflows.networks import MLP
from tfflows.testing import check_flow, randomize

MODELS = {
    "ffjord": lambda **kw: FFJORD(
        (1,), network=networks.DynamicsMLP((8,)), test_solver=ode.FixedStep("rk4", 8), **kw
    ),
    "iaf": lambda **kw: IAF((1,), 2, (8,), **kw),
    "made_mixture": lambda **kw: MADEFlow((1,), 3, (8,), **kw),
    "maf": lambda **kw: MAF((1,), 2, (8, 8, 8), residual=True, order="random", **kw),
    "nice": lambda **kw: NICE((1,), 2, (8,), **kw),
    "nsf": lambda **kw: NSF((1,), 2, 8, 1, 4, **kw),
    "nsf_autoregressive": lambda **kw: NSF((1,), 1, 8, 1, 3, autoregressive=True, **kw),
    "real_nvp": lambda **kw: RealNVP((1,), 2, (8,), partition="random", **kw),
}
GRID = np.linspace(-40, 40, 8001, dtype="float32")[:, None]
# A solver takes half a minute.
MARKS = {"ffjord": pytest.mark.slow}
every_model = pytest.mark.parametrize(
    "make",
    [pytest.param(make, id=name, marks=MARKS.get(name, ())) for name, make in MODELS.items()],
)


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


@once
@pytest.mark.parametrize("condition_shape", [None, (2,)])
@every_model
def test_the_density_integrates_to_one(make, condition_shape):
    """In eager mode, which needs no tracing."""
    flow = randomize(make(condition_shape=condition_shape))
    ones = np.ones((len(GRID), 2), "float32")
    conditions = [()] if condition_shape is None else [(ones,), (-ones,)]
    densities = [np.exp(numpy(flow.log_density(GRID, *c)).astype("float64")) for c in conditions]
    for density in densities:
        assert abs(np.trapezoid(density, GRID[:, 0]) - 1) < 1e-3
    if condition_shape is not None:
        assert np.abs(densities[0] - densities[1]).max() > 1e-3
    x, condition = GRID[3990:4010], [each[:20] for each in conditions[0]]
    z, _ = flow.forward_and_log_det(x, *condition)
    np.testing.assert_allclose(flow.generate(z, *condition), x, atol=1e-4)


@pytest.mark.parametrize(
    ("model", "condition_shape", "export"),
    [
        ("real_nvp", (3,), False),
        pytest.param("nsf", None, True, marks=pytest.mark.slow),
        pytest.param("nsf", (3,), True, marks=pytest.mark.slow),
    ],
)
def test_the_promises_of_flows(model, condition_shape, export):
    def make(dtype=None):
        return MODELS[model](condition_shape=condition_shape, dtype=dtype)

    check_flow(make, epochs=3, export=export)


def test_a_coupling_without_a_condition_has_its_parameters_for_weights():
    """z = x exp(bound(s)) + t with the s and t of the one weight."""
    layer = layers.AffineCoupling(conditioner=MLP((8,)), log_scale=10.0)
    layer.build((None, 1))
    (weight,) = layer.weights
    weight.assign([0.7, -2.0])
    x = np.array([[1.0], [-3.0]], "float32")
    log_scale = 0.7 / (1 + 0.7 / np.log(10))
    z, log_det = layer.forward_and_log_det(x)
    np.testing.assert_allclose(z, x * np.exp(log_scale) - 2, rtol=1e-5)
    np.testing.assert_allclose(log_det, [log_scale] * 2, rtol=1e-5)
