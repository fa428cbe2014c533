"""Autoregressive flows by causal transformers (Zhai et al. 2024, TarFlow, section 2)."""

import contextlib
import itertools

import keras
from keras import ops

from tfflows.backend import compilation
from tfflows.backend.precision import full_precision
from tfflows.backend.tensor_ops import sum_event
from tfflows.layers.flow_layer import FlowLayer
from tfflows.layers.guidance import current_guidance
from tfflows.networks.causal_transformer import CausalTransformer
from tfflows.networks.made.inversion import changes
from tfflows.networks.made.inverter import TOLERANCE, TOLERANCES
from tfflows.networks.made.made import MAX_ABS_PARAMETER
from tfflows.transforms import Affine, Transform

INVERSIONS = ("cached", "block_jacobi", "jacobi", "sequential")
# Of a loop over tokens. Each is compiled by itself, which more and shorter ones do not make up for.
MAX_STAGES, MIN_STAGE_TOKENS = 4, 96


@keras.saving.register_keras_serializable(package="tfflows")
class TransformerAutoregressive(FlowLayer):
    """Transform each token given those before it: data to latent in one pass.

        z_t = transform(x_t; parameters_t),  parameters_t = transformer(x_1 .. x_t-1, condition)
        log_det = sum_t log dz_t/dx_t

    for x `[batch, rows, columns, channels]`, whose tokens are taken row by row, or
    `[batch, tokens, channels]`. The channels of a token are transformed given other tokens only.

    The way back needs x_t for the parameters of x_t+1. `inversion` says how it is found: "cached"
    goes from token to token and keeps the keys and values of those before, in one compiled loop;
    "block_jacobi" goes from row to row so, and repeats passes over each until nothing changes
    (Gauss-Seidel-Jacobi); "jacobi" repeats passes over all tokens; "sequential" makes a pass of all
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
        inversion: "cached", "block_jacobi", "jacobi" or "sequential".
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
            "block_jacobi": self._solve_block_jacobi,
            "jacobi": self._solve_jacobi,
            "sequential": self._solve_sequential,
        }
        self._solve = compilation.compile_region(solvers[self.inversion], self._solve_sequential)

    def _forward(self, x, condition=None, training=False):
        # An error of one token goes into all after it. Training has noise enough.
        with contextlib.nullcontext() if training else full_precision():
            x = self._order(x)
            outputs = self.network(self.transform.seen(x), condition, training=training)
            z, log_det = self.transform.forward(x, self._parameters(outputs))
        return self._reorder(z), sum_event(log_det)

    def _inverse(self, z, condition=None, training=False):
        z = self._order(z)
        solve = self._solve_sequential if training else self._solve
        guidance = None if condition is None else current_guidance()
        x, log_det = solve(*(each for each in (z, condition, guidance) if each is not None))
        return self._reorder(x), log_det

    def _order(self, x):
        """Events as `[batch, rows, columns, channels]` in the order of the tokens."""
        x = ops.reshape(x, (-1, *self._grid))
        return ops.flip(x, axis=(1, 2)) if self.reverse else x

    def _reorder(self, x):
        x = ops.flip(x, axis=(1, 2)) if self.reverse else x
        return ops.reshape(x, (-1, *self.event_shape))

    def _parameters(self, outputs):
        """Parameters of all channels of the network's outputs."""
        outputs = ops.clip(outputs, -MAX_ABS_PARAMETER, MAX_ABS_PARAMETER)
        return self.transform.split(outputs)

    def _inverse_pass(self, x, z, condition, guidance):
        """x and the log-det that latents z have by the parameters of tokens x."""
        seen = self.transform.seen(x)
        outputs = _guide(lambda *rows: self.network(*rows), guidance, seen, condition)
        new, log_det = self.transform.inverse(z, self._parameters(outputs))
        return new, sum_event(log_det)

    def _solve_sequential(self, z, condition=None, guidance=None):
        """A pass of all tokens per token. Every backend differentiates it."""

        def sweep(_, carry):
            return self._inverse_pass(carry[0], z, condition, guidance)

        rows, columns, _ = self._grid
        with full_precision():
            start = (ops.zeros_like(z), ops.zeros_like(z[:, 0, 0, 0]))
            return compilation.static_loop(rows * columns, sweep, start)

    def _solve_jacobi(self, z, condition=None, guidance=None):
        """Passes over all tokens until nothing changes (Song et al. 2021): sweep k makes the first
        k tokens exact."""
        rows, columns, _ = self._grid
        with full_precision():
            return self._sweep_until_settled(
                lambda x, *_: self._inverse_pass(x, z, condition, guidance),
                (ops.zeros_like(z), ops.zeros_like(z[:, 0, 0, 0])),
                rows * columns,
            )

    def _sweep_until_settled(self, sweep, start, limit):
        """`state = sweep(*state)` until its first tensor settles, at most `limit` times."""
        tolerance = self.tolerance
        if tolerance is None:
            tolerance = TOLERANCES.get(self.compute_dtype, TOLERANCE)

        def unfinished(sweeps, is_changing, *state):
            return ops.logical_and(sweeps < limit, is_changing)

        def next_sweep(sweeps, is_changing, *state):
            new = sweep(*state)
            return sweeps + 1, changes(state[0], new[0], tolerance), *new

        start = (0, ops.convert_to_tensor(True), *start)
        return ops.while_loop(unfinished, next_sweep, start)[2:]

    def _solve_cached(self, z, condition=None, guidance=None):
        """One token after the other, which look back at the keys and values of those before."""
        return self._solve_in_steps(z, condition, guidance, count=1)

    def _solve_block_jacobi(self, z, condition=None, guidance=None):
        """One row after the other, each in sweeps."""
        return self._solve_in_steps(z, condition, guidance, count=self._grid[1])

    def _solve_in_steps(self, z, condition, guidance, count):
        """Steps of `count` tokens of a row each, which keep the keys and values of those before."""
        rows, columns, channels = self._grid
        above = self.network.pad(z).shape[1] - rows
        latents = ops.reshape(z, (-1, rows * columns // count, count, channels))

        def step(i, carry):
            found, log_det, padded, *caches = carry
            place = i * count
            latent = ops.take(latents, i, axis=1)
            row, column = place // columns + above, place % columns + self.context

            def sweep(x, term, padded, *caches):
                outputs, caches = _guide(
                    lambda *rows: self.network.step(place, count, *rows), guidance, padded,
                    condition, caches,
                )  # fmt: skip
                x, term = self.transform.inverse(latent, self._parameters(outputs))
                seen = self.transform.seen(x)[:, None]
                padded = ops.slice_update(padded, (0, row, column, 0), seen)
                return x, sum_event(term), padded, *caches

            state = (ops.zeros_like(latent), ops.zeros_like(log_det), padded, *caches)
            if count == 1:
                x, term, *state = sweep(*state)
            else:
                x, term, *state = self._sweep_until_settled(sweep, state, count)
            found = ops.slice_update(found, (0, i, 0, 0), x[:, None])
            return (found, log_det + term, *state)

        with full_precision():
            caches = self.network.make_caches(ops.shape(z)[0] * (1 if guidance is None else 2))
            found, log_det = ops.zeros_like(latents), ops.zeros_like(z[:, 0, 0, 0])
            padded = self.network.pad(ops.zeros_like(z))
            for first, end in _stages(rows * columns // count, count):
                caches = self.network.grow_caches(caches, end * count)
                found, log_det, padded, *caches = compilation.static_loop(
                    end - first,
                    lambda i, carry, first=first: step(first + i, carry),
                    (found, log_det, padded, *caches),
                )
        return ops.reshape(found, (-1, *self._grid)), log_det

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


def _stages(steps, tokens_per_step):
    """First step and end of each stage: early ones have shorter caches to read in each step."""
    count = max(1, min(MAX_STAGES, steps * tokens_per_step // MIN_STAGE_TOKENS, steps))
    ends = [steps * i // count for i in range(count + 1)]
    return list(itertools.pairwise(ends))


def _guide(network, guidance, x, condition, *caches):
    """Outputs of `network(x, condition, *caches)`, and its caches where it has some.

    With a guidance `[batch]` it is called on all rows with the condition, and once more without.
    """
    if guidance is None:
        return network(x, condition, *caches)
    x = ops.concatenate([x, x])
    condition = ops.concatenate([condition, ops.zeros_like(condition)])
    results = network(x, condition, *caches)
    outputs = results[0] if caches else results
    given, free = ops.split(outputs, 2)
    strength = ops.reshape(guidance, (-1, *(1 for _ in given.shape[1:])))
    outputs = given + strength * (given - free)
    return (outputs, *results[1:]) if caches else outputs
