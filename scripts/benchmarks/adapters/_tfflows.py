"""What tfflows does on either backend: train by `fit`, call `log_prob` and `sample`."""

import keras
import numpy as np

import tfflows
from benchmarks.subject import Subject

LEARNING_RATE = 1e-3


def make_realnvp(case, jit_compile) -> "tfflows.Flow":
    """`case.layers` affine couplings, which keep the two halves in turn; compiled."""
    keras.utils.set_random_seed(0)
    flow = tfflows.models.RealNVP((case.dims,), case.layers, case.hidden_units, normalization=None)
    flow.compile(keras.optimizers.Adam(LEARNING_RATE), jit_compile=jit_compile)
    return flow


def make_subject(flow, bare_train, case, x) -> Subject:
    """A subject of a compiled flow; `bare_train` is the backend's loop over its train step."""
    first = keras.ops.convert_to_tensor(x[: case.batch_size])

    def train(steps):
        flow.fit(x[: steps * case.batch_size], batch_size=case.batch_size, verbose=0)

    return Subject(
        sum(int(np.prod(v.shape)) for v in flow.trainable_variables),
        train,
        lambda: np.asarray(flow.log_prob(first)),
        lambda: np.asarray(flow.sample(case.batch_size)),
        bare_train,
    )
