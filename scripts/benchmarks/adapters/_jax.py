"""What the JAX libraries share: the compiled step, the training loop and the calls."""

import functools

import jax
import numpy as np
import optax

from benchmarks.subject import Subject


def make_subject(parameters, log_prob, sample, case, x, loss=None) -> Subject:
    """A subject of a tree of arrays and pure functions.

    Args:
        parameters: the trainable arrays.
        log_prob: parameters, rows -> log-densities `[batch]`.
        sample: parameters, key -> a batch of samples.
        case: the sizes, and the learning rate.
        x: the data.
        loss: parameters, key -> what to train by instead of the data.
    """
    optimizer = optax.adam(case.learning_rate)
    compiled_log_prob, compiled_sample = jax.jit(log_prob), jax.jit(sample)
    state = (parameters, optimizer.init(parameters))
    key = jax.random.key(0)
    data = jax.numpy.asarray(x)
    first = data[: case.batch_size]
    rng = np.random.default_rng(0)

    @functools.partial(jax.jit, donate_argnums=0)
    def train_step(state, data, order, step):
        places = jax.lax.dynamic_slice_in_dim(order, step * case.batch_size, case.batch_size)
        rows = data[places]
        parameters, moments = state
        key = jax.random.fold_in(jax.random.key(1), step)

        def objective(parameters):
            if loss is not None:
                return loss(parameters, key)
            return -log_prob(parameters, rows).mean()

        value, gradients = jax.value_and_grad(objective)(parameters)
        updates, moments = optimizer.update(gradients, moments)
        return (optax.apply_updates(parameters, updates), moments), value

    def train(steps):
        nonlocal state
        order = jax.numpy.asarray(rng.permutation(len(x)))
        for step in range(steps):
            state, value = train_step(state, data, order, step)
        if not np.isfinite(value.item()):
            raise ValueError(f"The loss must stay finite. Received: {value.item()}")

    def call_log_prob():
        return np.asarray(compiled_log_prob(state[0], first))

    def call_sample():
        nonlocal key
        key, use = jax.random.split(key)
        return np.asarray(compiled_sample(state[0], use))

    size = sum(leaf.size for leaf in jax.tree.leaves(parameters))
    return Subject(size, train, call_log_prob, call_sample)
