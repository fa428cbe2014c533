"""SavedModels called from Python with the calls of a Flow."""

import math
from pathlib import Path

import numpy as np

from tfflows.backend.tensor_ops import Tensor
from tfflows.serving.graph_operations import check_operations
from tfflows.serving.versions import latest_version
from tfflows.utils.checks import check_shape
from tfflows.utils.finite_weights import check_finite_weights


class ServedFlow:
    """A SavedModel that `Flow.export` wrote: `log_prob`, `encode`, `inverse` as a Flow has them.

    Works on every Keras backend, but needs TensorFlow. What the model was before it was exported
    (layers, dequantization) is no longer known.

    Args:
        filepath: a version folder, or a model folder, of which the latest version is taken.
        unsafe: True loads a SavedModel whatever its operations do. It is a program then: only from
            a source that is trusted like one.

    Raises:
        FileNotFoundError: there is no SavedModel.
        ValueError: it is not one of a flow, a weight of it is not finite, or one of its operations
            may touch files, networks, processes or Python; nothing was run in that case.
    """

    def __init__(self, filepath: str | Path, unsafe: bool = False):
        import tensorflow as tf

        folder = latest_version(Path(filepath))
        if not unsafe:
            check_operations(folder)
        self._model = tf.saved_model.load(str(folder))
        wanted = {"log_prob", "encode", "decode"}
        if not wanted <= set(self._model.signatures):
            raise ValueError(
                f"A served flow has the signatures {sorted(wanted)}. "
                f"Received: {folder} with {sorted(self._model.signatures)}"
            )
        check_finite_weights(getattr(self._model, "weights", ()), str(folder))
        inputs = self._model.signatures["log_prob"].structured_input_signature[1]
        self._dtype = inputs["x"].dtype
        self.event_shape = tuple(inputs["x"].shape[1:])
        self.condition_shape = None
        if "condition" in inputs:
            self.condition_shape = tuple(inputs["condition"].shape[1:])

    @property
    def dims(self) -> int:
        """Number of elements of an event."""
        return math.prod(self.event_shape)

    def log_prob(
        self, x: Tensor, condition: Tensor | None = None, num_draws: int = 1
    ) -> np.ndarray:
        """log p(x | condition) in nats, `[batch]`, in the units of x `[batch, *event_shape]`."""
        if num_draws != 1:
            raise ValueError(
                "A SavedModel draws one dequantization noise a row: num_draws must be 1. "
                f"Received: {num_draws}"
            )
        check_shape(x, self.event_shape)
        return self._call("log_prob", x=x, condition=condition)

    def encode(self, x: Tensor, condition: Tensor | None = None) -> np.ndarray:
        """Map data to latents."""
        check_shape(x, self.event_shape)
        return self._call("encode", "z", x=x, condition=condition)

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> np.ndarray:
        """Map latents to data."""
        return self._call("decode", "x", z=z, condition=condition)

    def _call(self, signature, output=None, **inputs):
        import tensorflow as tf

        if (inputs["condition"] is None) != (self.condition_shape is None):
            raise ValueError(
                f"The SavedModel wants a condition of shape {self.condition_shape} a row. "
                f"Received: {inputs['condition']!r}"
            )
        tensors = {k: tf.cast(v, self._dtype) for k, v in inputs.items() if v is not None}
        return self._model.signatures[signature](**tensors)[output or signature].numpy()
