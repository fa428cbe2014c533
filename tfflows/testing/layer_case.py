"""A layer to check: how it is made, and on what data."""

import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from tfflows.backend.tensor_ops import data_dtype
from tfflows.layers import FlowLayer
from tfflows.testing.weights import randomize

DOMAINS = ("real", "positive", "unit", "integer")
IGNORED_CONDITION = (3,)  # shape of the condition that a layer which looks at none gets


@contextlib.contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Keras' global dtype policy, set for a while."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def make_with_dtype(make: Callable, dtype: str) -> Any:
    """`make()` under the global policy `dtype`, or `make(dtype=dtype)` where it takes one."""
    try:
        parameters = inspect.signature(make).parameters
    except ValueError:
        parameters = {}
    with dtype_policy(dtype):
        return make(dtype=dtype) if "dtype" in parameters else make()


@dataclasses.dataclass(frozen=True)
class LayerCase:
    """A layer in one form, for `layer_checks`.

    Args:
        name: what to call it in failures.
        make: `make()` or `make(dtype=None)`, returns a new layer that is not built; a class will
            do. Without an argument `dtype` it is called under the global dtype policy in question.
        event_shape: shape of one example.
        domain: what the layer takes: "real" (all numbers), "positive" (above 0), "unit"
            (0 to 1) or "integer" (0 to 7).
        condition_shape: shape of one condition that the layer looks at, or None where it looks at
            none. With one, the promises are checked with a condition and without.
        needs_condition: whether the layer cannot do without its condition.
        draw_data: `(n) -> x [n, *event_shape]`, for a domain that is none of these.
        draw_latents: `(n) -> z [n, *latent]`; by default uniform for "integer", normal
            for the others, and latents of data where there is `draw_data`.
        latent_noise: how far forward(inverse(z)) may be from z, for a layer that draws noise.
        float32_tolerance, float64_tolerance: of round trips, and of log-dets in float64.
        skip: names of promises not to check, of `LAYER_PROMISES`.
    """

    name: str
    make: Callable[..., FlowLayer]
    event_shape: tuple[int, ...]
    domain: str = "real"
    condition_shape: tuple[int, ...] | None = None
    needs_condition: bool = False
    draw_data: Callable[[int], np.ndarray] | None = None
    draw_latents: Callable[[int], np.ndarray] | None = None
    latent_noise: float = 0.0
    float32_tolerance: float = 1e-4
    float64_tolerance: float = 1e-8
    skip: tuple[str, ...] = ()

    def __post_init__(self):
        if self.domain not in DOMAINS:
            raise ValueError(f"Expected `domain` to be one of {DOMAINS}. Received: {self.domain!r}")
        if self.needs_condition and self.condition_shape is None:
            raise ValueError(
                "Expected `condition_shape` for a layer that needs a condition. Received: None"
            )

    @property
    def modes(self) -> tuple[bool, ...]:
        """Whether promises are checked without a condition (False), with one (True), or both."""
        if self.needs_condition:
            return (True,)
        return (False,) if self.condition_shape is None else (False, True)

    def tolerance(self, dtype: str) -> float:
        """How exact round trips must be in `dtype`."""
        return self.float64_tolerance if dtype == "float64" else self.float32_tolerance

    def new(self, dtype: str = "float32") -> FlowLayer:
        """A new layer, not built."""
        layer = make_with_dtype(self.make, dtype)
        if not isinstance(layer, FlowLayer):
            raise TypeError(f"Expected `make` to return a FlowLayer. Received: {layer!r}")
        if layer.built:
            raise ValueError(
                f"Expected `make` to return a new layer each time. Received: {layer.name}, built"
            )
        if layer.compute_dtype != data_dtype(dtype):
            raise ValueError(
                f"Expected `make` to return a layer of dtype {dtype}, that of its argument `dtype` "
                f"or of Keras' global policy. Received: {layer.compute_dtype}"
            )
        return layer

    def build(self, conditional: bool = False, dtype: str = "float32", seed: int = 0) -> FlowLayer:
        """A new layer, built for a condition or not, with random weights."""
        layer = self.new(dtype)
        condition_shape = self.condition(0).shape if conditional else None
        with dtype_policy(dtype):
            layer.build(
                (None, *self.event_shape),
                None if condition_shape is None else (None, *condition_shape[1:]),
            )
        return randomize(layer, seed)

    def data(self, n: int, seed: int = 0, dtype: str = "float32") -> np.ndarray:
        """Data `[n, *event_shape]`."""
        if self.draw_data is not None:
            return np.asarray(self.draw_data(n), dtype)
        rng = np.random.default_rng(seed)
        shape = (n, *self.event_shape)
        if self.domain == "unit":
            return rng.uniform(0.02, 0.98, shape).astype(dtype)
        if self.domain == "integer":
            return rng.integers(0, 8, shape).astype(dtype)
        x = rng.normal(size=shape)
        return (np.exp(x) if self.domain == "positive" else x).astype(dtype)

    def latents(
        self,
        layer: FlowLayer,
        n: int,
        dtype: str = "float32",
        condition: np.ndarray | None = None,
    ) -> np.ndarray:
        """Latents `[n, *latent]` that the built layer can invert."""
        if self.draw_latents is not None:
            return np.asarray(self.draw_latents(n), dtype)
        if self.draw_data is not None:
            z, _ = layer.forward_and_log_det(self.data(n, dtype=dtype), condition)
            return keras.ops.convert_to_numpy(z)
        rng = np.random.default_rng(0)
        shape = (n, *layer.latent_event_shape(self.event_shape))
        if self.domain == "integer":
            return rng.uniform(0.02, 0.98, shape).astype(dtype)
        return rng.normal(size=shape).astype(dtype)

    def condition(self, n: int, seed: int = 7, dtype: str = "float32") -> np.ndarray:
        """Conditions `[n, *condition_shape]`."""
        shape = IGNORED_CONDITION if self.condition_shape is None else self.condition_shape
        return np.random.default_rng(seed).normal(size=(n, *shape)).astype(dtype)

    def inputs(self, n: int, conditional: bool, dtype: str = "float32") -> list[Any]:
        """[x], or [x, condition]."""
        x = self.data(n, dtype=dtype)
        return [x, self.condition(n, dtype=dtype)] if conditional else [x]
