"""The contract of every layer: two pure methods in, a trainable invertible Keras layer out."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfflows.backend.checkpoints import Checkpointed
from tfflows.backend.constants import Constant
from tfflows.backend.settings import Settings
from tfflows.backend.tensor_ops import Tensor, batch_mean, data_dtype
from tfflows.layers.compiled_layers import latent_function
from tfflows.utils.config import deserialize_arguments

MAX_CHUNK_ELEMENTS = 2**18  # of data that `adapt` maps at once


class FlowLayer(Checkpointed, Settings):
    """An invertible map between data x and latent z, `[batch, *event]` both.

    A subclass writes two methods without side effects (a layer that draws noise may advance its
    seed generator, and one with running statistics updates them in `call`),

        _forward(x, condition=None, training=False) -> z, log|det dz/dx|   (data to latent)
        _inverse(z, condition=None, training=False) -> x, log|det dx/dz|   (latent to data)

    with log-dets of shape `[batch]`, and `build(x_shape, condition_shape=None)` if it has weights.
    It gets `layer(x, condition)`, which adds `-mean(log_det)` to the losses of whatever model the
    layer stands in, `inverse`, `forward_and_log_det` and `inverse_and_log_det`.

    Data, log-dets and the layer's own weights are float32 or float64 whatever the dtype policy
    says; a mixed policy goes to the conditioner, where the arithmetic is.

    Attributes:
        needs_vectors: whether events must have one axis, so that models put Flatten before it.
        data_range: smallest and largest value that the layer takes, or None.
    """

    needs_vectors = False
    data_range: tuple[float, float] | None = None

    @property
    def compute_dtype(self) -> str:
        return data_dtype(self.variable_dtype)

    def build(self, x_shape, condition_shape=None):
        self.event_shape = tuple(x_shape[1:])
        self.condition_shape = None if condition_shape is None else tuple(condition_shape[1:])
        if None in self.event_shape:
            raise ValueError(
                f"{type(self).__name__} needs events of a fixed shape. Received: {tuple(x_shape)}"
            )

    def _forward(self, x, condition=None, training=False):
        raise NotImplementedError(f"{type(self).__name__} does not define `_forward`.")

    def _inverse(self, z, condition=None, training=False):
        raise NotImplementedError(f"{type(self).__name__} does not define `_inverse`.")

    def latent_event_shape(self, event_shape: tuple) -> tuple:
        """Shape of one latent for data of `event_shape`; layers that reshape override it."""
        return tuple(event_shape)

    def data_event_shape(self, latent_shape: tuple) -> tuple:
        """Shape of one data event for latents of `latent_shape`, before the layer is built."""
        return tuple(latent_shape)

    def _inverse_alone(self, z, condition=None, training=False):
        """x without the log-det; for a layer to override where that is other work."""
        return self._inverse(z, condition, training)[0]

    def call(self, x, condition=None, training=None, inverse=False, return_log_det=False):
        self._check_shapes(x, condition, inverse)
        x = ops.cast(x, self.compute_dtype)
        if condition is not None:
            condition = ops.cast(condition, self.compute_dtype)
        if inverse and not return_log_det:
            return self._inverse_alone(x, condition, training=bool(training))
        transform = self._inverse if inverse else self._forward
        y, log_det = transform(x, condition, training=bool(training))
        if return_log_det:
            return y, log_det
        self.add_loss(-batch_mean(log_det))
        return y

    def compute_output_spec(
        self, x, condition=None, training=None, inverse=False, return_log_det=False
    ):
        self._check_shapes(x, condition, inverse)
        shape = self.event_shape if inverse else self.latent_event_shape(self.event_shape)
        y = keras.KerasTensor((x.shape[0], *shape), dtype=self.compute_dtype)
        if return_log_det:
            return y, keras.KerasTensor((x.shape[0],), dtype=self.compute_dtype)
        return y

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map latents `[batch, *latent]` to data `[batch, *event]`."""
        self._build_from_latent(z, condition)
        return self(z, condition=condition, inverse=True)

    def forward_and_log_det(
        self, x: Tensor, condition: Tensor | None = None, training: bool | None = None
    ) -> tuple[Tensor, Tensor]:
        """Map data to latents with log|det dz/dx| `[batch]`; adds nothing to the losses."""
        return self(x, condition=condition, training=training, return_log_det=True)

    def inverse_and_log_det(
        self, z: Tensor, condition: Tensor | None = None, training: bool | None = None
    ) -> tuple[Tensor, Tensor]:
        """Map latents to data with log|det dx/dz| `[batch]`; adds nothing to the losses."""
        self._build_from_latent(z, condition)
        return self(z, condition=condition, training=training, inverse=True, return_log_det=True)

    def check_data(self, x: np.ndarray, names: Sequence[str] | None = None) -> None:
        """Raise ValueError where data have no density; a flow calls it of its first layer.

        Args:
            x: finite data `[n, *event]`, n at least 1.
            names: of the last axis, or None.
        """
        if self.data_range is None:
            return
        low, high = self.data_range
        if x.min() < low or x.max() > high:
            outside = np.argwhere((x < low) | (x > high))[0]
            at = "" if names is None else f" in column {names[outside[-1]]}"
            x = x if names is None else x[..., outside[-1]]
            raise ValueError(
                f"Expected data from {low} to {high}. "
                f"Received: values from {x.min()} to {x.max()}{at}"
            )

    def adapt(self, x: Tensor, condition: Tensor | None = None, force: bool = True) -> None:
        """Take data-dependent statistics from a batch; most layers have none.

        Args:
            x: data `[batch, *event]`, as this layer receives them.
            condition: optional `[batch, ...]`.
            force: False leaves a layer that has its statistics already as it is.
        """

    def forward_in_chunks(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Latents of x `[batch, *event]`, some rows at a time: `adapt` has more than a batch, and
        networks on all of it at once could take more memory than there is."""
        tensors = [x] if condition is None else [x, condition]
        latents = latent_function(self)
        size = max(1, MAX_CHUNK_ELEMENTS // math.prod(self.event_shape))
        count = len(x)
        if count <= size:
            return latents(*tensors)
        # The last rows are computed twice, so that all chunks have one size and compile once.
        starts = [*range(0, count - size, size), count - size]
        chunks = [latents(*(tensor[i : i + size] for tensor in tensors)) for i in starts]
        again = starts[-2] + size - starts[-1]
        return ops.concatenate([*chunks[:-1], chunks[-1][again:]])

    @property
    def needs_adapt(self) -> bool:
        """Whether the layer still waits for `adapt`."""
        return False

    def _constants(self) -> list[Constant]:
        """The arrays that layers of this structure may differ in: see `structure`."""
        return []

    def _structure_arguments(self) -> dict[str, Any] | None:
        """What to take instead of arguments that are no attributes, or that say constants only.

        None where layers of equal arguments, weights and constants may differ: see `structure`.
        """
        return {}

    def _can_be_scanned(self, inverse: bool) -> bool:
        """Whether the layer can stand in a loop, for others of its structure."""
        return True

    def get_config(self):
        return super().get_config()  # Keras serialises a dtype policy only where this is overridden

    @classmethod
    def from_config(cls, config):
        return cls(**deserialize_arguments(config))

    def _build_from_latent(self, z, condition):
        """Keras would build on the shape it is called with: the latent's, for an inverse."""
        if not self.built:
            shape = (None, *self.data_event_shape(tuple(z.shape[1:])))
            self.build(shape, None if condition is None else tuple(condition.shape))

    def _check_shapes(self, x, condition, inverse):
        name = type(self).__name__
        wanted = self.latent_event_shape(self.event_shape) if inverse else self.event_shape
        if tuple(x.shape[1:]) != wanted:
            letter = "z" if inverse else "x"
            raise ValueError(
                f"{name} was built for {letter} of shape {('batch', *wanted)}. "
                f"Received: {letter} of shape {tuple(x.shape)}"
            )
        if self.condition_shape is None and condition is not None:
            raise ValueError(
                f"{name} was built without a condition. "
                f"Received: condition of shape {tuple(condition.shape)}"
            )
        if self.condition_shape is not None:
            received = None if condition is None else tuple(condition.shape)
            if received is None or received[1:] != self.condition_shape:
                raise ValueError(
                    f"{name} was built for a condition of shape "
                    f"{('batch', *self.condition_shape)}. Received: "
                    + ("no condition" if received is None else f"condition of shape {received}")
                )
