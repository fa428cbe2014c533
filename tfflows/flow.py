"""Flow: a stack of flow layers and a base distribution as a `keras.Model`."""

import math
import numbers
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
from keras import ops

from tfflows.backend import compilation, rng
from tfflows.backend.tensor_ops import Tensor, batch_mean, data_dtype
from tfflows.distributions import Distribution, StandardNormal
from tfflows.layers import Dequantize, FlowLayer, Pad
from tfflows.layers.continuous_flow import continuous_flows
from tfflows.layers.flow_layer import deserialize_arguments
from tfflows.training.flow_matching import matching_loss
from tfflows.training.inputs import as_arrays, split_condition
from tfflows.training.trainer import LikelihoodTraining
from tfflows.utils.atomic import replaced_on_success
from tfflows.utils.checks import as_shape, check_shape
from tfflows.utils.summary import flow_summary


@keras.saving.register_keras_serializable(package="tfflows")
class Flow(LikelihoodTraining, keras.Model):
    """A normalizing flow: log p(x) = log p_base(z) + log |det dz/dx|, z = layers(x).

    `compile(optimizer)` takes no loss: the flow adds its own, the mean negative log-likelihood, by
    add_loss. The logs of fit and evaluate carry `loss` (nll and regularizers), `nll` in nats,
    `bits_per_dim` where the data are images, all in the units of the data as given, and
    `evaluations` of the field a solve where a layer is a ContinuousFlow.

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
        self.event_shape = as_shape("event_shape", event_shape)
        self.condition_shape = condition_shape
        if condition_shape is not None:
            self.condition_shape = as_shape("condition_shape", condition_shape)
        self.flow_layers = list(layers) if isinstance(layers, list | tuple) else [layers]
        self.base = StandardNormal(dtype=self.dtype_policy) if base is None else base
        self._check_parts()
        self._nll_metric = keras.metrics.Mean(name="nll")
        is_image = self.is_discrete or len(self.event_shape) == 3
        self._bits_metric = keras.metrics.Mean(name="bits_per_dim") if is_image else None
        if any(continuous_flows(self.flow_layers)):
            self._evaluations_metric = keras.metrics.Mean(name="evaluations")
        self.objective, self.time_exponent = "likelihood", 1.0
        self._is_matching = False
        self._batch_loss = None
        self._compiled_methods = types.SimpleNamespace()  # a dict would be saved with the model
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
                        f"Each layer and conditioner must be an object of its own, or the saved "
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
        """Whether the data are integers, which the flow dequantizes."""
        return any(isinstance(layer, Dequantize) for layer in self.flow_layers)

    @property
    def data_range(self) -> tuple | None:
        """Smallest and largest value that the first layer takes, or None."""
        return getattr(self._first_layer(), "data_range", None)

    def _first_layer(self):
        """The first layer that changes values: Pad only adds to them. None where there is none."""
        return next((layer for layer in self.flow_layers if not isinstance(layer, Pad)), None)

    # The density and its directions, in tensors of the backend.

    def call(self, inputs, condition=None, training=None):
        with compilation.xla_scope(self.compiled and self.jit_compile):
            return self._call(*split_condition(inputs, condition), training)

    def _call(self, x, condition, training):
        self._is_matching = bool(training) and self.objective != "likelihood"
        if self._is_matching:
            objective, exponent = self.objective, self.time_exponent
            self._batch_loss, z = matching_loss(self, objective, x, condition, exponent)
            self.add_loss(batch_mean(self._batch_loss))
            return z
        z, log_det = self._forward(x, condition, training)
        base_log_prob = self.base(z, condition=condition)
        self.add_loss(-batch_mean(log_det))
        self.add_loss(-batch_mean(base_log_prob))
        self._batch_loss = -(base_log_prob + log_det)
        return z

    def compute_output_spec(self, inputs, condition=None, training=None):
        x, _ = split_condition(inputs, condition)
        return keras.KerasTensor((x.shape[0], *self.latent_shape), dtype=self.compute_dtype)

    def _forward(self, x, condition=None, training=None):
        x = ops.convert_to_tensor(x)
        log_det = ops.zeros((ops.shape(x)[0],), dtype=self.compute_dtype)
        return self._through(self.flow_layers, x, log_det, condition, training)

    def _through(self, layers, x, log_det, condition, training):
        for layer in layers:
            x, term = layer.forward_and_log_det(x, condition, training)
            log_det = log_det + term
        return ops.cast(x, self.compute_dtype), log_det

    def _inverse(self, z, condition=None):
        z = ops.cast(z, self.compute_dtype)
        for layer in reversed(self.flow_layers):
            z = layer.inverse(z, condition)
        return z

    def _inverse_and_log_det(self, z, condition=None):
        z = ops.cast(z, self.compute_dtype)
        log_det = ops.zeros((ops.shape(z)[0],), dtype=self.compute_dtype)
        for layer in reversed(self.flow_layers):
            z, term = layer.inverse_and_log_det(z, condition)
            log_det = log_det + term
        return z, log_det

    def _log_prob(self, x, condition=None):
        z, log_det = self._forward(x, condition, training=False)
        return self.base(z, condition=condition) + log_det

    def _log_prob_draw(self, x, draw, condition=None):
        dequantize = self._first_layer()
        start = self.flow_layers.index(dequantize)
        for pad in self.flow_layers[:start]:
            x, _ = pad.forward_and_log_det(x, condition)
        x, log_det = dequantize.forward_draw(x, draw)
        layers = self.flow_layers[start + 1 :]
        z, log_det = self._through(layers, x, log_det, condition, training=False)
        return self.base(z, condition=condition) + log_det

    def _inverse_and_log_prob(self, z, condition=None):
        x, log_det = self._inverse_and_log_det(z, condition)
        return x, self.base(z, condition=condition) - log_det

    def _draw(self, num_samples, seed, temperature, condition=None):
        noise = rng.BatchNoise(num_samples, seed, self.compute_dtype)
        return self.base.draw(noise, condition, temperature)

    def _sample(self, num_samples, seed, temperature, condition=None):
        z = self._draw(num_samples, seed, temperature, condition)
        return self._compiled_method(self._inverse)(z, condition)

    def _sample_and_log_prob(self, num_samples, seed, temperature, condition=None):
        z = self._draw(num_samples, seed, temperature, condition)
        return self._compiled_method(self._inverse_and_log_prob)(z, condition)

    # What users call.

    def log_prob(self, x: Tensor, condition: Tensor | None = None, num_draws: int = 1) -> Tensor:
        """log p(x | condition) in nats, `[batch]`, in the units of x `[batch, *event_shape]`.

        Discrete data take dequantization noise from the row itself, so that the same x gives the
        same answer. Its mean bounds the discrete log-likelihood from below; the log of the mean
        density of several draws does so more tightly (Burda et al. 2016, equation 8).

        Args:
            x: data.
            condition: conditions, or one row for all, where the flow is conditional.
            num_draws: draws of dequantization noise a row; more than 1 wants discrete data.
        """
        x, condition = self._check_call(x, condition)
        if num_draws == 1:
            return self._run(self._log_prob, x, condition)
        if num_draws < 1 or not isinstance(self._first_layer(), Dequantize):
            raise ValueError(
                "num_draws wants 1, or more for a flow that begins with Dequantize. "
                f"Received: {num_draws!r}"
            )
        draws = [
            self._run(self._log_prob_draw, x, ops.convert_to_tensor(draw), condition)
            for draw in range(num_draws)
        ]
        return ops.logsumexp(ops.stack(draws), axis=0) - math.log(num_draws)

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map latents `[batch, *latent_shape]` to data `[batch, *event_shape]`."""
        z = ops.convert_to_tensor(z)
        check_shape(z, self.latent_shape)
        return self._run(self._inverse, z, self._check_condition(condition, z.shape[0]))

    def encode(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map data to latents, like calling the flow, compiled and without losses."""
        return self._run(self._forward, *self._check_call(x, condition))[0]

    def sample(
        self,
        num_samples: int,
        condition: Tensor | None = None,
        seed: rng.Seed = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """Draw data `[num_samples, *event_shape]`, in the units of the training data.

        Args:
            num_samples: number of samples.
            condition: `[num_samples, *condition_shape]`, or one row `[1, *condition_shape]` for
                all, where the flow is conditional.
            seed: None (fresh), an integer or a `keras.random.SeedGenerator`.
            temperature: factor on the spread of the base, >= 0; below 1 samples are more typical.
        """
        arguments = self._check_draw(num_samples, condition, seed, temperature)
        return self._run(self._sample, *arguments, jit=seed is None)

    def sample_and_log_prob(
        self,
        num_samples: int,
        condition: Tensor | None = None,
        seed: rng.Seed = None,
        temperature: float = 1.0,
    ) -> tuple[Tensor, Tensor]:
        """Draw data as `sample` does, with their log p(x | condition) `[num_samples]`.

        The density is the flow's own, whatever the temperature. Of discrete data it is the density
        at the point before rounding, a draw of what `log_prob` of the sample estimates.
        """
        arguments = self._check_draw(num_samples, condition, seed, temperature)
        return self._run(self._sample_and_log_prob, *arguments, jit=seed is None)

    def _check_draw(self, num_samples, condition, seed, temperature):
        """The arguments of `_sample`: the number as an integer, the others as arrays."""
        if not isinstance(num_samples, int | np.integer) or num_samples < 0:
            raise ValueError(f"num_samples must be an integer >= 0. Received: {num_samples!r}")
        if not isinstance(temperature, numbers.Real) or not 0 <= temperature < math.inf:
            raise ValueError(f"temperature must be finite and >= 0. Received: {temperature!r}")
        condition = self._check_condition(condition, num_samples)
        temperature = np.asarray(temperature, self.compute_dtype)
        return int(num_samples), rng.make_seed(seed), temperature, condition

    def _run(self, method, *args, jit=True):
        """`method(*args)`, compiled unless it stands in a function that is being traced."""
        if compilation.is_traced(*args):
            return method(*args)
        results = self._compiled_method(method, jit)(*args)
        if any(layer.can_fail for layer in continuous_flows(self.flow_layers)):
            first = results[0] if isinstance(results, tuple) else results
            if np.isnan(ops.convert_to_numpy(first)).any():
                return method(*args)  # outside of compiled functions a layer says what is wrong
        return results

    def _compiled_method(self, method, jit=True):
        """`method` compiled, by XLA where the user asked compile() for it and `jit` allows it.

        XLA compiles once a batch size, and has other random numbers than TensorFlow for a seed, so
        that it draws only where no seed is given.
        """
        jit = bool(jit and self.compiled and self.jit_compile)
        name = f"{method.__name__}_jit" if jit else method.__name__
        if not hasattr(self._compiled_methods, name):
            draws = method in (self._sample, self._sample_and_log_prob)
            compiled = compilation.compile_method(self, method, jit, takes_count=draws)
            setattr(self._compiled_methods, name, compiled)
        return getattr(self._compiled_methods, name)

    def _check_call(self, x, condition):
        x, condition = split_condition(x, condition)
        if not compilation.is_traced(x):
            x = as_arrays(x)
            check_shape(x, self.event_shape)
            if self.data_range is not None and x.shape[0]:
                self._check_events(x)
        x = ops.convert_to_tensor(x)
        check_shape(x, self.event_shape)
        return x, self._check_condition(condition, x.shape[0])

    def _check_condition(self, condition, num_rows):
        """The condition as a tensor of `num_rows` rows; one row is repeated."""
        wanted = self.condition_shape
        if wanted is None and condition is None:
            return None
        if wanted is None or condition is None:
            if wanted is None:
                came = f"condition of shape {np.shape(condition)}"
                raise ValueError(f"The flow wants no condition. Received: {came}")
            raise ValueError(
                f"The flow wants a condition {wanted} a row: pass (x, condition) as x, or a dict "
                'with the keys "x" and "condition". Received: none'
            )
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

    def summary(self, print_fn: Callable[[str], None] | None = None) -> None:
        """Print the layers in order from data to latent, with shapes and parameter counts."""
        (print_fn or sys.stdout.write)(flow_summary(self))

    def export(self, filepath: str | Path, warmup: bool = False) -> Path:
        """Write a SavedModel with the serving signatures; see `tfflows.export.export_flow`."""
        # Here and not above: export.py needs TensorFlow, which training on JAX does without.
        from tfflows.serving.export import export_flow

        return export_flow(self, filepath, warmup)

    # Saving.

    def save(self, filepath, overwrite=True, **kwargs):
        """`keras.Model.save` that replaces `filepath` only once the new file is whole."""
        if Path(filepath).suffix not in (".keras", ".h5"):
            raise ValueError(f"A model is saved as a .keras file. Received: {filepath}")
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
