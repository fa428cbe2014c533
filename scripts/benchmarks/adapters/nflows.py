"""nflows: `AffineCouplingTransform`s with alternating masks, on PyTorch.

Eager, and by torch.compile where it works. The conditioner is nflows' MLP, the scale
sigmoid(s + 2) + 1e-3, its default.
"""

import torch
from nflows.distributions.normal import StandardNormal
from nflows.flows.base import Flow
from nflows.nn.nets import MLP
from nflows.transforms.base import CompositeTransform
from nflows.transforms.coupling import AffineCouplingTransform

from benchmarks.adapters._torch import make_subject

REQUIREMENTS = ["torch==2.13.0", "nflows==0.14"]
GROUP = "tensorflow"
MODES = ["eager", "compile"]


class _Network(MLP):
    """nflows' couplings hand their conditioner a context, which its MLP does not take."""

    def forward(self, inputs, context=None):
        return super().forward(inputs)


def build_realnvp(case, mode, x):
    """`case.layers` affine couplings, which keep the two halves in turn."""
    first_half = torch.arange(case.dims) < case.dims - case.dims // 2

    def network(inputs, outputs):
        return _Network([inputs], [outputs], case.hidden_units, activation=torch.relu)

    transforms = [
        AffineCouplingTransform(first_half if i % 2 else ~first_half, network)
        for i in range(case.layers)
    ]
    flow = Flow(CompositeTransform(transforms), StandardNormal([case.dims]))
    return make_subject(flow, flow.log_prob, flow.sample, case, mode, x)
