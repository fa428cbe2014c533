"""zuko: `zuko.flows.RealNVP` and `zuko.flows.MAF` on PyTorch, eager.

torch.compile of PyTorch 2.13 takes it, and then ends the process in its first training steps.

RealNVP's couplings keep alternating elements instead of halves, 21 or 22 of 43, which costs index
selections. MAF has the same depth, widths and alternating order, and samples by a pass an element.
The scale is soft-clipped to (1e-3, 1e3), as tfflows' is.
"""

import zuko

from benchmarks.adapters._torch import make_subject

REQUIREMENTS = ["torch==2.13.0", "zuko==1.6.0", "numpy"]
GROUP = "tensorflow"
MODES = ["eager"]


def build_realnvp(case, mode, x):
    """`case.layers` affine couplings, the kept part exchanged each time."""
    flow = zuko.flows.RealNVP(
        case.dims, transforms=case.layers, hidden_features=case.hidden_units, randmask=False
    )
    return _make_subject(flow, case, mode, x)


def build_maf(case, mode, x):
    """`case.layers` affine autoregressive transforms of alternating order."""
    flow = zuko.flows.MAF(
        case.dims, transforms=case.layers, hidden_features=case.hidden_units, randperm=False
    )
    return _make_subject(flow, case, mode, x)


def _make_subject(flow, case, mode, x):
    return make_subject(
        flow,
        lambda rows: flow().log_prob(rows),
        lambda size: flow().sample((size,)),
        case,
        mode,
        x,
    )
