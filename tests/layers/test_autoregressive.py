"""MADE's masks, and the ways to invert an autoregressive layer against the naive loop."""

import keras
import numpy as np
import pytest
from keras import ops
from layer_table import randomize
from marks import needs_tensorflow

from tfflows import layers
from tfflows.backend.device_choice import assume_cpu
from tfflows.networks import MADE, MaskedDense
from tfflows.networks.made import block_jacobi
from tfflows.networks.made.order import make_order
from tfflows.transforms import RationalQuadraticSpline

NETWORKS = {
    "plain": {"hidden_units": (24, 30)},
    "one_layer": {"hidden_units": (64,), "activation": "silu"},
    "residual": {"hidden_units": (16,) * 5, "residual": True},
}
WIDE = {"hidden_units": (96, 190)}
every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def rows(n, dims, seed=0):
    return np.random.default_rng(seed).normal(size=(n, dims))


@every_network
@pytest.mark.parametrize("order", ["sequential", "reversed", "random", (2, 0, 1, 5, 3, 4)])
@pytest.mark.parametrize("conditional", [False, True])
def test_parameters_see_what_comes_before_and_nothing_else(network, order, conditional):
    """The finite difference of each parameter in each input is zero, or not, as the order says."""
    dims = 6
    made = MADE(2, **network, order=order, seed=1, dtype="float64")
    made.build((None, dims), (None, 3) if conditional else None)
    randomize(made, spread=1.0)
    x, condition = rows(200, dims), rows(200, 3, 1) if conditional else None
    before = numpy(made(x, condition))
    place = np.argsort(make_order(order, dims, 1))
    for i in range(dims):
        changed = np.abs(numpy(made(x + np.eye(dims)[i], condition)) - before).max(axis=(0, 1))
        np.testing.assert_array_equal(changed > 0, place > place[i])
    if conditional:
        changed = np.abs(numpy(made(x, condition + 1)) - before).max(axis=0)
        assert (changed > 0).all()


@pytest.mark.parametrize("num_blocks", [1, 3])
@pytest.mark.parametrize("strict", [False, True])
def test_masked_dense_is_the_product_with_its_full_kernel(num_blocks, strict):
    into, out = np.sort(rows(1, 9)[0] * 3).astype(int), np.sort(rows(1, 12, 1)[0] * 3).astype(int)
    layer = MaskedDense(into, out, 2, strict, num_blocks=num_blocks, dtype="float64")
    layer.build((None, 9))
    randomize(layer)
    kernel = numpy(layer.full_kernel())
    mask = out[None] > into[:, None] if strict else out[None] >= into[:, None]
    np.testing.assert_array_equal(kernel != 0, np.broadcast_to(mask[:, None], kernel.shape))
    x = rows(5, 9, 2)
    wanted = np.einsum("bi,ipo->bpo", x, kernel) + numpy(layer.bias)
    np.testing.assert_allclose(layer(x), wanted.reshape(5, -1), atol=1e-12)
    assert (
        np.sum([np.prod(w.shape) for w in layer.weights]) <= kernel.size + layer.bias.shape[1] * 2
    )


def test_a_model_hands_its_inversion_to_its_layers():
    from tfflows.models import IAF, MAF

    for model in (MAF, IAF):
        flow = model((3,), 1, (8,), inversion="jacobi")
        assert flow.flow_layers[-1].inversion == "jacobi"
        assert model.from_config(flow.get_config()).flow_layers[-1].inversion == "jacobi"


def test_no_optimizer_step_leaks_through_the_masks():
    made = MADE(2, (20, 20))
    made.build((None, 6))
    model = keras.Sequential([keras.Input((6,)), made])
    model.compile(keras.optimizers.AdamW(0.1, weight_decay=0.1), loss="mse")
    x = rows(64, 6).astype("float32")
    model.fit(x, np.stack([x, -x], 1), epochs=3, verbose=0)
    changed = numpy(made(x + np.eye(6, dtype="float32")[2])) - numpy(made(x))
    np.testing.assert_array_equal(changed[:, :, :3], 0)
    assert (np.abs(changed[:, :, 3:]).max(axis=(0, 1)) > 0).all()


@pytest.mark.parametrize(
    ("network", "dims", "dtype"),
    [
        ("plain", 1, "float64"),
        ("residual", 8, "float64"),
        ("one_layer", 9, "float64"),
        ("residual", 17, "float64"),
        # Panels of several blocks, steps without a unit; "wide" has several too.
        pytest.param("residual", 70, "float64", marks=pytest.mark.slow),
        ("wide", 75, "float64"),  # of uneven numbers of units
        ("one_layer", 43, "float32"),
    ],
)
def test_every_inversion_is_the_naive_loop(network, dims, dtype):
    """Blocks cut short, whole and several, with a condition."""
    tolerance = {"atol": 1e-4, "rtol": 1e-4} if dtype == "float32" else {"atol": 1e-10}
    answers, arguments = {}, {**NETWORKS, "wide": WIDE}[network]
    z, condition = rows(7, dims).astype(dtype), rows(7, 2, 1).astype(dtype)
    for inversion in ("sequential", "incremental", "jacobi"):
        layer = layers.MaskedAutoregressive(
            **arguments, order="random", seed=3, inversion=inversion, dtype=dtype
        )
        layer.build((None, dims), (None, 2))
        randomize(layer, spread=0.15)
        answers[inversion] = layer.inverse_and_log_det(z, condition)
    for inversion in ("incremental", "jacobi"):
        for got, wanted in zip(answers[inversion], answers["sequential"], strict=True):
            np.testing.assert_allclose(got, wanted, **tolerance)
    np.testing.assert_allclose(layer(answers["incremental"][0], condition), z, **tolerance)


@pytest.mark.parametrize(
    ("network", "dims", "block"),
    [
        ("plain", 1, 256),
        ("residual", 17, 5),
        ("wide", 75, 16),  # the last block is cut short
    ],
)
def test_sweeps_over_blocks_are_the_naive_loop(network, dims, block, monkeypatch):
    """The form that "incremental" has on a GPU, with a condition."""
    monkeypatch.setattr(block_jacobi, "BLOCK_ELEMENTS", block)
    layer = layers.MaskedAutoregressive(
        **{**NETWORKS, "wide": WIDE}[network], order="random", seed=3, dtype="float64"
    )
    layer.build((None, dims), (None, 2))
    randomize(layer, spread=0.15)
    x, condition = rows(7, dims), rows(7, 2, 1)
    z, log_det = layer.forward_and_log_det(x, condition)
    with assume_cpu(False):
        found, inverse_log_det = layer.inverse_and_log_det(z, condition)
    np.testing.assert_allclose(found, x, atol=1e-10)
    np.testing.assert_allclose(inverse_log_det, -numpy(log_det), atol=1e-10)


def test_sweeps_over_blocks_are_exact_where_elements_grow():
    """Sweep k makes k elements exact, whatever those after them do meanwhile."""
    layer = layers.MaskedAutoregressive(hidden_units=(64,), dtype="float64")
    layer.build((None, 40))
    randomize(layer, spread=0.6)
    z = rows(20, 40)
    z[3, 5] = np.nan
    wanted = [numpy(each) for each in layer.inverse_and_log_det(z)]
    others = np.arange(20) != 3  # a row that is not finite ends the sweeps of no other
    assert np.abs(wanted[0][others]).max() > 1e3
    with assume_cpu(False):
        found = layer.inverse_and_log_det(z)
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_allclose(numpy(got)[others], want[others], rtol=1e-6, atol=1e-8)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="TensorFlow's are those of the loop")
def test_jax_differentiates_sweeps_in_both_modes():
    """In weights, latents and condition, as it does the naive loop."""
    import jax

    z, condition = rows(5, 7).astype("float32"), rows(5, 2, 1).astype("float32")
    answers = {}
    for inversion, is_cpu in (("sequential", True), ("incremental", False)):
        layer = layers.MaskedAutoregressive(
            hidden_units=(16,), activation="silu", inversion=inversion
        )
        layer.build((None, 7), (None, 2))
        randomize(layer, spread=0.3)
        weights = layer.weights

        def invert(values, z, condition, layer=layer, weights=weights):
            with keras.StatelessScope(state_mapping=list(zip(weights, values, strict=True))):
                x, log_det = layer.inverse_and_log_det(z, condition)
                return ops.sum(x**2) + ops.sum(log_det**3)

        arguments = ([w.value for w in weights], z, condition)
        with assume_cpu(is_cpu):
            reverse = jax.jit(jax.grad(invert, argnums=(0, 1, 2)))(*arguments)
            forward = jax.jit(jax.jacfwd(invert, argnums=1))(*arguments)
        answers[inversion] = [*jax.tree.leaves(reverse), forward]
    for got, wanted in zip(*answers.values(), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4)


def test_splines_are_inverted_too():
    spline = RationalQuadraticSpline(num_bins=5)
    layer = layers.MaskedAutoregressive(spline, (32, 32, 32), residual=True, dtype="float64")
    layer.build((None, 11))
    randomize(layer, spread=0.3)
    x = 2 * rows(50, 11)
    z, log_det = layer.forward_and_log_det(x)
    back, inverse_log_det = layer.inverse_and_log_det(z)
    np.testing.assert_allclose(back, x, atol=1e-7)
    np.testing.assert_allclose(inverse_log_det, -numpy(log_det), atol=1e-7)


@pytest.mark.parametrize("inversion", layers.masked_autoregressive.INVERSIONS)
def test_samples_that_grow_from_element_to_element_stay_finite(inversion):
    layer = layers.MaskedAutoregressive(hidden_units=(150,), inversion=inversion)
    layer.build((None, 150))
    randomize(layer, spread=3.0)
    z = rows(20, 150).astype("float32")
    x, log_det = layer.inverse_and_log_det(z)
    assert np.abs(numpy(x)).max() > 1e6  # they do grow
    assert np.isfinite(numpy(x)).all()
    assert np.isfinite(numpy(log_det)).all()
    assert np.isfinite(numpy(layer(x))).all()


@pytest.mark.parametrize("cls", [layers.MaskedAutoregressive, layers.InverseAutoregressive])
def test_rows_that_are_not_finite_end_the_sweeps_of_no_other(cls):
    layer = cls(hidden_units=(32, 32), inversion="jacobi", dtype="float64")
    layer.build((None, 12))
    randomize(layer, spread=0.3)
    solve = layer.inverse if cls is layers.MaskedAutoregressive else layer
    y = rows(5, 12)
    wanted = numpy(solve(y))
    for value in (np.nan, np.inf):
        z = np.concatenate([y, y[:1]])
        z[5, 3] = value
        found = numpy(solve(z))
        np.testing.assert_allclose(found[:5], wanted, atol=1e-10)
        assert not np.isfinite(found[5]).all()


def test_jacobi_ends_after_as_many_sweeps_as_there_are_elements():
    """A tolerance that rounding never meets costs sweeps, and not exactness."""
    layer = layers.MaskedAutoregressive(hidden_units=(32,), inversion="jacobi", tolerance=0.0)
    layer.build((None, 9))
    randomize(layer)
    x = rows(20, 9).astype("float32")
    np.testing.assert_allclose(layer.inverse(layer(x)), x, atol=1e-4)


@needs_tensorflow
def test_gradients_through_the_inverse_are_the_naive_loops():
    import tensorflow as tf

    gradients = {}
    z = tf.constant(rows(5, 10))
    for inversion in ("incremental", "sequential"):
        layer = layers.MaskedAutoregressive(
            hidden_units=(24,), activation="silu", inversion=inversion, dtype="float64"
        )
        layer.build((None, 10))
        randomize(layer)
        with tf.GradientTape() as tape:
            tape.watch(z)
            x, log_det = layer.inverse_and_log_det(z)
            value = tf.reduce_sum(x**2) + tf.reduce_sum(log_det)
        variables = [v.value for v in layer.trainable_variables]
        gradients[inversion] = tape.gradient(value, [z, *variables])
    for got, wanted in zip(*gradients.values(), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-8, atol=1e-10)
