"""A dense layer with an autoregressive mask, of which the zeros are neither stored nor computed."""

import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from tfflows.backend.device_choice import runs_on_cpu
from tfflows.backend.tensor_ops import Tensor


@keras.saving.register_keras_serializable(package="tfflows")
class MaskedDense(keras.layers.Layer):
    """y = x (W * M) + b, where M lets an output see inputs of its degree or lower.

        M[i, j] = 1 if out_degrees[j] >= in_degrees[i]; with `strict`, if it is greater
        (Germain et al. 2015, MADE, equations 8 and 9)

    Degrees ascend, so that M is block triangular: of each block of columns, the rows that all of
    its columns see are a plain kernel, those that some see a masked one, and the rest is not there.
    On a GPU the blocks are put together for one product, zeros and all.
    The mask is applied in each call, so that no assignment to the weights can break it.

    Args:
        in_degrees: of the inputs, ascending.
        out_degrees: of the outputs, ascending.
        num_parameters: numbers each output has.
        strict: whether an output sees lower degrees only.
        kernel_initializer: "glorot_uniform" or "zeros".
        num_blocks: blocks of columns; more skip more zeros, and fewer are larger products.

    Input `[batch, len(in_degrees)]`, output `[batch, num_parameters * len(out_degrees)]`, the first
    parameter of all outputs first.
    """

    def __init__(
        self,
        in_degrees: Sequence[int],
        out_degrees: Sequence[int],
        num_parameters: int = 1,
        strict: bool = False,
        kernel_initializer: str = "glorot_uniform",
        num_blocks: int = 1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.in_degrees = np.asarray(in_degrees, "int32")
        self.out_degrees = np.asarray(out_degrees, "int32")
        if (np.diff(self.in_degrees) < 0).any() or (np.diff(self.out_degrees) < 0).any():
            raise ValueError(f"Degrees must ascend. Received: {in_degrees}, {out_degrees}")
        self.num_parameters = num_parameters
        self.strict = strict
        self.kernel_initializer = kernel_initializer
        self.num_blocks = num_blocks

    def build(self, input_shape):
        initializer = keras.initializers.get(self.kernel_initializer)
        if self.kernel_initializer == "glorot_uniform":
            limit = math.sqrt(6 / (len(self.in_degrees) + len(self.out_degrees)))
            initializer = keras.initializers.RandomUniform(-limit, limit)
        self._blocks = []
        for number, columns in enumerate(np.array_split(self.out_degrees, self.num_blocks)):
            self._blocks.append(self._build_block(number, columns, initializer))
        self.bias = self.add_weight(
            name="bias", shape=(self.num_parameters, len(self.out_degrees)), initializer="zeros"
        )

    def _build_block(self, number, columns, initializer):
        """(number of columns, plain kernel or None, masked kernel or None, degrees of its axes)."""
        plain, seen = (self._rows_below(degree) for degree in (columns[0], columns[-1]))
        if plain < seen // 4:
            plain = 0
        units = self.num_parameters * len(columns)
        kernels = [None, None]
        for i, (name, rows) in enumerate((("plain", plain), ("masked", seen - plain))):
            if rows:
                kernels[i] = self.add_weight(
                    name=f"kernel_{name}_{number}", shape=(rows, units), initializer=initializer
                )
        degrees = self.in_degrees[plain:seen], np.tile(columns, self.num_parameters)
        return len(columns), *kernels, degrees

    def _rows_below(self, degree):
        return int(np.searchsorted(self.in_degrees, degree, "left" if self.strict else "right"))

    def _mask(self, degrees, dtype):
        # Compared in each call, as a SavedModel would hold a constant once for each signature.
        rows, columns = degrees
        sees = ops.greater if self.strict else ops.greater_equal
        return ops.cast(sees(columns, rows[:, None]), dtype)

    def call(self, inputs):
        if len(self._blocks) > 1 and not runs_on_cpu():
            return self._call_whole(inputs)
        outputs = []
        for size, plain, masked, degrees in self._blocks:
            products, start = [], 0
            if plain is not None:
                start = plain.shape[0]
                products.append(ops.matmul(inputs[:, :start], plain))
            if masked is not None:
                kernel = masked * self._mask(degrees, self.compute_dtype)
                products.append(ops.matmul(inputs[:, start : start + masked.shape[0]], kernel))
            if not products:
                rows = (ops.shape(inputs)[0], self.num_parameters * size)
                products.append(ops.zeros(rows, self.compute_dtype))
            outputs.append(ops.reshape(sum(products), (-1, self.num_parameters, size)))
        total = outputs[0] if len(outputs) == 1 else ops.concatenate(outputs, axis=-1)
        total = total + self.bias
        return ops.reshape(total, (-1, self.num_parameters * len(self.out_degrees)))

    def _call_whole(self, inputs):
        """One product with all zeros: a GPU takes longer to launch the blocks' products."""
        kernel = ops.cast(self.full_kernel(), self.compute_dtype)
        kernel = ops.reshape(kernel, (len(self.in_degrees), -1))
        return ops.matmul(inputs, kernel) + ops.reshape(self.bias, (-1,))

    def full_kernel(self) -> Tensor:
        """W * M as one array `[inputs, num_parameters, outputs]`."""
        columns = []
        for size, plain, masked, degrees in self._blocks:
            parts = [] if plain is None else [ops.convert_to_tensor(plain)]
            if masked is not None:
                parts.append(masked * self._mask(degrees, masked.dtype))
            missing = len(self.in_degrees) - sum(part.shape[0] for part in parts)
            parts.append(ops.zeros((missing, self.num_parameters * size), self.variable_dtype))
            kernel = ops.concatenate(parts, axis=0)
            columns.append(ops.reshape(kernel, (-1, self.num_parameters, size)))
        return ops.concatenate(columns, axis=-1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.num_parameters * len(self.out_degrees))

    def get_config(self):
        return {
            **super().get_config(),
            "in_degrees": self.in_degrees.tolist(),
            "out_degrees": self.out_degrees.tolist(),
            "num_parameters": self.num_parameters,
            "strict": self.strict,
            "kernel_initializer": self.kernel_initializer,
            "num_blocks": self.num_blocks,
        }
