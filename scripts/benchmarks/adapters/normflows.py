"""normflows: `AffineCouplingBlock`s with swapped halves between, on PyTorch.

Eager, and by torch.compile where it works. The log-scale is not bounded, its default.
"""

import normflows

from benchmarks.adapters._torch import make_subject

REQUIREMENTS = ["torch==2.13.0", "normflows==1.7.3"]
GROUP = "tensorflow"
MODES = ["eager", "compile"]


def build_realnvp(case, mode, x):
    """`case.layers` affine couplings, the halves swapped after each."""
    kept, moved = case.dims - case.dims // 2, case.dims // 2
    flows = []
    for _ in range(case.layers):
        network = normflows.nets.MLP([kept, *case.hidden_units, 2 * moved], init_zeros=True)
        flows += [
            normflows.flows.AffineCouplingBlock(network),
            normflows.flows.Permute(case.dims, mode="swap"),
        ]
    base = normflows.distributions.DiagGaussian(case.dims, trainable=False)
    flow = normflows.NormalizingFlow(base, flows)
    return make_subject(flow, flow.log_prob, lambda size: flow.sample(size)[0], case, mode, x)
