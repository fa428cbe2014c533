"""TensorFlow Probability: `tfb.RealNVP` over tf_keras networks, every function under XLA.

MAF is `tfb.MaskedAutoregressiveFlow` over `tfb.AutoregressiveNetwork`, which samples by a pass an
element in a `tf.while_loop`. Its kernels are masked by constraints, once a training step.

The train step is one `tf.function(jit_compile=True)` with the gradients and Adam inside, called in
a loop on batches of the shuffled array. The log-scale is soft-clipped as tfflows' is, or, in a mode
of its own, not bounded, TFP's default.

Glow is `tfb.Glow`, under XLA or as a graph only ("graph"): the paper's steps and 1x1 convolutions
P L U, which samples solve for at every position. The scale is sigmoid(s + 2), its default. The half
that a level factors out has a convolutional prior given the other half; the last level has none.

The continuous flow is `tfb.FFJORD` over layers that the time shifts, as tfflows' "concat", the last
one zero at first, by `tfp.math.ode.DormandPrince`, which begins with a tenth of the time instead of
a thousandth, its default. It trains by Hutchinson's estimate, one Rademacher draw a row and solve,
and so samples, which a bijector gives with the log-det; the density is exact, by a loop over the
elements. All rows have the same steps; the error is a norm of state and log-det and, backward by
the adjoint equation, of their adjoints and the parameters' gradients too. Under XLA a step of its
training takes many seconds even in three dimensions, so that it is a graph in both modes.
"""

import functools
import itertools
import math

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras

from benchmarks.subject import Subject

REQUIREMENTS = ["tensorflow==2.21.0", "tensorflow-probability==0.25.0", "tf_keras==2.21.0"]
GROUP = "tensorflow"
MODES = {
    "realnvp": ["XLA", "XLA, unbounded"],
    "maf": ["XLA"],
    "glow": ["XLA", "graph"],
    "cnf": ["graph, calls by XLA", "graph"],
}
BOUND = math.log(1e3)


def _bound(log_scale):
    return BOUND * tf.nn.softsign(log_scale / BOUND)


def _coupling(case, keep_first, bounded):
    kept = case.dims - case.dims // 2 if keep_first else case.dims // 2
    moved = case.dims - kept
    network = tf_keras.Sequential(
        [tf_keras.layers.Dense(units, "relu") for units in case.hidden_units]
        + [tf_keras.layers.Dense(2 * moved, kernel_initializer="zeros")]
    )
    network.build((None, kept))

    def shift_and_log_scale(inputs, output_units):
        shift, log_scale = tf.split(network(inputs), 2, axis=-1)
        if bounded:
            log_scale = _bound(log_scale)
        return shift, log_scale

    # A negative number keeps elements at the end.
    num_masked = kept if keep_first else -kept
    bijector = tfp.bijectors.RealNVP(num_masked, shift_and_log_scale_fn=shift_and_log_scale)
    return bijector, network


def build_realnvp(case, mode, x):
    """`case.layers` affine couplings, which keep the two halves in turn."""
    tf.random.set_seed(0)
    couplings = [_coupling(case, i % 2, mode == "XLA") for i in range(case.layers)]
    bijectors, networks = zip(*couplings, strict=True)
    return _make_subject(tfp.bijectors.Chain(bijectors), _variables(networks), case, x)


def _variables(networks):
    return [v for network in networks for v in network.trainable_variables]


def _autoregressive_layer(case):
    network = tfp.bijectors.AutoregressiveNetwork(
        2, [case.dims], hidden_units=list(case.hidden_units), activation="relu"
    )
    network.build((None, case.dims))

    def shift_and_log_scale(inputs):
        shift, log_scale = tf.unstack(network(inputs), axis=-1)
        return shift, _bound(log_scale)

    return tfp.bijectors.MaskedAutoregressiveFlow(shift_and_log_scale), network


def build_maf(case, mode, x):
    """`case.layers` affine autoregressive layers, the elements reversed between."""
    tf.random.set_seed(0)
    bijectors, networks = [], []
    for i in range(case.layers):
        if i:
            bijectors.append(tfp.bijectors.Permute(list(range(case.dims))[::-1]))
        bijector, network = _autoregressive_layer(case)
        bijectors.append(bijector)
        networks.append(network)
    return _make_subject(tfp.bijectors.Chain(bijectors), _variables(networks), case, x)


def build_glow(case, mode, x):
    """`case.levels` levels of `case.layers` steps; half of the channels leave after each."""
    tf.random.set_seed(0)
    filters = case.hidden_units[0]
    glow = tfp.bijectors.Glow(
        case.image_shape,
        case.levels,
        case.layers,
        lambda shape: tfp.bijectors.GlowDefaultNetwork(shape, filters),
        tfp.bijectors.GlowDefaultExitNetwork,
        seed=0,
    )
    glow.inverse(tf.constant(x[: case.batch_size]))  # sets ActNorm
    return _make_subject(glow, glow.trainable_variables, case, x, jit_compile=mode == "XLA")


def make_cnf(case):
    """Dynamics of one field, and its layers: pairs of a dense layer and the time's weights."""
    pairs = list(itertools.pairwise([case.dims, *case.hidden_units, case.dims]))
    layers = []
    for inputs, outputs in pairs:
        initializer = "zeros" if len(layers) == len(pairs) - 1 else "glorot_uniform"
        dense = tf_keras.layers.Dense(outputs, kernel_initializer=initializer)
        dense.build((None, inputs))
        shift = tf.Variable(tf_keras.initializers.get(initializer)((1, outputs)))
        layers.append((dense, shift))

    def field(time, state):
        for dense, shift in layers[:-1]:
            state = tf.tanh(dense(state) + time * shift)
        dense, shift = layers[-1]
        return dense(state) + time * shift

    return field, layers


def layer_variables(layers):
    """Kernel, bias and the time's weights of each layer."""
    return [v for dense, shift in layers for v in (*dense.trainable_variables, shift)]


def make_ffjord(field, case, exact):
    """The bijector of a field, latents to data."""
    solver = tfp.math.ode.DormandPrince(case.tolerance, case.tolerance, first_step_size=0.1)
    trace = tfp.bijectors.ffjord.trace_jacobian_exact
    if not exact:
        trace = functools.partial(
            tfp.bijectors.ffjord.trace_jacobian_hutchinson, sample_fn=tfp.random.rademacher
        )
    return tfp.bijectors.FFJORD(field, ode_solve_fn=solver.solve, trace_augmentation_fn=trace)


def build_cnf(case, mode, x):
    """One field of dense layers."""
    tf.random.set_seed(0)
    field, layers = make_cnf(case)
    return _make_subject(
        make_ffjord(field, case, exact=False),
        layer_variables(layers),
        case,
        x,
        jit_compile=False,
        jit_calls=mode.endswith("XLA"),
        exact=make_ffjord(field, case, exact=True),
    )


def _make_subject(bijector, variables, case, x, jit_compile=True, jit_calls=None, exact=None):
    """A subject of a bijector, latents to data, and, where it has an estimated log-det, of one with
    an exact log-det for log_prob.

    XLA compiles the training step by `jit_compile`, the calls by `jit_calls`, or else by the same.
    """
    base = tfp.distributions.MultivariateNormalDiag(tf.zeros(case.dims))
    flow = tfp.distributions.TransformedDistribution(base, bijector)
    exact_flow = tfp.distributions.TransformedDistribution(base, exact or bijector)
    jit_calls = jit_compile if jit_calls is None else jit_calls
    # The step as a whole is compiled, not the optimizer.
    optimizer = tf_keras.optimizers.Adam(case.learning_rate, jit_compile=False)
    optimizer.build(variables)

    @tf.function(jit_compile=jit_compile)
    def train_step(rows):
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(flow.log_prob(rows))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    log_prob = tf.function(exact_flow.log_prob, jit_compile=jit_calls)
    sample = tf.function(lambda: flow.sample(case.batch_size), jit_compile=jit_calls)
    size, first = case.batch_size, tf.constant(x[: case.batch_size])
    rng = np.random.default_rng(0)

    def train(steps):
        order = rng.permutation(len(x))
        for step in range(steps):
            loss = train_step(x[order[step * size : (step + 1) * size]])
        if not np.isfinite(loss.numpy()):
            raise ValueError(f"The loss must stay finite. Received: {loss.numpy()}")

    parameters = sum(int(np.prod(v.shape)) for v in variables)
    return Subject(
        parameters,
        train,
        lambda: log_prob(first).numpy(),
        lambda: sample().numpy().reshape(size, -1),
    )
