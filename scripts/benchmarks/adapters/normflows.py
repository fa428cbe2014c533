"""normflows: `AffineCouplingBlock`s with swapped halves between, on PyTorch.

Eager, and by torch.compile where it works. The log-scale is not bounded, its default.

MAF is `MaskedAffineAutoregressive`s, reversed, since their forward direction, which takes one pass,
is the one that samples; fixed random permutations between. Of the same depth and widths (all
hidden layers have the first one's), without residual blocks; its network then has no activation
after its first layer, so that one is put there. The scale is sigmoid(s + 2) + 1e-3. It samples by
a pass an element. torch.compile would unroll that loop, so that the networks in it are compiled,
and not the draw as a whole.
"""

import normflows
import torch

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


def build_maf(case, mode, x):
    """`case.layers` affine autoregressive transforms, the elements permuted between."""
    flows = []
    for i in range(case.layers):
        if i:
            flows.append(normflows.flows.Permute(case.dims))
        flow = normflows.flows.MaskedAffineAutoregressive(
            case.dims,
            case.hidden_units[0],
            num_blocks=len(case.hidden_units) - 1,
            use_residual_blocks=False,
        )
        network = flow.autoregressive_net
        network.initial_layer = torch.nn.Sequential(network.initial_layer, torch.nn.ReLU())
        if mode == "compile":
            network.compile()
        flows.append(normflows.flows.Reverse(flow))
    base = normflows.distributions.DiagGaussian(case.dims, trainable=False)
    flow = normflows.NormalizingFlow(base, flows)
    return make_subject(
        flow,
        flow.log_prob,
        lambda size: flow.sample(size)[0],
        case,
        mode,
        x,
        compile_sample=False,
    )
