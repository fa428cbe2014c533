"""normflows: `AffineCouplingBlock`s with swapped halves between, on PyTorch.

Eager, and by torch.compile where it works. The log-scale is not bounded, its default.

MAF is `MaskedAffineAutoregressive`s, reversed, since their forward direction, which takes one pass,
is the one that samples; fixed random permutations between. Of the same depth and widths (all
hidden layers have the first one's), without residual blocks; its network then has no activation
after its first layer, so that one is put there. The scale is sigmoid(s + 2) + 1e-3. It samples by
a pass an element. torch.compile would unroll that loop, so that the networks in it are compiled,
and not the draw as a whole.

Glow is `MultiscaleFlow` over `GlowBlock`s: the paper's steps, with 1x1 convolutions P L U, whose
factors are inverted in float64 each time. A learned mean and scale a channel, `GlowBase`, is the
prior of each level, and none is given the other half. The scale is sigmoid(s + 2), its default.
Once the data have set `ActNorm`, it is made the `AffineConstFlow` that it extends, since its look
whether it is set is a break in torch.compile's graph, once each step of the flow.

Among the image models it is the same Glow, eager.

A VAE's posterior is `MaskedAffineAutoregressive`s given the context, the latents reversed between,
whose direction of one pass draws z; an activation is put before
their networks' last layer.

An energy is sampled by the model's own `reverse_kld`.
"""

import normflows
import torch

from benchmarks.adapters._torch import channels_first, make_subject
from benchmarks.adapters._torch_vae import VAE_HIDDEN_UNITS, make_vae_subject
from benchmarks.adapters._wells import log_density

REQUIREMENTS = ["torch==2.13.0", "normflows==1.7.3"]
GROUP = "tensorflow"
MODES = {
    "realnvp": ["eager", "compile"],
    "wells": ["eager", "compile"],
    "maf": ["eager", "compile"],
    "vae": ["eager", "compile"],
    "glow": ["eager", "compile"],
    "images": ["Glow, eager"],
}


def build_realnvp(case, mode, x):
    """`case.layers` affine couplings, the halves swapped after each."""
    flow = _couplings(case)
    return make_subject(flow, flow.log_prob, lambda size: flow.sample(size)[0], case, mode, x)


def build_wells(case, mode, x):
    """The same, by reverse KL."""
    flow = _couplings(case)
    flow.p = Wells()

    def estimate(rows):
        return -flow.reverse_kld(case.batch_size)

    return make_subject(
        flow,
        flow.log_prob,
        lambda size: flow.sample(size)[0],
        case,
        mode,
        x,
        estimate=torch.compile(estimate) if mode == "compile" else estimate,
    )


class Wells(normflows.distributions.Target):
    """The target, whose log-density `reverse_kld` takes."""

    def log_prob(self, z):
        return log_density(z)


def _couplings(case):
    kept, moved = case.dims - case.dims // 2, case.dims // 2
    flows = []
    for _ in range(case.layers):
        network = normflows.nets.MLP([kept, *case.hidden_units, 2 * moved], init_zeros=True)
        flows += [
            normflows.flows.AffineCouplingBlock(network),
            normflows.flows.Permute(case.dims, mode="swap"),
        ]
    base = normflows.distributions.DiagGaussian(case.dims, trainable=False)
    return normflows.NormalizingFlow(base, flows)


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


class InverseAutoregressive(torch.nn.Module):
    """z_0 and context to z, and the log-det."""

    def __init__(self, case):
        super().__init__()
        self.flows = torch.nn.ModuleList()
        for _ in range(case.layers):
            flow = normflows.flows.MaskedAffineAutoregressive(
                case.latents,
                VAE_HIDDEN_UNITS[0],
                context_features=case.hidden_units[-1],
                num_blocks=0,
                use_residual_blocks=False,
            )
            network = flow.autoregressive_net
            network.final_layer = torch.nn.Sequential(torch.nn.ReLU(), network.final_layer)
            self.flows.append(flow)

    def forward(self, z, context):
        """z and log |det| `[batch]`."""
        total = 0.0
        for flow in self.flows:
            z, log_det = flow(z, context)
            z, total = z.flip(-1), total + log_det
        return z, total


def build_vae(case, mode, x):
    """Gated dense networks, and `case.layers` inverse autoregressive layers."""
    return make_vae_subject(InverseAutoregressive(case), case, mode, x)


def _glow_levels(case):
    """Priors, flows and merges, from the last level, where samples begin, to the image."""
    height, width, channels = case.image_shape
    priors, flows, merges = [], [], []
    for level in range(case.levels, 0, -1):
        squeezed = channels * 2 ** (level + 1)
        blocks = [
            normflows.flows.GlowBlock(squeezed, case.hidden_units[0]) for _ in range(case.layers)
        ]
        flows.append([*blocks, normflows.flows.Squeeze()])
        if level < case.levels:
            merges.append(normflows.flows.Merge())
        latent = squeezed if level == case.levels else squeezed // 2
        shape = (latent, height // 2**level, width // 2**level)
        priors.append(normflows.distributions.GlowBase(shape))
    return priors, flows, merges


def build_glow(case, mode, x):
    """`case.levels` levels of `case.layers` steps; half of the channels leave after each."""
    flow = normflows.MultiscaleFlow(*_glow_levels(case), class_cond=False)
    x = channels_first(x)
    with torch.no_grad():
        flow.log_prob(torch.from_numpy(x[: case.batch_size]), None)
    for module in flow.modules():
        if isinstance(module, normflows.flows.ActNorm):
            module.__class__ = normflows.flows.AffineConstFlow
    return make_subject(
        flow,
        lambda rows: flow.log_prob(rows, None),
        lambda size: flow.sample(size)[0],
        case,
        mode,
        x,
    )


def build_images(case, mode, x):
    """The same Glow."""
    return build_glow(case, mode, x)
