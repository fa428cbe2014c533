"""Draw the picture of the guide on TensorFlow Probability.

    python scripts/docs_images_tfp.py

Writes docs/images/guide-tfp.png: plain Hamiltonian Monte Carlo and NeuTra on the funnel, at about
as many gradients per chain. A minute or two on a CPU.
"""

from pathlib import Path

import keras
import numpy as np
from keras import ops
from matplotlib.figure import Figure

import tfflows
from tfflows.energies import Funnel
from tfflows.tfp import hmc_chains, neutra

PATH = Path(__file__).parents[1] / "docs" / "images" / "guide-tfp.png"
DIMS, NUM_CHAINS, NUM_GRADIENTS = 10, 8, 4000  # gradients per chain
SHOWN = 3  # chains


def main():
    """Train, run both, draw."""
    keras.utils.set_random_seed(0)
    target = Funnel(DIMS)
    flow = tfflows.models.IAF((DIMS,), 2, (64, 64), normalization=None)
    rate = keras.optimizers.schedules.CosineDecay(1e-2, 4000)
    flow.compile(keras.optimizers.Adam(rate, clipnorm=1.0))
    flow.fit_to_density(target, 40, 100, 1024, seed=0, verbose=0)
    start = ops.convert_to_tensor(target.sample(NUM_CHAINS, seed=0))
    plain = hmc_chains(target, start, NUM_GRADIENTS // 8, 500, num_leapfrog=8, seed=0)
    moved = neutra(flow, target, NUM_CHAINS, NUM_GRADIENTS // 4, 500, num_leapfrog=4, seed=0)
    draw([("plain HMC", plain.x, 8), ("NeuTra", moved.x, 4)])


def draw(rows):
    """v over gradients, and (v, x_1), a row per sampler.

    Args:
        rows: name, draws `[num_results, num_chains, DIMS]`, and gradients per draw.
    """
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    axes = figure.subplots(2, 2, width_ratios=(3, 1), sharex="col", sharey="col")
    for (trace, cloud), (name, x, num_leapfrog) in zip(axes, rows, strict=True):
        gradients = num_leapfrog * np.arange(len(x))
        trace.plot(gradients, x[:, :SHOWN, 0], linewidth=0.6)
        trace.axhspan(-6, 6, color="0.93", zorder=0)  # two standard deviations of v
        trace.set(ylabel="v", title=name)
        points = x[:: len(x) // 400].reshape(-1, x.shape[-1])
        cloud.plot(points[:, 1], points[:, 0], ".", markersize=1, color="0.3")
        cloud.set(xlim=(-25, 25), ylim=(-10, 10))
    trace.set(xlabel="gradients per chain", ylim=(-10, 10))
    cloud.set(xlabel="x_1")
    figure.savefig(PATH, dpi=80)


if __name__ == "__main__":
    main()
