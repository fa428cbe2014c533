"""Regions of an export are compiled for a few numbers of rows, and answer for any."""

import numpy as np
from marks import needs_tensorflow

from tfflows.backend import compilation


@needs_tensorflow
def test_an_export_compiles_its_regions_for_a_few_sizes():
    import tensorflow as tf

    def region(x, condition):
        size = tf.shape(x)[0]
        return tf.reduce_sum(x, 1) + condition[:, 0], tf.fill([size], size)

    call = compilation.compile_region(region, region)

    def traced(x, condition):
        with compilation.few_row_sizes():
            return call(x, condition)

    specs = [tf.TensorSpec([None, 2]), tf.TensorSpec([None, 1])]
    served = tf.function(traced, input_signature=specs)
    x = np.random.default_rng(0).normal(size=(9000, 2)).astype("float32")
    wanted = {1: 1, 2: 16, 16: 16, 17: 256, 256: 256, 257: 1024, 4096: 4096, 4097: 8192}
    for rows, size in wanted.items():
        total, sizes = served(x[:rows], x[:rows, :1])
        assert sizes.numpy().tolist() == [size] * rows
        np.testing.assert_allclose(total, 2 * x[:rows, 0] + x[:rows, 1], rtol=1e-6)
    assert served(x[:0], x[:0, :1])[0].shape == (0,)
    live = tf.function(call, input_signature=specs)  # as Keras traces evaluation
    assert live(x[:3], x[:3, :1])[1].numpy().tolist() == [3] * 3
