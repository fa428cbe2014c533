"""Regions read the weights of the call."""

import keras
import numpy as np
from marks import needs_tensorflow

from tfflows.backend import compilation


@needs_tensorflow
def test_regions_read_the_values_of_each_stateless_scope():
    """A function kept from one scope held a tensor of that scope's graph."""
    import tensorflow as tf

    weight = keras.Variable(2.0)
    region = compilation.compile_region(lambda x: weight * x, lambda x: weight * x)

    @tf.function
    def scoped(x, value):
        with keras.StatelessScope(state_mapping=[(weight, value)]):
            return region(x)

    x = tf.constant([1.0, 3.0])
    np.testing.assert_allclose(scoped(x, tf.constant(5.0)), [5.0, 15.0])
    np.testing.assert_allclose(tf.function(region)(x), [2.0, 6.0])
    weight.assign(4.0)
    np.testing.assert_allclose(tf.function(region)(x), [4.0, 12.0])
