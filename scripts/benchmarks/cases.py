"""The cases: which architecture is timed, at which sizes, on which data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """An architecture of one size.

    Args:
        architecture: adapters that can make it define `build_<architecture>`.
        dims: elements of an event.
        layers: how many couplings (or autoregressive layers).
        hidden_units: widths of each conditioner's hidden layers, ReLU.
        batch_size: rows of a training step, of a call of log_prob, and samples of a draw.
    """

    architecture: str
    dims: int
    layers: int
    hidden_units: tuple[int, ...]
    batch_size: int

    def data(self, steps: int):
        """Correlated, skewed rows for `steps` batches, `[steps * batch_size, dims]` float32."""
        import numpy as np  # here, since the interpreter of scripts/benchmark may lack it

        rng = np.random.default_rng(0)
        mixing = rng.standard_normal((self.dims, self.dims)) / self.dims**0.5
        rows = rng.standard_normal((steps * self.batch_size, self.dims)) @ mixing
        return (rows + 0.1 * rows**2).astype("float32")


CASES = {
    "realnvp-43": Case("realnvp", dims=43, layers=10, hidden_units=(256, 256), batch_size=512),
    "realnvp-tiny": Case("realnvp", dims=4, layers=2, hidden_units=(8, 8), batch_size=16),
    "maf-43": Case("maf", dims=43, layers=5, hidden_units=(512, 512), batch_size=512),
    "maf-784": Case("maf", dims=784, layers=5, hidden_units=(1024,), batch_size=100),
    "maf-tiny": Case("maf", dims=4, layers=2, hidden_units=(8,), batch_size=16),
}


def find_case(name: str) -> Case:
    """The case of that name."""
    if name not in CASES:
        raise ValueError(f"--case wants one of {list(CASES)}. Received: {name}")
    return CASES[name]
