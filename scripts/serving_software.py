"""Software that is not ours and reads SavedModels: one function each, which answers one request.

All take the version folder of a SavedModel, the name of a signature and its inputs, arrays by name,
and return its outputs, arrays by name. They raise `Refused` where the software does not take the
model.
"""

import importlib.util
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

CLI = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli"]


class Refused(Exception):
    """A converter or runtime does not take the model; the message says why in a few words."""


def run_saved_model_cli(folder: Path, signature: str, inputs: dict) -> dict:
    """TensorFlow's own command line, which runs what TensorFlow Serving runs."""
    with tempfile.TemporaryDirectory() as temporary:
        options = ["--dir", str(folder), "--tag_set", "serve", "--signature_def", signature]
        files = {name: Path(temporary, f"{name}.npy") for name in inputs}
        for name, value in inputs.items():
            np.save(files[name], value)
        options += ["--inputs", ";".join(f"{name}={path}" for name, path in files.items())]
        outputs = Path(temporary, "outputs")
        done = subprocess.run(
            [*CLI, "run", *options, "--outdir", str(outputs)], capture_output=True, text=True
        )
        if done.returncode:
            raise Refused(done.stderr.strip().splitlines()[-1])
        return {path.stem: np.load(path) for path in outputs.glob("*.npy")}


def run_openvino(folder: Path, signature: str, inputs: dict) -> dict:
    """OpenVINO's reader of SavedModels, and its CPU runtime in full precision."""
    import openvino

    with tempfile.TemporaryDirectory() as temporary:
        _save_one_signature(folder, signature, temporary)
        try:
            model = openvino.convert_model(temporary)
            compiled = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        except Exception as error:  # its front end raises its own class for each step
            raise Refused(_reason(error)) from error
        results = compiled(inputs)
        # Copies, because the arrays are views of memory that goes with the compiled model.
        return {_output_name(output): np.array(results[output]) for output in compiled.outputs}


def _save_one_signature(folder, signature, target):
    """OpenVINO reads only the default signature of a SavedModel."""
    import tensorflow as tf

    model = tf.saved_model.load(str(folder))
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(model, target, model.signatures[signature], options)


def _output_name(output):
    return min(output.get_names(), key=len).partition(":")[0]


def run_onnxruntime(folder: Path, signature: str, inputs: dict) -> dict:
    """tf2onnx to ONNX, then ONNX Runtime on CPU."""
    import onnxruntime
    import tensorflow as tf
    import tf2onnx

    model = tf.saved_model.load(str(folder))  # holds the weights of its signatures
    served = model.signatures[signature]
    specs = list(served.structured_input_signature[1].values())
    names = [spec.name for spec in specs]
    function = tf.function(
        lambda *values: served(**dict(zip(names, values, strict=True))), input_signature=specs
    )
    try:
        onnx, _ = tf2onnx.convert.from_function(function, specs, opset=18)
        session = onnxruntime.InferenceSession(
            onnx.SerializeToString(), providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # unknown operations come as ValueError, NotImplementedError, ...
        raise Refused(_reason(error)) from error
    outputs = [output.name for output in session.get_outputs()]
    return dict(zip(outputs, session.run(outputs, inputs), strict=True))


def run_litert(folder: Path, signature: str, inputs: dict) -> dict:
    """TensorFlow's converter to LiteRT with only LiteRT's own operations, then its runtime."""
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[signature])
    try:
        content = converter.convert()
        interpreter = Interpreter(model_content=content)
        runner = interpreter.get_signature_runner(signature)
    except Exception as error:  # ConverterError from one, RuntimeError or ValueError from the other
        raise Refused(_reason(error)) from error
    return runner(**inputs)


_LACKS = (  # how each says that it does not have an operation
    r"No conversion rule found for operations: (.+)",
    r"'tf\.(\w+)' op is neither a custom op nor a flex op",
    r"Could not find an implementation for (\w+)",
    r"No Op registered for (\w+)",
    r"Tensorflow op \[.*: (\w+)\] is not supported",
)


def _reason(error):
    """What is lacking, or the start of the message."""
    found = [name for pattern in _LACKS for name in re.findall(pattern, str(error))]
    if found:
        return f"lacks {', '.join(sorted(set(found)))}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {(lines or ['no message'])[-1][:100]}"


SOFTWARE = {
    "saved_model_cli": (run_saved_model_cli, "tensorflow"),
    "OpenVINO": (run_openvino, "openvino"),
    "tf2onnx + onnxruntime": (run_onnxruntime, "tf2onnx"),
    "LiteRT": (run_litert, "ai_edge_litert"),
}


def is_installed(name: str) -> bool:
    """Whether the software of that name in SOFTWARE can be imported."""
    return importlib.util.find_spec(SOFTWARE[name][1]) is not None
