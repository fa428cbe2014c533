"""What tfflows does on either backend: train by `fit`, call `log_prob` and `sample`."""

import keras
import numpy as np

import tfflows
from benchmarks.subject import Subject

FIXED_STEPS = 8
VAE_HIDDEN_UNITS = (320,)  # of each layer of the posterior, in all libraries
OTHER_INVERSIONS = {"in order": "sequential", "jacobi": "jacobi"}


def make_realnvp(case, mode: str) -> "tfflows.Flow":
    """`case.layers` affine couplings, which keep the two halves in turn; compiled for `mode`."""
    keras.utils.set_random_seed(0)
    flow = tfflows.models.RealNVP((case.dims,), case.layers, case.hidden_units, normalization=None)
    return _compile(flow, case, mode)


def make_wells_subject(case, mode: str, x) -> Subject:
    """`make_realnvp` by reverse KL: `fit` on fresh draws of the flow, without data."""
    flow = make_realnvp(case, mode)
    target = tfflows.energies.ManyWell(case.dims)
    objective = tfflows.training.ReverseKL(target, case.batch_size, seed=0)
    _compile(flow, case, mode, objective=objective)
    first = keras.ops.convert_to_tensor(x[: case.batch_size])
    return Subject(
        sum(int(np.prod(v.shape)) for v in flow.trainable_variables),
        lambda steps: flow.fit(epochs=1, steps_per_epoch=steps, verbose=0),
        lambda: np.asarray(flow.log_prob(first)),
        lambda: np.asarray(flow.sample(case.batch_size)),
    )


def make_nsf(case, mode: str) -> "tfflows.Flow":
    """`case.layers` spline couplings, which keep the two halves in turn; compiled for `mode`."""
    keras.utils.set_random_seed(0)
    couplings = [
        tfflows.layers.SplineCoupling(
            "half", i % 2, tfflows.networks.MLP(case.hidden_units), case.num_bins, case.bound
        )
        for i in range(case.layers)
    ]
    return _compile(tfflows.Flow(couplings, (case.dims,)), case, mode)


def make_maf(case, mode: str) -> "tfflows.Flow":
    """`case.layers` affine autoregressive layers of alternating order; compiled for `mode`."""
    keras.utils.set_random_seed(0)
    inversion = _other_inversion(mode)
    if inversion is None:
        flow = tfflows.models.MAF((case.dims,), case.layers, case.hidden_units, normalization=None)
        return _compile(flow, case, mode)
    layers = [
        tfflows.layers.MaskedAutoregressive(
            hidden_units=case.hidden_units,
            order=("sequential", "reversed")[i % 2],
            inversion=inversion,
        )
        for i in range(case.layers)
    ]
    return _compile(tfflows.Flow(layers, (case.dims,)), case, mode)


def make_glow(case, mode: str) -> "tfflows.Flow":
    """`case.levels` levels of `case.layers` steps, on images of real values.

    A mode that ends with "bfloat16" has networks of that.
    """
    keras.utils.set_random_seed(0)
    flow = tfflows.models.Glow(
        case.image_shape,
        case.levels,
        case.layers,
        case.hidden_units[0],
        quantization_levels=None,
        dtype="mixed_bfloat16" if mode.endswith("bfloat16") else "float32",
    )
    return _compile(flow, case, mode)


def make_images(case, mode: str) -> "tfflows.Flow":
    """The model that a mode begins with, such as "Jet, jit", on images of real values."""
    keras.utils.set_random_seed(0)
    name = mode.rpartition(", ")[0]
    model = getattr(tfflows.models, name.split(", ")[0])
    flow = model(case.image_shape, quantization_levels=None, **case.models[name])
    return _compile(flow, case, mode)


def make_cnf(case, mode: str) -> "tfflows.Flow":
    """One field, solved to `case.tolerance`.

    A mode that ends with "RK4" trains by `FIXED_STEPS` steps of it, one that ends with "flow
    matching" by no solver.
    """
    keras.utils.set_random_seed(0)
    adaptive = tfflows.ode.DormandPrince(case.tolerance, case.tolerance)
    fixed = tfflows.ode.FixedStep("rk4", FIXED_STEPS)
    flow = tfflows.models.FFJORD(
        (case.dims,),
        network=tfflows.networks.DynamicsMLP(case.hidden_units, "concat"),
        solver=fixed if mode.endswith("RK4") else adaptive,
        test_solver=adaptive,
        test_trace="exact",
    )
    matches = mode.endswith("flow matching")
    return _compile(flow, case, mode, objective="flow_matching" if matches else "likelihood")


def make_vae(case, mode: str) -> "tfflows.Flow":
    """Gated dense networks, and `case.layers` inverse autoregressive layers given the context."""
    keras.utils.set_random_seed(0)
    vae = tfflows.vae.VAE(
        tfflows.vae.MLPEncoder(case.hidden_units),
        tfflows.vae.MLPDecoder(case.hidden_units[::-1]),
        (case.dims,),
        (case.latents,),
        tfflows.vae.posteriors.iaf(case.layers, VAE_HIDDEN_UNITS),
    )
    return _compile(vae, case, mode)


def _other_inversion(mode):
    """The `inversion` that a mode ends with, or None for the layer's default."""
    return OTHER_INVERSIONS.get(mode.split(", ")[-1])


def _compile(flow, case, mode, **options):
    """Compile a flow.

    Args:
        flow: the flow.
        case: what has the learning rate.
        mode: begins with "graph", or else the flow is compiled by XLA; ends with "single steps" for
            one step per call of the compiled function, or else `fit` chooses their number.
        **options: more of `flow.compile`.
    """
    steps = 1 if mode.endswith("single steps") else "auto"
    flow.compile(
        keras.optimizers.Adam(case.learning_rate),
        jit_compile=not mode.startswith("graph"),
        steps_per_execution=steps,
        **options,
    )
    return flow


def make_subject(flow, bare_train, case, mode, x) -> Subject:
    """A subject of a compiled flow; `bare_train` is the backend's loop over its train step.

    A mode that differs in how it samples is not timed by `bare_train` again.
    """
    first = keras.ops.convert_to_tensor(x[: case.batch_size])

    def train(steps):
        flow.fit(x[: steps * case.batch_size], batch_size=case.batch_size, verbose=0)

    return Subject(
        sum(int(np.prod(v.shape)) for v in flow.trainable_variables),
        train,
        lambda: np.asarray(flow.log_prob(first, num_draws=1)),
        lambda: np.asarray(flow.sample(case.batch_size)).reshape(-1, case.dims),
        bare_train if _other_inversion(mode) is None else None,
    )
