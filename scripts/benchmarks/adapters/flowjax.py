"""flowjax: `coupling_flow`, its layers scanned, with optax's Adam, all under jax.jit.

The trainable arrays are partitioned off once and Adam's state is donated, which spares the
per-call overhead of `fit_to_data`. The scale is softplus, its default.
"""

import equinox
import jax
import paramax
from flowjax.bijections import Affine
from flowjax.distributions import Normal
from flowjax.flows import coupling_flow
from jax import numpy as jnp

from benchmarks.adapters._jax import make_subject

REQUIREMENTS = ["flowjax==19.1.2", "jax==0.10.2", "jaxlib==0.10.2", "optax==0.2.8"]
GROUP = "jax"
MODES = ["jit"]


def build_realnvp(case, mode, x):
    """`case.layers` affine couplings with fixed permutations between."""
    flow = coupling_flow(
        jax.random.key(0),
        base_dist=Normal(jnp.zeros(case.dims)),
        transformer=Affine(),
        flow_layers=case.layers,
        nn_width=case.hidden_units[0],
        nn_depth=len(case.hidden_units),
        nn_activation=jax.nn.relu,
    )
    parameters, static = equinox.partition(
        flow,
        equinox.is_inexact_array,
        is_leaf=lambda leaf: isinstance(leaf, paramax.NonTrainable),
    )

    def whole(parameters):
        return paramax.unwrap(equinox.combine(parameters, static))

    return make_subject(
        parameters,
        lambda parameters, rows: whole(parameters).log_prob(rows),
        lambda parameters, key: whole(parameters).sample(key, (case.batch_size,)),
        case,
        x,
    )
