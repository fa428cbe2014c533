"""Requests that TensorFlow Serving runs on a model before it answers any: first calls are slow."""

import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfflows.backend.compilation import ROW_SIZES

WARM_SIZES = ROW_SIZES[:3]  # more rows are rarer, and each size takes a model's compilation
WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"


def check_warmup_extra() -> None:
    """Raise ImportError where tensorflow-serving-api, which has the format, is missing."""
    if importlib.util.find_spec("tensorflow_serving") is None:
        raise ImportError(
            "Warm-up requests are written by tensorflow-serving-api, which is not installed: "
            "pip install 'tfflows[warmup]'"
        )


Request = tuple[str, dict[str, Any]]


def write_warmup(folder: Path, requests: Iterable[Request]) -> None:
    """Write requests into the SavedModel in a version folder.

    Args:
        folder: of the SavedModel; the name of its parent is the model's in the requests.
        requests: the name of a signature, and its inputs by name, of each.
    """
    import tensorflow as tf
    from tensorflow_serving.apis import (  # pyright: ignore[reportMissingImports]
        model_pb2,
        predict_pb2,
        prediction_log_pb2,
    )

    path = folder / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    model_name = folder.absolute().parent.name
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, inputs in requests:
            model = model_pb2.ModelSpec(name=model_name, signature_name=name)
            request = predict_pb2.PredictRequest(model_spec=model)
            for key, value in inputs.items():
                request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictLog(request=request)
            record = prediction_log_pb2.PredictionLog(predict_log=log)
            writer.write(record.SerializeToString())


def requests_of_flow(signatures: Mapping[str, Any]) -> Iterator[Request]:
    """A request of one row to each signature of a flow over arrays.

    Signatures that compile for each of a few sizes get one of each of `WARM_SIZES`.

    Args:
        signatures: a `tf.function` with an input signature for each name.
    """
    for name, function in signatures.items():
        for size in WARM_SIZES if _is_compiled(function) else (1,):
            yield name, {spec.name: _rows(spec, size) for spec in function.input_signature}


def _is_compiled(function):
    """Whether a part of a `tf.function` is compiled by XLA."""
    library = function.get_concrete_function().graph.as_graph_def().library
    return any("_XlaMustCompile" in part.attr for part in library.function)


def _rows(spec, size):
    """Zeros, which are data in every unit; `size` of them or that number, and a temperature 1."""
    value = {"num_samples": size, "temperature": 1}.get(spec.name, 0)
    shape = [size if each is None else each for each in spec.shape]
    return np.full(shape, value, spec.dtype.as_numpy_dtype)
