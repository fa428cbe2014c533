"""flowMC: `RealNVP`, its layers scanned, with optax's Adam under jax.jit.

Each coupling has two networks, of the scale and of the shift, which take and give all elements,
half of them masked. flowMC trains on draws of chains; the loop by reverse KL is ours.
"""

import equinox
import jax
from flowMC.resource.model.nf_model.realNVP import RealNVP

from benchmarks.adapters._jax import make_subject
from benchmarks.adapters._wells import log_density

REQUIREMENTS = ["flowmc==0.6.4", "jax==0.10.2", "jaxlib==0.10.2", "optax==0.2.8"]
GROUP = "jax"
MODES = ["jit"]


def build_wells(case, mode, x):
    """`case.layers` affine couplings, the halves in turn, by reverse KL."""
    (hidden,) = case.hidden_units
    flow = RealNVP(case.dims, case.layers, hidden, jax.random.key(0))
    # The mean and covariance of the data and the base stay; gradients of the masks are 0.
    couplings, static = equinox.partition(flow.affine_coupling, equinox.is_inexact_array)

    def whole(couplings):
        return equinox.tree_at(
            lambda flow: flow.affine_coupling, flow, equinox.combine(couplings, static)
        )

    def reverse_kl(couplings, key):
        z = jax.random.normal(key, (case.batch_size, case.dims))
        draws, log_det = jax.vmap(whole(couplings).inverse)(z)
        log_q = jax.scipy.stats.norm.logpdf(z).sum(-1) - log_det
        return (log_q - log_density(draws)).mean()

    return make_subject(
        couplings,
        lambda couplings, rows: whole(couplings).log_prob(rows),
        lambda couplings, key: whole(couplings).sample(key, case.batch_size),
        case,
        x,
        reverse_kl,
    )
