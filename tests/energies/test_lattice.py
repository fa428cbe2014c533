"""phi^4 theory and its flows: the action, the symmetries, the log-dets."""

import keras
import numpy as np
import pytest
from keras import ops

import tfflows
from tfflows import energies, networks
from tfflows.ode import FixedStep
from tfflows.testing.derivatives import jacobian_and_log_det

LENGTH = 4


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def fields(count, length=LENGTH, seed=0):
    shape = (count, length, length, 1)
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def randomized(model, scale=0.3):
    generator = np.random.default_rng(1)
    for weight in model.trainable_weights:
        if "frequencies" not in weight.path:
            weight.assign(scale * generator.standard_normal(weight.shape))
    return model


def matrix_of_action(length, mass2):
    """M with phi M phi = sum of phi (-Laplacian phi) + mass2 phi^2."""
    sites = np.arange(length**2).reshape(length, length)
    matrix = (4 + mass2) * np.eye(length**2)
    for axis in (0, 1):
        for shift in (1, -1):
            matrix[sites.ravel(), np.roll(sites, shift, axis).ravel()] -= 1
    return matrix


def test_the_action_is_that_of_its_matrix():
    target = energies.Phi4(6)
    phi = fields(3, 6).reshape(3, -1).astype("float64")
    matrix = matrix_of_action(6, -4.0)
    action = np.einsum("bi,ij,bj->b", phi, matrix, phi) + 6.975 * np.sum(phi**4, axis=1)
    np.testing.assert_allclose(numpy(target(phi.reshape(3, 6, 6, 1))), -action, rtol=1e-5)


@pytest.mark.parametrize("weight_norm", [False, True])
def test_a_network_of_circular_padding_moves_its_features_with_the_field(weight_norm):
    network = networks.ConvResNet(5, 1, "silu", weight_norm, "circular")
    network.build((None, 4, 6, 2))
    randomized(network)
    x = np.random.default_rng(0).standard_normal((2, 4, 6, 2)).astype("float32")
    features = numpy(network(x))
    for shift in ((1, 0), (0, 2), (3, 5)):
        moved = numpy(network(np.roll(x, shift, (1, 2))))
        np.testing.assert_allclose(moved, np.roll(features, shift, (1, 2)), atol=1e-5)
    config = network.get_config()
    assert config.pop("padding") == "circular"
    plain = networks.ConvResNet.from_config(config)  # as saved before there was the argument
    plain.build((None, 4, 6, 2))
    plain.set_weights(network.get_weights())
    same = numpy(plain(np.roll(x, 1, 1))) - np.roll(numpy(plain(x)), 1, 1)
    assert np.abs(same).max() > 1e-3  # zeros are seen at the edges
    with pytest.raises(ValueError, match=r"padding must be one of .* Received: 'valid'"):
        networks.ConvResNet(padding="valid")


def test_observables_of_the_free_field():
    mass2, length = 0.5, 4
    covariance = np.linalg.inv(2 * matrix_of_action(length, mass2))
    phi = np.random.default_rng(0).multivariate_normal(np.zeros(16), covariance, 40_000)
    target = energies.Phi4(length, mass2, coupling=1.0)
    found = target.observables(phi.reshape(-1, length, length, 1))
    grid = covariance.reshape((length,) * 4)[0, 0]  # with the site (0, 0)
    np.testing.assert_allclose(found["susceptibility"].mean(), 1 / (2 * mass2), rtol=0.03)
    neighbours = 0.5 * (grid[0, 1] + grid[1, 0])
    np.testing.assert_allclose(found["ising_energy"].mean(), neighbours, rtol=0.03)
    profile = grid.mean(axis=0)  # a mean over one axis
    np.testing.assert_allclose(found["two_point"].mean(axis=0), profile, rtol=0.03)


def test_the_field_has_the_symmetries_and_the_divergence():
    field = networks.LatticeField(4, 3)
    field.build((None, LENGTH, LENGTH, 1))
    randomized(field)
    phi, time = fields(3), ops.convert_to_tensor(0.3, "float32")
    slope, divergence = (numpy(each) for each in field.field_and_divergence(phi, time))
    moved = np.rot90(np.roll(phi, 1, axis=1), axes=(1, 2)).copy()
    expected = np.rot90(np.roll(slope, 1, axis=1), axes=(1, 2))
    np.testing.assert_allclose(numpy(field(moved, time)), expected, atol=1e-5)
    np.testing.assert_allclose(
        numpy(field(phi[:, :, ::-1].copy(), time)), slope[:, :, ::-1], atol=1e-5
    )
    np.testing.assert_allclose(numpy(field(-phi, time)), -slope, atol=1e-5)
    times = ops.convert_to_tensor(np.full(3, 0.3, "float32"))
    by_row = field.field_and_divergence(phi, times)
    np.testing.assert_allclose(numpy(by_row[0]), slope, atol=1e-5)
    np.testing.assert_allclose(numpy(by_row[1]), divergence, atol=1e-5)
    step = 1e-2
    traces = np.zeros(3)
    for site in range(LENGTH**2):
        bump = np.zeros((1, LENGTH**2), "float32")
        bump[0, site] = step
        bump = bump.reshape(1, LENGTH, LENGTH, 1)
        change = numpy(field(phi + bump, time)) - numpy(field(phi - bump, time))
        traces += change.reshape(3, -1)[:, site] / (2 * step)
    np.testing.assert_allclose(divergence, traces, atol=2e-2)


@pytest.mark.parametrize("kind", ["field", "couplings"])
def test_flows_are_exact_and_symmetric(kind):
    if kind == "field":
        solver = FixedStep("rk4", 24, unroll=False)
        flow = randomized(energies.LatticeFlow(LENGTH, 3, 2, solver), 0.2)
    else:
        flow = randomized(energies.LatticeRealNVP(LENGTH, 4, (6,)))
    phi = fields(3)
    z, log_det = flow.forward_and_log_det(phi)
    assert np.abs(numpy(z) - phi).max() > 0.1
    back, inverse_log_det = flow.inverse_and_log_det(z)
    np.testing.assert_allclose(numpy(back), phi, atol=2e-4)
    np.testing.assert_allclose(numpy(inverse_log_det), -numpy(log_det), atol=2e-3)
    log_prob = numpy(flow.log_density(phi))
    np.testing.assert_allclose(numpy(flow.log_density(-phi)), log_prob, atol=1e-3)
    np.testing.assert_allclose(
        numpy(flow.log_density(np.roll(phi, (2, 4), axis=(1, 2)))), log_prob, atol=1e-3
    )
    exact, _ = jacobian_and_log_det(flow.forward_and_log_det, LENGTH**2, phi[:1])
    exact = np.linalg.slogdet(exact.reshape(LENGTH**2, LENGTH**2))[1]
    np.testing.assert_allclose(numpy(log_det)[0], exact, atol=2e-3)


def test_a_loop_of_solver_steps_is_the_unrolled_one(tmp_path):
    unrolled = energies.LatticeFlow(LENGTH, 3, 2, FixedStep("rk4", 3))
    looped = energies.LatticeFlow(LENGTH, 3, 2, FixedStep("rk4", 3, unroll=False))
    looped.set_weights(randomized(unrolled).get_weights())
    expected = numpy(unrolled.log_density(fields(2)))
    np.testing.assert_allclose(numpy(looped.log_density(fields(2))), expected, rtol=1e-5)
    looped.save(tmp_path / "flow.keras")
    loaded = keras.models.load_model(tmp_path / "flow.keras")
    np.testing.assert_allclose(numpy(loaded.log_density(fields(2))), expected, rtol=1e-5)


def test_shapes_that_do_not_fit():
    for make, message in (
        (lambda: energies.LatticeRealNVP(5), "even length. Received: 5"),
        (lambda: networks.CircularConv2D(4, 2), "odd. Received: 2"),
        (lambda: networks.LatticeField(4, 0), "num_times=0"),
        (
            lambda: tfflows.layers.ContinuousFlow(networks.LatticeField()).build((None, 4, 6, 1)),
            r"\(batch, L, L, 1\). Received: \(None, 4, 6, 1\)",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            make()
