"""Autoregressive flows by causal transformers (Zhai et al. 2024, TarFlow, section 2)."""

import contextlib

import keras
from keras import ops

from tfflows.backend import compilation
from tfflows.backend.precision import full_precision
from tfflows.backend.tensor_ops import sum_event
from tfflows.layers.flow_layer import FlowLayer
from tfflows.networks.causal_transformer import CausalTransformer
from tfflows.networks.made.inversion import changes
from tfflows.networks.made.inverter import TOLERANCE, TOLERANCES
from tfflows.networks.made.made import bounded
from tfflows.transforms import Affine, Transform

INVERSIONS = ("cached", "jacobi", "sequential")


@keras.saving.register_keras_serializable(package="tfflows")
class TransformerAutoregressive(FlowLayer):
    """Transform each token given those before it: data to latent in one pass.

        z_t = transform(x_t; parameters_t),  parameters_t = transformer(x_1 .. x_t-1, condition)
        log_det = sum_t log dz_t/dx_t

    for x `[batch, rows, columns, channels]`, whose tokens are taken row by row, or
    `[batch, tokens, channels]`. The channels of a token are transformed given other tokens only.

    The way back needs x_t for the parameters of x_t+1. `inversion` says how it is found: "cached"
    goes from token to token and keeps the keys and values of those before, in one compiled loop;
    "jacobi" repeats passes over all tokens until nothing changes; "sequential" makes a pass of all
    tokens per token. All are exact: sweeps stop at `tolerance`, or after as many as there are
    tokens, where they cannot be wrong. Under a mixed policy the transformer computes in the lower
    precision in training only: an error of one token goes into all after it. Parameters are cut at
    +-1e4, so that samples which grow from token to token stay finite.

    Args:
        transform: of each element; affine by default.
        width: size of a token within the transformer.
        num_blocks: transformer blocks.
        num_heads: attention heads, which divide the width.
        context: how far around a token those before it are given to the transformer at once: see
            `CausalTransformer`.
        reverse: whether the order of the tokens is from the last to the first.
        dropout: of the transformer, in training.
        inversion: "cached", "jacobi" or "sequential".
        tolerance: largest change of an element, relative to its size where that is above 1, after
            which sweeps stop; None is 1e-6, in float64 1e-12.
    """

    def __init__(
        self,
        transform: Transform | None = None,
        width: int = 128,
        num_blocks: int = 4,
        num_heads: int = 4,
        context: int = 3,
        reverse: bool = False,
        dropout: float = 0.0,
        inversion: str = "cached",
        tolerance: float | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if inversion not in INVERSIONS:
            raise ValueError(f"inversion must be one of {INVERSIONS}. Received: {inversion!r}")
        if tolerance is not None and not tolerance >= 0:
            raise ValueError(f"tolerance must not be negative. Received: {tolerance}")
        self.transform = Affine() if transform is None else transform
        if not isinstance(self.transform, Transform):
            raise ValueError(f"transform must be a tfflows transform. Received: {transform!r}")
        self.width, self.num_blocks, self.num_heads = width, num_blocks, num_heads
        self.context, self.reverse, self.dropout = context, reverse, dropout
        self.inversion, self.tolerance = inversion, tolerance

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        if len(self.event_shape) not in (2, 3):
            raise ValueError(
                f"{type(self).__name__} expects events (rows, columns, channels) or (tokens, "
                f"channels). Received: event of shape {self.event_shape}"
            )
        self._grid = self.event_shape if len(self.event_shape) == 3 else (1, *self.event_shape)
        self.network = CausalTransformer(
            self.transform.num_parameters * self._grid[2],
            self.width,
            self.num_blocks,
            self.num_heads,
            self.context,
            self.dropout,
            dtype=self.dtype_policy,
            name="network",
        )
        self.network.build((None, *self._grid), condition_shape)
        solvers = {
            "cached": self._solve_cached,
            "jacobi": self._solve_jacobi,
            "sequential": self._solve_sequential,
        }
        self._solve = compilation.compile_region(solvers[self.inversion], self._solve_sequential)

    def _forward(self, x, condition=None, training=False):
        # An error of one token goes into all after it. Training has noise enough.
        with contextlib.nullcontext() if training else full_precision():
            z, log_det = self._pass(self._order(x), condition, self.transform.forward, training)
        return self._reorder(z), log_det

    def _inverse(self, z, condition=None, training=False):
        z = self._order(z)
        solve = self._solve_sequential if training else self._solve
        x, log_det = solve(z) if condition is None else solve(z, condition)
        return self._reorder(x), log_det

    def _order(self, x):
        """Events as `[batch, rows, columns, channels]` in the order of the tokens."""
        x = ops.reshape(x, (-1, *self._grid))
        return ops.flip(x, axis=(1, 2)) if self.reverse else x

    def _reorder(self, x):
        x = ops.flip(x, axis=(1, 2)) if self.reverse else x
        return ops.reshape(x, (-1, *self.event_shape))

    def _pass(self, x, condition, transform, training=False, known=None):
        """`transform(known)` and its log-det by the parameters that tokens x give."""
        outputs = self.network(x, condition, training=training)
        y, log_det = transform(x if known is None else known, self._parameters(outputs))
        return y, sum_event(log_det)

    def _parameters(self, outputs):
        """`num_parameters` tensors `[..., channels]` of the network's outputs."""
        parts = ops.split(outputs, self.transform.num_parameters, axis=-1)
        return bounded(parts)

    def _solve_sequential(self, z, condition=None):
        """A pass of all tokens per token. Every backend differentiates it."""

        def sweep(_, carry):
            return self._pass(carry[0], condition, self.transform.inverse, known=z)

        rows, columns, _ = self._grid
        with full_precision():
            start = (ops.zeros_like(z), ops.zeros_like(z[:, 0, 0, 0]))
            return compilation.static_loop(rows * columns, sweep, start)

    def _solve_cached(self, z, condition=None):
        """One token after the other, which look back at the keys and values of those before."""
        rows, columns, channels = self._grid
        above = self.network.pad(z).shape[1] - rows
        latents = ops.reshape(z, (-1, rows * columns, channels))

        def step(place, carry):
            padded, log_det, *caches = carry
            outputs, caches = self.network.step(place, padded, condition, caches)
            latent = ops.take(latents, place, axis=1)
            x, term = self.transform.inverse(latent, self._parameters(outputs))
            row, column = place // columns + above, place % columns + self.context
            padded = ops.slice_update(padded, (0, row, column, 0), x[:, None, None])
            return (padded, log_det + sum_event(term), *caches)

        with full_precision():
            caches = self.network.make_caches(ops.shape(z)[0])
            start = (self.network.pad(ops.zeros_like(z)), ops.zeros_like(z[:, 0, 0, 0]), *caches)
            padded, log_det, *_ = compilation.static_loop(rows * columns, step, start)
        return padded[:, above:, self.context : self.context + columns], log_det

    def _solve_jacobi(self, z, condition=None):
        """Passes over all tokens until nothing changes (Song et al. 2021): sweep k makes the first
        k tokens exact."""
        tolerance = self.tolerance
        if tolerance is None:
            tolerance = TOLERANCES.get(self.compute_dtype, TOLERANCE)
        rows, columns, _ = self._grid

        def unfinished(sweeps, is_changing, x, log_det):
            return ops.logical_and(sweeps < rows * columns, is_changing)

        def sweep(sweeps, is_changing, x, log_det):
            new, log_det = self._pass(x, condition, self.transform.inverse, known=z)
            return sweeps + 1, changes(x, new, tolerance), new, log_det

        with full_precision():
            x = ops.zeros_like(z)
            start = (0, ops.convert_to_tensor(True), x, ops.zeros_like(z[:, 0, 0, 0]))
            return ops.while_loop(unfinished, sweep, start)[2:]

    def _can_be_scanned(self, inverse):
        # What TensorFlow compiles as a region reads variables, not what stands for them.
        return not inverse or keras.backend.backend() != "tensorflow"

    def get_config(self):
        return {
            **super().get_config(),
            "transform": keras.saving.serialize_keras_object(self.transform),
            "width": self.width,
            "num_blocks": self.num_blocks,
            "num_heads": self.num_heads,
            "context": self.context,
            "reverse": self.reverse,
            "dropout": self.dropout,
            "inversion": self.inversion,
            "tolerance": self.tolerance,
        }
