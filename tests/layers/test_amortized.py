"""Planar, radial, Sylvester and Householder layers against their formulas, and at their limits."""

import keras
import numpy as np
import pytest
from layer_table import randomize
from marks import slow_on_jax

from tfflows import layers
from tfflows.layers.orthogonal import orthonormal_columns, reflect
from tfflows.layers.tanh_unit import MIN_SLOPE
from tfflows.testing.derivatives import jacobian_and_log_det, value_and_gradients

SIZE = 4
KINDS = {
    "planar": layers.Planar,
    "radial": layers.Radial,
    "householder": layers.Householder,
    "sylvester": layers.Sylvester,
    "sylvester_triangular": lambda **kwargs: layers.Sylvester("triangular", **kwargs),
    "sylvester_newton": lambda **kwargs: layers.Sylvester("newton", num_ortho_vecs=2, **kwargs),
}
each_kind = pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind == "radial" else slow_on_jax) for kind in KINDS]
)


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def rows(n, size=SIZE, seed=0):
    return np.random.default_rng(seed).normal(size=(n, size))


def build(kind, dtype="float64", size=SIZE, condition_size=None, spread=0.5):
    layer = KINDS[kind](dtype=dtype) if isinstance(kind, str) else kind
    layer.build((None, size), None if condition_size is None else (None, condition_size))
    return randomize(layer, spread=spread)


def set_parameters(layer, **values):
    """Give a layer without a condition these parameters, and zeros for the others."""
    parts = []
    for name, (shape, _) in layer._specs.items():
        parts.append(np.broadcast_to(values.pop(name, 0.0), shape).ravel())
    assert not values
    layer.bias.assign(np.concatenate(parts))
    return layer


def error_of_the_way_back(layer, x):
    z, log_det = layer.forward_and_log_det(x)
    back, inverse_log_det = layer.inverse_and_log_det(z)
    assert np.isfinite(log_det).all()
    np.testing.assert_allclose(inverse_log_det, -numpy(log_det), atol=100 * x.dtype.type(1e-5))
    return np.abs(numpy(back) - x).max()


def test_planar_is_its_formula():
    w, b = np.array([1.0, -0.5, 0.0, 2.0]), 0.3
    u = np.array([0.5, 0.25, 1.0, -0.7])
    layer = set_parameters(build("planar"), w=w, u=u, b=b)
    assert w @ u < -1  # where the constraint moves u
    x = rows(5)
    h = np.tanh(x @ w + b)
    z, log_det = layer.forward_and_log_det(x)
    moved = (numpy(z) - x)[0] / h[0]  # u'
    np.testing.assert_allclose(z, x + moved * h[:, None], atol=1e-12)
    psi = (1 - h**2)[:, None] * w
    np.testing.assert_allclose(log_det, np.log(np.abs(1 + psi @ moved)), atol=1e-12)
    off = (moved - u) - w * ((moved - u) @ w) / (w @ w)
    np.testing.assert_allclose(off, 0, atol=1e-12)  # u moves along w, as in appendix A.1
    assert -1 < w @ moved < 0


def test_planar_takes_u_as_it_is_where_that_is_a_bijection():
    w, u = np.array([1.0, 2.0, 0.0, -1.0]), np.array([0.5, 0.25, 3.0, 0.1])
    layer = set_parameters(build("planar"), w=w, u=u, b=0.3)
    x = rows(5)
    np.testing.assert_allclose(layer(x), x + u * np.tanh(x @ w + 0.3)[:, None], atol=1e-12)
    still = set_parameters(layer, w=w, b=0.3)
    np.testing.assert_array_equal(still(x), x)


def test_radial_is_its_formula():
    layer = build("radial")
    centre, alpha, strength = (numpy(parameter)[0] for parameter in layer._parameters(None))
    alpha = np.log1p(np.exp(alpha)) + 1e-3
    limit = 1 - MIN_SLOPE
    beta = alpha * (strength if strength > 0 else limit * strength / (limit - strength))
    x = rows(5)
    r = np.linalg.norm(x - centre, axis=1)
    h = 1 / (alpha + r)
    z, log_det = layer.forward_and_log_det(x)
    np.testing.assert_allclose(z, x + beta * h[:, None] * (x - centre), atol=1e-12)
    wanted = (SIZE - 1) * np.log(1 + beta * h) + np.log(1 + beta * h - beta * h**2 * r)
    np.testing.assert_allclose(log_det, wanted, atol=1e-12)


@pytest.mark.parametrize("name", ["sylvester", "sylvester_triangular", "sylvester_newton"])
def test_sylvester_is_its_formula(name):
    layer = build(name)
    triangles, diagonal, offset, *orthogonal = (numpy(p)[0] for p in layer._parameters(None))
    q = np.eye(SIZE)
    if name == "sylvester":
        q = numpy(reflect(np.eye(SIZE), orthogonal[0][None], reverse=True))
    elif name == "sylvester_newton":
        u, _, vt = np.linalg.svd(orthogonal[0], full_matrices=False)
        q = u @ vt
    scale = np.sqrt(1 - MIN_SLOPE)
    outer = np.triu(triangles, 1) + np.diag(scale * np.tanh(np.diag(triangles)))
    inner = np.tril(triangles, -1).T + np.diag(scale * np.tanh(diagonal))
    x = rows(5)
    before = x @ q @ inner.T + offset
    z, log_det = layer.forward_and_log_det(x)
    np.testing.assert_allclose(z, x + np.tanh(before) @ outer.T @ q.T, atol=1e-12)
    slopes = 1 - np.tanh(before) ** 2
    small = np.eye(q.shape[1]) + slopes[:, :, None] * (inner @ outer)  # equation 8
    np.testing.assert_allclose(log_det, np.linalg.slogdet(small)[1], atol=1e-12)


def test_sylvester_of_one_column_is_planar():
    sylvester = build(layers.Sylvester("newton", num_ortho_vecs=1, dtype="float64"))
    column = rows(1)[0]
    set_parameters(sylvester, triangles=0.4, diagonal=0.7, offset=0.2, columns=column[:, None])
    unit = column / np.linalg.norm(column)
    outer, inner = np.sqrt(1 - MIN_SLOPE) * np.tanh([0.4, 0.7])
    planar = set_parameters(build("planar"), w=inner * unit, u=outer * unit, b=0.2)
    pairs = zip(
        sylvester.forward_and_log_det(rows(5)), planar.forward_and_log_det(rows(5)), strict=True
    )
    for got, wanted in pairs:
        np.testing.assert_allclose(got, wanted, atol=1e-12)


@pytest.mark.parametrize(("size", "columns"), [(16, 4), (8, 8)])
def test_columns_are_the_nearest_orthonormal_ones(size, columns):
    matrix = np.random.default_rng(0).normal(size=(9, size, columns))
    u, _, vt = np.linalg.svd(matrix, full_matrices=False)
    for dtype, tolerance in (("float32", 1e-5), ("float64", 1e-12)):
        found, is_orthonormal = orthonormal_columns(keras.ops.convert_to_tensor(matrix, dtype))
        np.testing.assert_array_equal(is_orthonormal, 1)
        gram = np.swapaxes(found, 1, 2) @ numpy(found)
        np.testing.assert_allclose(
            gram, np.broadcast_to(np.eye(columns), gram.shape), atol=tolerance
        )
        np.testing.assert_allclose(found, u @ vt, atol=20 * tolerance)


@pytest.mark.parametrize("columns", [np.ones((SIZE, 2)), 0.0], ids=["equal", "zero"])
def test_sylvester_of_dependent_columns_is_the_identity(columns):
    layer = set_parameters(
        build("sylvester_newton"), triangles=1.0, diagonal=1.0, offset=1.0, columns=columns
    )
    z, log_det = layer.forward_and_log_det(rows(3))
    np.testing.assert_array_equal(z, rows(3))
    np.testing.assert_array_equal(log_det, 0)
    np.testing.assert_array_equal(layer.inverse(rows(3)), rows(3))


def test_reflections_are_orthogonal():
    normals = keras.ops.convert_to_tensor(rows(3, SIZE, 1)[None])
    matrix = numpy(reflect(keras.ops.eye(SIZE, dtype="float64"), normals))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(SIZE), atol=1e-12)
    wanted = np.eye(SIZE)
    for v in rows(3, SIZE, 1):
        wanted = wanted @ (np.eye(SIZE) - 2 * np.outer(v, v) / (v @ v))
    np.testing.assert_allclose(matrix, wanted, atol=1e-12)
    nothing = reflect(normals[0], keras.ops.zeros((1, 2, SIZE), dtype="float64"))
    np.testing.assert_array_equal(nothing, normals[0])


LIMITS = {
    # w.u far below -1, at the plane and beside it.
    "planar": {"w": np.array([0.0, 100.0, 0.0, 0.0]), "u": np.array([1.0, -100.0, 0.0, 0.5])},
    "radial": {"strength": -1e4, "centre": 0.1},
    "sylvester_triangular": {
        "triangles": -1e4 * np.eye(SIZE),
        "diagonal": 1e4,
    },
}


@pytest.mark.parametrize("kind", LIMITS)
def test_layers_are_bijections_at_the_limits_of_their_constraints(kind):
    x = np.concatenate([rows(20), 0.1 * rows(20, seed=1), 1e-4 * rows(5, seed=2), np.zeros((1, 4))])
    for dtype, tolerance in (("float32", 1e-5), ("float64", 1e-12)):
        layer = set_parameters(build(kind, dtype), **LIMITS[kind])
        assert error_of_the_way_back(layer, x.astype(dtype)) < tolerance
    _, log_det = layer.forward_and_log_det(np.zeros((1, SIZE)))
    powers = {"planar": 1, "radial": 0, "sylvester_triangular": SIZE}[kind]
    if powers:  # the slope there is the smallest
        np.testing.assert_allclose(log_det, powers * np.log(MIN_SLOPE), rtol=1e-2)


def test_sweeps_find_the_inverse_of_many_columns():
    layer = build(layers.Sylvester("triangular", dtype="float32"), size=40, spread=0.3)
    x = rows(30, 40).astype("float32")
    z = layer(x)
    assert np.abs(numpy(z) - x).max() > 2
    assert error_of_the_way_back(layer, x) < 1e-5


@each_kind
def test_rows_of_a_condition_are_layers_with_these_weights(kind):
    layer = build(kind, condition_size=3)
    x, condition = rows(3), rows(3, 3, 1)
    z, log_det = layer.forward_and_log_det(x, condition)
    alone = build(kind)
    for i in range(3):
        alone.bias.assign(numpy(layer.bias) + condition[i] @ numpy(layer.kernel))
        one = alone.forward_and_log_det(x[i : i + 1])
        np.testing.assert_allclose(z[i], one[0][0], atol=1e-12)
        np.testing.assert_allclose(log_det[i], one[1][0], atol=1e-12)


@pytest.mark.parametrize("kind", ["planar", "radial", "sylvester_triangular"])
def test_inverses_have_the_gradients_of_the_implicit_function(kind):
    """In z the inverse of forward's Jacobian; in weights a difference of the inverse itself."""
    layer = build(kind)
    z = rows(3)
    back = numpy(layer.inverse(z))
    np.testing.assert_allclose(layer(back), z, atol=1e-12)
    forward, _ = jacobian_and_log_det(layer.forward_and_log_det, SIZE, back)
    inverse, _ = jacobian_and_log_det(layer.inverse_and_log_det, SIZE, z)
    np.testing.assert_allclose(inverse, np.linalg.inv(forward), atol=1e-10)

    def total(z):
        x, log_det = layer.inverse_and_log_det(z)
        return (keras.ops.sum(x**2) + keras.ops.sum(log_det**3),)

    _, gradients = value_and_gradients(total, [layer.bias])(z)
    bias, direction = numpy(layer.bias), rows(1, layer.bias.shape[0], 1)[0]
    sides = []
    for step in (1e-5, -1e-5):
        layer.bias.assign(bias + step * direction)
        sides.append(float(total(z)[0]))
    wanted = (sides[0] - sides[1]) / 2e-5
    np.testing.assert_allclose(numpy(gradients[1]) @ direction, wanted, atol=1e-7)


@each_kind
def test_layers_start_near_the_identity_and_not_at_it(kind):
    layer = KINDS[kind]()
    layer.build((None, SIZE), (None, 8))
    moves = np.abs(numpy(layer(rows(9), rows(9, 8, 1))) - rows(9))
    assert 0 < moves.max() < 0.5


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match=r"orthogonal must be one of .* Received: 'qr'"):
        layers.Sylvester("qr")
    with pytest.raises(ValueError, match=r"at most the size of x, 4. Received: 5"):
        layers.Sylvester("newton", num_ortho_vecs=5).build((None, SIZE))
    with pytest.raises(ValueError, match=r"num_reflections"):
        layers.Householder(0)
    with pytest.raises(ValueError, match=r"Planar expects vectors: put Flatten before it"):
        layers.Planar().build((None, 2, 2))
