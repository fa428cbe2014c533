"""Draw the pictures of the guide on energies.

    python scripts/docs_images_energies.py --wells runs/wells --phi4 runs/phi4

Writes docs/images/guide-energies-modes.png from flows that scripts/train_wells.py has trained on
the mixture of 40 normals (by FAB and by reverse KL), guide-energies-acceptance.png from
docs/results/phi4.csv, and guide-energies-traces.png by a flow of scripts/train_phi4.py on the
lattice of length 14. PHI4 has L14.weights.h5.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from keras import ops
from matplotlib.figure import Figure
from train_phi4 import make_flow
from train_wells import TARGETS

from tfflows import energies

DOCS = Path(__file__).parents[1] / "docs"
FLOW, OTHER, INK = "#1d4ed8", "#ea580c", "#334155"
LENGTH = 14
FEWEST = 25  # of 10,000 draws, for a mode to count: a tenth of its share


def write(figure, name):
    """Write a picture of the guide."""
    figure.savefig(
        DOCS / "images" / f"guide-energies-{name}.png", dpi=110, metadata={"Software": None}
    )


def bare(axes):
    """Axes with two spines."""
    axes.spines[["top", "right"]].set_visible(False)


def draw_modes(folder):
    """Draws of each objective's flow over the means of the 40 normals."""
    files = {
        "FAB": "fab",
        "reverse KL": "reverse_kl",
        "reverse KL, annealed": "reverse_kl-annealed",
    }
    figure = Figure(figsize=(8.2, 3.1), layout="constrained")
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    for axes, (title, file) in zip(panels, files.items(), strict=True):
        target, _, unit, flow = TARGETS["mixture"]()
        flow.load_weights(folder / f"mixture-{file}.weights.h5")
        x = unit * ops.convert_to_numpy(flow.sample(10_000, seed=13))
        counts = np.bincount(target.nearest_mode(x), minlength=len(target.means))
        modes = int(np.sum(counts >= FEWEST))
        axes.scatter(*x[:4000].T, s=1, color=FLOW, alpha=0.4, linewidths=0)
        axes.scatter(*target.means.T, s=14, marker="+", color=OTHER, linewidths=0.8)
        axes.set_title(f"{title}: {modes} of 40 modes", fontsize=9, color=INK)
        axes.set_xlim(-50, 50)
        axes.set_ylim(-50, 50)
        axes.set_aspect("equal")
        bare(axes)
    write(figure, "modes")


def draw_acceptance():
    """Acceptance of independence Metropolis against the length of the lattice."""
    with (DOCS / "results" / "phi4.csv").open() as file:
        rows = list(csv.DictReader(file))
    lengths = [int(row["L"]) for row in rows]
    figure = Figure(figsize=(4.6, 2.9), layout="constrained")
    axes = figure.subplots()
    for column, label, color in (
        ("acceptance", "LatticeFlow", FLOW),
        ("public reproduction accepts", "affine couplings, public reproduction", OTHER),
    ):
        axes.plot(lengths, [float(row[column]) for row in rows], "o-", label=label, color=color)
    axes.set_ylim(0, 1)
    axes.set_xticks(lengths)
    axes.set_xlabel("length of the lattice", color=INK)
    axes.set_ylabel("acceptance", color=INK)
    axes.legend(frameon=False, loc="lower left")
    bare(axes)
    write(figure, "acceptance")


def draw_traces(folder, count=600):
    """The magnetization along a chain of Metropolis, and along one of HMC."""
    target = energies.Phi4(LENGTH)
    flow = make_flow(LENGTH, 12, 5, 16)
    flow.load_weights(folder / f"L{LENGTH}.weights.h5")
    proposed = energies.metropolis(flow, target, count, seed=0, batch_size=200)
    start = proposed.x[:4]
    chain = energies.hmc(target, start, count, step_size=0.1, num_leapfrog=10, seed=0)
    traces = {
        "independence Metropolis with the flow": proposed.x,
        "Hamiltonian Monte Carlo, 10 leapfrog steps each": chain.x[:, 0],
    }
    figure = Figure(figsize=(8.2, 3.4), layout="constrained")
    panels = figure.subplots(2, 1, sharex=True, sharey=True)
    for axes, (title, x), color in zip(panels, traces.items(), (FLOW, OTHER), strict=True):
        axes.plot(target.observables(x)["magnetization"], color=color, linewidth=0.8)
        axes.set_title(title, fontsize=10, color=INK, loc="left")
        axes.set_ylabel("mean of phi", color=INK)
        bare(axes)
    panels[-1].set_xlabel("step of the chain", color=INK)
    write(figure, "traces")


def main():
    """Draw those whose flows are given, and the acceptance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wells", type=Path, help="folder of scripts/train_wells.py")
    parser.add_argument("--phi4", type=Path, help="folder of scripts/train_phi4.py")
    arguments = parser.parse_args()
    draw_acceptance()
    if arguments.wells:
        draw_modes(arguments.wells)
    if arguments.phi4:
        draw_traces(arguments.phi4)


if __name__ == "__main__":
    main()
