"""Solving x from z where a MADE makes the parameters of each element from the elements before.

All functions take a MADE of sequential order, `element(latents, parameters)`, which gives one
element and its log-derivative from the latents and the `num_parameters` parameters at its place,
and `latents`, arrays `[batch, dims]`. They return x and the sum of the log-derivatives `[batch]`.

| function | passes of the network | |
|---|---|---|
| `invert_by_degrees` | the arithmetic of about one | each hidden unit is computed once |
| `invert_jacobi` | until x no longer changes, at most dims | all elements at once |
| `invert_in_order` | dims | the definition, which the others are compared with |
"""

from collections.abc import Callable, Sequence

import numpy as np
from keras import ops

from tfflows import compilation
from tfflows.networks.made import MADE
from tfflows.tensors import Tensor, sum_event

Element = Callable[[Sequence[Tensor], Sequence[Tensor]], tuple[Tensor, Tensor]]

FEW = 256  # weights of a small product
PANELS = 4  # parts of the loop over blocks, which skip what no part before them can have computed


def invert_in_order(network: MADE, element: Element, latents: Sequence[Tensor], condition=None):
    """A pass of the network for each element. Every backend differentiates it."""
    return _sweep(network, element, latents, condition, latents[0].shape[-1])


def _sweep(network, element, latents, condition, count):
    def sweep(_, carry):
        parameters = ops.unstack(network(carry[0], condition), axis=1)
        x, log_det = element(latents, parameters)
        return x, sum_event(log_det)

    x = ops.zeros_like(latents[0])
    return compilation.static_loop(count, sweep, (x, sum_event(x)))


def invert_jacobi(
    network: MADE,
    element: Element,
    latents: Sequence[Tensor],
    condition=None,
    tolerance: float = 1e-6,
):
    """Fixed-point sweeps over all elements at once (Song et al. 2021, "Accelerating feedforward").

    Sweep k makes the first k elements exact, so that the last of `dims` sweeps is exact whatever
    the tolerance, which only ends the sweeps before.

    Args:
        network, element, latents, condition: as for all.
        tolerance: largest change of an element, relative to its size where that is above 1, at
            which the sweeps end.
    """
    dims = latents[0].shape[-1]

    def unfinished(sweeps, change, x, log_det):
        return ops.logical_and(sweeps < dims, change > tolerance)

    def sweep(sweeps, change, x, log_det):
        new, log_det = element(latents, ops.unstack(network(x, condition), axis=1))
        change = ops.max(ops.abs(new - x) / ops.maximum(1.0, ops.abs(new)), initial=0.0)
        return sweeps + 1, change, new, sum_event(log_det)

    x = ops.zeros_like(latents[0])
    start = (0, ops.convert_to_tensor(np.inf, x.dtype), x, sum_event(x))
    return ops.while_loop(unfinished, sweep, start)[2:]


def invert_by_degrees(network: MADE, element: Element, latents: Sequence[Tensor], condition=None):
    """Each element and each hidden unit once, in the order of their degrees.

    A hidden unit of degree d sees the elements before d alone, and element d the units of degree d
    and lower. Step d so computes the units of degree d, in all layers, and then element d. Within a
    block of elements the steps look back at the block; what came before the block enters by one
    product a layer. Arrays are `[units, batch]`, so that a block is contiguous.
    """
    dims = latents[0].shape[-1]
    size = _block_size(dims)
    blocks = -(-dims // size)
    steps = _Steps(network, element, latents, condition, size, blocks)
    carry = steps.begin()
    for panel in np.array_split(np.arange(blocks), max(1, min(PANELS, blocks // 2))):
        first, known = int(panel[0]), (int(panel[-1]) + 1) * size

        def body(i, carry, first=first, known=known):
            return steps.block(i + first, known, carry)

        carry = compilation.static_loop(len(panel), body, carry)
    x, log_det = carry[0], carry[-1]
    return ops.transpose(x[:dims]), log_det


def _block_size(dims):
    """Elements between two products with all that is known: about 8, so that few are filled up."""
    return min(range(6, 13), key=lambda size: (-dims % size, abs(size - 8))) if dims > 12 else dims


def _matmul(a, b):
    """a b; a small product as a sum, which XLA fuses with what stands around it."""
    if a.shape[0] * a.shape[1] > FEW:
        return ops.matmul(a, b)
    return ops.sum(a[:, :, None] * b[None], axis=1)


class _Steps:
    """The network's weights by degree, padded to as many units of each, and the steps on them."""

    def __init__(self, network, element, latents, condition, block_size, num_blocks):
        self.network, self.element, self.block_size = network, element, block_size
        self.padded = padded = block_size * num_blocks
        self.dims, self.dtype = latents[0].shape[-1], latents[0].dtype
        self.latents = [self._pad(ops.transpose(z), padded - self.dims) for z in latents]
        inputs = np.minimum(np.arange(padded), self.dims)
        self.sizes, self.kernels, self.biases = [], [], []
        for layer in network.layers:
            units = self._units_by_degree(layer.out_degrees)
            kernel = ops.transpose(layer.full_kernel()[:, 0])
            self.kernels.append(self._take(self._take(kernel, units.ravel(), 0), inputs, 1))
            self.biases.append(self._take(ops.transpose(layer.bias), units.ravel(), 0))
            self.sizes.append(units.shape[1])
            inputs = units.ravel()
        outputs = np.minimum(np.arange(padded), self.dims)
        head = ops.transpose(network.head.full_kernel(), (1, 2, 0))  # [parameters, outputs, units]
        self.head = self._take(self._take(head, outputs, 1), inputs, 2)
        self.head_bias = self._take(network.head.bias, outputs, 1)[..., None]
        self.condition = None
        if network.conditional:
            features = ops.transpose(network.condition_features(condition))
            units = self._units_by_degree(network.layers[0].out_degrees)
            self.condition = self._take(features, units.ravel(), 0)

    def _units_by_degree(self, degrees):
        """Indices `[padded, largest count]` of the units of each degree, filled up with one more
        than there are."""
        counts = np.bincount(degrees, minlength=self.padded)
        indices = np.full((self.padded, counts.max()), len(degrees))
        for degree, count in enumerate(counts):
            indices[degree, :count] = np.flatnonzero(degrees == degree)
        return indices

    @staticmethod
    def _pad(array, rows):
        return ops.pad(array, [(0, rows)] + [(0, 0)] * (len(array.shape) - 1))

    @staticmethod
    def _take(array, indices, axis):
        """`take` where the index after the last gives zeros."""
        widths = [(0, int(i == axis)) for i in range(len(array.shape))]
        return ops.take(ops.pad(array, widths), indices, axis=axis)

    def begin(self):
        """x, activations of every hidden layer, and log-det, before the first block."""
        batch = ops.shape(self.latents[0])[1]
        sizes = [1, *self.sizes]
        buffers = [ops.zeros((self.padded * size, batch), self.dtype) for size in sizes]
        return (*buffers, ops.zeros((batch,), self.dtype))

    def block(self, index, known, carry):
        """The carry with the elements and units of block `index`; `known` bounds its end."""
        *buffers, log_det = carry
        batch, block = ops.shape(log_det)[0], self.block_size
        sizes = [1, *self.sizes]
        before, inside = [], []
        for i, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True)):
            below, size = sizes[i : i + 2]
            row, rows = index * block * size, block * size
            kernel = ops.slice(kernel, (row, 0), (rows, known * below))
            term = ops.matmul(kernel, buffers[i][: known * below])
            if i == 0 and self.condition is not None:
                term = term + ops.slice(self.condition, (row, 0), (rows, batch))
            before.append(term + ops.slice(bias, (row, 0), (rows, 1)))
            inside.append(ops.slice(kernel, (0, index * block * below), (rows, block * below)))
        row, width = index * block, sizes[-1]
        count = self.head.shape[0]
        head = ops.slice(self.head, (0, row, 0), (count, block, known * width))
        bias = ops.slice(self.head_bias, (0, row, 0), (count, block, 1))
        before.append(ops.matmul(head, buffers[-1][: known * width]) + bias)
        inside.append(ops.slice(head, (0, 0, row * width), (count, block, block * width)))

        def step(j, carry):
            return self.step(index, j, before, inside, carry)

        begin = [ops.zeros((block * size, batch), self.dtype) for size in sizes]
        *chunks, log_det = compilation.static_loop(block, step, (*begin, log_det))
        for i, (buffer, chunk, size) in enumerate(zip(buffers, chunks, sizes, strict=True)):
            buffers[i] = ops.slice_update(buffer, (row * size, 0), chunk)
        return (*buffers, log_det)

    def step(self, index, j, before, inside, carry):
        """Units of one degree in each hidden layer, then the element after them."""
        *chunks, log_det = carry
        batch = ops.shape(log_det)[0]
        states = []
        for i, size in enumerate(self.sizes):
            state = ops.slice(before[i], (j * size, 0), (size, batch))
            seen = ops.slice(inside[i], (j * size, 0), (size, inside[i].shape[1]))
            state = state + _matmul(seen, chunks[i])
            if self.network.residual and i and i % 2 == 0:
                state = state + states[i - 2]
            states.append(state)
            activation = self.network.activate(state)
            chunks[i + 1] = ops.slice_update(chunks[i + 1], (j * size, 0), activation)
        count, _, units = inside[-1].shape
        seen = ops.slice(inside[-1], (0, j, 0), (count, 1, units))
        parameters = ops.slice(before[-1], (0, j, 0), (count, 1, batch))[:, 0]
        parameters = parameters + _matmul(seen[:, 0], chunks[-1])
        row = index * self.block_size + j
        latents = [ops.slice(z, (row, 0), (1, batch))[0] for z in self.latents]
        x, term = self.element(latents, ops.unstack(parameters, axis=0))
        chunks[0] = ops.slice_update(chunks[0], (j, 0), x[None])
        return (*chunks, log_det + ops.where(row < self.dims, term, 0.0))
