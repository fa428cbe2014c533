"""The VAE that the PyTorch libraries share: gated dense networks, a posterior of their own."""

import torch

from benchmarks.adapters._torch import make_subject

VAE_HIDDEN_UNITS = (320,)  # of each layer of the posterior, in all libraries


class Gated(torch.nn.Module):
    """A dense layer of twice the outputs, one half of which gates the other."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.linear = torch.nn.Linear(inputs, 2 * outputs)

    def forward(self, x):
        values, gates = self.linear(x).chunk(2, -1)
        return values * torch.sigmoid(gates)


class VAE(torch.nn.Module):
    """A VAE of pixels that are 0 or 1.

    Args:
        case: what has the sizes.
        flow: a module, (z_0, context) to z and log |det dz / dz_0| `[batch]`.
    """

    def __init__(self, case, flow):
        super().__init__()
        first, second = case.hidden_units
        self.encoder = torch.nn.Sequential(Gated(case.dims, first), Gated(first, second))
        self.gaussian = torch.nn.Linear(second, 2 * case.latents)
        self.flow = flow
        self.decoder = torch.nn.Sequential(
            Gated(case.latents, second), Gated(second, first), torch.nn.Linear(first, case.dims)
        )
        self.latents = case.latents

    def elbo(self, x):
        """The bound by one draw of z, in nats `[batch]`."""
        context = self.encoder(x)
        mean, log_scale = self.gaussian(context).chunk(2, -1)
        noise = torch.randn_like(mean)
        z, log_det = self.flow(mean + torch.exp(log_scale) * noise, context)
        # The densities of noise and prior, whose constants cancel.
        kl = (z.square() - noise.square()).sum(-1) / 2 - log_scale.sum(-1) - log_det
        logits = self.decoder(z)
        return (x * logits - torch.nn.functional.softplus(logits)).sum(-1) - kl

    def sample(self, size: int):
        """Pixels of z from the prior."""
        parameter = next(self.parameters())
        logits = self.decoder(torch.randn(size, self.latents, device=parameter.device))
        return torch.bernoulli(torch.sigmoid(logits))


def make_vae_subject(flow, case, mode, x):
    """The subject of a posterior flow."""
    vae = VAE(case, flow)
    return make_subject(vae, vae.elbo, vae.sample, case, mode, x)
