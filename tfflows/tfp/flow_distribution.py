"""The class behind `as_distribution`; importing this module imports TensorFlow Probability."""

import math

from keras import ops

from tfflows.backend import rng
from tfflows.tfp.rows import as_condition, as_rows
from tfflows.tfp.substrate import probability
from tfflows.tfp.variables import own_variables

tfp = probability()


class FlowDistribution(tfp.distributions.Distribution):
    """See `tfflows.tfp.as_distribution`."""

    def __init__(
        self, flow, condition=None, validate_args=False, allow_nan_stats=True, name="Flow"
    ):
        parameters = dict(locals())
        self._flow = flow
        self._condition = as_condition(flow, condition)
        self._flow_variables = own_variables(flow)
        is_smooth = flow.base.is_reparameterized and not flow.is_discrete
        super().__init__(
            dtype=flow.compute_dtype,
            reparameterization_type=(
                tfp.distributions.FULLY_REPARAMETERIZED
                if is_smooth
                else tfp.distributions.NOT_REPARAMETERIZED
            ),
            validate_args=validate_args,
            allow_nan_stats=allow_nan_stats,
            parameters=parameters,
            name=name,
        )

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {
            "condition": tfp.util.ParameterProperties(
                event_ndims=lambda self: len(self._flow.condition_shape)
            )
        }

    def _batch_shape(self):
        if self._condition is None:
            return ()
        return self._condition.shape[: len(self._condition.shape) - self._condition_ndims]

    def _batch_shape_tensor(self):
        return ops.convert_to_tensor(tuple(self._batch_shape()), "int32")

    def _event_shape(self):
        return self._flow.event_shape

    def _event_shape_tensor(self):
        return ops.convert_to_tensor(self._flow.event_shape, "int32")

    @property
    def _condition_ndims(self):
        return len(self._flow.condition_shape or ())

    def _log_prob(self, x):
        x, condition, leading = as_rows(
            x, self._flow.event_shape, self._condition, self._condition_ndims
        )
        return ops.reshape(self._flow.log_density(x, condition), leading)

    def _latents(self, n, seed):
        """Latents and conditions of n draws per condition, and the axes of both."""
        leading = (n, *self._batch_shape())
        condition = self._condition
        if condition is not None:
            single = self._flow.condition_shape
            condition = ops.broadcast_to(condition, (*leading, *single))
            condition = ops.reshape(condition, (-1, *single))
        seed = rng.seed_of_key(tfp.random.sanitize_seed(seed, salt="flow"))
        count = n * math.prod(leading[1:])
        return self._flow.draw_latents(count, seed, 1.0, condition), condition, leading

    def _sample_n(self, n, seed=None):
        z, condition, leading = self._latents(n, seed)
        x = ops.cast(self._flow.generate(z, condition), self._flow.compute_dtype)
        return ops.reshape(x, (*leading, *self._flow.event_shape))

    def _sample_and_log_prob(self, sample_shape, seed=None):
        """One pass: also where the way back is slow, as in inverse autoregressive flows."""
        if self._flow.is_discrete:
            x = self.sample(sample_shape, seed)
            return x, self.log_prob(x)
        z, condition, leading = self._latents(ops.prod(sample_shape), seed)
        x, log_density = self._flow.generate_and_log_density(z, condition)
        axes = ops.concatenate(
            [sample_shape, ops.convert_to_tensor(tuple(leading[1:]), "int32")], axis=0
        )
        event = ops.convert_to_tensor(self._flow.event_shape, "int32")
        return ops.reshape(x, ops.concatenate([axes, event], axis=0)), ops.reshape(
            log_density, axes
        )

    def _default_event_space_bijector(self):
        """From the latents, so that a chain that moves in them has a simple density."""
        from tfflows.tfp.flow_bijector import FlowBijector

        return FlowBijector(self._flow, self.parameters["condition"])
