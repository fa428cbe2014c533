"""TensorFlow's own checkpoints of flows, layers and optimizers."""

import keras
import numpy as np
import pytest
from layer_table import randomize
from marks import needs_tensorflow
from model_table import MODELS, data_for

from tfflows import layers
from tfflows.networks import MLP

pytestmark = needs_tensorflow


def trained(name):
    flow = MODELS[name]()
    flow.compile(keras.optimizers.Adam(1e-2), run_eagerly=True)
    flow.fit(data_for(flow, 8), verbose=0)
    return flow


@pytest.mark.parametrize("name", ["nice", "nsf", "maf"])
def test_a_checkpoint_restores_every_weight_and_the_optimizer(name, tmp_path):
    import tensorflow as tf

    flow = trained(name)
    manager = tf.train.CheckpointManager(tf.train.Checkpoint(model=flow), str(tmp_path), 2)
    path = manager.save()
    restored = trained(name)
    restored.optimizer.iterations.assign(7)
    randomize(restored)
    status = tf.train.Checkpoint(model=restored).restore(path)
    status.assert_existing_objects_matched().assert_consumed()
    for got, wanted in zip(restored.weights, flow.weights, strict=True):
        np.testing.assert_array_equal(got, wanted, err_msg=got.path)
    pairs = zip(restored.optimizer.variables, flow.optimizer.variables, strict=True)
    for got, wanted in pairs:
        np.testing.assert_array_equal(got, wanted, err_msg=got.path)
    assert not restored.needs_adapt


def test_a_checkpoint_of_one_layer_holds_its_network(tmp_path):
    import tensorflow as tf

    layer = layers.AffineCoupling(conditioner=MLP((8,)))
    layer.build((None, 4))
    path = tf.train.Checkpoint(layer=layer).save(str(tmp_path / "k"))
    shapes = [shape for name, shape in tf.train.list_variables(path) if "layer/" in name]
    assert sorted(shapes) == sorted(list(weight.shape) for weight in layer.weights)
