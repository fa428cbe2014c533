"""torchdiffeq: FFJORD's recipe on PyTorch, `odeint_adjoint` by "dopri5" over state and log-det.

The field's layers are FFJORD's `ConcatLinear_v2`, which are tfflows' "concat", the last one zero at
first. It trains by Hutchinson's estimate, one Rademacher draw a row and solve, and tells the exact
density by a product with the Jacobian for each element, one after the other, which is quicker
than in one batch. Samples are solved without a trace.

All rows have the same steps. The error is a root mean square over all rows, of state or log-det,
the larger of the two; backward, by the adjoint equation, of these and their adjoints. The
parameters' gradients are left out ("seminorm", Kidger et al. 2021), as in tfflows, which takes
fewer evaluations than the default.

"compile" compiles the field with its divergence, by `torch.func.vjp`, which the solver calls; that
of an eager field is quicker by `torch.autograd.grad`.
"""

import functools
import itertools
import math

import torch
from torchdiffeq import odeint, odeint_adjoint

from benchmarks.adapters._torch import make_subject

REQUIREMENTS = ["torch==2.13.0", "torchdiffeq==0.2.5", "numpy"]
GROUP = "tensorflow"
MODES = ["compile", "eager"]


class Field(torch.nn.Module):
    """dz/dt at a time and z `[batch, dims]`: dense layers that the time shifts, and tanh."""

    def __init__(self, case):
        super().__init__()
        widths = [case.dims, *case.hidden_units, case.dims]
        pairs = list(itertools.pairwise(widths))
        self.layers = torch.nn.ModuleList(torch.nn.Linear(*pair) for pair in pairs)
        self.shifts = torch.nn.ModuleList(
            torch.nn.Linear(1, outputs, bias=False) for _, outputs in pairs
        )
        for parameter in (*self.layers[-1].parameters(), *self.shifts[-1].parameters()):
            torch.nn.init.zeros_(parameter)

    def forward(self, time, z):
        time = time.reshape(1, 1)
        *hidden, last = zip(self.layers, self.shifts, strict=True)
        for layer, shift in hidden:
            z = torch.tanh(layer(z) + shift(time))
        return last[0](z) + last[1](time)


def eager_rates(field, time, z, directions):
    """dz/dt, and its divergence by a product with the Jacobian for each of the directions."""
    is_differentiated = torch.is_grad_enabled()
    with torch.enable_grad():
        z = z.requires_grad_()
        slope, divergence = field(time, z), 0.0
        for e in directions:
            (product,) = torch.autograd.grad(
                slope, z, e, retain_graph=True, create_graph=is_differentiated
            )
            divergence = divergence + (product * e).sum(1)
    return slope, divergence


def pure_rates(field, time, z, directions):
    """The same, for torch.compile."""
    slope, pullback = torch.func.vjp(functools.partial(field, time), z)
    return slope, sum((pullback(e)[0] * e).sum(1) for e in directions)


class _Dynamics(torch.nn.Module):
    """(dz/dt, its divergence) of a field, as the solver expects it.

    Args:
        field: what gives dz/dt.
        rates: `eager_rates` or the like.
        directions: `[number, batch, dims]`: one random draw, or the unit vectors.
    """

    def __init__(self, field, rates, directions):
        super().__init__()
        self.field, self.rates, self.directions = field, rates, directions

    def forward(self, time, state):
        return self.rates(self.field, time, state[0], self.directions)


class Flow(torch.nn.Module):
    """The field's flow to a standard normal base.

    Args:
        case: sizes and tolerance.
        is_compiled: whether torch.compile is used.
    """

    def __init__(self, case, is_compiled=False):
        super().__init__()
        self.field = Field(case)
        self.tolerances = {"rtol": case.tolerance, "atol": case.tolerance, "method": "dopri5"}
        self.rates, self.slope = eager_rates, self.field
        if is_compiled:
            self.rates, self.slope = torch.compile(pure_rates), torch.compile(self.field)

    def forward(self, x, exact=True):
        """Latents `[batch, dims]` and log-dets `[batch]` of rows x."""
        if exact:
            eye = torch.eye(x.shape[1], dtype=x.dtype)
            directions = eye[:, None].expand(-1, *x.shape)
        else:
            directions = (torch.randint(0, 2, x.shape) * 2 - 1).to(x)[None]
        z, log_det = odeint_adjoint(
            _Dynamics(self.field, self.rates, directions),
            (x, x.new_zeros(len(x))),
            x.new_tensor([0.0, 1.0]),
            **self.tolerances,
            adjoint_options={"norm": "seminorm"},
        )
        return z[-1], log_det[-1]

    def log_prob(self, x, exact=True):
        """Log-densities `[batch]`."""
        z, log_det = self(x, exact)
        return log_det - 0.5 * (z**2).sum(1) - 0.5 * z.shape[1] * math.log(2 * math.pi)

    def sample(self, z):
        """Rows of latents z."""
        return odeint(self.slope, z, z.new_tensor([1.0, 0.0]), **self.tolerances)[-1]


def build_cnf(case, mode, x):
    """One field of dense layers."""
    flow = Flow(case, mode == "compile")
    return make_subject(
        flow,
        flow.log_prob,
        lambda size: flow.sample(torch.randn(size, case.dims)),
        case,
        "eager",  # the solver's loop
        x,
        estimate=lambda rows: flow.log_prob(rows, exact=False),
    )
