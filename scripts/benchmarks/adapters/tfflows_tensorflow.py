"""tfflows on TensorFlow: `fit` over an array, XLA by `compile(jit_compile=True)`, and without.

The bare train step is the model's own `train_step` in a `tf.function`, in a loop on one batch.
MAF samples by the layer's default inversion, "incremental", which computes each hidden unit once,
or, in modes of their own, by a pass an element ("in order"), as other libraries do, or by
fixed-point sweeps ("jacobi"), whose number grows as the flow is trained. It stores fewer
parameters than others: most of a kernel's masked entries are not there.

Glow's 1x1 convolutions are products of an L and a U, its scales two_sigmoid(s), its ActNorm is set
by the data in the first `fit`. The half that a level factors out has a convolutional prior given
the other half, and the last level a learned mean and scale a channel, as in the paper.

The image models are Glow with affine couplings, and with the distribution functions of mixtures of
logistics ("mixture couplings"), which sample by bisection; Jet; and TarFlow with affine layers on
patches, and with one layer of histograms on pixels, which both sample token by token with cached
keys and values. None dequantizes, so that `VariationalDequantize` is not among them.

The continuous flow's field is a `DynamicsMLP` of kind "concat", whose last layer is zero at first.
It trains by Hutchinson's estimate, one Rademacher draw a row and solve, and by `DormandPrince`,
forward with each row's own steps, backward through the adjoint equation with one step for all rows.
The error is a root mean square over z's elements, and, backward, its adjoint's. "8 steps of RK4"
differentiates fixed steps as they are, without a tolerance; "flow matching" regresses the field on
straight paths and solves nothing: other libraries' training does more than these two. Whatever the
mode, `log_prob` and `sample` are solved by `DormandPrince`, to the tolerance, with the exact trace.
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import tensorflow as tf

from benchmarks.adapters._tfflows import (
    make_cnf,
    make_glow,
    make_images,
    make_maf,
    make_realnvp,
    make_subject,
    make_vae,
    make_wells_subject,
)

REQUIREMENTS = ["--editable", ".[jax]"]
GROUP = "tensorflow"
MODES = {
    "realnvp": ["XLA", "graph", "XLA, single steps"],
    "maf": ["XLA", "graph", "XLA, in order", "XLA, jacobi"],
    "glow": ["XLA", "graph"],
    "images": [
        "Glow, XLA",
        "Glow, mixture couplings, XLA",
        "Jet, XLA",
        "TarFlow, patches, XLA",
        "TarFlow, pixels, XLA",
    ],
    "vae": ["XLA", "graph"],
    "wells": ["XLA", "graph"],
    "cnf": ["XLA", "graph", "XLA, 8 steps of RK4", "XLA, flow matching"],
}


def build_realnvp(case, mode, x):
    """`tfflows.models.RealNVP` without normalization."""
    return _build(make_realnvp(case, mode), case, mode, x)


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
    first = tf.constant(x[: case.batch_size])
    train_step = tf.function(flow.train_step, jit_compile=flow.jit_compile)

    def bare_train(steps):
        for _ in range(steps):
            logs = train_step((first,))
        logs["loss"].numpy()

    return make_subject(flow, bare_train, case, mode, x)
