"""Solving x from z where a MADE makes the parameters of each element from the elements before.

All functions take a MADE of sequential order, `element(latents, parameters)`, which gives one
element and its log-derivative from the latents and the `num_parameters` parameters at its place,
and `latents`, arrays `[batch, dims]`. They return x and the sum of the log-derivatives `[batch]`.

| function | passes of the network | |
|---|---|---|
| `invert_incremental` | the arithmetic of about one | each hidden unit is computed once |
| `invert_jacobi` | until x no longer changes, at most dims | all elements at once |
| `block_jacobi.invert_block_jacobi` | of blocks, in all fewer | a block's elements at once |
| `invert_sequential` | dims | the definition, which the others are compared with |
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfflows.backend import compilation
from tfflows.backend.autodiff import fixed_point
from tfflows.backend.tensor_ops import Tensor, cut_far, sum_event
from tfflows.networks.made.made import MADE

Element = Callable[[Sequence[Tensor], Sequence[Tensor]], tuple[Tensor, Tensor]]

MAX_SUMMED_WEIGHTS = 120  # weights of a small product
MAX_UNROLLED_BLOCKS = 8  # panels of one block, each compiled on its own; where there are more,
NUM_PANELS = 4  # panels of many, each a loop
BLOCK_ELEMENTS = 8  # elements of a block, about


def invert_sequential(
    network: MADE, element: Element, latents: Sequence[Tensor], condition: Tensor | None = None
) -> tuple[Tensor, Tensor]:
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
    condition: Tensor | None = None,
    tolerance: float = 1e-6,
) -> tuple[Tensor, Tensor]:
    """Fixed-point sweeps over all elements at once (Song et al. 2021, "Accelerating feedforward").

    Sweep k makes the first k elements exact, so that the last of `dims` sweeps is exact whatever
    the tolerance, which only ends the sweeps before.

    Args:
        network, element, latents, condition: as for all.
        tolerance: largest change of an element, relative to its size where that is above 1, at
            which the sweeps end.
    """
    dims = latents[0].shape[-1]

    def unfinished(sweeps, is_changing, x, log_det):
        return ops.logical_and(sweeps < dims, is_changing)

    def sweep(sweeps, is_changing, x, log_det):
        new, log_det = element(latents, ops.unstack(network(x, condition), axis=1))
        return sweeps + 1, changes(x, new, tolerance), new, sum_event(log_det)

    def solve():
        x = ops.zeros_like(latents[0])
        start = (0, ops.convert_to_tensor(True), x, sum_event(x))
        return ops.while_loop(unfinished, sweep, start)[2:]

    return differentiable(network, element, latents, condition, solve)


def differentiable(
    network: MADE,
    element: Element,
    latents: Sequence[Tensor],
    condition: Tensor | None,
    solve: Callable[[], tuple[Tensor, Tensor]],
) -> tuple[Tensor, Tensor]:
    """x and the log-det that `solve` finds in loops that JAX does not differentiate."""
    if keras.backend.backend() == "tensorflow":
        return solve()

    def step(x):
        return element(latents, ops.unstack(network(x, condition), axis=1))

    x = fixed_point(lambda x: step(x)[0], lambda: solve()[0], latents[0])
    return x, sum_event(step(x)[1])


def changes(before: Tensor, after: Tensor, tolerance: float) -> Tensor:
    """Whether an element changes by more than the tolerance, relative to its size above 1."""
    change = ops.abs(after - before) / ops.maximum(1.0, ops.abs(after))
    # What stays NaN or infinite does not change, and what comes to be so does: neither must
    # end the sweeps of the other rows.
    is_nan = ops.logical_and(ops.isnan(after), ops.isnan(before))
    settled = ops.logical_or(change <= tolerance, ops.logical_or(after == before, is_nan))
    return ops.any(ops.logical_not(settled))


def invert_incremental(
    network: MADE, element: Element, latents: Sequence[Tensor], condition: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Each element and each hidden unit once, in the order of their degrees.

    A hidden unit of degree d sees only the elements before d, and element d the units of degree d
    and lower. Step d so computes the units of degree d, in all layers, and then element d. Steps
    look back at their block, blocks at their panel, and panels at all that is known, each by one
    product per layer: most of the arithmetic is in large products, and few zeros of the masks are
    multiplied. Arrays are `[units, batch]`, so that rows of a block are contiguous.
    """
    dims = latents[0].shape[-1]
    blocks = -(-dims // BLOCK_ELEMENTS)
    panels = blocks if blocks <= MAX_UNROLLED_BLOCKS else NUM_PANELS
    ends = np.linspace(0, dims, panels + 1).astype(int).tolist()

    def make_panel(weights, first, last):
        return Panel(network, element, weights, first, last, _block_size(last - first))

    return invert_panels(network, latents, condition, ends, make_panel)


def invert_panels(
    network: MADE,
    latents: Sequence[Tensor],
    condition: Tensor | None,
    ends: Sequence[int],
    make_panel: Callable[[Any, int, int], "Panel"],
) -> tuple[Tensor, Tensor]:
    """One panel after the other, from each of `ends` to before the next."""
    latents = [ops.transpose(z) for z in latents]
    batch = ops.shape(latents[0])[1]
    weights = _Weights(network, condition)
    known = [ops.zeros((0, batch), latents[0].dtype)] * (1 + len(network.layers))
    total = ops.zeros((batch,), latents[0].dtype)
    for first, last in itertools.pairwise(ends):
        panel = make_panel(weights, first, last)
        values, log_det = panel.solve([z[first:last] for z in latents], known)
        known = [ops.concatenate(pair, axis=0) for pair in zip(known, values, strict=True)]
        total = total + log_det
    return ops.transpose(known[0]), total


def _matmul(a, b):
    """a b; a small product as a sum, which XLA fuses with what stands around it."""
    if a.shape[0] * a.shape[1] > MAX_SUMMED_WEIGHTS:
        return ops.matmul(a, b)
    return ops.sum(a[:, :, None] * b[None], axis=1)


class _Weights:
    """The network's weights as `[outputs, inputs]`, and what is added to each product.

    Outputs of the head are all parameters of one element, then those of the next.
    """

    def __init__(self, network, condition):
        self.kernels = [ops.transpose(layer.full_kernel()[:, 0]) for layer in network.layers]
        self.biases = [ops.transpose(layer.bias) for layer in network.layers]
        if network.conditional:
            self.biases[0] = self.biases[0] + ops.transpose(network.condition_features(condition))
        head = ops.transpose(network.head.full_kernel(), (2, 1, 0))
        self.kernels.append(ops.reshape(head, (-1, head.shape[-1])))
        self.biases.append(ops.reshape(ops.transpose(network.head.bias), (-1, 1)))


class _Rows:
    """Where a panel's rows of one array stand, by the step that computes them.

    As many rows are computed in each step as in the one with the most. Those that are not its own
    are of later steps, which compute them again: until then only masked weights see them.
    """

    def __init__(self, degrees, first, last, block):
        steps = np.minimum(np.arange(first, first + block * -(-(last - first) // block)), last)
        begin, end = np.searchsorted(degrees, (first, last))
        starts = np.searchsorted(degrees, steps) - begin
        self.of_panel = slice(int(begin), int(end))
        self.count = int(end - begin)
        self.per_step = max(1, int(np.diff([*starts, self.count]).max()))
        of_blocks = starts[::block]
        of_steps = starts.reshape(-1, block) - of_blocks[:, None]
        self.per_block = int(of_steps.max()) + self.per_step
        self.padded = int(of_blocks.max()) + self.per_block
        own = np.diff([*of_blocks, self.count])
        self.is_own = (np.arange(self.per_block) < own[:, None])[..., None]
        self.of_blocks, self.of_steps = of_blocks.astype("int32"), of_steps.astype("int32")


class Panel:
    """The elements from `first` to before `last`, and the hidden units computed beside them.

    Solved in blocks of `block_size` elements, and these step by step.
    """

    def __init__(self, network, element, weights, first, last, block_size):
        self.network, self.element, self.weights = network, element, weights
        self.count, self.block_size = last - first, block_size
        self.num_blocks = -(-self.count // self.block_size)
        outputs = np.repeat(np.arange(last), network.num_parameters)
        degrees = [np.arange(last), *(layer.out_degrees for layer in network.layers), outputs]
        self.rows = [_Rows(each, first, last, self.block_size) for each in degrees]

    def solve(self, latents, known):
        """Values of the panel's elements and hidden units, and the log-det, given those before."""
        latents = [_pad(z, self.rows[0].padded) for z in latents]
        batch = ops.shape(latents[0])[1]
        before, kernels = [], []
        for i, (below, here) in enumerate(itertools.pairwise(self.rows)):
            kernel = self.weights.kernels[i][here.of_panel]
            bias = self.weights.biases[i][here.of_panel]
            term = ops.broadcast_to(bias, (bias.shape[0], batch))
            if below.of_panel.start:  # LiteRT forgets the bias of a product with nothing
                seen = known[i] if i else cut_far(known[i])
                term = term + ops.matmul(kernel[:, : below.of_panel.start], seen)
            before.append(_pad(term, here.padded))
            kernels.append(_pad(kernel[:, below.of_panel], here.padded, below.padded))
        values = [ops.zeros((rows.padded, batch), latents[0].dtype) for rows in self.rows[:-1]]

        def block(i, carry):
            return self._block(i, carry, latents, before, kernels)

        total = ops.zeros((batch,), latents[0].dtype)
        if self.num_blocks == 1:
            values, total = self._solve_block(0, total, latents, before, kernels)
        else:
            *values, total = compilation.static_loop(self.num_blocks, block, (*values, total))
        return [v[: rows.count] for v, rows in zip(values, self.rows, strict=False)], total

    def _block(self, index, carry, latents, before, kernels):
        """The carry with the values of a block, which has looked back at the whole panel."""
        *values, log_det = carry
        starts = [ops.take(rows.of_blocks, index) for rows in self.rows]
        latents = [_slice(z, starts[0], self.rows[0].per_block) for z in latents]
        terms, inside = [], []
        for i, (below, here) in enumerate(itertools.pairwise(self.rows)):
            kernel = _slice(kernels[i], starts[i + 1], here.per_block)
            term = _slice(before[i], starts[i + 1], here.per_block)
            terms.append(term + ops.matmul(kernel, values[i] if i else cut_far(values[i])))
            inside.append(_slice(kernel, starts[i], below.per_block, axis=1))
        chunks, log_det = self._solve_block(index, log_det, latents, terms, inside)
        for i, (rows, chunk) in enumerate(zip(self.rows, chunks, strict=False)):
            chunk = ops.where(ops.take(rows.is_own, index, axis=0), chunk, 0.0)
            values[i] = _slice_update(values[i], starts[i], chunk)
        return (*values, log_det)

    def _solve_block(self, index, log_det, latents, terms, inside):
        """Values of block `index`, and the log-det with that of its elements."""
        batch = ops.shape(log_det)[0]
        real = ops.minimum(self.count - index * self.block_size, self.block_size)
        places = [ops.take(rows.of_steps, index, axis=0) for rows in self.rows]

        def step(j, carry):
            return self._step(carry, j < real, [p[j] for p in places], latents, terms, inside)

        chunks = [ops.zeros((rows.per_block, batch), log_det.dtype) for rows in self.rows[:-1]]
        *chunks, log_det = compilation.static_loop(self.block_size, step, (*chunks, log_det))
        return chunks, log_det

    def _step(self, carry, is_real, places, latents, terms, inside):
        """Units of one degree in each hidden layer, then the element after them."""
        *chunks, log_det = carry
        states = []
        for i, here in enumerate(self.rows[1:]):
            kernel = _slice(inside[i], places[i + 1], here.per_step)
            state = _slice(terms[i], places[i + 1], here.per_step)
            state = state + _matmul(kernel, chunks[i] if i else cut_far(chunks[i]))
            if i == len(inside) - 1:
                break
            if self.network.residual and i and i % 2 == 0:
                state = state + states[i - 2]
            states.append(state)
            activation = self.network.activate(state)
            chunks[i + 1] = _slice_update(chunks[i + 1], places[i + 1], activation)
        latents = [_slice(z, places[0], 1)[0] for z in latents]
        x, term = self.element(latents, ops.unstack(state, axis=0))
        chunks[0] = _slice_update(chunks[0], places[0], x[None])
        return (*chunks, log_det + ops.where(is_real, term, 0.0))


def _slice(matrix, start, size, axis=0):
    """`size` rows, or columns, from `start`."""
    starts, shape = [ops.zeros_like(start)] * 2, list(ops.shape(matrix))
    starts[axis], shape[axis] = start, size
    return ops.slice(matrix, starts, shape)


def _slice_update(matrix, start, rows):
    """`matrix` with `rows` from `start`."""
    return ops.slice_update(matrix, (start, ops.zeros_like(start)), rows)


def _pad(array, *sizes):
    """`array` with zeros at the end of its first axes, up to these sizes."""
    widths = [(0, size - n) for size, n in zip(sizes, array.shape, strict=False)]
    return ops.pad(array, widths + [(0, 0)] * (len(array.shape) - len(widths)))


def _block_size(count):
    """Elements between two products with the whole panel, so that few are filled up."""
    if count <= BLOCK_ELEMENTS:
        return count
    return min(
        range(BLOCK_ELEMENTS - 2, BLOCK_ELEMENTS + 5),
        key=lambda size: (-count % size, abs(size - BLOCK_ELEMENTS)),
    )
