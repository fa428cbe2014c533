"""Multi-scale structure (Dinh et al. 2017, RealNVP, section 3.6), as one bijection."""

import math
from collections.abc import Sequence

import keras
from keras import ops

from tfflows.backend.tensor_ops import repeat_log_det
from tfflows.layers.affine_coupling import AffineCoupling
from tfflows.layers.equal_steps import forward_through, generate_through, inverse_through
from tfflows.layers.flow_layer import FlowLayer


@keras.saving.register_keras_serializable(package="tfflows")
class FactorOut(FlowLayer):
    """Send half of the channels through more layers, and finish the other half here.

        x = (x1, x2) along the channels
        z1 = layers(x1),   z2 = (x2 - mean(x1)) / scale(x1)

    x `[batch, ..., channels]` becomes a flat z `[batch, dims]`, z1 before z2. With the affine map
    given x1 (Glow's learned prior, Kingma and Dhariwal 2018, written as a transform) every
    latent has the same base; it starts as the identity.

    Args:
        layers: flow layers for the half that goes on; may end in another FactorOut.
        conditioner: network of the affine map, as in `AffineCoupling`.
        log_scale: how its log-scale is bounded, as there.
        input_limit: where the conditioner's input is cut, as there.
    """

    def __init__(
        self,
        layers: Sequence[FlowLayer],
        conditioner: keras.layers.Layer | None = None,
        log_scale: str | None = None,
        input_limit: float | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.flow_layers = list(layers)
        self.input_limit = input_limit
        self.affine = AffineCoupling(
            "channel", 0, conditioner, log_scale, input_limit=input_limit, dtype=self.dtype_policy
        )

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        if not self.affine.built:
            self.affine.build(x_shape, condition_shape)
        *rest, channels = self.event_shape
        self._channels_on = channels - channels // 2
        self.inner_shape = shape = (*rest, self._channels_on)
        for layer in self.flow_layers:
            if not layer.built:
                layer.build((None, *shape), condition_shape)
            shape = layer.latent_event_shape(shape)
        self._latent_on = shape
        self._shape_out = (*rest, channels // 2)

    def latent_event_shape(self, event_shape):
        return (math.prod(event_shape),)

    def data_event_shape(self, latent_shape):
        raise ValueError(
            "FactorOut cannot tell the data's shape from its latent. Call it on data, or "
            f"`build((None, *event_shape))`, first. Received: latent of shape {latent_shape}"
        )

    def _forward(self, x, condition=None, training=False):
        x, log_det = self.affine.forward_and_log_det(x, condition, training)
        going_on, out = x[..., : self._channels_on], x[..., self._channels_on :]
        going_on, log_det = forward_through(
            self.flow_layers, going_on, log_det, condition, training
        )
        flat = [
            ops.reshape(going_on, (-1, math.prod(self._latent_on))),
            ops.reshape(out, (-1, math.prod(self._shape_out))),
        ]
        return ops.concatenate(flat, axis=1), log_det

    def _split_latent(self, z):
        size_on = math.prod(self._latent_on)
        going_on = ops.reshape(z[:, :size_on], (-1, *self._latent_on))
        return going_on, ops.reshape(z[:, size_on:], (-1, *self._shape_out))

    def _inverse_alone(self, z, condition=None, training=False):
        going_on, out = self._split_latent(z)
        going_on = generate_through(self.flow_layers, going_on, condition, training)
        x = ops.concatenate([going_on, out], axis=-1)
        return self.affine(x, condition=condition, training=training, inverse=True)

    def _inverse(self, z, condition=None, training=False):
        going_on, out = self._split_latent(z)
        log_det = repeat_log_det(0.0, going_on)
        going_on, log_det = inverse_through(
            self.flow_layers, going_on, log_det, condition, training
        )
        x = ops.concatenate([going_on, out], axis=-1)
        x, term = self.affine.inverse_and_log_det(x, condition, training)
        return x, log_det + term

    @property
    def needs_adapt(self):
        return any(layer.needs_adapt for layer in self.flow_layers)

    def adapt(self, x, condition=None, force=True):
        going_on = ops.convert_to_tensor(x)[..., : x.shape[-1] - x.shape[-1] // 2]
        for layer in self.flow_layers:
            layer.adapt(going_on, condition, force)
            going_on = layer.forward_in_chunks(going_on, condition)

    def _structure_arguments(self):
        arguments = {"conditioner": self.affine.conditioner, "log_scale": self.affine.log_scale}
        return {**arguments, "layers": self.flow_layers}

    def get_config(self):
        layers = [keras.saving.serialize_keras_object(layer) for layer in self.flow_layers]
        conditioner = keras.saving.serialize_keras_object(self.affine.conditioner)
        return {
            **super().get_config(),
            "layers": layers,
            "conditioner": conditioner,
            "log_scale": self.affine.log_scale,
            "input_limit": self.input_limit,
        }
