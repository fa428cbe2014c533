"""Every model in a small form, with data for it."""

import numpy as np
import pytest

from tfflows import layers
from tfflows.models import IAF, MAF, NICE, NSF, Glow, Jet, MADEFlow, MultiScaleRealNVP, RealNVP


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


MODELS = {
    "glow": lambda **kw: Glow((4, 4, 1), 2, 1, 4, quantization_levels=17, **kw),
    "iaf": lambda **kw: IAF((2,), 2, (8,), activation="silu", **kw),
    "jet": lambda **kw: Jet((4, 4, 1), 2, 2, 8, 1, 2, quantization_levels=17, **kw),
    "made_mixture": lambda **kw: small_mixture(**kw),
    "maf": lambda **kw: MAF((2,), 2, (16,), order="random", **kw),
    "nice": lambda **kw: small_pixel_nice(**kw),
    "nsf": lambda **kw: small_spline_flow(**kw),
    "real_nvp": lambda **kw: small_flow(**kw),
    "real_nvp_batch_norm": lambda **kw: small_flow(normalization="batch_norm", **kw),
    "multi_scale_real_nvp": lambda **kw: small_image_flow(**kw),
}
every_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())


def data_for(flow, n, seed=0):
    rng = np.random.default_rng(seed)
    if flow.is_discrete:
        return rng.integers(0, 17, (n, *flow.event_shape)).astype("uint8")
    return rng.normal(size=(n, *flow.event_shape)).astype("float32")
