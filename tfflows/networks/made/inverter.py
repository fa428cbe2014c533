"""The way from latents to x through a MADE, compiled, in the form that its device is fast at."""

from collections.abc import Sequence

from tfflows.backend.compilation import compile_region
from tfflows.backend.device_choice import by_device
from tfflows.backend.precision import full_precision
from tfflows.backend.tensor_ops import Tensor
from tfflows.networks.made.block_jacobi import invert_block_jacobi
from tfflows.networks.made.inversion import (
    Element,
    invert_incremental,
    invert_jacobi,
    invert_sequential,
)
from tfflows.networks.made.made import MADE

INVERSIONS = ("incremental", "jacobi", "sequential")
TOLERANCES = {"float64": 1e-12}  # by dtype; else
TOLERANCE = 1e-6


class Inverter:
    """x and the sum of its elements' log-derivatives, from latents `[batch, dims]`.

    "incremental" is for CPUs: on other devices it is the inversion in blocks of Jacobi sweeps.

    Args:
        network: of sequential order.
        element: see `tfflows.networks.made.inversion`.
        num_latents: arrays of latents.
        inversion: one of `INVERSIONS`.
        tolerance: of Jacobi's sweeps; None is 1e-6, in float64 1e-12.
    """

    def __init__(
        self,
        network: MADE,
        element: Element,
        num_latents: int = 1,
        inversion: str = "incremental",
        tolerance: float | None = None,
    ):
        if tolerance is None:
            tolerance = TOLERANCES.get(network.compute_dtype, TOLERANCE)

        def region(invert, **options):
            def solve(*tensors):
                latents, condition = tensors[:num_latents], tensors[num_latents:]
                with full_precision():
                    return invert(network, element, latents, *condition, **options)

            return solve

        self._sequential = region(invert_sequential)
        on_cpu = {
            "incremental": region(invert_incremental),
            "jacobi": region(invert_jacobi, tolerance=tolerance),
            "sequential": self._sequential,
        }[inversion]
        self._on_cpu = self._on_gpu = compile_region(on_cpu, self._sequential)
        if inversion == "incremental":
            blocks = region(invert_block_jacobi, tolerance=tolerance)
            self._on_gpu = compile_region(blocks, self._sequential)

    def __call__(
        self, latents: Sequence[Tensor], condition: Tensor | None = None, training: bool = False
    ) -> tuple[Tensor, Tensor]:
        """x `[batch, dims]` and its log-det `[batch]`.

        Args:
            latents: arrays `[batch, dims]`.
            condition: what the network is given, or None.
            training: whether gradients are taken in any case.
        """
        tensors = [*latents, *([] if condition is None else [condition])]
        if training:  # loops in loops take a minute to compile with their gradients
            return self._sequential(*tensors)
        if self._on_cpu is self._on_gpu:
            return self._on_cpu(*tensors)
        return by_device(self._on_cpu, self._on_gpu, *tensors)
