"""One signature of a flow as an ONNX file, by tf2onnx."""

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tfflows.serving.signatures import make_signatures
from tfflows.utils.suggest import nearest

if TYPE_CHECKING:
    from tfflows.training.density import Density

OPSET = 18  # tf2onnx's own default makes an invalid graph of some flows
# How the converter says that it lacks an operation.
_LACKING = (
    r"Tensorflow op \[.*: (\w+)\] is not supported",
    r"Could not find an implementation for (\w+)",
    r"No Op registered for (\w+)",
)


def check_onnx_extra() -> None:
    """Raise ImportError where tf2onnx is missing."""
    if importlib.util.find_spec("tf2onnx") is None:
        raise ImportError(
            "ONNX files are written by tf2onnx, which is not installed: "
            "pip install 'tfflows[serving]'"
        )


def write_onnx(flow: "Density", path: Path, signature: str = "log_prob") -> None:
    """Write one signature of a flow, with its named inputs and outputs and a dynamic batch.

    Args:
        flow: on the TensorFlow backend.
        path: of the file.
        signature: a name of `make_signatures`; "sample" draws by TensorFlow's own generator, which
            ONNX does not have, so that samples are drawn by "sample_seeds" there.

    Raises:
        ValueError: there is no such signature, or ONNX lacks an operation of it.
    """
    import tensorflow as tf
    import tf2onnx  # pyright: ignore[reportMissingImports]

    signatures = make_signatures(flow)
    del signatures["sample"]
    if signature not in signatures:
        raise ValueError(
            f"Expected `signature` to be one of {list(signatures)}. Received: {signature!r}"
            f"{nearest(str(signature), signatures)}"
        )
    function = signatures[signature]
    specs = list(function.input_signature)

    @tf.function(input_signature=specs, autograph=False)
    def named(*tensors):
        return function(*tensors)

    try:
        model, _ = tf2onnx.convert.from_function(named, specs, opset=OPSET)
    except Exception as error:  # unknown operations come as ValueError, NotImplementedError, ...
        raise ValueError(f"ONNX cannot express {signature}: {_reason(error)}") from error
    unknown = sorted({node.op_type for node in model.graph.node if _is_unknown(node)})
    if unknown:
        raise ValueError(f"ONNX cannot express {signature}: it lacks {', '.join(unknown)}")
    path.write_bytes(model.SerializeToString())


def _is_unknown(node):
    """Whether tf2onnx left an operation of TensorFlow as it was."""
    from onnx import defs  # pyright: ignore[reportMissingImports, reportAttributeAccessIssue]

    return not node.domain and not defs.has(node.op_type)


def _reason(error):
    found = [name for pattern in _LACKING for name in re.findall(pattern, str(error))]
    if found:
        return f"it lacks {', '.join(sorted(set(found)))}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {(lines or ['no message'])[-1][:200]}"
