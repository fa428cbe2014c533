"""Adam's step in one operation per weight, where Keras' own takes thirty.

A deep stack has hundreds of weights: Keras' operations were half of what TensorFlow traced for the
first step of Glow. On JAX one compiled function per shape of weight did not make it shorter.
"""

import functools

import keras
from keras import ops

FUSED = (keras.optimizers.Adam, keras.optimizers.AdamW)


def fuse_adam(optimizer: keras.optimizers.Optimizer) -> None:
    """Let Keras' `Adam` or `AdamW` on TensorFlow update each weight in one operation.

    The weights and the state are those of Keras' step. Others stay as they are: subclasses,
    `amsgrad`, sparse gradients, and training under a distribution strategy.
    """
    if keras.backend.backend() != "tensorflow":
        return
    adam = getattr(optimizer, "inner_optimizer", optimizer)
    if type(adam) not in FUSED or adam.amsgrad:
        return
    adam._backend_update_step = functools.partial(_update_weights, adam)


def _update_weights(adam, grads, variables, learning_rate):
    import tensorflow as tf

    if tf.distribute.has_strategy() or not all(tf.is_tensor(grad) for grad in grads):
        type(adam)._backend_update_step(adam, grads, variables, learning_rate)
        return
    powers = functools.cache(lambda dtype: _powers(adam, dtype))
    for grad, variable in zip(grads, variables, strict=True):
        index = adam._get_variable_index(variable)
        beta_1_power, beta_2_power = powers(variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.value.handle,
            m=adam._momentums[index].value.handle,
            v=adam._velocities[index].value.handle,
            beta1_power=beta_1_power,
            beta2_power=beta_2_power,
            lr=ops.cast(learning_rate, variable.dtype),
            beta1=ops.cast(adam.beta_1, variable.dtype),
            beta2=ops.cast(adam.beta_2, variable.dtype),
            epsilon=ops.cast(adam.epsilon, variable.dtype),
            grad=ops.cast(grad, variable.dtype),
        )


def _powers(adam, dtype):
    """Both decays to the power of the step's number, computed once for all weights."""
    count = ops.cast(adam.iterations + 1, dtype)
    return (
        ops.power(ops.cast(adam.beta_1, dtype), count),
        ops.power(ops.cast(adam.beta_2, dtype), count),
    )
