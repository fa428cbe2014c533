"""Flow: a stack of flow layers and a base distribution as a `keras.Model`."""

import inspect
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
from keras import ops

from tfflows import compilation, random
from tfflows.distributions import Distribution, StandardNormal
from tfflows.files import replaced_on_success
from tfflows.inputs import (
    as_arrays,
    check_events,
    check_shape,
    first_batch,
    first_rows,
    is_array,
    split_condition,
)
from tfflows.layers import Dequantize, FlowLayer
from tfflows.layers.flow_layer import Tensor, data_dtype, deserialize_arguments
from tfflows.summary import flow_summary


class _StopOnNaN(keras.callbacks.Callback):
    """Stand before every other callback, so that no checkpoint is made of NaN weights."""

    def on_epoch_end(self, epoch, logs=None):
        loss = (logs or {}).get("loss", 0.0)
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"Training diverged: the loss is {loss} after epoch {epoch + 1}. A smaller "
                "learning rate, gradient clipping (clipnorm=) or standardized data help"
            )


@keras.saving.register_keras_serializable(package="tfflows")
class Flow(keras.Model):
    """A normalizing flow: log p(x) = log p_base(z) + log |det dz/dx|, z = layers(x).

    `compile(optimizer)` takes no loss: the flow adds its own, the mean negative log-likelihood, by
    add_loss. The logs of fit and evaluate carry `loss` (nll and regularizers), `nll` in nats, and
    `bits_per_dim` where the data are images, all in the units of the data as given.

    Args:
        layers: flow layers from data to latent.
        event_shape: shape of one example, without its batch axis.
        base: distribution of the latents; standard normal by default.
        condition_shape: shape of one condition, or None.
    """

    def __init__(
        self,
        layers: Sequence[FlowLayer],
        event_shape: Sequence[int],
        base: Distribution | None = None,
        condition_shape: Sequence[int] | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.event_shape = tuple(int(side) for side in event_shape)
        self.condition_shape = None if condition_shape is None else tuple(condition_shape)
        self.flow_layers = list(layers)
        for layer in self.flow_layers:
            if not isinstance(layer, FlowLayer):
                raise ValueError(f"layers must be flow layers. Received: {layer!r}")
        self.base = base or StandardNormal(dtype=self.dtype_policy)
        self._nll_metric = keras.metrics.Mean(name="nll")
        self._bits_metric = keras.metrics.Mean(name="bits_per_dim") if self.is_discrete else None
        self._batch_log_prob = None
        self._compiled_methods = {}
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

    @property
    def compute_dtype(self) -> str:
        return data_dtype(self.variable_dtype)

    @property
    def dims(self) -> int:
        """Number of elements of an event."""
        return math.prod(self.event_shape)

    @property
    def is_discrete(self) -> bool:
        """Whether the data are integers or images, which bits_per_dim is for."""
        return len(self.event_shape) == 3 or any(
            isinstance(layer, Dequantize) for layer in self.flow_layers
        )

    @property
    def data_range(self) -> tuple | None:
        """Smallest and largest value that the first layer takes, or None."""
        return getattr(self.flow_layers[0], "data_range", None) if self.flow_layers else None

    # The density and its directions, in tensors of the backend.

    def call(self, inputs, condition=None, training=None):
        x, condition = split_condition(inputs, condition)
        z, log_det = self._forward(x, condition, training)
        base_log_prob = self.base(z, condition=condition)
        self.add_loss(-ops.mean(log_det))
        self.add_loss(-ops.mean(base_log_prob))
        self._batch_log_prob = base_log_prob + log_det
        return z

    def compute_output_spec(self, inputs, condition=None, training=None):
        x, _ = split_condition(inputs, condition)
        return keras.KerasTensor((x.shape[0], *self.latent_shape), dtype=self.compute_dtype)

    def _forward(self, x, condition=None, training=None):
        x = ops.convert_to_tensor(x)
        log_det = ops.zeros((ops.shape(x)[0],), dtype=self.compute_dtype)
        for layer in self.flow_layers:
            x, term = layer.forward_and_log_det(x, condition, training)
            log_det = log_det + term
        return ops.cast(x, self.compute_dtype), log_det

    def _inverse(self, z, condition=None):
        z = ops.cast(z, self.compute_dtype)
        log_det = ops.zeros((ops.shape(z)[0],), dtype=self.compute_dtype)
        for layer in reversed(self.flow_layers):
            z, term = layer.inverse_and_log_det(z, condition)
            log_det = log_det + term
        return z, log_det

    def _log_prob(self, x, condition=None):
        z, log_det = self._forward(x, condition, training=False)
        return self.base(z, condition=condition) + log_det

    def _inverse_and_log_prob(self, z, condition=None):
        x, log_det = self._inverse(z, condition)
        return x, self.base(z, condition=condition) - log_det

    # What users call.

    def log_prob(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """log p(x | condition) in nats, `[batch]`, in the units of x `[batch, *event_shape]`.

        Discrete data take one draw of dequantization noise from the row itself, so that the same
        x gives the same answer.
        """
        return self._run(self._log_prob, *self._check_call(x, condition))

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map latents `[batch, *latent_shape]` to data `[batch, *event_shape]`."""
        z = ops.convert_to_tensor(z)
        check_shape(z, self.latent_shape)
        return self._run(self._inverse, z, self._check_condition(condition, z.shape[0]))[0]

    def encode(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map data to latents, like calling the flow, compiled and without losses."""
        return self._run(self._forward, *self._check_call(x, condition))[0]

    def sample(
        self,
        num_samples: int,
        condition: Tensor | None = None,
        seed: random.Seed = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """Draw data `[num_samples, *event_shape]`, in the units of the training data.

        Args:
            num_samples: number of samples.
            condition: `[num_samples, *condition_shape]`, or one row `[1, *condition_shape]` for
                all, where the flow is conditional.
            seed: None (fresh), an integer or a `keras.random.SeedGenerator`.
            temperature: factor on the spread of the base, > 0; below 1 samples are more typical.
        """
        z, condition = self._draw_latents(num_samples, condition, seed, temperature)
        return self._run(self._inverse, z, condition)[0]

    def sample_and_log_prob(
        self,
        num_samples: int,
        condition: Tensor | None = None,
        seed: random.Seed = None,
        temperature: float = 1.0,
    ) -> tuple[Tensor, Tensor]:
        """Draw data as `sample` does, with their log p(x | condition) `[num_samples]`.

        The density is the flow's own, whatever the temperature. Of discrete data it is the density
        at the point before rounding, a draw of what `log_prob` of the sample estimates.
        """
        z, condition = self._draw_latents(num_samples, condition, seed, temperature)
        return self._run(self._inverse_and_log_prob, z, condition)

    def _draw_latents(self, num_samples, condition, seed, temperature):
        if not isinstance(num_samples, int | np.integer) or num_samples < 0:
            raise ValueError(f"num_samples must be an integer >= 0. Received: {num_samples!r}")
        if not 0 <= temperature < math.inf:
            raise ValueError(f"temperature must be finite and >= 0. Received: {temperature}")
        condition = self._check_condition(condition, num_samples)
        noise = random.BatchNoise(num_samples, random.make_seed(seed), self.compute_dtype)
        return self.base.draw(noise, condition, temperature), condition

    def _run(self, method, *args):
        """`method(*args)`, compiled unless it stands in a function that is being traced."""
        if compilation.is_traced(*args):
            return method(*args)
        # As in fit: XLA where the user asked compile() for it, since each batch size costs a
        # compilation.
        jit = bool(self.compiled and self.jit_compile)
        key = (method.__name__, jit)
        if key not in self._compiled_methods:
            self._compiled_methods[key] = compilation.compile_method(self, method, jit)
        return self._compiled_methods[key](*args)

    def _check_call(self, x, condition):
        x = x if compilation.is_traced(x) else ops.convert_to_tensor(as_arrays(x))
        check_shape(x, self.event_shape)
        if self.data_range is not None and x.shape[0] and not compilation.is_traced(x):
            check_events(x, self.event_shape, self.data_range)
        return x, self._check_condition(condition, x.shape[0])

    def _check_condition(self, condition, num_rows):
        """The condition as a tensor of `num_rows` rows; one row is repeated."""
        wanted = self.condition_shape
        if wanted is None and condition is None:
            return None
        if wanted is None or condition is None:
            has = "wants no condition" if wanted is None else f"wants a condition {wanted} a row"
            came = "none" if condition is None else f"condition of shape {np.shape(condition)}"
            raise ValueError(f"The flow {has}. Received: {came}")
        condition = ops.convert_to_tensor(condition)
        rows = condition.shape[0] if condition.shape else 0
        if tuple(condition.shape[1:]) != wanted or (
            None not in (rows, num_rows) and (rows not in (1, num_rows))
        ):
            raise ValueError(
                f"The flow wants a condition of shape {(num_rows, *wanted)}. "
                f"Received: condition of shape {tuple(condition.shape)}"
            )
        if rows == 1 and num_rows not in (None, 1):
            condition = ops.repeat(condition, num_rows, axis=0)
        return condition

    def adapt(self, data, max_rows: int = 10_000) -> None:
        """Take the statistics of data-dependent layers (ActNorm, BatchNorm, Standardize) anew.

        Args:
            data: x, (x, condition) or a dict of arrays, or a dataset of such batches.
            max_rows: how many rows are used at most: evenly spread ones of arrays, the first ones
                of a dataset.
        """
        self._adapt(data if is_array(data) else first_rows(data, max_rows), max_rows, force=True)

    def _adapt(self, arrays, max_rows, force):
        x, condition = split_condition(arrays)
        rows = np.unique(np.linspace(0, len(x) - 1, min(len(x), max_rows)).astype(int))
        x = np.asarray(ops.convert_to_numpy(x)[rows])
        if condition is not None:
            condition = ops.convert_to_numpy(condition)[rows]
        check_events(x, self.event_shape, self.data_range)
        condition = self._check_condition(condition, len(x))
        for layer in self.flow_layers:
            layer.adapt(x, condition, force)
            x, _ = layer.forward_and_log_det(x, condition)

    @property
    def needs_adapt(self) -> bool:
        """Whether some layer still waits for its statistics."""
        return any(layer.needs_adapt for layer in self.flow_layers)

    def summary(self, print_fn: Callable[[str], None] | None = None) -> None:
        """Print the layers in order from data to latent, with shapes and parameter counts."""
        (print_fn or sys.stdout.write)(flow_summary(self))

    def export(self, filepath: str | Path, **kwargs) -> Path:
        """Write a SavedModel with the serving signatures; see `tfflows.export.export_flow`."""
        # Here and not above: export.py needs TensorFlow, which training on JAX does without.
        from tfflows.export import export_flow

        return export_flow(self, filepath, **kwargs)

    # Training.

    def fit(self, x=None, y=None, *args, **kwargs):
        """`keras.Model.fit` on x, (x, condition), dicts of these, tf.data, or generators.

        Data-dependent layers that were never adapted take their statistics first, from up to
        10,000 rows of arrays or from the first batch. `sample_weight` `[n]` weights the rows.
        Raises ValueError for data that are empty, of the wrong shape, out of range or not finite,
        and FloatingPointError when the loss becomes NaN.
        """
        arguments = inspect.signature(super().fit).bind(x, y, *args, **kwargs).arguments
        x, batch = self._check_data(x)
        arguments["x"] = x
        arguments["y"] = self._target(x, y, arguments.get("sample_weight"))
        arguments["validation_data"] = self._check_validation(arguments.get("validation_data"))
        if self.needs_adapt:
            self._adapt(batch, max_rows=10_000, force=False)
        callbacks = arguments.get("callbacks") or []
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            several = isinstance(callbacks, list | tuple)
            arguments["callbacks"] = [_StopOnNaN(), *(callbacks if several else [callbacks])]
        if not is_array(x):
            arguments.setdefault("shuffle", False)  # Keras warns that it cannot shuffle a dataset
        return super().fit(**arguments)

    def evaluate(self, x=None, y=None, *args, sample_weight=None, **kwargs):
        """`keras.Model.evaluate` on what `fit` takes."""
        if kwargs.get("_use_cached_eval_dataset"):  # the validation that fit itself calls
            return super().evaluate(x, y, *args, sample_weight=sample_weight, **kwargs)
        x, _ = self._check_data(x)
        y = self._target(x, y, sample_weight)
        return super().evaluate(x, y, *args, sample_weight=sample_weight, **kwargs)

    def _check_data(self, data):
        """Data that Keras takes, and arrays of a part of them; ValueError for what cannot be."""
        if data is None:
            raise ValueError("The flow wants data: x, (x, condition), a dict or a dataset")
        if is_array(data):
            data = batch = as_arrays(data)
        else:
            batch, data = first_batch(data)
        x, condition = split_condition(batch)
        check_events(x, self.event_shape, self.data_range)
        self._check_condition(condition, x.shape[0])
        return data, batch

    def _check_validation(self, data):
        if data is None or not isinstance(data, tuple | list):
            return data
        x, *rest = data
        if self.condition_shape is not None and len(rest) == 1 and hasattr(x, "shape"):
            x, rest = (x, rest[0]), []  # a flow has no targets: the second part is the condition
        y, weight = (*rest, None, None)[:2]
        x, _ = self._check_data(x)
        return (x, self._target(x, y, weight), weight)

    def _target(self, x, y, sample_weight):
        """Keras drops sample_weight where y is None, so a flow's rows get a target of zeros."""
        if sample_weight is None or y is not None:
            return y
        x, _ = split_condition(x)
        return np.zeros(len(x), "float32")

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Sum of the add_loss terms; rows weigh `sample_weight`, as replicated rows would."""
        log_prob, self._batch_log_prob = self._batch_log_prob, None
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if sample_weight is not None:
            # add_loss terms never see sample_weight, so the difference is added here.
            sample_weight = ops.cast(ops.reshape(sample_weight, (-1,)), log_prob.dtype)
            difference = ops.mean((1 - sample_weight) * log_prob)
            loss = loss + self._aggregate_additional_loss(difference)
        self._nll_metric.update_state(-log_prob, sample_weight)
        if self._bits_metric is not None:
            bits = -log_prob / (self.dims * math.log(2))
            self._bits_metric.update_state(bits, sample_weight)
        return loss

    # Saving.

    def save(self, filepath, overwrite=True, **kwargs):
        """`keras.Model.save` that replaces `filepath` only once the new file is whole."""
        if Path(filepath).exists() and not overwrite:
            return super().save(filepath, overwrite=False, **kwargs)
        with replaced_on_success(filepath) as temporary:
            super().save(temporary, **kwargs)

    def save_weights(self, filepath, overwrite=True, **kwargs):
        """`keras.Model.save_weights` that replaces `filepath` only once the new file is whole."""
        if kwargs or (Path(filepath).exists() and not overwrite):
            return super().save_weights(filepath, overwrite=overwrite, **kwargs)
        with replaced_on_success(filepath) as temporary:
            super().save_weights(temporary)

    def get_config(self):
        layers = [keras.saving.serialize_keras_object(layer) for layer in self.flow_layers]
        return {**self._common_config(), "layers": layers}

    def _common_config(self):
        """The arguments that every model has; a published model adds its own to them."""
        return {
            **super().get_config(),
            "event_shape": self.event_shape,
            "condition_shape": self.condition_shape,
            "base": keras.saving.serialize_keras_object(self.base),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**deserialize_arguments(config))
