"""Solving x from z in blocks of elements, and each block by fixed-point sweeps: for GPUs.

A GPU waits for the launches of the incremental inversion's thousands of small steps. Sweeps over a
block (Song et al. 2021, "Accelerating feedforward computation via parallel nonlinear equation
solving", Gauss-Seidel-Jacobi) are fewer, because an element depends on most before it weakly.
"""

from collections.abc import Sequence

from keras import ops

from tfflows.backend.tensor_ops import Tensor, cut_far
from tfflows.networks.made.inversion import Element, Panel, changes, differentiable, invert_panels
from tfflows.networks.made.made import MADE

BLOCK_ELEMENTS = 256  # elements of a block, at most
SWEEPS_PER_CHECK = 4  # each check of what changed waits for the GPU


def invert_block_jacobi(
    network: MADE,
    element: Element,
    latents: Sequence[Tensor],
    condition: Tensor | None = None,
    tolerance: float = 1e-6,
) -> tuple[Tensor, Tensor]:
    """Each hidden unit of a block in every sweep, the blocks in their order.

    Sweep k makes the first k elements of a block exact, so that as many sweeps as it has elements
    are exact whatever the tolerance, which only ends them before.

    Args:
        network, element, latents, condition: as for all inversions.
        tolerance: largest change of an element, relative to its size where that is above 1, at
            which the sweeps of a block end.
    """

    def make_panel(weights, first, last):
        return _JacobiPanel(network, element, weights, first, last, tolerance)

    def solve():
        return invert_panels(network, latents, condition, [0, latents[0].shape[-1]], make_panel)

    return differentiable(network, element, latents, condition, solve)


class _JacobiPanel(Panel):
    """A panel whose blocks are solved by sweeps."""

    def __init__(self, network, element, weights, first, last, tolerance):
        count = last - first
        blocks = -(-count // BLOCK_ELEMENTS)
        super().__init__(network, element, weights, first, last, -(-count // blocks))
        self.tolerance = tolerance

    def _solve_block(self, index, log_det, latents, terms, inside):
        """Values of block `index`, and the log-det with that of its elements."""

        def unfinished(sweeps, is_changing, x):
            return ops.logical_and(sweeps < self.block_size, is_changing)

        def sweep(sweeps, _, x):
            for _ in range(SWEEPS_PER_CHECK):
                before, x = x, self._sweep(x, latents, terms, inside)[1]
            return sweeps + SWEEPS_PER_CHECK, changes(before, x, self.tolerance), x

        x = ops.zeros_like(latents[0])
        x = ops.while_loop(unfinished, sweep, (0, ops.convert_to_tensor(True), x))[2]
        hidden, x, terms = self._sweep(x, latents, terms, inside)
        real = ops.arange(x.shape[0]) < self.count - index * self.block_size
        return [x, *hidden], log_det + ops.sum(ops.where(real[:, None], terms, 0.0), axis=0)

    def _sweep(self, x, latents, terms, inside):
        """All hidden units of the block from x, and the elements and their terms from these."""
        states, hidden, below = [], [], cut_far(x)
        for i, (term, kernel) in enumerate(zip(terms, inside, strict=True)):
            state = term + ops.matmul(kernel, below)
            if i == len(inside) - 1:
                break
            if self.network.residual and i and i % 2 == 0:
                state = state + states[i - 2]
            below = self.network.activate(state)
            states.append(state)
            hidden.append(below)
        parameters = ops.reshape(state, (x.shape[0], self.network.num_parameters, -1))
        return hidden, *self.element(latents, ops.unstack(parameters, axis=1))
