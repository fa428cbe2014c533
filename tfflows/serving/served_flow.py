"""SavedModels called from Python with the calls of a Flow."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from tfflows.backend import rng
from tfflows.backend.tensor_ops import Tensor
from tfflows.serving.description import DESCRIPTION_FILE
from tfflows.serving.loading import load_saved_model
from tfflows.utils.checks import check_draw, check_guidance, check_shape
from tfflows.utils.data_schema import DataSchema


class ServedFlow:
    """A SavedModel that `Flow.export` wrote, with the calls of a Flow; arrays come out.

    Works on every Keras backend, but needs TensorFlow. The layers that the model had before it was
    exported are no longer known.

    Example:
        served = tfflows.load_model("savedmodels/moons")
        x = served.sample(100, seed=0)

    Args:
        filepath: a version folder, or a model folder, of which the latest version is taken.
        unsafe: True loads a SavedModel whatever its operations do. It is a program then: only from
            a source that is trusted like one.

    Attributes:
        description: what the export wrote beside the graph (model, versions, names of the data,
            hash of the weights), or None where an earlier version exported it.
        data_schema: names of columns and classes of the data, as far as they are known.
        folder: the version folder.

    Raises:
        FileNotFoundError: there is no SavedModel.
        ValueError: it is not one of a flow, its weights are not finite or not those of its
            description, or one of its operations may touch files, networks, processes or Python;
            nothing was run in that case.
    """

    def __init__(self, filepath: str | Path, unsafe: bool = False):
        self.folder, self._model, self.description = load_saved_model(filepath, unsafe)
        self.data_schema = _schema(self.description, self.folder)
        wanted = {"log_prob", "encode", "decode"}
        if not wanted <= set(self._model.signatures):
            raise ValueError(
                f"A served flow has the signatures {sorted(wanted)}. "
                f"Received: {self.folder} with {sorted(self._model.signatures)}"
            )
        inputs = self._model.signatures["log_prob"].structured_input_signature[1]
        self._dtype = inputs["x"].dtype
        self.event_shape = tuple(inputs["x"].shape[1:])
        self.condition_shape = None
        if "condition" in inputs:
            self.condition_shape = tuple(inputs["condition"].shape[1:])

    @property
    def signatures(self) -> dict[str, Any]:
        """The TensorFlow function of each signature, by its name."""
        return dict(self._model.signatures)

    @property
    def has_guidance(self) -> bool:
        """Whether `sample` takes a guidance."""
        return "sample_guided" in self._model.signatures

    @property
    def dims(self) -> int:
        """Number of elements of an event."""
        return math.prod(self.event_shape)

    @property
    def is_discrete(self) -> bool:
        """Whether the data are integers; False where the SavedModel does not say it."""
        return bool((self.description or {}).get("is_discrete"))

    @property
    def is_noisy(self) -> bool:
        """Whether the density is that of data with Gaussian noise; False where it does not say."""
        return bool((self.description or {}).get("is_noisy"))

    @property
    def is_bijective(self) -> bool:
        """Whether decoding what was encoded gives x again, as everywhere but in a VAE."""
        return bool((self.description or {}).get("is_bijective", True))

    @property
    def data_range(self) -> tuple | None:
        """Smallest and largest value of the data, or None."""
        ends = self._described("data_range")
        return None if ends is None else tuple(ends)

    def _described(self, key):
        if self.description is None:
            raise ValueError(
                f"{self.folder} does not say its {key}, because an earlier tfflows exported it: "
                "export it again"
            )
        return self.description[key]

    def log_prob(
        self, x: Tensor, condition: Tensor | None = None, num_draws: int = 1
    ) -> np.ndarray:
        """log p(x | condition) in nats, `[batch]`, in the units of x `[batch, *event_shape]`."""
        if num_draws != 1:
            raise ValueError(
                "A SavedModel draws one dequantization noise per row: num_draws must be 1. "
                f"Received: {num_draws}"
            )
        x = self._by_name(x)
        check_shape(x, self.event_shape)
        return self._call("log_prob", x=x, condition=condition)

    def encode(self, x: Tensor, condition: Tensor | None = None) -> np.ndarray:
        """Map data to latents."""
        x = self._by_name(x)
        check_shape(x, self.event_shape)
        return self._call("encode", "z", x=x, condition=condition)

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> np.ndarray:
        """Map latents to data."""
        return self._call("decode", "x", z=z, condition=condition)

    def sample(
        self,
        num_samples: int,
        condition: Tensor | None = None,
        seed: rng.Seed = None,
        temperature: float = 1.0,
        *,
        guidance: float = 0.0,
    ) -> np.ndarray:
        """Draw data `[num_samples, *event_shape]`, in the units of the training data.

        A seed gives what the flow gave on TensorFlow before it was exported.

        Args:
            num_samples: number of samples.
            condition: `[num_samples, *condition_shape]`, or one row `[1, *condition_shape]` for
                all, where the flow is conditional.
            seed: None (fresh), an integer or a `keras.random.SeedGenerator`.
            temperature: factor on the spread of the base, >= 0.
            guidance: of models with `has_guidance`: see `tfflows.models.TarFlow.sample`.

        Raises:
            ValueError: an argument is out of range, or of the wrong shape, or the model has no
                guidance.
        """
        import tensorflow as tf

        check_draw(num_samples, temperature)
        draw = {
            "num_samples": tf.constant(int(num_samples), tf.int32),
            "seed": tf.constant(rng.make_seed(seed)),
            "temperature": tf.constant(float(temperature), tf.float32),
        }
        if condition is not None and np.shape(condition)[:1] not in ((1,), (num_samples,)):
            raise ValueError(
                f"Expected a condition of {num_samples} rows, or of one for all samples. "
                f"Received: condition of shape {np.shape(condition)}"
            )
        if not guidance:
            return self._call("sample", "x", draw, condition=condition)
        check_guidance(guidance)
        if not self.has_guidance:
            raise ValueError(
                "guidance expects a SavedModel with the signature sample_guided, which a TarFlow "
                f"with condition_dropout= exports. Received: {self.folder} without it"
            )
        draw["guidance"] = tf.constant(float(guidance), tf.float32)
        return self._call("sample_guided", "x", draw, condition=condition)

    def sample_and_log_prob(
        self,
        num_samples: int,
        condition: Tensor | None = None,
        seed: rng.Seed = None,
        temperature: float = 1.0,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw data as `sample` does, with what `log_prob` gives for them, `[num_samples]`."""
        x = self.sample(num_samples, condition, seed, temperature)
        if condition is not None:
            condition = np.broadcast_to(condition, (num_samples, *np.shape(condition)[1:]))
        return x, self.log_prob(x, condition)

    def _by_name(self, x):
        """A table of pandas or polars as an array, its columns found by their names."""
        x = self.data_schema.in_order(x)
        return np.asarray(x) if hasattr(x, "to_numpy") else x

    def _call(self, signature, output=None, others=None, **inputs):
        import tensorflow as tf

        condition = inputs["condition"]
        shape = None if condition is None else tuple(np.shape(condition)[1:])
        if shape != self.condition_shape:
            came = "None" if condition is None else f"condition of shape {np.shape(condition)}"
            raise ValueError(
                f"The SavedModel expects a condition of shape {self.condition_shape} per row. "
                f"Received: {came}"
            )
        tensors = {k: tf.cast(v, self._dtype) for k, v in inputs.items() if v is not None}
        results = self._model.signatures[signature](**tensors, **(others or {}))
        return results[output or signature].numpy()


def _schema(description, folder):
    try:
        return DataSchema.from_config((description or {}).get("data_schema", {}))
    except (TypeError, AttributeError) as error:
        raise ValueError(f"{folder / DESCRIPTION_FILE}: data_schema: {error}") from error
