"""One body, compiled once, over a row of inputs: JAX's scan, and one like it on TensorFlow."""

from collections.abc import Callable, Sequence

import keras

from tfflows.backend.tensor_ops import Tensor


def scan(body: Callable, carry: tuple, inputs: Sequence[Tensor]) -> tuple:
    """`carry = body(carry, [each[i] for each in inputs])` for i = 0, 1, ...

    Compiling takes as long as for one step, and the gradient in time and memory what the unrolled
    steps take.

    Args:
        body: a tuple of tensors and a list of them, to a tuple like the first; reads no trainable
            variable of its own.
        carry: tensors; their shapes and dtypes stay.
        inputs: tensors `[steps, ...]`, at least one.
    """
    if keras.backend.backend() == "jax":
        import jax

        return jax.lax.scan(lambda carry, each: (body(carry, each), None), carry, list(inputs))[0]
    import tensorflow as tf

    steps = inputs[0].shape[0]

    def shape(stacked):
        return tf.constant(list(stacked.shape)[1:], tf.int32)

    # Each step takes its inputs off a list, and the gradient puts theirs on one. Slices of a whole
    # tensor would have gradients of the size of the whole in each step.
    lists = [
        tf.raw_ops.TensorListFromTensor(tensor=tf.reverse(each, [0]), element_shape=shape(each))
        for each in inputs
    ]

    def step(i, carry, lists):
        taken = [
            tf.raw_ops.TensorListPopBack(
                input_handle=handle,
                element_shape=shape(each),
                element_dtype=each.dtype,
            )
            for handle, each in zip(lists, inputs, strict=True)
        ]
        results = body(carry, [one.tensor for one in taken])
        for result, before in zip(results, carry, strict=True):
            result.set_shape(before.shape)
        return i + 1, tuple(results), [one.output_handle for one in taken]

    return tf.while_loop(
        lambda i, *_: i < steps, step, (0, tuple(carry), lists), maximum_iterations=steps
    )[1]
