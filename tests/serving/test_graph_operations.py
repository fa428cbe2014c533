"""A SavedModel that would touch files is refused before TensorFlow loads it."""

from pathlib import Path

import pytest
from command import run
from marks import needs_tensorflow

import tfflows
from tfflows.serving import ServedFlow
from tfflows.serving.graph_operations import check_operations

pytestmark = needs_tensorflow

SAVED = Path(__file__).parents[2] / "savedmodels"


@pytest.fixture
def save(tmp_path):
    """Writes a SavedModel whose log_prob does something more, and gives its folder."""
    import tensorflow as tf

    x, z = (tf.TensorSpec([None, 2], tf.float32, name=name) for name in "xz")

    def write(effect, module=None):
        def log_prob(x):
            with tf.control_dependencies([effect(x)]):
                return {"log_prob": tf.reduce_sum(x, 1)}

        signatures = {
            "log_prob": tf.function(log_prob, input_signature=[x]),
            "encode": tf.function(lambda x: {"z": x}, input_signature=[x]),
            "decode": tf.function(lambda z: {"x": z}, input_signature=[z]),
        }
        folder = tmp_path / "model" / "1"
        tf.saved_model.save(module or tf.Module(), str(folder), signatures=signatures)
        return folder

    return write


def effects(victim):
    import tensorflow as tf

    @tf.function
    def inner(x):
        tf.io.write_file(victim, "written")
        return x

    def in_a_loop(x):
        def body(i):
            with tf.control_dependencies([tf.io.write_file(victim, "written")]):
                return i + 1

        return tf.while_loop(lambda i: i < 1, body, [0])[0]

    def read(x):
        return tf.strings.length(tf.io.read_file(victim))

    return {
        "WriteFile": lambda x: tf.io.write_file(victim, "written"),
        "WriteFile in a function": inner,
        "WriteFile in a loop": in_a_loop,
        "ReadFile": read,
        "MatchingFiles": lambda x: tf.io.matching_files(victim),
        "EagerPyFunc": lambda x: tf.py_function(lambda: 0, [], tf.int32),
        "SaveV2": lambda x: tf.raw_ops.SaveV2(
            prefix=victim, tensor_names=["a"], shape_and_slices=[""], tensors=[x]
        ),
        "PrintV2": lambda x: tf.raw_ops.PrintV2(input="a", output_stream=f"file://{victim}"),
        "MapDataset": lambda x: tf.data.Dataset.range(3).map(lambda i: i).reduce(0, lambda a, b: a),
    }


@pytest.mark.parametrize(
    "name",
    [
        "WriteFile", "WriteFile in a function", "WriteFile in a loop", "ReadFile", "MatchingFiles",
        "EagerPyFunc", "SaveV2", "PrintV2", "MapDataset",
    ],
)  # fmt: skip
def test_operations_that_reach_outside_are_refused(save, tmp_path, name):
    victim = tmp_path / "victim.txt"
    effect = effects(str(victim))[name]
    operation = name.split()[0]
    if name == "MapDataset":
        operation = r"\w+Dataset\w*"
    folder = save(effect)
    with pytest.raises(ValueError, match=rf"function .*Received: {operation}\. .*unsafe=True"):
        tfflows.load_model(folder)
    assert not victim.exists()


def test_a_command_refuses_it_and_trust_takes_it(save, tmp_path):
    victim = tmp_path / "victim.txt"
    folder = save(effects(str(victim))["WriteFile"])
    rows = tmp_path / "x.csv"
    rows.write_text("a,b\n1,2\n")
    command = ("--model", folder, "--in", rows, "--out", tmp_path / "scores.csv")
    assert "Received: WriteFile" in run("score", *command, code=1)
    assert not victim.exists()
    served = tfflows.load_model(folder, unsafe=True)
    assert isinstance(served, ServedFlow)


def test_other_forms_are_refused(save, tmp_path):
    folder = save(lambda x: x)
    check_operations(folder)
    path = folder / "saved_model.pb"
    whole = path.read_bytes()
    path.write_bytes(b"\xff" + whole)
    with pytest.raises(ValueError, match="is not a SavedModel"):
        check_operations(folder)
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel.FromString(whole)
    model.meta_graphs[0].ClearField("object_graph_def")  # TensorFlow would load it as version 1
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match="not a SavedModel of one graph"):
        check_operations(folder)


def test_every_model_that_we_serve_is_taken():
    """Exports of this version and of the one before hold nothing that is refused."""
    folders = sorted(SAVED.glob("*/*/saved_model.pb"), key=lambda path: path.stat().st_size)
    assert folders
    for path in folders[:6]:
        check_operations(path.parent)


@pytest.mark.slow
def test_every_large_model_that_we_serve_is_taken():
    for path in SAVED.glob("*/*/saved_model.pb"):
        check_operations(path.parent)


def test_weights_that_are_not_finite_are_refused(save):
    """As an export of a version before this one may have them."""
    import tensorflow as tf

    module = tf.Module()
    module.weights = [tf.Variable([1.0, float("nan")], name="kernel")]
    with pytest.raises(ValueError, match=r"Expected finite weights\. Received: NaN or inf in kern"):
        ServedFlow(save(tf.identity, module))
