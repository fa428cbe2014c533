"""SavedModels that serve a flow without this package: one set of signatures for every model."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import keras

from tfflows.backend import rng
from tfflows.serving.versions import next_version
from tfflows.serving.warmup import check_warmup_extra, write_warmup
from tfflows.utils.atomic import replaced_on_success


def export_flow(flow: keras.Model, filepath: str | Path, warmup: bool = False) -> Path:
    """Write `flow` as a TensorFlow SavedModel with named, batchable signatures.

    | signature | in | out |
    |---|---|---|
    | serving_default, log_prob | x [n, *event] | log_prob [n] |
    | encode | x [n, *event] | z [n, *latent] |
    | decode | z [n, *latent] | x [n, *event] |
    | sample | num_samples int32 [], seed int32 [2], temperature float32 [] | x [num_samples, ...] |
    | sample_seeds | seeds int32 [n, 2] | x [n, *event] |

    A conditional flow takes `condition` [n, *condition_shape] in each of them as well; one row does
    for all of `sample`. x is in the
    units of the training data. Each row of sample_seeds depends on its own seed alone.

    Args:
        flow: a built `tfflows.Flow`. On the JAX backend a TensorFlow process writes the model, so
            custom layers must be importable by a fresh process.
        filepath: a version folder such as "models/moons/1", which must not exist yet, or a model
            folder such as "models/moons", which gets the next version.
        warmup: whether to add requests of one row to each signature, which TensorFlow Serving runs
            when it loads the model. Wants the extra `warmup`.

    Returns:
        The version folder.

    Raises:
        FileExistsError: the version is there already.
        ImportError: `warmup` without tensorflow-serving-api; nothing is written.
        OSError: the folder cannot be written; nothing is left of the attempt.
    """
    if warmup:
        check_warmup_extra()
    target = next_version(Path(filepath))
    if keras.backend.backend() == "tensorflow":
        with replaced_on_success(target) as temporary:
            _save(flow, temporary, warmup)
    else:
        _export_in_tensorflow(flow, target, warmup)
    return target


def _save(flow, folder, warmup):
    import tensorflow as tf

    module = tf.Module()
    module.weights = [variable.value for variable in flow.weights]
    signatures = _signatures(flow)
    signatures["serving_default"] = signatures["log_prob"]
    try:
        # Gradients of solvers and loops are most of a graph, and no signature takes them.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(module, str(folder), signatures=signatures, options=options)
        if warmup:
            write_warmup(folder, signatures)
    except tf.errors.OpError as error:  # how TensorFlow's writer reports a full disk
        reason = error.message.rpartition(";")[2].partition(" [Op")[0].strip()
        raise OSError(f"{folder.parent} could not be written: {reason}") from error


def _signatures(flow):
    import tensorflow as tf

    dtype = flow.compute_dtype
    x = tf.TensorSpec([None, *flow.event_shape], dtype, name="x")
    z = tf.TensorSpec([None, *flow.latent_shape], dtype, name="z")
    seeds = tf.TensorSpec([None, 2], tf.int32, name="seeds")
    draw = [
        tf.TensorSpec([], tf.int32, name="num_samples"),
        tf.TensorSpec([2], tf.int32, name="seed"),
        tf.TensorSpec([], tf.float32, name="temperature"),
    ]
    conditions = []
    if flow.condition_shape is not None:
        conditions = [tf.TensorSpec([None, *flow.condition_shape], dtype, name="condition")]

    def log_prob(x, condition=None):
        return {"log_prob": flow._log_prob(x, condition)}

    def encode(x, condition=None):
        return {"z": flow._forward(x, condition, training=False)[0]}

    def decode(z, condition=None):
        return {"x": flow._inverse(z, condition)}

    def sample(num_samples, seed, temperature, condition=None):
        if condition is not None:  # one row serves all samples
            condition = tf.broadcast_to(condition, [num_samples, *condition.shape[1:]])
        z = flow._draw(num_samples, seed, temperature, condition)
        return {"x": flow._inverse(z, condition)}

    def sample_seeds(seeds, condition=None):
        z = flow.base.draw(rng.RowNoise(seeds, dtype), condition)
        return {"x": flow._inverse(z, condition)}

    specs = [(log_prob, [x]), (encode, [x]), (decode, [z]), (sample, draw), (sample_seeds, [seeds])]
    return {
        function.__name__: tf.function(function, input_signature=[*spec, *conditions])
        for function, spec in specs
    }


_EXPORTER = """
import sys, keras, tfflows
keras.saving.load_model(sys.argv[1], compile=False).export(sys.argv[2], sys.argv[3] == "True")
"""


def _export_in_tensorflow(flow, target, warmup):
    """A native TensorFlow graph, which every converter reads, rather than XLA calls from JAX."""
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "flow.keras"
        flow.save(model)
        arguments = [str(model), str(target.absolute()), str(warmup)]
        command = [sys.executable, "-c", _EXPORTER, *arguments]
        process = subprocess.run(command, env=environment, capture_output=True, text=True)
    if process.returncode:
        last_line = (process.stderr.strip().splitlines() or ["no message"])[-1]
        raise OSError(f"The TensorFlow process that exports could not write {target}: {last_line}")
