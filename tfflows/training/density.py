"""The density of a flow in tensors: pure functions of its weights, with no checks of values."""

import math
from collections.abc import Mapping, Sequence

import keras
import numpy as np
from keras import ops

from tfflows.backend import compilation, rng
from tfflows.backend.checkpoints import Checkpointed
from tfflows.backend.tensor_ops import Tensor, batch_mean, data_dtype, zero_or_nan
from tfflows.distributions import Distribution, StandardNormal
from tfflows.layers import Dequantize, FlowLayer, GaussianNoise, Pad
from tfflows.layers.equal_steps import forward_through, generate_through, inverse_through
from tfflows.training.batch import Batch
from tfflows.training.inputs import as_arrays
from tfflows.utils.checks import as_shape
from tfflows.utils.data_schema import DataSchema


class Density(Checkpointed, keras.Model):
    """log p(x) = log p_base(z) + log |det dz/dx|, z = layers(x).

    What export, objectives and `Flow` call: every method works on tensors of the backend, can be
    traced, and neither compiles nor looks at values. A user calls `Flow`.

    Args:
        layers: flow layers from data to latent, or one.
        event_shape: shape of one example, without its batch axis.
        base: distribution of the latents; standard normal by default.
        condition_shape: shape of one condition, or None.
    """

    # Signatures of a SavedModel beyond those of every flow: by name, the method of x and condition,
    # and the name of its output.
    own_signatures: Mapping[str, tuple[str, str]] = {}
    has_guidance = False  # whether `sample` takes a guidance: see `TarFlow`
    is_bijective = True  # whether `inverse(encode(x))` is x

    def __init__(
        self,
        layers: Sequence[FlowLayer] | FlowLayer,
        event_shape: Sequence[int],
        base: Distribution | None = None,
        condition_shape: Sequence[int] | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.event_shape = as_shape("event_shape", event_shape)
        self.condition_shape = condition_shape
        if condition_shape is not None:
            self.condition_shape = as_shape("condition_shape", condition_shape)
        is_one = isinstance(layers, FlowLayer)
        self.flow_layers: list[FlowLayer] = [layers] if is_one else list(layers)
        self.base = StandardNormal(dtype=self.dtype_policy) if base is None else base
        # Names of the data, which saving, export and the command line keep; may be set.
        self.data_schema = DataSchema()
        self._check_parts()
        self.build((None, *self.event_shape))

    def build(self, input_shape):
        """Build layers and base for `event_shape`; Keras calls it again on loading."""
        shape, condition_shape = self.event_shape, None
        if self.condition_shape is not None:
            condition_shape = (None, *self.condition_shape)
        for layer in self.flow_layers:
            if not layer.built:
                layer.build((None, *shape), condition_shape)
            shape = layer.latent_event_shape(shape)
        self.latent_shape = shape
        if not self.base.built:
            self.base.build((None, *shape), condition_shape)
        self.built = True

    def _check_parts(self):
        if not isinstance(self.base, Distribution):
            raise ValueError(f"base must be a tfflows distribution. Received: {self.base!r}")
        seen = set()
        for layer in self.flow_layers:
            if not isinstance(layer, FlowLayer):
                raise ValueError(f"layers must be flow layers. Received: {layer!r}")
            for part in (layer, getattr(layer, "conditioner", None)):
                if part is not None and id(part) in seen:
                    raise ValueError(
                        "Expected each layer and conditioner to be its own object, or the saved "
                        f"model could not be loaded. Received: {part.name} twice"
                    )
                seen.add(id(part))
        for part in (*self.flow_layers, self.base):
            if part.compute_dtype != self.compute_dtype:
                raise ValueError(
                    f"All parts of a flow must have its dtype, {self.compute_dtype}. "
                    f"Received: {part.name} of dtype {part.compute_dtype}"
                )
        compilation.check_dtype(self.compute_dtype)

    @property
    def compute_dtype(self) -> str:
        return data_dtype(self.variable_dtype)

    @property
    def dims(self) -> int:
        """Number of elements of an event."""
        return math.prod(self.event_shape)

    @property
    def is_discrete(self) -> bool:
        """Whether the data are integers, to which the flow adds noise."""
        return any(isinstance(layer, Dequantize) for layer in self.flow_layers)

    @property
    def is_noisy(self) -> bool:
        """Whether the density is that of data with Gaussian noise: no bound for discrete data."""
        return any(isinstance(layer, GaussianNoise) for layer in self.flow_layers)

    @property
    def data_range(self) -> tuple | None:
        """Smallest and largest value that the first layer takes, or None."""
        return None if self.first_layer is None else self.first_layer.data_range

    @property
    def checks_data(self) -> bool:
        """Whether some finite data have no density, which the first layer says of arrays."""
        layer = self.first_layer
        checks = layer is not None and type(layer).check_data is not FlowLayer.check_data
        return checks or self.data_range is not None

    @property
    def first_layer(self) -> FlowLayer | None:
        """The first layer that changes values, which Pad does not; None where there is none."""
        return next((layer for layer in self.flow_layers if not isinstance(layer, Pad)), None)

    def call(self, inputs, condition=None, training=None):
        batch = Batch.parse(inputs, condition)
        z, log_det = self.forward_and_log_det(batch.x, batch.condition, training)
        self.add_loss(-batch_mean(log_det))
        self.add_loss(-batch_mean(self.base(z, condition=batch.condition)))
        return z

    def compute_output_spec(self, inputs, condition=None, training=None):
        x = Batch.parse(inputs, condition).x
        return keras.KerasTensor((x.shape[0], *self.latent_shape), dtype=self.compute_dtype)

    def forward_and_log_det(
        self, x: Tensor, condition: Tensor | None = None, training: bool | None = False
    ) -> tuple[Tensor, Tensor]:
        """z `[batch, *latent_shape]` of data x, and log |det dz/dx| `[batch]`."""
        x = ops.convert_to_tensor(x)
        log_det = ops.zeros((ops.shape(x)[0],), dtype=self.compute_dtype)
        return self._through(self.flow_layers, x, log_det, condition, training)

    def _through(self, layers: Sequence[FlowLayer], x, log_det, condition, training):
        x, log_det = forward_through(layers, x, log_det, condition, training)
        x = ops.cast(x, self.compute_dtype)
        return self._mark_rows(x, condition), self._mark_rows(log_det, condition)

    def _mark_rows(self, values, condition):
        """`values` `[batch, ...]`, with NaN in the rows whose condition is not finite."""
        if condition is None:
            return values
        marks = zero_or_nan(condition, values.dtype)
        return values + ops.reshape(marks, (-1, *(1 for _ in values.shape[1:])))

    def generate(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """x `[batch, *event_shape]` of latents z, without the log-det."""
        z = ops.cast(z, self.compute_dtype)
        z = generate_through(self.flow_layers, z, condition, training=None)
        return self._mark_rows(z, condition)

    def inverse_and_log_det(
        self, z: Tensor, condition: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """x `[batch, *event_shape]` of latents z, and log |det dx/dz| `[batch]`."""
        z = ops.cast(z, self.compute_dtype)
        log_det = ops.zeros((ops.shape(z)[0],), dtype=self.compute_dtype)
        z, log_det = inverse_through(self.flow_layers, z, log_det, condition, training=None)
        return self._mark_rows(z, condition), self._mark_rows(log_det, condition)

    def log_density(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """log p(x | condition) in nats, `[batch]`."""
        z, log_det = self.forward_and_log_det(x, condition, training=False)
        return self.base(z, condition=condition) + log_det

    def log_density_of_draw(
        self, x: Tensor, draw: Tensor, condition: Tensor | None = None
    ) -> Tensor:
        """As `log_density`, with the dequantization noise number `draw` of each row.

        The first layer, or the first after Pad, must be Dequantize.
        """
        dequantize = self.first_layer
        if not isinstance(dequantize, Dequantize):
            raise ValueError(f"Expected a flow that dequantizes. Received: {dequantize!r} first")
        start = self.flow_layers.index(dequantize)
        for pad in self.flow_layers[:start]:
            x, _ = pad.forward_and_log_det(x, condition)
        x, log_det = dequantize.forward_draw(x, draw)
        layers = self.flow_layers[start + 1 :]
        z, log_det = self._through(layers, x, log_det, condition, training=False)
        return self.base(z, condition=condition) + log_det

    def generate_and_log_density(
        self, z: Tensor, condition: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """x of latents z, and log p(x | condition) `[batch]`."""
        x, log_det = self.inverse_and_log_det(z, condition)
        return x, self.base(z, condition=condition) - log_det

    def draw_latents(
        self,
        num_samples: int | Tensor,
        seed: Tensor,
        temperature: float | Tensor,
        condition: Tensor | None = None,
    ) -> Tensor:
        """Draw z `[num_samples, *latent_shape]` from the base, by an int32 seed `[2]`."""
        noise = self.batch_noise(num_samples, seed)
        return self.base.draw(noise, condition, temperature)

    def batch_noise(self, num_samples: int | Tensor, seed: Tensor) -> rng.BatchNoise | rng.RowNoise:
        """The noise of `sample`, by an int32 seed `[2]`."""
        return rng.BatchNoise(num_samples, seed, self.compute_dtype)

    def latents(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """z `[batch, *latent_shape]` of data x: what `encode` gives."""
        return self.forward_and_log_det(x, condition)[0]

    def draw(
        self,
        noise: rng.BatchNoise | rng.RowNoise,
        condition: Tensor | None = None,
        temperature: float | Tensor = 1.0,
    ) -> Tensor:
        """Draw x `[noise.num_samples, *event_shape]` from a `BatchNoise` or `RowNoise`."""
        return self.generate(self.base.draw(noise, condition, temperature), condition)

    def check_condition(self, condition: Tensor | None, num_rows: int | None) -> Tensor:
        """The condition as a tensor of `num_rows` rows; one row is repeated.

        Raises:
            ValueError: it is missing, not wanted, or of another shape.
        """
        wanted = self.condition_shape
        if wanted is None:
            if condition is None:
                return None
            came = f"condition of shape {np.shape(condition)}"
            raise ValueError(f"The flow takes no condition. Received: {came}")
        if condition is None:
            raise ValueError(
                f"The flow expects a condition {wanted} per row: pass (x, condition) as x, or a "
                'dict with the keys "x" and "condition". Received: none'
            )
        condition = self.data_schema.condition_in_order(condition)
        tensor = ops.convert_to_tensor(as_arrays(condition))
        rows = tensor.shape[0] if len(tensor.shape) else 0
        fits = None in (rows, num_rows) or rows in (1, num_rows)
        if tuple(tensor.shape[1:]) != wanted or not fits:
            raise ValueError(
                f"Expected a condition of shape {(num_rows, *wanted)}, or {(1, *wanted)} for all "
                "rows; a class is one-hot. "
                f"Received: condition of shape {tuple(tensor.shape)}"
            )
        if rows == 1 and num_rows not in (None, 1):
            tensor = ops.repeat(tensor, num_rows, axis=0)
        return tensor
