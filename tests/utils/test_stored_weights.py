"""Weights of another flow are refused by name, not loaded in part."""

import h5py
import keras
import numpy as np
import pytest
from layer_table import randomize
from marks import once

from tfflows import distributions, layers
from tfflows.flow import Flow
from tfflows.models import RealNVP

pytestmark = once


def make(num_couplings=2, base=None, width=8):
    return randomize(RealNVP((2,), num_couplings, (width,), base=base))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "flow.weights.h5"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"num_couplings": 4}, "left over: flow_layers/act_norm_2, .* and 3 more"),
        ({"num_couplings": 1}, "missing: flow_layers/act_norm_1, .*coupling_1/head$"),
        ({"base": distributions.MixtureOfGaussians(5)}, "left over: base$"),
        ({"width": 9}, r"of another shape: .*\(9,\) instead of \(8,\)"),
    ],
)
@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_weights_of_another_flow_are_refused_by_name(tmp_path, source, message, suffix):
    path = tmp_path / f"flow{suffix}"
    other, flow = make(**source), make()
    before = flow.get_weights()
    other.save_weights(path) if suffix == ".weights.h5" else other.save(path)
    with pytest.raises(ValueError, match=f"holds the weights of another model.*{message}"):
        flow.load_weights(path)
    for weight, same in zip(flow.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, same)


def test_the_same_flow_loads_compiled_or_not(path):
    flow = make()
    flow.compile("adam")
    flow.optimizer.build(flow.trainable_variables)
    flow.save_weights(path)  # with the optimizer's state
    with h5py.File(path) as file:
        assert "optimizer" in file
    for is_compiled in (False, True):
        copy = make()
        if is_compiled:
            copy.compile("adam")
        copy.load_weights(path)
        for weight, same in zip(copy.get_weights(), flow.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, same)


def test_what_keras_skips_on_request_is_still_skipped(path):
    make(4).save_weights(path)
    flow = make(2)
    with pytest.raises(ValueError, match="left over"):
        flow.load_weights(path)
    flow.load_weights(path, skip_mismatch=True)


def test_layers_that_save_what_is_no_weight_load(path):
    """Dropout has a generator, and Normalization its own way of saving."""

    def flow():
        network = keras.Sequential(
            [keras.layers.Dense(4), keras.layers.Dropout(0.5), keras.layers.Normalization()]
        )
        return Flow([layers.AffineCoupling(conditioner=network)], (2,))

    one, other = flow(), flow()
    one.save_weights(path)
    other.load_weights(path)
    for weight, same in zip(other.get_weights(), one.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, same)


@pytest.mark.parametrize("name", ["flow_layers/affine_coupling/vars/0", "optimizer/vars/0"])
def test_a_file_that_declares_gigabytes_is_refused_unread(path, name):
    make().save_weights(path)
    with h5py.File(path, "a") as file:
        if name in file:
            del file[name]
        file.create_dataset(name, (40_000, 40_000), "f4", chunks=(1000, 1000), compression="gzip")
    with pytest.raises(ValueError, match="declares 6,400,000,000 bytes"):
        make().load_weights(path)
