"""Sylvester flows (van den Berg et al. 2018, https://arxiv.org/abs/1803.05649)."""

import functools
import math

import keras
from keras import ops

from tfflows.backend.precision import full_precision
from tfflows.backend.special import tanh
from tfflows.backend.tensor_ops import cut_far, identity
from tfflows.layers import tanh_unit
from tfflows.layers.amortized import AmortizedLayer
from tfflows.layers.orthogonal import orthonormal_columns, reflect
from tfflows.layers.triangular_units import TriangularUnits, multiply
from tfflows.utils.checks import check_positive

ORTHOGONAL = ("householder", "triangular", "newton")
MAX_DIAGONAL = math.sqrt(1 - tanh_unit.MIN_SLOPE)


@keras.saving.register_keras_serializable(package="tfflows")
class Sylvester(AmortizedLayer):
    """Planar flows with many units at once, for vectors x `[batch, size]`.

        z = x + Q R h,  h = tanh(R' Q^T x + b)
        log_det = sum_i log(1 + r_i r'_i (1 - h_i^2))

    Q `[size, columns]` has orthonormal columns, R and R' are upper triangular with the diagonals
    r and r', which a tanh keeps within +-0.995, so that r_i r'_i > -1 and the map is a bijection
    (theorem 2). All are weights, or follow from the condition: see `AmortizedLayer`. `orthogonal`
    says what Q is:

    - "householder": a product of reflections, `size` columns;
    - "triangular": the identity, or with `reverse` the reversed order; layers should alternate;
    - "newton": free columns made orthonormal by Newton's iteration, fewer than `size`. Where they
      are linearly dependent to working precision, the layer is the identity.

    The inverse solves a triangular system, whose equation for each element is increasing in it:
    sweeps over all elements, each a root, until nothing changes. They cannot be wrong after as many
    as there are columns. A posterior whose samples have to be cheap takes `Invert(Sylvester())`.

    Args:
        orthogonal: "householder", "triangular" or "newton".
        num_reflections: of "householder".
        num_ortho_vecs: columns of "newton", at most `size`; None is a quarter of `size`.
        reverse: whether "triangular" takes the elements from the last to the first.

    Example:
        >>> layer = Sylvester("newton", num_ortho_vecs=2)
        >>> x = np.random.default_rng(0).normal(size=(3, 5)).astype("float32")
        >>> bool(np.allclose(layer.inverse(layer(x)), x, atol=1e-5))
        True
    """

    def __init__(
        self,
        orthogonal: str = "householder",
        num_reflections: int = 8,
        num_ortho_vecs: int | None = None,
        reverse: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if orthogonal not in ORTHOGONAL:
            raise ValueError(f"orthogonal must be one of {ORTHOGONAL}. Received: {orthogonal!r}")
        check_positive(num_reflections=num_reflections)
        if num_ortho_vecs is not None:
            check_positive(num_ortho_vecs=num_ortho_vecs)
        self.orthogonal = orthogonal
        self.num_reflections = num_reflections
        self.num_ortho_vecs = num_ortho_vecs
        self.reverse = reverse

    def _parameter_shapes(self, size):
        columns = size
        if self.orthogonal == "newton":
            columns = self.num_ortho_vecs or max(1, size // 4)
        if columns > size:
            raise ValueError(
                f"num_ortho_vecs must be at most the size of x, {size}. Received: {columns}"
            )
        # One matrix holds both triangles: R with its diagonal, and below it that of R' transposed.
        shapes = {
            "triangles": ((columns, columns), 0.01),
            "diagonal": ((columns,), 0.5),
            "offset": ((columns,), 0.1),
        }
        if self.orthogonal == "householder":
            shapes["normals"] = ((self.num_reflections, size), 1.0)
        elif self.orthogonal == "newton":
            shapes["columns"] = ((size, columns), 1.0)
        return shapes

    def _units(self, condition):
        """The map between Q's columns, and two functions: x to Q^T x, and v to Q v."""
        triangles, inner, offset, *orthogonal = self._parameters(condition)
        unit = identity(triangles.shape[-1], triangles.dtype)
        outer = MAX_DIAGONAL * tanh(ops.sum(triangles * unit, axis=-1))
        inner = MAX_DIAGONAL * tanh(inner)
        into, out_of = self._reorder, self._reorder
        if self.orthogonal == "householder":
            (normals,) = orthogonal
            into = functools.partial(reflect, normals=normals, reverse=True)
            out_of = functools.partial(reflect, normals=normals)
        elif self.orthogonal == "newton":
            columns, is_orthonormal = orthonormal_columns(orthogonal[0])
            # R = 0 is the identity, whatever Q is.
            triangles = triangles * is_orthonormal[:, None, None]
            outer = outer * is_orthonormal[:, None]
            into = functools.partial(multiply, matrix=columns)
            out_of = functools.partial(multiply, matrix=columns, transpose=True)
        return TriangularUnits(triangles, outer, inner, offset), into, out_of

    def _reorder(self, x):
        return ops.flip(x, axis=1) if self.reverse else x

    def _forward(self, x, condition=None, training=False):
        with full_precision():
            units, into, out_of = self._units(condition)
            h = units.activations(into(cut_far(x)))
            return x + out_of(units.move(h)), units.log_det(h)

    def _inverse(self, z, condition=None, training=False):
        with full_precision():
            units, into, out_of = self._units(condition)
            h = units.activations(units.inverse(into(cut_far(z))))
            return z - out_of(units.move(h)), -units.log_det(h)

    def get_config(self):
        return {
            **super().get_config(),
            "orthogonal": self.orthogonal,
            "num_reflections": self.num_reflections,
            "num_ortho_vecs": self.num_ortho_vecs,
            "reverse": self.reverse,
        }
