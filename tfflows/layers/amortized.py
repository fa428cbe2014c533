"""Layers whose parameters are weights, or what a condition says."""

import math

import keras
from keras import ops

from tfflows.backend.tensor_ops import Tensor, cut_far
from tfflows.layers.flow_layer import FlowLayer

MAX_ABS_PARAMETER = 1e4
KERNEL_SCALE = 0.1


class AmortizedLayer(FlowLayer):
    """A layer of vectors with parameters that are weights or, given a condition, follow from it.

        parameters = bias + kernel condition

    In a variational autoencoder the condition is what the encoder says about x, so that each row
    has a flow of its own (Rezende and Mohamed 2015). A subclass says the shapes of its parameters
    in `_parameter_shapes`, and takes tensors `[batch or 1, *shape]` from `_parameters`. They are
    cut at +-1e4. Conditions of any shape `[batch, ...]` are flattened.

    Without a condition the bias is drawn from normals with the standard deviations that the
    subclass says; the kernel adds a tenth of that for a condition of unit variance.
    """

    needs_vectors = True

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        if len(self.event_shape) != 1:
            raise ValueError(
                f"{type(self).__name__} expects vectors: put Flatten before it. "
                f"Received: event of shape {self.event_shape}"
            )
        self._specs = self._parameter_shapes(self.event_shape[0])
        total = sum(math.prod(shape) for shape, _ in self._specs.values())
        self.bias = self.add_weight(
            name="bias", shape=(total,), initializer=lambda shape, dtype: self._draw(1, dtype)[0]
        )
        self.kernel = None
        if condition_shape is not None:
            rows = math.prod(condition_shape[1:])
            scale = KERNEL_SCALE / math.sqrt(max(rows, 1))
            self.kernel = self.add_weight(
                name="kernel",
                shape=(rows, total),
                initializer=lambda shape, dtype: scale * self._draw(rows, dtype),
            )

    def _parameter_shapes(self, size: int) -> dict[str, tuple[tuple[int, ...], float]]:
        """Shape and standard deviation at first of each parameter, for events of `size`."""
        raise NotImplementedError(f"{type(self).__name__} does not define `_parameter_shapes`.")

    def _draw(self, rows: int, dtype: str) -> Tensor:
        """Initial values of all parameters, `[rows, total]`."""
        parts = [
            self._draw_one(name, (rows, *shape), stddev, dtype)
            for name, (shape, stddev) in self._specs.items()
        ]
        return ops.concatenate([ops.reshape(part, (rows, -1)) for part in parts], axis=1)

    def _draw_one(self, name, shape, stddev, dtype):
        return keras.random.normal(shape, stddev=stddev, dtype=dtype)

    def _parameters(self, condition: Tensor | None) -> list[Tensor]:
        """The parameters, `[batch, *shape]`, or `[1, *shape]` without a condition."""
        values = ops.convert_to_tensor(self.bias)[None]
        if self.kernel is not None:
            flat = ops.reshape(condition, (-1, self.kernel.shape[0]))
            values = values + ops.matmul(cut_far(flat), self.kernel)
        values = cut_far(values, MAX_ABS_PARAMETER)
        parameters, start = [], 0
        for shape, _ in self._specs.values():
            end = start + math.prod(shape)
            parameters.append(ops.reshape(values[:, start:end], (-1, *shape)))
            start = end
        return parameters
