"""Variational dequantization (Ho et al. 2019, Flow++, section 3.1)."""

from collections.abc import Sequence

import keras
from keras import ops

from tfflows.backend.tensor_ops import sum_event
from tfflows.layers.affine_coupling import AffineCoupling
from tfflows.layers.dequantize import Dequantize
from tfflows.layers.equal_steps import inverse_through
from tfflows.layers.flow_layer import FlowLayer
from tfflows.networks import MLP, ConvResNet
from tfflows.utils.config import deserialize_arguments

SMALLEST = 2.0**-20  # share of a level; noise is never nearer to a whole number
MAX_SCALE = 10.0  # of each default coupling, and its inverse the least: uniform noise is 1


@keras.saving.register_keras_serializable(package="tfflows")
class VariationalDequantize(Dequantize):
    """Turn integers 0..levels-1 into real numbers in [0, 1) by adding noise of a conditional flow.

        z = (x + u) / levels,  u = sigmoid(v),  layers(v | x) = e,  e ~ standard logistic
        log_det = -dims log(levels) - log q(u | x)
        x = floor(levels z)

    for x `[batch, *event]`. The mean of log p(z) + log_det bounds the discrete log-likelihood of x
    from below, and the more tightly the better q(u | x) fits the flow that follows: both are
    trained by the bound, as an ELBO. Without layers, and before training, the noise is uniform. The
    log of the mean density of several draws is the importance-weighted bound: `Flow.log_prob(x,
    num_draws=k)`. Training draws fresh noise each step. Otherwise the noise of a row comes from a
    hash of the row itself, as in `Dequantize`.

    Args:
        layers: flow layers from v to e, of x's shape, whose condition is the image, scaled to
            [-0.5, 0.5]: `[batch, *event]`. None takes four affine couplings: on checkerboards by
            convolutions for images, by MLPs for vectors.
        levels: number of grey levels, 2 to 2**19: 256 for 8-bit images.
        seed: integer seed of the noise in training.

    Example:
        layers = [tfflows.layers.VariationalDequantize(levels=256), ...]
        flow = tfflows.Flow(layers, (28, 28, 1))
    """

    def __init__(
        self,
        layers: Sequence[FlowLayer] | FlowLayer | None = None,
        levels: int = 256,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(levels, seed, **kwargs)
        is_one = isinstance(layers, FlowLayer)
        self.flow_layers: list[FlowLayer] = [layers] if is_one else list(layers or ())
        self._has_default = layers is None
        for layer in self.flow_layers:
            if not isinstance(layer, FlowLayer):
                raise ValueError(f"layers must be flow layers. Received: {layer!r}")
            if layer.compute_dtype != self.compute_dtype:
                raise ValueError(
                    f"All layers of VariationalDequantize must have its dtype, "
                    f"{self.compute_dtype}. Received: {layer.name} of dtype {layer.compute_dtype}"
                )

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        if self._has_default and not self.flow_layers:
            self.flow_layers += self._default_layers()
        for layer in self.flow_layers:
            if not layer.built:
                layer.build((None, *self.event_shape), (None, *self.event_shape))
            if tuple(layer.latent_event_shape(self.event_shape)) != self.event_shape:
                raise ValueError(
                    f"The layers of VariationalDequantize must keep x's shape {self.event_shape}. "
                    f"Received: {layer.name}, which does not"
                )

    def _default_layers(self):
        policy = self.dtype_policy
        layers = []
        for i in range(4):
            network = MLP((64, 64), dtype=policy)
            if len(self.event_shape) == 3:
                network = ConvResNet(32, 1, dtype=policy)
            partition = "half" if len(self.event_shape) == 1 else "checkerboard"
            layers.append(AffineCoupling(partition, i % 2, network, MAX_SCALE, dtype=policy))
        return layers

    def _noise(self, x, training, draw):
        uniform = ops.clip(self._uniform(x, training, draw), SMALLEST, 1 - SMALLEST)
        e = ops.log(uniform) - ops.log(1 - uniform)
        log_density = sum_event(_log_logistic(e))
        image = x / (self.levels - 1) - 0.5
        v, log_det = inverse_through(
            self.flow_layers[:], e, ops.zeros_like(log_density), image, training
        )
        log_density = log_density - log_det - sum_event(_log_logistic(v))
        noise = ops.clip(ops.sigmoid(v), SMALLEST, 1 - SMALLEST)
        # Only on the grid is x the floor of x + u; the gradient is that of the flow.
        return noise + ops.stop_gradient(self._on_grid(noise) - noise), log_density

    def get_config(self):
        layers = None
        if not self._has_default:
            layers = [keras.saving.serialize_keras_object(layer) for layer in self.flow_layers]
        return {**super().get_config(), "layers": layers}

    @classmethod
    def from_config(cls, config):
        return cls(**deserialize_arguments(config))


def _log_logistic(v):
    """log of the density of a standard logistic, and of the derivative of the sigmoid."""
    return -ops.softplus(v) - ops.softplus(-v)
