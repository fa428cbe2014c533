"""distrax: `SplitCoupling`s over plain JAX networks, with optax's Adam, all under jax.jit.

Adam's state is donated. The log-scale is soft-clipped as tfflows' is, or, in a mode of its own, not
bounded, as in distrax's own example.
"""

import itertools
import math

import distrax
import jax
import jax.numpy as jnp

from benchmarks.adapters._jax import make_subject

REQUIREMENTS = ["distrax==0.1.9", "jax==0.10.2", "jaxlib==0.10.2", "optax==0.2.8"]
GROUP = "jax"
BOUND = math.log(1e3)
MODES = ["jit", "jit, unbounded"]


def _make_network(key, widths):
    """Weights and biases; the last layer is zero."""
    layers = []
    for inputs, outputs in itertools.pairwise(widths):
        key, use = jax.random.split(key)
        kernel = jax.random.normal(use, (inputs, outputs)) * (2 / inputs) ** 0.5
        layers.append((kernel, jnp.zeros(outputs)))
    layers[-1] = jax.tree.map(jnp.zeros_like, layers[-1])
    return layers


def _apply_network(layers, inputs):
    for kernel, bias in layers[:-1]:
        inputs = jax.nn.relu(inputs @ kernel + bias)
    kernel, bias = layers[-1]
    return inputs @ kernel + bias


def _make_flow(networks, case, bounded):
    first = case.dims - case.dims // 2

    def elementwise(parameters):
        shift, log_scale = jnp.split(parameters, 2, axis=-1)
        if bounded:
            log_scale = BOUND * jax.nn.soft_sign(log_scale / BOUND)
        return distrax.ScalarAffine(shift=shift, log_scale=log_scale)

    couplings = [
        distrax.SplitCoupling(
            split_index=first,
            event_ndims=1,
            conditioner=lambda inputs, network=network: _apply_network(network, inputs),
            bijector=elementwise,
            swap=bool(i % 2),
        )
        for i, network in enumerate(networks)
    ]
    base = distrax.MultivariateNormalDiag(jnp.zeros(case.dims), jnp.ones(case.dims))
    return distrax.Transformed(base, distrax.Chain(couplings))


def build_realnvp(case, mode, x):
    """`case.layers` affine couplings, which keep the two halves in turn."""
    first = case.dims - case.dims // 2
    keys = jax.random.split(jax.random.key(0), case.layers)
    networks, bounded = [], mode == "jit"
    for i, key in enumerate(keys):
        kept = case.dims - first if i % 2 else first
        networks.append(_make_network(key, [kept, *case.hidden_units, 2 * (case.dims - kept)]))
    return make_subject(
        networks,
        lambda networks, rows: _make_flow(networks, case, bounded).log_prob(rows),
        lambda networks, key: _make_flow(networks, case, bounded).sample(
            seed=key, sample_shape=(case.batch_size,)
        ),
        case,
        x,
    )
