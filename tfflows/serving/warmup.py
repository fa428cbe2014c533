"""Requests that TensorFlow Serving runs on a model before it answers any: first calls are slow."""

import importlib.util
from pathlib import Path

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


def write_warmup(folder: Path, signatures: dict) -> None:
    """Write a request of one row to each signature into the SavedModel in a version folder.

    Signatures that compile for each of a few sizes get one of each of `WARM_SIZES`.

    Args:
        folder: of the SavedModel; the name of its parent is the model's in the requests.
        signatures: a `tf.function` with an input signature for each name.
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
        for name, function in signatures.items():
            for size in WARM_SIZES if _is_compiled(function) else (1,):
                model = model_pb2.ModelSpec(name=model_name, signature_name=name)
                request = predict_pb2.PredictRequest(model_spec=model)
                for spec in function.input_signature:
                    request.inputs[spec.name].CopyFrom(_rows(spec, size))
                log = prediction_log_pb2.PredictLog(request=request)
                record = prediction_log_pb2.PredictionLog(predict_log=log)
                writer.write(record.SerializeToString())


def _is_compiled(function):
    """Whether a part of a `tf.function` is compiled by XLA."""
    library = function.get_concrete_function().graph.as_graph_def().library
    return any("_XlaMustCompile" in part.attr for part in library.function)


def _rows(spec, size):
    """Zeros, which are data in every unit; `size` of them or that number, and a temperature 1."""
    import tensorflow as tf

    value = {"num_samples": size, "temperature": 1}.get(spec.name, 0)
    shape = [size if each is None else each for each in spec.shape]
    return tf.make_tensor_proto(np.full(shape, value, spec.dtype.as_numpy_dtype))
