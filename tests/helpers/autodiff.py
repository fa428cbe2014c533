"""Gradients by the backend's automatic differentiation, in eager mode where there is one."""

import numpy as np

from tfflows.testing.derivatives import value_and_gradients


def gradients(loss, tensors, weights):
    """Gradients of a scalar function of a list of arrays with respect to arrays and weights."""
    return gradient_function(loss, weights)(*tensors)


def gradient_function(loss, weights):
    """Function of arrays to what `gradients` gives of them; JAX compiles it once."""
    evaluate = value_and_gradients(lambda *v: (loss(*v),), weights)
    return lambda *tensors: [np.asarray(gradient) for gradient in evaluate(*tensors)[1]]
