"""Jacobians by the backend's automatic differentiation."""

import keras
import numpy as np


def batch_jacobian(function, x):
    """d function(x)[n].ravel() / d x[n].ravel(), `[n, out, in]`, as NumPy."""
    n = len(x)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        x = tf.convert_to_tensor(x)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = tf.reshape(function(x), (n, -1))
            # An example's output depends on that example alone, so rows come from batch sums.
            sums = [tf.reduce_sum(y[:, j]) for j in range(y.shape[1])]
        rows = [np.reshape(tape.gradient(s, x), (n, -1)) for s in sums]
        return np.stack(rows, axis=1)
    import jax

    full = jax.jacrev(lambda v: function(v).reshape(n, -1))(jax.numpy.asarray(x))
    full = np.asarray(full).reshape(n, full.shape[1], n, -1)
    return np.stack([full[i, :, i] for i in range(n)])


def gradients(loss, tensors, weights):
    """Gradients of a scalar function of a list of arrays with respect to arrays and weights."""
    return gradient_function(loss, weights)(*tensors)


def gradient_function(loss, weights):
    """Function of arrays to what `gradients` gives of them; JAX compiles it once."""
    if keras.backend.backend() == "tensorflow":
        return lambda *tensors: _tape_gradients(loss, tensors, weights)
    import jax

    def stateless(tensors, values):
        with keras.StatelessScope(state_mapping=list(zip(weights, values, strict=True))):
            return loss(*tensors)

    compiled = jax.jit(jax.grad(stateless, argnums=(0, 1)))
    values = [w.value for w in weights]

    def function(*tensors):
        by_tensor, by_weight = compiled([jax.numpy.asarray(t) for t in tensors], values)
        return [np.asarray(g) for g in [*by_tensor, *by_weight]]

    return function


def _tape_gradients(loss, tensors, weights):
    import tensorflow as tf

    tensors = [tf.convert_to_tensor(t) for t in tensors]
    variables = [w.value for w in weights]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = loss(*tensors)
    found = tape.gradient(value, [*tensors, *variables])
    return [np.zeros(1) if g is None else np.asarray(g) for g in found]
