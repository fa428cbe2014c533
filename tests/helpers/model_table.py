"""Every model in a small form, with data for it."""

import numpy as np
import pytest

from tfflows import Flow, layers, networks, ode
from tfflows.models import (
    FFJORD,
    IAF,
    MAF,
    NICE,
    NSF,
    Glow,
    Jet,
    MADEFlow,
    MultiScaleFFJORD,
    MultiScaleRealNVP,
    RealNVP,
    TarFlow,
)


def small_flow(condition_shape=None, num_couplings=4, **kwargs):
    return RealNVP((2,), num_couplings, (32, 32), condition_shape=condition_shape, **kwargs)


def small_image_flow(**kwargs):
    return MultiScaleRealNVP(
        (4, 4, 1), 2, 1, filters=4, num_blocks=1, quantization_levels=17, **kwargs
    )


def small_spline_flow(**kwargs):
    return NSF((2,), 2, 16, 1, num_bins=6, **kwargs)


def small_mixture(**kwargs):
    return MADEFlow((2,), num_components=3, hidden_units=(8,), **kwargs)


def small_pixel_nice(**kwargs):
    return NICE((4, 4, 1), 2, (16,), preprocessing=[layers.Dequantize(17)], **kwargs)


def small_stack(**kwargs):
    network = networks.MLP((8,))
    return Flow([layers.ActNorm(), layers.AffineCoupling(conditioner=network)], (2,), **kwargs)


def small_field(**kwargs):
    network = networks.DynamicsMLP((8,), dtype=kwargs.get("dtype"))
    solver, test_solver = ode.FixedStep("midpoint", 2), ode.DormandPrince(1e-5, 1e-5)
    return FFJORD((2,), 1, network, solver, test_solver, **kwargs)


def small_image_field(**kwargs):
    network = networks.DynamicsConvNet((4,), dtype=kwargs.get("dtype"))
    solver, test_solver = ode.FixedStep("euler", 1), ode.FixedStep("midpoint", 2)
    return MultiScaleFFJORD(
        (4, 4, 1), 2, 1, network, solver, test_solver, quantization_levels=17, **kwargs
    )


# Every published model and Flow itself; each takes base=, condition_shape= and dtype=.
MODELS = {
    "ffjord": small_field,
    "flow": small_stack,
    "glow": lambda **kw: Glow((4, 4, 1), 2, 1, 4, quantization_levels=17, **kw),
    "iaf": lambda **kw: IAF((2,), 2, (8,), activation="silu", **kw),
    "jet": lambda **kw: Jet((4, 4, 1), 2, 2, 8, 1, 2, quantization_levels=17, **kw),
    "made": lambda **kw: MADEFlow((2,), hidden_units=(8,), **kw),
    "made_mixture": small_mixture,
    "maf": lambda **kw: MAF((2,), 2, (16,), order="random", **kw),
    "multi_scale_ffjord": small_image_field,
    "multi_scale_real_nvp": small_image_flow,
    "nice": small_pixel_nice,
    "nsf": small_spline_flow,
    "nsf_autoregressive": lambda **kw: NSF((2,), 1, 8, 1, 3, autoregressive=True, **kw),
    "real_nvp": small_flow,
    "tar_flow": lambda **kw: TarFlow((4, 4, 1), 2, 2, 4, 1, 2, quantization_levels=17, **kw),
    "real_nvp_batch_norm": lambda **kw: small_flow(normalization="batch_norm", **kw),
}
every_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())


def data_for(flow, n, seed=0):
    rng = np.random.default_rng(seed)
    if flow.is_discrete:
        return rng.integers(0, 17, (n, *flow.event_shape)).astype("uint8")
    return rng.normal(size=(n, *flow.event_shape)).astype("float32")
