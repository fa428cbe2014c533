"""What the PyTorch libraries share: the training loop and the calls.

Adam is the fused one, the fastest on CPU. Calls run under `no_grad`. On a GPU the data lie there,
and products of matrices are in TF32, as JAX's are by default.
"""

import numpy as np
import torch

from benchmarks.subject import Subject

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cuda":
    torch.set_float32_matmul_precision("high")


class ConvNet(torch.nn.Sequential):
    """Glow's conditioner: 3x3, 1x1 and 3x3 convolutions, ReLU, the last one zero at first.

    Args:
        inputs, outputs: channels.
        filters: channels of the hidden convolutions.
    """

    def __init__(self, inputs: int, outputs: int, filters: int):
        super().__init__(
            torch.nn.Conv2d(inputs, filters, 3, padding=1),
            torch.nn.ReLU(),
            torch.nn.Conv2d(filters, filters, 1),
            torch.nn.ReLU(),
            torch.nn.Conv2d(filters, outputs, 3, padding=1),
        )
        torch.nn.init.zeros_(self[-1].weight)
        torch.nn.init.zeros_(self[-1].bias)

    def forward(self, inputs, context=None):
        """The parameters; a context, which nflows' couplings hand on, is left out."""
        return super().forward(inputs)


def channels_first(x: np.ndarray) -> np.ndarray:
    """Images `[batch, height, width, channels]` in the order of PyTorch's convolutions."""
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


def make_subject(
    model, log_prob, sample, case, mode, x, compile_sample=True, estimate=None
) -> Subject:
    """A subject of a module and its functions of rows, and of a number of samples.

    Mode "compile" compiles both functions, or only `log_prob` where not `compile_sample`. Training
    goes by `estimate` where it is another function than `log_prob`.
    """
    torch.manual_seed(0)
    model.to(DEVICE)
    data = torch.from_numpy(x).to(DEVICE)
    optimizer = torch.optim.Adam(model.parameters(), case.learning_rate, fused=True)
    size = case.batch_size
    if mode == "compile":
        log_prob = torch.compile(log_prob)
        sample = torch.compile(sample) if compile_sample else sample
    estimate = estimate or log_prob

    def train(steps):
        order = torch.randperm(len(data), device=DEVICE)
        for step in range(steps):
            rows = data[order[step * size : (step + 1) * size]]
            optimizer.zero_grad(set_to_none=True)
            loss = -estimate(rows).mean()
            loss.backward()
            optimizer.step()
        if not np.isfinite(loss.item()):
            raise ValueError(f"The loss must stay finite. Received: {loss.item()}")

    @torch.no_grad()
    def call_log_prob():
        return log_prob(data[:size]).cpu().numpy()

    @torch.no_grad()
    def call_sample():
        return sample(size).flatten(1).cpu().numpy()

    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return Subject(parameters, train, call_log_prob, call_sample)
