"""Another layer for each block of columns (TFP's `Blockwise`)."""

from collections.abc import Iterator, Sequence

import keras
from keras import ops

from tfflows.backend.tensor_ops import repeat_log_det
from tfflows.layers.equal_steps import forward_through, generate_through, inverse_through
from tfflows.layers.flow_layer import FlowLayer
from tfflows.utils.checks import check_positive


@keras.saving.register_keras_serializable(package="tfflows")
class Blockwise(FlowLayer):
    """Send each block of columns of x `[batch, columns]` through layers of its own.

        z = (layers_1(x_1), layers_2(x_2), ...)          log_det = sum of theirs

    The blocks stand side by side and cover x. With the layers of supports it takes the columns of a
    table, each in its own units, to the real line.

    The noise of a `Dequantize` follows from what the layer sees, here the columns of its block: a
    block of one column of few values has as few draws of noise in `log_prob`.

    Args:
        layers: for each block a flow layer, a list of them from data to latent, or None, which
            leaves the block as it is.
        block_sizes: columns of each block; None is 1 each.

    Example:
        >>> layer = Blockwise([Log(), None, AdditiveLogRatio()], [1, 2, 3])
        >>> layer(np.array([[1.0, -2.0, 7.0, 0.25, 0.25, 0.5]])).numpy().round(3)
        array([[ 0.   , -2.   ,  7.   , -0.693, -0.693]], dtype=float32)
    """

    needs_vectors = True

    def __init__(
        self,
        layers: Sequence[FlowLayer | Sequence[FlowLayer] | None],
        block_sizes: Sequence[int] | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        blocks = [_as_list(block) for block in layers]
        self.block_sizes = [1] * len(blocks) if block_sizes is None else list(block_sizes)
        for size in self.block_sizes:
            check_positive(block_size=size)
        if len(self.block_sizes) != len(blocks):
            raise ValueError(
                f"Expected `block_sizes` to hold a size for each of the {len(blocks)} blocks. "
                f"Received: {self.block_sizes}"
            )
        # Keras saves the layers of a list, and not those of lists within it.
        self.flow_layers: list[FlowLayer] = [layer for block in blocks for layer in block]
        self._counts = [len(block) for block in blocks]
        for layer in self.flow_layers:
            if not isinstance(layer, FlowLayer):
                raise ValueError(f"layers must be flow layers. Received: {layer!r}")
            if layer.compute_dtype != self.compute_dtype:
                raise ValueError(
                    f"All layers of Blockwise must have its dtype, {self.compute_dtype}. "
                    f"Received: {layer.name} of dtype {layer.compute_dtype}"
                )

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        width = sum(self.block_sizes)
        if self.event_shape != (width,):
            raise ValueError(
                f"Expected x of shape ('batch', {width}), the sum of block_sizes. "
                f"Received: x of shape {tuple(x_shape)}"
            )
        self._latent_sizes = []
        for size, layers in self._blocks():
            shape = (size,)
            for layer in layers:
                if not layer.built:
                    layer.build((None, *shape), condition_shape)
                shape = layer.latent_event_shape(shape)
            if len(shape) != 1:
                raise ValueError(
                    f"Expected the layers of a block to give vectors. Received: {shape}"
                )
            self._latent_sizes.append(shape[0])

    def _blocks(self) -> Iterator[tuple[int, list[FlowLayer]]]:
        """The size and the layers of each block."""
        start = 0
        for size, count in zip(self.block_sizes, self._counts, strict=True):
            yield size, list(self.flow_layers[start : start + count])
            start += count

    def latent_event_shape(self, event_shape):
        width = 0
        for size, layers in self._blocks():
            shape = (size,)
            for layer in layers:
                shape = layer.latent_event_shape(shape)
            width += shape[0]
        return (width,)

    def data_event_shape(self, latent_shape):
        return (sum(self.block_sizes),)

    def check_data(self, x, names=None):
        names = [str(i) for i in range(x.shape[1])] if names is None else names
        start = 0
        for size, layers in self._blocks():
            if layers:
                layers[0].check_data(x[:, start : start + size], names[start : start + size])
            start += size

    def _forward(self, x, condition=None, training=False):
        parts, log_det = [], repeat_log_det(0.0, x)
        for part, (_, layers) in zip(_cut(x, self.block_sizes), self._blocks(), strict=True):
            z, log_det = forward_through(layers, part, log_det, condition, training)
            parts.append(z)
        return ops.concatenate(parts, axis=1), log_det

    def _inverse(self, z, condition=None, training=False):
        parts, log_det = [], repeat_log_det(0.0, z)
        for part, (_, layers) in zip(_cut(z, self._latent_sizes), self._blocks(), strict=True):
            x, log_det = inverse_through(layers, part, log_det, condition, training)
            parts.append(x)
        return ops.concatenate(parts, axis=1), log_det

    def _inverse_alone(self, z, condition=None, training=False):
        blocks = zip(_cut(z, self._latent_sizes), self._blocks(), strict=True)
        parts = [
            generate_through(layers, part, condition, training) for part, (_, layers) in blocks
        ]
        return ops.concatenate(parts, axis=1)

    @property
    def needs_adapt(self):
        return any(layer.needs_adapt for layer in self.flow_layers)

    def adapt(self, x, condition=None, force=True):
        if not self.built:
            self.build(x.shape, None if condition is None else tuple(condition.shape))
        parts = _cut(ops.convert_to_tensor(x), self.block_sizes)
        for part, (_, layers) in zip(parts, self._blocks(), strict=True):
            for layer in layers:
                layer.adapt(part, condition, force)
                part = layer.forward_in_chunks(part, condition)

    def _constants(self):
        return [constant for layer in self.flow_layers for constant in layer._constants()]

    def _structure_arguments(self):
        return {"layers": [layers for _, layers in self._blocks()]}

    def _can_be_scanned(self, inverse):
        return all(layer._can_be_scanned(inverse) for layer in self.flow_layers)

    def get_config(self):
        layers = [
            [keras.saving.serialize_keras_object(layer) for layer in layers]
            for _, layers in self._blocks()
        ]
        return {**super().get_config(), "layers": layers, "block_sizes": self.block_sizes}


def _as_list(block):
    if block is None:
        return []
    return list(block) if isinstance(block, list | tuple) else [block]


def _cut(x, sizes):
    """x `[batch, columns]` in blocks of these sizes."""
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    return [x[:, start : start + size] for start, size in zip(starts, sizes, strict=True)]
