"""FrEIA: Glow as a `GraphINN`, on PyTorch.

Eager, and by torch.compile where it works. The steps are `ActNorm`, `Fixed1x1Conv` and
`AffineCouplingOneSided`, which moves one half, as Glow does, where `GLOWCouplingBlock` moves both
by two networks. FrEIA has no trained 1x1 convolution for images: these are rotations drawn once,
which costs less than to train them. The log-scale is 2 * 0.636 atan(s), its default. The
latents are standard normal, without learned priors.
"""

import math

import torch
from FrEIA import framework, modules

from benchmarks.adapters._torch import ConvNet, channels_first, make_subject

REQUIREMENTS = ["torch==2.13.0", "FrEIA==0.2", "numpy", "scipy"]
GROUP = "tensorflow"
MODES = ["eager", "compile"]


def _glow_steps(nodes, case):
    """Append one level's steps to the nodes."""

    def network(inputs, outputs):
        return ConvNet(inputs, outputs, case.hidden_units[0])

    for _ in range(case.layers):
        channels = nodes[-1].output_dims[0][0]
        rotation = torch.linalg.qr(torch.randn(channels, channels))[0]
        for module, arguments in (
            (modules.ActNorm, {}),
            (modules.Fixed1x1Conv, {"M": rotation}),
            (modules.AffineCouplingOneSided, {"subnet_constructor": network}),
        ):
            nodes.append(framework.Node(nodes[-1], module, arguments))


def _make_graph(case):
    """Image to a tuple of latents; half of the channels leave after each level but the last."""
    height, width, channels = case.image_shape
    nodes = [framework.InputNode(channels, height, width)]
    for level in range(case.levels):
        nodes.append(framework.Node(nodes[-1], modules.IRevNetDownsampling, {}))
        _glow_steps(nodes, case)
        if level < case.levels - 1:
            split = framework.Node(nodes[-1], modules.Split, {})
            nodes += [framework.OutputNode(split.out1), split]  # whose first half goes on
    nodes.append(framework.OutputNode(nodes[-1]))
    return framework.GraphINN(nodes, force_tuple_output=True)


def build_glow(case, mode, x):
    """`case.levels` levels of `case.layers` steps, on a standard normal base."""
    flow = _make_graph(case)

    def log_prob(rows):
        latents, log_det = flow(rows)
        squares = sum((part**2).flatten(1).sum(1) for part in latents)
        return log_det - 0.5 * squares - 0.5 * case.dims * math.log(2 * math.pi)

    def sample(size):
        latents = [torch.randn(size, *shape) for shape in flow.global_out_shapes]
        return flow(latents, rev=True)[0][0]

    x = channels_first(x)
    with torch.no_grad():  # sets ActNorm
        log_prob(torch.from_numpy(x[: case.batch_size]))
    return make_subject(flow, log_prob, sample, case, mode, x)
