"""Both forms of what is chosen by the device, and which one is chosen where."""

import keras
import numpy as np
import pytest
from keras import ops
from layer_table import randomize
from marks import needs_tensorflow

from tfflows import layers
from tfflows.backend import compilation, device_choice, precision
from tfflows.networks import MaskedDense


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def test_this_machine_is_what_its_backend_says():
    assert device_choice.runs_on_cpu() == compilation.is_on_cpu()
    with device_choice.assume_cpu(False):
        assert not device_choice.runs_on_cpu()
        assert device_choice.by_device(lambda x: 1, lambda x: 2, None) == 2
        with device_choice.assume_cpu(True):
            assert device_choice.by_device(lambda x: x, lambda x: 2, 3) == 3
        assert not device_choice.runs_on_cpu()


def in_both_forms(function):
    """The values of a function on a CPU and elsewhere; where it has one form only, it fails."""
    found = []
    for is_cpu in (True, False):
        with device_choice.assume_cpu(is_cpu):
            found.append(function())
    return found


@pytest.mark.parametrize("strict", [False, True])
def test_a_masked_product_is_the_same_in_blocks_and_whole(strict, monkeypatch):
    degrees = np.arange(1, 13)
    layer = MaskedDense(degrees, np.repeat(degrees, 2), 2, strict, num_blocks=3, dtype="float64")
    layer.build((None, 12))
    randomize(layer)
    x = np.random.default_rng(0).normal(size=(5, 12))
    blocks, whole = in_both_forms(lambda: numpy(layer(x)))
    np.testing.assert_allclose(whole, blocks, atol=1e-12)
    monkeypatch.setattr(layer, "full_kernel", lambda: ops.zeros((12, 2, 24), "float64"))
    blocks_still, zeros = in_both_forms(lambda: numpy(layer(x)))
    np.testing.assert_array_equal(blocks_still, blocks)
    np.testing.assert_array_equal(zeros, np.broadcast_to(numpy(layer.bias).reshape(-1), (5, 48)))


@needs_tensorflow
def test_an_exported_graph_holds_both_forms_and_takes_the_one_of_its_device():
    import tensorflow as tf

    def traced(x):
        with compilation.few_row_sizes():
            return device_choice.by_device(lambda x: x + 1, lambda x: x + 2, x)

    served = tf.function(traced, input_signature=[tf.TensorSpec([None])])
    graph = served.get_concrete_function().graph
    assert {"DeviceIndex"} < {operation.type for operation in graph.get_operations()}
    assert served(tf.zeros(2)).numpy().tolist() == [1, 1]
    live = tf.function(lambda x: device_choice.by_device(abs, tf.identity, x))
    with device_choice.assume_cpu(False):
        assert live(tf.constant([-3.0])).numpy().tolist() == [-3]

    def under_xla(x):  # which knows no device
        with compilation.xla_scope(True):
            return traced(x)

    assert tf.function(under_xla, jit_compile=True)(tf.zeros(2)).numpy().tolist() == [1, 1]


@needs_tensorflow
def test_an_exported_maf_samples_in_both_forms(tmp_path):
    """The form for GPUs is in the graph, and computes what the live flow does."""
    import tensorflow as tf

    from tfflows import Flow
    from tfflows.serving.graph_operations import check_operations

    flow = Flow([layers.MaskedAutoregressive(hidden_units=(16,))], (5,))
    flow.build((None, 5))
    randomize(flow.flow_layers[0], spread=0.3)
    flow.export(tmp_path / "model" / "1")
    check_operations(tmp_path / "model" / "1")
    decode = tf.saved_model.load(str(tmp_path / "model" / "1")).signatures["decode"]
    z = np.random.default_rng(0).normal(size=(3, 5)).astype("float32")
    np.testing.assert_allclose(decode(z=tf.constant(z))["x"], flow.generate(z), atol=1e-6)
    definition = decode.graph.as_graph_def()
    kinds = [node.op for function in definition.library.function for node in function.node_def]
    assert "DeviceIndex" in kinds
    branches = [
        {f.signature.name: f for f in definition.library.function}[branch.name]
        for function in definition.library.function
        for node in function.node_def
        if node.op in ("Case", "StatelessCase")
        for branch in node.attr["branches"].list.func
    ]
    assert len(branches) == 2


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX says the precision of each")
def test_what_is_inverted_is_computed_in_full_precision():
    """Each product says so: GPUs would take TF32 for those that say nothing."""
    import jax

    x = np.zeros((2, 4), "float32")
    stack = [
        layers.MaskedAutoregressive(hidden_units=(8,)),
        layers.LULinear(seed=0),
        layers.Whiten(),
    ]
    for layer in stack:
        layer.build((None, 4))
        for function in (layer.forward_and_log_det, layer.inverse_and_log_det):
            with device_choice.assume_cpu(False):
                text = str(jax.make_jaxpr(function)(x))
            assert text.count("dot_general") > 0
            assert text.count("dot_general") == text.count("precision=(Precision.HIGHEST")
    autoregressive = jax.make_jaxpr(lambda x: stack[0].forward_and_log_det(x, training=True))
    assert "HIGHEST" not in str(autoregressive(x))  # rounding is nothing beside a batch's noise
    with precision.full_precision():
        assert "HIGHEST" in str(jax.make_jaxpr(lambda x: x @ x.T)(x))
