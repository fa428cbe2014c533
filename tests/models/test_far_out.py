"""Rows far out have a density that is finite or zero, in every family, and gradients that train."""

import keras
import numpy as np
import pytest
from autodiff import gradient_function
from keras import ops
from layer_table import randomize
from model_table import MODELS

from tfflows import layers
from tfflows.layers.continuous_flow import continuous_flows
from tfflows.models import MAF, NICE, Glow, Jet, MultiScaleRealNVP, RealNVP

SCALES = (1e6, 1e10, 1e19, 1e25, 1e30, 3e38)
REAL_IMAGES = {"quantization_levels": None, "logit": None}


def radial():
    return [layers.Whiten(), layers.RadialGaussianize(4)]


FAMILIES = {name: make for name, make in MODELS.items() if not make().is_discrete} | {
    "glow": lambda: Glow((4, 4, 1), 2, 1, 4, **REAL_IMAGES),
    "jet": lambda: Jet((4, 4, 1), 2, 2, 1, 8, 1, **REAL_IMAGES),
    "maf_wide": lambda: MAF((40,), 5),
    "multi_scale_real_nvp": lambda: MultiScaleRealNVP((4, 4, 1), 2, 1, 4, 1, **REAL_IMAGES),
    "nice": lambda: NICE((20,), 4, (64, 64)),
    "real_nvp_radial": lambda: RealNVP((6,), 2, (16,), preprocessing=radial()),
}


def far_rows(event_shape):
    """Two rows of each scale: all elements at it with both signs, and one of them."""
    signs = np.where(np.arange(np.prod(event_shape)) % 3 == 1, -1.0, 1.0)
    one = np.arange(len(signs)) == 1
    rows = [scale * row for scale in SCALES for row in (signs, one)]
    return np.reshape(rows, (-1, *event_shape)).astype("float32")


@pytest.mark.parametrize("name", FAMILIES)
def test_rows_far_out_are_not_nan(name):
    keras.utils.set_random_seed(0)
    flow = randomize(FAMILIES[name](), spread=0.5)
    x = far_rows(flow.event_shape)
    log_prob = ops.convert_to_numpy(flow.log_density(ops.convert_to_tensor(x)))
    assert not np.isnan(log_prob).any()
    assert (log_prob < -1e3).all()
    if not list(continuous_flows(flow.flow_layers)):

        def loss(x):
            return ops.mean(flow.log_density(x))

        for gradient in gradient_function(loss, flow.trainable_weights)(x[:1]):
            assert np.isfinite(gradient).all()
    x[0].flat[1] = np.nan
    if name != "ffjord":  # which says where a row came to
        assert np.isnan(ops.convert_to_numpy(flow.log_density(ops.convert_to_tensor(x)))[0])
