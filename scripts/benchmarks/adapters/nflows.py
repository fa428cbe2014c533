"""nflows: `AffineCouplingTransform`s with alternating masks, on PyTorch.

Eager, and by torch.compile where it works. The conditioner is nflows' MLP, the scale
sigmoid(s + 2) + 1e-3, its default.

MAF is `MaskedAffineAutoregressiveTransform`s with reversed elements between, of the same depth and
widths (all hidden layers have the first one's), without residual blocks; the scale is
softplus(s) + 1e-3. It samples by a pass an element. torch.compile would unroll that loop, so that
the networks in it are compiled, and not the draw as a whole.

Glow is ActNorm, `OneByOneConvolution` and `AffineCouplingTransform` between `SqueezeTransform`s, in
a `MultiscaleCompositeTransform`: the paper's steps, but the latents are standard normal, without
learned priors; the 1x1 convolutions are L U with a bias and a permutation, and start as the latter;
they apply L and U one after the other, and invert by solving, at every position.
"""

import torch
from nflows.distributions.normal import StandardNormal
from nflows.flows.base import Flow
from nflows.nn.nets import MLP
from nflows.transforms.autoregressive import MaskedAffineAutoregressiveTransform
from nflows.transforms.base import CompositeTransform, MultiscaleCompositeTransform
from nflows.transforms.conv import OneByOneConvolution
from nflows.transforms.coupling import AffineCouplingTransform
from nflows.transforms.normalization import ActNorm
from nflows.transforms.permutations import ReversePermutation
from nflows.transforms.reshape import SqueezeTransform

from benchmarks.adapters._torch import ConvNet, channels_first, make_subject

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


def build_maf(case, mode, x):
    """`case.layers` affine autoregressive transforms, the elements reversed between."""
    transforms = []
    for i in range(case.layers):
        if i:
            transforms.append(ReversePermutation(case.dims))
        transform = MaskedAffineAutoregressiveTransform(
            case.dims,
            case.hidden_units[0],
            num_blocks=len(case.hidden_units) - 1,
            use_residual_blocks=False,
        )
        if mode == "compile":
            transform.autoregressive_net.compile()
        transforms.append(transform)
    flow = Flow(CompositeTransform(transforms), StandardNormal([case.dims]))
    return make_subject(flow, flow.log_prob, flow.sample, case, mode, x, compile_sample=False)


def _glow_step(channels, filters):
    moved = torch.arange(channels) >= channels - channels // 2
    coupling = AffineCouplingTransform(
        moved, lambda inputs, outputs: ConvNet(inputs, outputs, filters)
    )
    return CompositeTransform([ActNorm(channels), OneByOneConvolution(channels), coupling])


def build_glow(case, mode, x):
    """`case.levels` levels of `case.layers` steps; half of the channels leave after each."""
    height, width, channels = case.image_shape
    shape = (channels, height, width)
    levels = MultiscaleCompositeTransform(case.levels)
    for _ in range(case.levels):
        squeeze = SqueezeTransform()
        shape = squeeze.get_output_shape(*shape)
        steps = [_glow_step(shape[0], case.hidden_units[0]) for _ in range(case.layers)]
        shape = levels.add_transform(CompositeTransform([squeeze, *steps]), shape)
    flow = Flow(levels, StandardNormal([case.dims]))
    x = channels_first(x)
    with torch.no_grad():  # sets ActNorm, which looks no more whether it is, once not in training
        flow.log_prob(torch.from_numpy(x[: case.batch_size]))
    flow.eval()
    return make_subject(flow, flow.log_prob, flow.sample, case, mode, x)
