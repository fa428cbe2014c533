"""Draw the pictures of the guide on VAEs with flows.

    python scripts/docs_images_vae.py DATA RUN

DATA has binarized_mnist.npz, RUN is a run of the recipe vae-mnist-mlp. Writes
docs/images/guide-vae-posteriors.png, of a VAE of two latents that is trained here for some minutes
on a CPU, and guide-vae-walk.png, of that VAE and of the run.
"""

import argparse
import statistics
from pathlib import Path

import keras
import numpy as np
from keras import ops
from matplotlib.figure import Figure
from PIL import Image

import tfflows
from tfflows import vae

IMAGES = Path(__file__).parents[1] / "docs" / "images"
NUM_SAMPLES = 2000
CELLS = 120  # of a side of a grid over z


def train(x: np.ndarray, epochs: int) -> vae.VAE:
    """A VAE of two latents with an IAF posterior."""
    keras.utils.set_random_seed(0)
    model = vae.VAE(
        vae.MLPEncoder((200, 200)),
        vae.MLPDecoder((200, 200)),
        x.shape[1:],
        (2,),
        vae.POSTERIORS["iaf"](4, (64,)),
    )
    rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * len(x) // 200)
    model.compile(keras.optimizers.Adam(rate, clipnorm=5.0), kl_warmup_steps=500)
    model.fit(x, batch_size=200, epochs=epochs, verbose=2)
    return model


def log_joint(model: vae.VAE, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """log p(x | z) + log p(z) of one image and many z `[n, 2]`."""
    means = np.clip(ops.convert_to_numpy(model.decode(z, batch_size=2000)), 1e-6, 1 - 1e-6)
    log_likelihood = np.where(x, np.log(means), np.log1p(-means)).sum(axis=(1, 2, 3))
    return log_likelihood - 0.5 * (z**2).sum(axis=1)


def grid(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Centres of cells over a rectangle, `[CELLS, CELLS, 2]`, the first axis vertical."""
    steps = (np.arange(CELLS) + 0.5) / CELLS
    sides = [low[i] + (high[i] - low[i]) * steps for i in (0, 1)]
    return np.stack(np.meshgrid(*sides), axis=-1).astype("float32")


def draws(model: vae.VAE, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Samples of q(z | x) of one image before and after the layers, `[NUM_SAMPLES, 2]` both."""
    context = model.flow_layers[-1].context(x[None].astype("float32"))
    context = ops.repeat(context, NUM_SAMPLES, axis=0)
    noise = np.random.default_rng(0).normal(size=(NUM_SAMPLES, 2)).astype("float32")
    *layers, gaussian = model.posterior.flow_layers
    before = gaussian.inverse(noise, context)
    after = before
    for layer in reversed(layers):
        after = layer.inverse(after, context)
    return ops.convert_to_numpy(before), ops.convert_to_numpy(after)


def square(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners of a square around points."""
    centre = np.median(points, axis=0)
    half = 1.2 * np.quantile(np.abs(points - centre), 0.999)
    return centre - half, centre + half


def draw_posteriors(model: vae.VAE, images: np.ndarray, path: Path) -> None:
    """For each image a row: itself, samples before and after the flow, the true posterior."""
    figure = Figure(figsize=(8, 2.1 * len(images)), layout="constrained")
    rows = zip(images, figure.subplots(len(images), 4), strict=True)
    titles = ("x", "the Gaussian, its own axes", "q(z | x), after the flow", "p(z | x), on a grid")
    for place, (image, panels) in enumerate(rows):
        before, after = draws(model, image)
        (x0, y0), (x1, y1) = low, high = square(after)
        z = grid(low, high)
        logs = log_joint(model, image, z.reshape(-1, 2)).reshape(CELLS, CELLS)
        density = np.exp(logs - logs.max())
        mass = np.sort(density.ravel())[::-1]
        levels = [mass[np.searchsorted(mass.cumsum() / mass.sum(), s)] for s in (0.95, 0.5)]
        panels[0].imshow(image[..., 0], cmap="gray_r")
        for panel, points in zip(panels[1:3], (before, after), strict=True):
            panel.plot(*points.T, ".", markersize=2, alpha=0.4, markeredgewidth=0)
        (left, bottom), (right, top) = square(before)
        panels[1].set(xlim=(left, right), ylim=(bottom, top))
        panels[2].contour(z[0, :, 0], z[:, 0, 1], density, levels, colors="black", linewidths=0.8)
        panels[2].set(xlim=(x0, x1), ylim=(y0, y1))
        panels[3].imshow(density, cmap="Blues", origin="lower", extent=(x0, x1, y0, y1))
        for panel, title in zip(panels, titles, strict=True):
            panel.set(xticks=[], yticks=[], aspect="equal")
            if place == 0:
                panel.set_title(title, fontsize=10)
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Write a figure in few colours, for a small file."""
    figure.savefig(path, dpi=95, bbox_inches="tight", pad_inches=0.05)
    with Image.open(path) as image:
        small = image.convert("RGB").quantize(64, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


def tiled(images: np.ndarray, rows: int) -> np.ndarray:
    """Images `[rows * columns, height, width, 1]` side by side, with a line between."""
    images = np.pad(images[..., 0], ((0, 0), (1, 1), (1, 1)), constant_values=1.0)
    columns, side = len(images) // rows, images.shape[1]
    images = images.reshape(rows, columns, side, side).transpose(0, 2, 1, 3)
    return images.reshape(rows * side, columns * side)


def draw_walk(model: vae.VAE, large: vae.VAE, images: np.ndarray, path: Path) -> None:
    """Means over the plane of two latents; reconstructions and walks of a larger VAE."""
    figure = Figure(figsize=(9, 4.7), layout="constrained")
    panels = figure.subplot_mosaic([["a", "b"], ["a", "c"]], height_ratios=(2, 5))
    normal = statistics.NormalDist()
    steps = np.array([normal.inv_cdf((i + 0.5) / 14) for i in range(14)])
    z = np.stack(np.meshgrid(steps, steps[::-1]), axis=-1).reshape(-1, 2).astype("float32")
    again = ops.convert_to_numpy(large.reconstruct(images))
    ends = ops.convert_to_numpy(large.encode(images))
    shares = np.linspace(0, 1, len(images), dtype="float32")[:, None]
    walks = [a + shares * (b - a) for a, b in zip(ends[:5], ends[5:], strict=True)]
    pictures = {
        "a": ("means over the plane of 2 latents", model.decode(z), 14),
        "b": ("test images, reconstructions by 40 latents", np.concatenate([images, again]), 2),
        "c": ("walks between five pairs of them", large.decode(np.concatenate(walks)), 5),
    }
    for name, (title, pixels, rows) in pictures.items():
        tiles = tiled(ops.convert_to_numpy(pixels), rows)
        panels[name].imshow(tiles, cmap="gray_r", vmin=0, vmax=1)
        panels[name].set_title(title, fontsize=10)
        panels[name].axis("off")
    save(figure, path)


def main() -> None:
    """Train, and draw both."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data")
    parser.add_argument("run", type=Path)
    parser.add_argument("--epochs", type=int, default=25)
    args = parser.parse_args()
    x, _ = tfflows.datasets.load_arrays("binarized_mnist", "train", data_dir=args.data)
    test, _ = tfflows.datasets.load_arrays("binarized_mnist", "test", data_dir=args.data)
    test = test[np.linspace(0, len(test) - 1, 10).astype(int)].astype("float32")
    model = train(x, args.epochs)
    draw_posteriors(model, test[1:8:2], IMAGES / "guide-vae-posteriors.png")
    large = tfflows.load_model(args.run)
    draw_walk(model, large, test, IMAGES / "guide-vae-walk.png")


if __name__ == "__main__":
    main()
