"""zuko: `zuko.flows.RealNVP` and `zuko.flows.MAF` on PyTorch, eager.

torch.compile of PyTorch 2.13 takes it, and then ends the process in its first training steps on a
CPU; on a GPU it runs.

RealNVP's couplings keep alternating elements instead of halves, 21 or 22 of 43, which costs index
selections. MAF has the same depth, widths and alternating order, and samples by a pass an element.
The scale is soft-clipped to (1e-3, 1e3), as tfflows' is.

`CNF` gets the time as its sine and cosine at three frequencies, only in the first layer. The last
layer is made zero at first, as the others' is. It trains by Hutchinson's estimate, one normal draw
a row and solve, and tells the exact density otherwise. The solver is zuko's own Dormand-Prince: all
rows have the same steps, every element's error is within the tolerance, the log-det's within a
hundred times that. Gradients are adaptive checkpoint adjoints: the adjoint equation, by one step
back over each step of the forward solve, without its own error control. Samples are solved
without a trace.

A VAE's posterior is inverse autoregressive layers: `MaskedAutoregressiveTransform`s given the
context, in alternating orders, whose direction of one pass draws z.
"""

import torch
import zuko

from benchmarks.adapters._torch import make_subject
from benchmarks.adapters._torch_vae import VAE_HIDDEN_UNITS, make_vae_subject

REQUIREMENTS = ["torch==2.13.0", "zuko==1.6.0", "numpy"]
GROUP = "tensorflow"
MODES = ["eager"]


def build_realnvp(case, mode, x):
    """`case.layers` affine couplings, the kept part exchanged each time."""
    flow = zuko.flows.RealNVP(
        case.dims, transforms=case.layers, hidden_features=case.hidden_units, randmask=False
    )
    return _make_subject(flow, case, mode, x)


def build_nsf(case, mode, x):
    """`case.layers` spline couplings: autoregressive in two passes, of halves in order."""
    flow = zuko.flows.NSF(
        case.dims,
        bins=case.num_bins,
        transforms=case.layers,
        hidden_features=case.hidden_units,
        passes=2,
    )
    return _make_subject(flow, case, mode, x)


def build_maf(case, mode, x):
    """`case.layers` affine autoregressive transforms of alternating order."""
    flow = zuko.flows.MAF(
        case.dims, transforms=case.layers, hidden_features=case.hidden_units, randperm=False
    )
    return _make_subject(flow, case, mode, x)


def make_cnf(case):
    """One field, the identity at first."""
    flow = zuko.flows.CNF(
        case.dims,
        hidden_features=case.hidden_units,
        activation=torch.nn.Tanh,
        atol=case.tolerance,
        rtol=case.tolerance,
    )
    torch.nn.init.zeros_(flow.transform.ode[-1].weight)
    torch.nn.init.zeros_(flow.transform.ode[-1].bias)
    return flow


def build_cnf(case, mode, x):
    """One field of a `FreeFormJacobianTransform`."""
    flow = make_cnf(case)

    def log_prob(rows, exact=True):
        flow.transform.exact = exact
        return flow().log_prob(rows)

    return make_subject(
        flow,
        log_prob,
        lambda size: flow().sample((size,)),
        case,
        mode,
        x,
        estimate=lambda rows: log_prob(rows, exact=False),
    )


class InverseAutoregressive(torch.nn.Module):
    """z_0 and context to z, and the log-det."""

    def __init__(self, case):
        super().__init__()
        orders = [torch.arange(case.latents), torch.arange(case.latents).flip(0)]
        self.transforms = torch.nn.ModuleList(
            zuko.flows.MaskedAutoregressiveTransform(
                case.latents,
                case.hidden_units[-1],
                hidden_features=VAE_HIDDEN_UNITS,
                order=orders[i % 2],
            )
            for i in range(case.layers)
        )

    def forward(self, z, context):
        """z and log |det| `[batch]`."""
        total = 0.0
        for transform in self.transforms:
            z, log_det = transform(context).call_and_ladj(z)
            total = total + log_det
        return z, total


def build_vae(case, mode, x):
    """Gated dense networks, and `case.layers` inverse autoregressive transforms."""
    return make_vae_subject(InverseAutoregressive(case), case, mode, x)


def _make_subject(flow, case, mode, x):
    return make_subject(
        flow,
        lambda rows: flow().log_prob(rows),
        lambda size: flow().sample((size,)),
        case,
        mode,
        x,
    )
