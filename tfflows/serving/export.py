"""Export of a flow: a SavedModel that serves without this package, or a signature as ONNX."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from tfflows.serving.description import facts_of_flow, write_description
from tfflows.serving.onnx import check_onnx_extra, write_onnx
from tfflows.serving.signatures import make_signatures
from tfflows.serving.versions import next_version
from tfflows.serving.warmup import (
    Request,
    check_warmup_extra,
    requests_of_flow,
    write_warmup,
)
from tfflows.utils.atomic import replaced_on_success
from tfflows.utils.finite_weights import check_finite_weights
from tfflows.utils.remote import is_remote, remote_name
from tfflows.utils.suggest import nearest

if TYPE_CHECKING:
    from tfflows.training.density import Density

FORMATS = ("tf_saved_model", "onnx")


def export_flow(
    flow: "Density",
    filepath: str | Path,
    format: str = "tf_saved_model",
    *,
    warmup: bool = False,
    signature: str = "log_prob",
) -> Path | str:
    """Write `flow` as a TensorFlow SavedModel with all signatures, or as ONNX with one.

    The signatures are those of `tfflows.serving.signatures.make_signatures`; a SavedModel has
    log_prob as its serving_default too.

    Args:
        flow: a built `tfflows.Flow`. On the JAX backend a TensorFlow process writes the model, so
            custom layers must be importable by a fresh process.
        filepath: a version folder such as "models/moons/1", which must not exist yet, or a model
            folder such as "models/moons", which gets the next version; of ONNX a file, which is
            replaced.
        format: "tf_saved_model" or "onnx".
        warmup: whether to add requests of one row to each signature, which TensorFlow Serving runs
            when it loads the model. Requires the extra `warmup`.
        signature: the one that an ONNX file has.

    Returns:
        The version folder, or the ONNX file; of a remote path (gs://, ...) a string.

    Raises:
        FileExistsError: the version is there already.
        ImportError: a package that is needed is not installed; nothing is written.
        ValueError: there is no such format or signature, ONNX lacks one of its operations, or a
            weight is not finite.
        OSError: the files cannot be written; nothing is left of the attempt.
    """
    if format not in FORMATS:
        raise ValueError(
            f"Expected `format` to be one of {list(FORMATS)}: other formats are converted from a "
            f"SavedModel. Received: {format!r}{nearest(str(format), FORMATS)}"
        )
    check_finite_weights(flow.weights)
    if format == "onnx":
        check_onnx_extra()
        target = filepath if is_remote(filepath) else Path(filepath)
        if warmup or Path(target).is_dir():
            came = "warmup=True" if warmup else f"the folder {target}"
            raise ValueError(f"ONNX is one file without warm-up requests. Received: {came}")
    else:
        if warmup:
            check_warmup_extra()
        target = next_version(filepath)
    if keras.backend.backend() != "tensorflow":
        options = {"format": format, "warmup": warmup, "signature": signature}
        export_in_tensorflow(flow, target, options)
        return target
    with replaced_on_success(target) as temporary:
        if format == "onnx":
            write_onnx(flow, temporary, signature)
        else:
            signatures = make_signatures(flow)
            signatures["serving_default"] = signatures["log_prob"]
            requests = requests_of_flow(signatures) if warmup else None
            write_saved_model(temporary, flow, signatures, facts_of_flow(flow), requests)
    return target


def write_saved_model(
    folder: Path,
    model: keras.Model,
    signatures: Mapping[str, Any],
    facts: Mapping[str, Any],
    requests: Iterable[Request] | None = None,
) -> None:
    """Write a SavedModel, its description and its requests for warm-up.

    Args:
        folder: to write.
        model: whose weights the signatures read.
        signatures: a `tf.function` of known inputs for each name.
        facts: of the description.
        requests: for warm-up, or None.

    Raises:
        OSError: the files cannot be written.
    """
    import tensorflow as tf

    module = tf.Module()
    module.weights = [w.value for w in model.weights]  # pyright: ignore[reportAttributeAccessIssue]
    try:
        # Gradients of solvers and loops are most of a graph, and no signature takes them.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(module, str(folder), signatures=signatures, options=options)
        write_description(folder, model, facts)
        if requests is not None:
            write_warmup(folder, requests)
    except tf.errors.OpError as error:  # how TensorFlow's writer reports a full disk
        reason = error.message.rpartition(";")[2].partition(" [Op")[0].strip()
        raise OSError(f"{folder.parent} could not be written: {reason}") from error


_EXPORTER = """
import json, sys, keras, tfflows.anomaly, tfflows.tables, tfflows.tfp, tfflows.vae
path, target, options = sys.argv[1:]
keras.saving.load_model(path, compile=False).export(target, **json.loads(options))
"""


def export_in_tensorflow(
    model: keras.Model, target: Path | str, options: Mapping[str, Any]
) -> None:
    """Write `target` by the model's `export` in a process on the TensorFlow backend.

    A native TensorFlow graph, which every converter reads, rather than XLA calls from JAX.

    Args:
        model: which a fresh process can load.
        target: a version folder or file.
        options: of `export`, as JSON can hold them.

    Raises:
        ValueError: what the model cannot be written as.
        OSError: the process could not write it.
    """
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "flow.keras"
        model.save(saved)
        place = remote_name(target) if is_remote(target) else str(Path(target).absolute())
        command = [sys.executable, "-c", _EXPORTER, str(saved), place, json.dumps(options)]
        process = subprocess.run(command, env=environment, capture_output=True, text=True)
    if process.returncode:
        last_line = (process.stderr.strip().splitlines() or ["no message"])[-1]
        kind, _, message = last_line.partition(": ")
        if kind == "ValueError":
            raise ValueError(message)
        raise OSError(f"The TensorFlow process that exports could not write {target}: {last_line}")
