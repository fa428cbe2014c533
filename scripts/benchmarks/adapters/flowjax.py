"""flowjax: `coupling_flow` and `masked_autoregressive_flow`, their layers scanned, with optax's
Adam, all under jax.jit.

The trainable arrays are partitioned off once and Adam's state is donated, which spares the
per-call overhead of `fit_to_data`. The scale is softplus, its default. MAF has the same depth and
widths (all hidden layers have the first one's) and, by `invert=True`, densities in one pass and
samples by a pass an element.
"""

import equinox
import jax
import paramax
from flowjax.bijections import Affine, RationalQuadraticSpline
from flowjax.distributions import Normal
from flowjax.flows import coupling_flow, masked_autoregressive_flow
from jax import numpy as jnp

from benchmarks.adapters._jax import make_subject
from benchmarks.adapters._wells import log_density

REQUIREMENTS = ["flowjax==19.1.2", "jax==0.10.2", "jaxlib==0.10.2", "optax==0.2.8"]
GROUP = "jax"
MODES = ["jit"]


def build_realnvp(case, mode, x):
    """`case.layers` affine couplings with fixed permutations between."""
    return _build_coupling(Affine(), case, x)


def build_nsf(case, mode, x):
    """`case.layers` spline couplings with fixed permutations between."""
    spline = RationalQuadraticSpline(knots=case.num_bins, interval=case.bound)
    return _build_coupling(spline, case, x)


def build_wells(case, mode, x):
    """The affine couplings, by reverse KL."""
    return _build_coupling(Affine(), case, x, by_reverse_kl=True)


def _build_coupling(transformer, case, x, by_reverse_kl=False):
    flow = coupling_flow(
        jax.random.key(0),
        base_dist=Normal(jnp.zeros(case.dims)),
        transformer=transformer,
        flow_layers=case.layers,
        nn_width=case.hidden_units[0],
        nn_depth=len(case.hidden_units),
        nn_activation=jax.nn.relu,
    )
    return _make_subject(flow, case, x, by_reverse_kl)


def build_maf(case, mode, x):
    """`case.layers` affine autoregressive layers with fixed random permutations between."""
    flow = masked_autoregressive_flow(
        jax.random.key(0),
        base_dist=Normal(jnp.zeros(case.dims)),
        transformer=Affine(),
        flow_layers=case.layers,
        nn_width=case.hidden_units[0],
        nn_depth=len(case.hidden_units),
        nn_activation=jax.nn.relu,
        invert=True,
    )
    return _make_subject(flow, case, x)


def _make_subject(flow, case, x, by_reverse_kl=False):
    parameters, static = equinox.partition(
        flow,
        equinox.is_inexact_array,
        is_leaf=lambda leaf: isinstance(leaf, paramax.NonTrainable),
    )

    def whole(parameters):
        return paramax.unwrap(equinox.combine(parameters, static))

    def reverse_kl(parameters, key):
        draws, log_q = whole(parameters).sample_and_log_prob(key, (case.batch_size,))
        return (log_q - log_density(draws)).mean()

    return make_subject(
        parameters,
        lambda parameters, rows: whole(parameters).log_prob(rows),
        lambda parameters, key: whole(parameters).sample(key, (case.batch_size,)),
        case,
        x,
        reverse_kl if by_reverse_kl else None,
    )
