"""A layer run the other way (TFP's and flowjax's `Invert`)."""

import keras

from tfflows.layers.flow_layer import FlowLayer


@keras.saving.register_keras_serializable(package="tfflows")
class Invert(FlowLayer):
    """Take another layer's latents as data: forward is its inverse, and inverse its forward.

        z, log_det = layer.inverse_and_log_det(x)

    Where a layer is in closed form one way only, this chooses which. `Invert(Planar())` samples in
    closed form, as the posterior of a variational autoencoder has to.

    Statistics of data would be those of the wrong side: a layer that takes them in `adapt` must
    have them before.

    Args:
        layer: the flow layer. Its dtype is that of this layer too.

    Example:
        >>> layer = Invert(Log())
        >>> layer(np.array([[0.0, 1.0]])).numpy().round(3)
        array([[1.   , 2.718]], dtype=float32)
    """

    def __init__(self, layer: FlowLayer, **kwargs):
        if not isinstance(layer, FlowLayer):
            raise ValueError(f"layer must be a flow layer. Received: {layer!r}")
        super().__init__(**{"dtype": layer.dtype_policy, **kwargs})
        if layer.compute_dtype != self.compute_dtype:
            raise ValueError(
                f"The layer of Invert must have its dtype, {self.compute_dtype}. "
                f"Received: {layer.name} of dtype {layer.compute_dtype}"
            )
        self.layer = layer
        self.needs_vectors = layer.needs_vectors

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        if not self.layer.built:
            shape = self.layer.data_event_shape(self.event_shape)
            self.layer.build((None, *shape), condition_shape)

    def latent_event_shape(self, event_shape):
        if self.layer.built:
            return tuple(self.layer.event_shape)
        return self.layer.data_event_shape(event_shape)

    def data_event_shape(self, latent_shape):
        return self.layer.latent_event_shape(latent_shape)

    def _forward(self, x, condition=None, training=False):
        return self.layer.inverse_and_log_det(x, condition, training)

    def _inverse(self, z, condition=None, training=False):
        return self.layer.forward_and_log_det(z, condition, training)

    @property
    def needs_adapt(self):
        return self.layer.needs_adapt

    def adapt(self, x, condition=None, force=True):
        if self.layer.needs_adapt:
            raise ValueError(
                f"Expected the layer of Invert to have its statistics: call `adapt` of "
                f"{self.layer.name} on data of its own first. Received: one that needs `adapt`"
            )

    def _constants(self):
        return self.layer._constants()

    def _can_be_scanned(self, inverse):
        return self.layer._can_be_scanned(not inverse)

    def get_config(self):
        layer = keras.saving.serialize_keras_object(self.layer)
        return {**super().get_config(), "layer": layer}
