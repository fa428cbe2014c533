"""What tfflows does on either backend: train by `fit`, call `log_prob` and `sample`."""

import keras
import numpy as np

import tfflows
from benchmarks.subject import Subject

LEARNING_RATE = 1e-3
STEPS_PER_EXECUTION = 10


def make_realnvp(case, mode: str) -> "tfflows.Flow":
    """`case.layers` affine couplings, which keep the two halves in turn; compiled.

    Args:
        case: sizes.
        mode: begins with "graph", or else the flow is compiled by XLA; ends with "single steps" for
            Keras' default of one step a call of the compiled function, or else `fit` makes
            `STEPS_PER_EXECUTION`.
    """
    steps = 1 if mode.endswith("single steps") else STEPS_PER_EXECUTION
    keras.utils.set_random_seed(0)
    flow = tfflows.models.RealNVP((case.dims,), case.layers, case.hidden_units, normalization=None)
    flow.compile(
        keras.optimizers.Adam(LEARNING_RATE),
        jit_compile=not mode.startswith("graph"),
        steps_per_execution=steps,
    )
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
