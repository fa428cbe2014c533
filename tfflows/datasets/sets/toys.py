"""Eight two-dimensional toy densities, with the constants of FFJORD (Grathwohl et al. 2019)."""

from collections.abc import Callable

import numpy as np


def _eight_gaussians(n, rng):
    angles = rng.integers(0, 8, n) * np.pi / 4
    centres = 4 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return (centres + 0.5 * rng.standard_normal((n, 2))) / 1.414


def _checkerboard(n, rng):
    x1 = rng.uniform(-2, 2, n)
    x2 = rng.uniform(0, 1, n) - 2 * rng.integers(0, 2, n) + np.floor(x1) % 2
    return 2 * np.stack([x1, x2], axis=1)


def _rings(n, rng):
    radii = 3 * np.asarray([0.25, 0.5, 0.75, 1.0])[rng.integers(0, 4, n)]
    return _on_circle(radii, rng) + 0.08 * rng.standard_normal((n, 2))


def _circles(n, rng):
    radii = np.asarray([0.5, 1.0])[rng.integers(0, 2, n)]
    return 3 * (_on_circle(radii, rng) + 0.08 * rng.standard_normal((n, 2)))


def _on_circle(radii, rng):
    angles = rng.uniform(0, 2 * np.pi, len(radii))
    return radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _moons(n, rng):
    angles = rng.uniform(0, np.pi, n)
    outer = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    inner = np.stack([1 - np.cos(angles), 0.5 - np.sin(angles)], axis=1)
    moons = np.where(rng.integers(0, 2, n)[:, None] == 0, outer, inner)
    return 2 * (moons + 0.1 * rng.standard_normal((n, 2))) + [-1, -0.2]


def _two_spirals(n, rng):
    angles = np.sqrt(rng.uniform(0, 1, n)) * 540 * 2 * np.pi / 360
    spiral = np.stack([-np.cos(angles), np.sin(angles)], axis=1) * angles[:, None]
    arm = 2 * rng.integers(0, 2, n)[:, None] - 1
    return arm * (spiral + 0.5 * rng.uniform(0, 1, (n, 2))) / 3 + 0.1 * rng.standard_normal((n, 2))


def _swissroll(n, rng):
    angles = 1.5 * np.pi * (1 + 2 * rng.uniform(0, 1, n))
    roll = np.stack([np.cos(angles), np.sin(angles)], axis=1) * angles[:, None]
    return (roll + rng.standard_normal((n, 2))) / 5


def _pinwheel(n, rng):
    x = rng.standard_normal((n, 2)) * [0.3, 0.1] + [1, 0]
    angles = rng.integers(0, 5, n) * 2 * np.pi / 5 + 0.25 * np.exp(x[:, 0])
    cos, sin = np.cos(angles), np.sin(angles)
    return 2 * np.stack([x[:, 0] * cos + x[:, 1] * sin, -x[:, 0] * sin + x[:, 1] * cos], axis=1)


GENERATORS: dict[str, Callable] = {
    "8gaussians": _eight_gaussians,
    "checkerboard": _checkerboard,
    "rings": _rings,
    "circles": _circles,
    "moons": _moons,
    "2spirals": _two_spirals,
    "swissroll": _swissroll,
    "pinwheel": _pinwheel,
}


def sample_toy(name: str, num_samples: int, seed: int) -> np.ndarray:
    """Draw float32 `[num_samples, 2]` from a toy density by its name in `GENERATORS`."""
    if name not in GENERATORS:
        raise ValueError(f"A toy is one of {list(GENERATORS)}. Received: {name!r}")
    return GENERATORS[name](num_samples, np.random.default_rng(seed)).astype("float32")
