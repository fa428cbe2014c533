"""tfflows on JAX: `fit` over an array, compiled as Keras always does there.

The bare train step is the model's own `train_step` under jax.jit with its state donated, in a loop
on one batch. MAF's modes are those of tfflows on TensorFlow; so is what Glow and
the image models consist of, and how the continuous flow is run.
"""

import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import jax.numpy as jnp

from benchmarks.adapters._tfflows import (
    make_cnf,
    make_glow,
    make_images,
    make_maf,
    make_nsf,
    make_realnvp,
    make_subject,
    make_vae,
    make_wells_subject,
)

REQUIREMENTS = ["--editable", ".[jax]"]
GROUP = "jax"
MODES = {
    "realnvp": ["jit", "jit, single steps"],
    "nsf": ["jit"],
    "maf": ["jit", "jit, in order", "jit, jacobi"],
    "glow": ["jit"],
    "images": [
        "Glow, jit",
        "Glow, mixture couplings, jit",
        "Jet, jit",
        "TarFlow, patches, jit",
        "TarFlow, pixels, jit",
    ],
    "vae": ["jit"],
    "wells": ["jit"],
    "cnf": ["jit", "jit, 8 steps of RK4", "jit, flow matching"],
}


def build_realnvp(case, mode, x):
    """`tfflows.models.RealNVP` without normalization."""
    return _build(make_realnvp(case, mode), case, mode, x)


def build_nsf(case, mode, x):
    """`tfflows.layers.SplineCoupling`s."""
    return _build(make_nsf(case, mode), case, mode, x)


def build_maf(case, mode, x):
    """`tfflows.models.MAF` without normalization."""
    return _build(make_maf(case, mode), case, mode, x)


def build_glow(case, mode, x):
    """`tfflows.models.Glow` without dequantization or logit."""
    return _build(make_glow(case, mode), case, mode, x)


def build_images(case, mode, x):
    """The image model that the mode names."""
    return _build(make_images(case, mode), case, mode, x)


def build_cnf(case, mode, x):
    """`tfflows.models.FFJORD` of one field."""
    return _build(make_cnf(case, mode), case, mode, x)


def build_vae(case, mode, x):
    """`tfflows.vae.VAE` with the posterior "iaf"; log_prob is the bound by one draw."""
    return _build(make_vae(case, mode), case, mode, x)


def build_wells(case, mode, x):
    """RealNVP by `ReverseKL`."""
    return make_wells_subject(case, mode, x)


def _build(flow, case, mode, x):
    first = jnp.asarray(x[: case.batch_size])
    train_step = jax.jit(flow.train_step, donate_argnums=0)
    state = None

    def bare_train(steps):
        nonlocal state
        if state is None:  # after the first fit, which makes the metrics' variables
            groups = (
                flow.trainable_variables,
                flow.non_trainable_variables,
                flow.optimizer.variables,
                flow.metrics_variables,
            )
            state = tuple([jnp.copy(v.value) for v in variables] for variables in groups)
        for _ in range(steps):
            logs, state = train_step(state, (first,))
        logs["loss"].item()

    return make_subject(flow, bare_train, case, mode, x)
