"""The class behind `as_bijector`; importing this module imports TensorFlow Probability."""

from keras import ops

from tfflows.tfp.rows import as_condition, as_rows
from tfflows.tfp.substrate import probability
from tfflows.tfp.variables import own_variables

tfp = probability()


class FlowBijector(tfp.bijectors.Bijector):
    """See `tfflows.tfp.as_bijector`."""

    def __init__(self, flow, condition=None, validate_args=False, name="flow"):
        parameters = dict(locals())
        if flow.is_discrete or not flow.is_bijective:
            kind = "one that dequantizes" if flow.is_discrete else type(flow).__name__
            raise ValueError(
                f"as_bijector expects a flow that is a bijection. Received: {kind}; "
                "as_distribution takes it"
            )
        self._flow = flow
        self._condition = as_condition(flow, condition)
        self._flow_variables = own_variables(flow)
        super().__init__(
            forward_min_event_ndims=len(flow.latent_shape),
            inverse_min_event_ndims=len(flow.event_shape),
            dtype=ops.zeros((), flow.compute_dtype).dtype,
            validate_args=validate_args,
            parameters=parameters,
            name=name,
        )

    @classmethod
    def _parameter_properties(cls, dtype):
        return {
            "condition": tfp.util.ParameterProperties(
                event_ndims=lambda self, _: len(self._flow.condition_shape)
            )
        }

    def _rows(self, values, event_shape):
        condition_ndims = len(self._flow.condition_shape or ())
        return as_rows(values, event_shape, self._condition, condition_ndims)

    def _forward(self, z):
        z, condition, leading = self._rows(z, self._flow.latent_shape)
        x = self._flow.generate(z, condition)
        return ops.reshape(x, (*leading, *self._flow.event_shape))

    def _inverse(self, x):
        x, condition, leading = self._rows(x, self._flow.event_shape)
        z = self._flow.latents(x, condition)
        return ops.reshape(z, (*leading, *self._flow.latent_shape))

    def _forward_log_det_jacobian(self, z):
        z, condition, leading = self._rows(z, self._flow.latent_shape)
        return ops.reshape(self._flow.inverse_and_log_det(z, condition)[1], leading)

    def _inverse_log_det_jacobian(self, x):
        x, condition, leading = self._rows(x, self._flow.event_shape)
        return ops.reshape(self._flow.forward_and_log_det(x, condition)[1], leading)

    def _forward_event_shape(self, shape):
        return self._replaced(shape, self._flow.latent_shape, self._flow.event_shape)

    def _inverse_event_shape(self, shape):
        return self._replaced(shape, self._flow.event_shape, self._flow.latent_shape)

    def _forward_event_shape_tensor(self, shape):
        event = ops.convert_to_tensor(self._flow.event_shape, "int32")
        return ops.concatenate([shape[: -len(self._flow.latent_shape)], event], axis=0)

    def _inverse_event_shape_tensor(self, shape):
        latent = ops.convert_to_tensor(self._flow.latent_shape, "int32")
        return ops.concatenate([shape[: -len(self._flow.event_shape)], latent], axis=0)

    def _replaced(self, shape, wanted, by):
        """`shape` with its last axes, which must be `wanted`, replaced."""
        at = len(shape) - len(wanted)
        if at < 0 or not shape[at:].is_compatible_with(wanted):
            raise ValueError(
                f"The flow's bijector expects events of shape {wanted}. Received: {tuple(shape)}"
            )
        return shape[:at].concatenate(by)
