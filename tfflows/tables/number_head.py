"""The part of a TableFlow for columns of numbers: their features, and mixtures of logistics."""

import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops
from scipy import special

from tfflows.backend import rng
from tfflows.backend.tensor_ops import Tensor
from tfflows.tables.category_head import NEVER, draw_categories
from tfflows.tables.column_products import column_products
from tfflows.tables.marginal import Marginal
from tfflows.tables.spline import Knots, make_knots, pad_knots, spline, spline_inverse

NUM_FEATURES = 32
MAX_KNOTS = 512  # of columns whose draws are made whole here
_MIN_LOG_SCALE, _MAX_LOG_SCALE = -8.0, 3.0
# Of a logistic that every mixture has: where all others are narrow, a row far from them would cost
# thousands of nats.
WIDE_WEIGHT = 1e-4


@keras.saving.register_keras_serializable(package="tfflows")
class NumberHead(keras.layers.Layer):
    """Columns of numbers, whose conditionals are mixtures of logistics in z (see `Marginal`).

    A real number has the density sum_k w_k f((z - m_k) / s_k) / s_k times dz/dx, a whole number the
    mass sum_k w_k [F((upper - m_k) / s_k) - F((lower - m_k) / s_k)] of its cell, as in PixelCNN++
    (Salimans et al. 2017, https://arxiv.org/abs/1701.05517, equation 2). Atoms and "missing" have
    masses of their own beside the mixture.

    A cell enters by a piecewise linear encoding of z (Gorishniy et al. 2022,
    https://arxiv.org/abs/2203.05556).

    Args:
        sizes: of each column, 1 and the number of its atoms, and 1 for "missing".
        missing: of each column, whether its last code is "missing".
        whole: of each column, whether its values are whole numbers.
        width: features of the network.
        num_columns: of the whole table, by which first embeddings are scaled.
        num_components: components of each mixture.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        missing: Sequence[bool],
        whole: Sequence[bool],
        width: int,
        num_columns: int,
        num_components: int = 8,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.sizes, self.missing, self.whole = list(sizes), list(missing), list(whole)
        self.width, self.num_columns, self.num_components = width, num_columns, num_components
        codes = np.arange(max(self.sizes))
        ends = np.array(self.sizes)[:, None]
        self._offsets = np.arange(len(self.sizes), dtype="int32") * len(codes)
        self._barred = np.where(codes < ends, 0, NEVER).astype("float32")
        is_missing = (codes == ends - 1) & np.array(self.missing)[:, None]
        self._barred_seen = np.where(is_missing, NEVER, self._barred).astype("float32")
        # Bins of the encoding: as many rows of a standard normal column in each.
        self._bins = special.ndtri(np.linspace(1e-4, 1 - 1e-4, NUM_FEATURES)).astype("float32")

    def build(self, input_shape=None):
        columns, codes = self._barred.shape
        count = self.num_components
        spread = keras.initializers.RandomNormal(self.num_columns**-0.5)
        self.table = self.add_weight((columns, codes, self.width), spread, name="table")
        small = keras.initializers.RandomNormal((self.num_columns * 4) ** -0.5)
        shape = (columns, NUM_FEATURES, self.width)
        self.feature_kernel = self.add_weight(shape, small, name="feature_kernel")
        shape = (columns, self.width, codes + 3 * count)
        self.kernel = self.add_weight(shape, "zeros", name="kernel")
        self.code_bias = self.add_weight((columns, codes), "zeros", name="code_bias")
        self.mixture_bias = self.add_weight(
            (columns, 3 * count), _normal_mixture, name="mixture_bias"
        )
        # What turns a drawn z into a whole number and back; see `set_marginals`.
        still = {"initializer": "zeros", "trainable": False}
        self.knots = self.add_weight((columns, 3, MAX_KNOTS), name="knots", **still)
        self.units = self.add_weight((columns, 5), name="units", **still)
        self.built = True

    def set_marginals(self, marginals: Sequence[Marginal]) -> None:
        """Take the maps of the columns, by which drawn numbers become whole."""
        knots, units = [], []
        for marginal in marginals:
            ends = marginal.whole_bounds if marginal.is_whole else (None, None)
            low, high = (
                sign * 3e38 if end is None else end - marginal.origin
                for sign, end in zip((-1, 1), ends, strict=True)
            )
            is_rounded = marginal.is_whole and len(marginal.knots.x) <= MAX_KNOTS
            own = marginal.knots if is_rounded else make_knots([-1.0, 1.0], [-1.0, 1.0])
            knots.append(np.stack(pad_knots(own, MAX_KNOTS)))
            units.append([marginal.center, marginal.scale, low, high, is_rounded])
        self.knots.assign(np.stack(knots))
        self.units.assign(np.array(units, "float32"))

    def set_frequencies(self, codes: np.ndarray) -> None:
        """Begin with the frequencies of training codes `[n, columns]`, as independent columns."""
        counts = [np.bincount(column, minlength=self._barred.shape[1]) for column in codes.T]
        shares = (np.stack(counts) + 0.5) / (len(codes) + 0.5 * np.array(self.sizes)[:, None])
        self.code_bias.assign(np.log(shares))

    def embed(self, codes: Tensor, z: Tensor) -> Tensor:
        """Embeddings `[n, columns, width]` of codes and z `[n, columns]`."""
        table = ops.take(ops.reshape(self.table, (-1, self.width)), codes + self._offsets, axis=0)
        return table + column_products(self._features(codes, z), self.feature_kernel)

    def _features(self, codes, z):
        """How far z is through each bin, 0 to 1, and z itself: `[..., NUM_FEATURES]`."""
        z = ops.clip(z, -10.0, 10.0)[..., None]
        low, high = self._bins[:-1], self._bins[1:]
        passed = ops.clip((z - low) / (high - low), 0.0, 1.0)
        features = ops.concatenate([passed - 0.5, z], axis=-1)
        return ops.where((codes == 0)[..., None], features, 0.0)

    def log_prob(
        self, features: Tensor, codes: Tensor, cells: Tensor, allow_missing: bool = True
    ) -> Tensor:
        """log p of cells given features of what is seen: `[n, columns]`.

        Args:
            features: of the network, as `column_products` has them.
            codes, cells: of `Encoded`: `[n, columns]` and `[n, columns, 4]`.
            allow_missing: whether "missing" has a mass; without, p is given that it is not.
        """
        params = column_products(features, self.kernel)
        barred = self._barred if allow_missing else self._barred_seen
        log_codes, logits, means, log_scales = self._split(
            params, self.code_bias, self.mixture_bias, barred
        )
        _, lower, upper, log_width = ops.split(cells, 4, axis=-1)
        whole = np.array(self.whole)[:, None]
        terms = _log_mass(lower, upper, log_width, means, log_scales, whole)
        log_number = ops.logsumexp(logits + terms, axis=-1)
        log_code = ops.take_along_axis(log_codes, codes[:, :, None], axis=2)[:, :, 0]
        return log_code + ops.where(codes == 0, log_number, 0.0)

    def _split(self, params, code_bias, mixture_bias, barred):
        """log p of the codes, then log weights, means and log scales of the mixture."""
        codes, count = barred.shape[-1], self.num_components
        log_codes = ops.log_softmax(params[..., :codes] + code_bias + barred)
        mixture = params[..., codes:] + mixture_bias
        logits = ops.log_softmax(mixture[..., :count]) + math.log1p(-WIDE_WEIGHT)
        middle, half = (_MAX_LOG_SCALE + _MIN_LOG_SCALE) / 2, (_MAX_LOG_SCALE - _MIN_LOG_SCALE) / 2
        log_scales = middle + half * ops.tanh((mixture[..., 2 * count :] - middle) / half)
        means = mixture[..., count : 2 * count]
        zeros = ops.zeros_like(means[..., :1])  # mean and log scale of the wide component
        return (
            log_codes,
            ops.concatenate([logits, zeros + math.log(WIDE_WEIGHT)], axis=-1),
            ops.concatenate([means, zeros], axis=-1),
            ops.concatenate([log_scales, zeros], axis=-1),
        )

    def draw(
        self, place: Tensor, features: Tensor, seed: Tensor, allow_missing: bool = True
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Codes and z `[n]` of one column, drawn given features `[n, width]`, and embeddings."""
        barred = ops.take(self._barred if allow_missing else self._barred_seen, place, axis=0)
        params = ops.matmul(features, ops.take(self.kernel, place, axis=0))
        biases = ops.take(self.code_bias, place, axis=0), ops.take(self.mixture_bias, place, axis=0)
        log_codes, logits, means, log_scales = self._split(params, *biases, barred)
        noise = rng.BatchNoise(ops.shape(features)[0], seed, "float32")
        codes = draw_categories(log_codes, noise.next_seed())
        component = draw_categories(logits, noise.next_seed())[:, None]
        mean = ops.take_along_axis(means, component, axis=1)[:, 0]
        scale = ops.exp(ops.take_along_axis(log_scales, component, axis=1)[:, 0])
        uniform = noise.uniform(())
        z = mean + scale * (ops.log(uniform) - ops.log1p(-uniform))
        z = self._rounded(place, z)
        table = ops.take(ops.take(self.table, place, axis=0), codes, axis=0)
        kernel = ops.take(self.feature_kernel, place, axis=0)
        return codes, z, table + ops.matmul(self._features(codes, z), kernel)

    def _rounded(self, place, z):
        """z of the whole number in whose cell z lies; z itself of a real number."""
        knots = Knots(*ops.unstack(ops.take(self.knots, place, axis=0), 3, axis=0))
        units = ops.unstack(ops.take(self.units, place, axis=0), 5)
        center, scale, low, high, is_rounded = units
        x = ops.round(spline_inverse(ops, z, knots) * scale + center)
        rounded, _ = spline(ops, (ops.clip(x, low, high) - center) / scale, knots)
        # float32 holds whole numbers up to 2**24; beyond, neighbours have about the same z.
        is_near = ops.abs(x) < 2.0**22
        return ops.where(ops.logical_and(is_rounded > 0, is_near), rounded, z)

    def get_config(self):
        return {
            **super().get_config(),
            "sizes": self.sizes,
            "missing": self.missing,
            "whole": self.whole,
            "width": self.width,
            "num_columns": self.num_columns,
            "num_components": self.num_components,
        }


def _normal_mixture(shape, dtype=None):
    """Weights, means and log scales with which the mixture is about standard normal."""
    count = shape[1] // 3
    means = special.ndtri((np.arange(count) + 0.5) / count) * 0.9
    scale = 0.5 if count > 1 else math.sqrt(3) / math.pi
    row = np.concatenate([np.zeros(count), means, np.full(count, math.log(scale))])
    return ops.convert_to_tensor(np.tile(row, (shape[0], 1)), dtype)


def _log_mass(lower, upper, log_width, means, log_scales, whole):
    """log of what each logistic `[..., components]` gives to a cell.

    F(u) - F(l) = F(u) F(-l) (1 - exp(-(u - l))) has no difference of numbers that are almost equal.
    The cell of a real number is a point, for which the last factor is the width.
    """
    inverse = ops.exp(-log_scales)
    ends = ops.log_sigmoid((upper - means) * inverse) + ops.log_sigmoid((means - lower) * inverse)
    log_width = log_width - log_scales
    width = ops.exp(ops.clip(log_width, -7.0, 7.0))
    exact = ops.where(
        width < 1,
        ops.log(-ops.expm1(-ops.minimum(width, 1.0))),
        ops.log1p(-ops.exp(-ops.maximum(width, 1.0))),
    )
    is_narrow = log_width < -6
    narrow = log_width - ops.exp(ops.minimum(log_width, 0.0)) / 2  # to the second order
    return ends + ops.where(np.logical_not(whole), log_width, ops.where(is_narrow, narrow, exact))
