"""The cases: which architecture is timed, at which sizes, on which data."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """An architecture of one size.

    Args:
        architecture: adapters that can make it define `build_<architecture>`.
            Of "wells", couplings trained by reverse KL on `tfflows.energies.ManyWell`; of
            "images", several models, which the modes name.
        dims: elements of an event.
        layers: how many couplings (or autoregressive layers); on images, in each level; 1 for a
            continuous flow.
        hidden_units: widths of each conditioner's hidden layers, ReLU; on images, the channels of
            its hidden convolutions, 3x3 and 1x1, which a 3x3 one follows; tanh in the field of a
            continuous flow, whose layers get the time as one more input.
        batch_size: rows of a training step, of a call of log_prob, and samples of a draw.
        image_shape: (height, width, channels) where an event is an image, or None.
        levels: resolutions of a flow on images.
        learning_rate: Adam's. At 1e-3 Glow's first steps, without a warm-up, move the scales so far
            that samples overflow.
        tolerance: relative and absolute, of an adaptive solver's steps.
        num_bins, bound: pieces of a spline, and half the length of the interval that it moves.
        latents: elements of a VAE's z, or 0; then `hidden_units` are those of its gated encoder,
            the other way round of its decoder, and `layers` those of its posterior flow.
        in_unit_interval: whether images are in [0, 1].
        models: of "images", name -> arguments of the tfflows model that the name begins with,
            such that all have about the parameters of the Glow of `levels`, `layers` and
            `hidden_units`.
    """

    architecture: str
    dims: int
    layers: int
    hidden_units: tuple[int, ...]
    batch_size: int
    image_shape: tuple[int, int, int] | None = None
    levels: int = 1
    learning_rate: float = 1e-3
    tolerance: float = 1e-5
    num_bins: int = 8
    bound: float = 3.0
    latents: int = 0
    in_unit_interval: bool = False
    models: dict[str, dict] = field(default_factory=dict)

    def data(self, steps: int):
        """Correlated, skewed rows for `steps` batches, `[steps * batch_size, dims]` float32.

        Images are smooth ones of real values, `[steps * batch_size, height, width, channels]`, so
        that nothing has to be dequantized. A VAE's rows are 0 where these are negative, else 1.
        """
        import numpy as np  # here, because the interpreter of scripts/benchmark may lack it

        rng = np.random.default_rng(0)
        if self.image_shape is not None:
            return self._images(rng, steps * self.batch_size)
        mixing = rng.standard_normal((self.dims, self.dims)) / self.dims**0.5
        rows = rng.standard_normal((steps * self.batch_size, self.dims)) @ mixing
        if self.latents:
            return (rows > 0).astype("float32")
        return (rows + 0.1 * rows**2).astype("float32")

    def _images(self, rng, number, waves=4):
        """Sums of `waves` x `waves` cosines of random amplitudes, and a little noise."""
        import numpy as np

        height, width, channels = self.image_shape
        cosines = [
            np.cos(np.pi * np.outer((np.arange(side) + 0.5) / side, np.arange(waves)))
            for side in (height, width)
        ]
        amplitudes = rng.standard_normal((number, waves, waves, channels)) / waves
        images = np.einsum("nijc,hi,wj->nhwc", amplitudes, *cosines, optimize=True)
        images = images + 0.1 * rng.standard_normal(images.shape)
        if self.in_unit_interval:
            images = 1 / (1 + np.exp(-images))
        return images.astype("float32")


CASES = {
    "realnvp-43": Case("realnvp", dims=43, layers=10, hidden_units=(256, 256), batch_size=512),
    "realnvp-tiny": Case("realnvp", dims=4, layers=2, hidden_units=(8, 8), batch_size=16),
    "realnvp-moons": Case("realnvp", dims=2, layers=8, hidden_units=(64, 64), batch_size=200),
    "nsf-43": Case("nsf", dims=43, layers=10, hidden_units=(256, 256), batch_size=512),
    "nsf-tiny": Case("nsf", dims=4, layers=2, hidden_units=(8, 8), batch_size=16),
    "maf-43": Case("maf", dims=43, layers=5, hidden_units=(512, 512), batch_size=512),
    "maf-784": Case("maf", dims=784, layers=5, hidden_units=(1024,), batch_size=100),
    "maf-tiny": Case("maf", dims=4, layers=2, hidden_units=(8,), batch_size=16),
    "glow-28": Case(
        "glow",
        dims=28 * 28,
        layers=8,
        hidden_units=(128, 128),
        batch_size=64,
        image_shape=(28, 28, 1),
        levels=2,
        learning_rate=1e-4,
    ),
    "glow-32": Case(
        "glow",
        dims=32 * 32 * 3,
        layers=16,
        hidden_units=(256, 256),
        batch_size=128,
        image_shape=(32, 32, 3),
        levels=3,
        learning_rate=1e-4,
    ),
    "glow-tiny": Case(
        "glow",
        dims=8 * 8,
        layers=2,
        hidden_units=(8, 8),
        batch_size=4,
        image_shape=(8, 8, 1),
        levels=2,
        learning_rate=1e-4,
    ),
    "images-28": Case(
        "images",
        dims=28 * 28,
        layers=8,
        hidden_units=(128, 128),
        batch_size=64,
        image_shape=(28, 28, 1),
        levels=2,
        learning_rate=1e-4,
        in_unit_interval=True,
        models={
            "Glow": {"depth": 8, "filters": 128},
            "Glow, mixture couplings": {
                "depth": 4,
                "filters": 68,
                "coupling": "logistic_mixture",
            },
            "Jet": {"depth": 8, "width": 64},
            "TarFlow, patches": {"patch": 2, "depth": 4, "width": 64, "num_heads": 2},
            "TarFlow, pixels": {"patch": 1, "depth": 1, "width": 128, "num_bins": 256},
        },
    ),
    "images-tiny": Case(
        "images",
        dims=8 * 8,
        layers=2,
        hidden_units=(8, 8),
        batch_size=4,
        image_shape=(8, 8, 1),
        levels=2,
        learning_rate=1e-4,
        in_unit_interval=True,
        models={
            "Glow": {"depth": 2, "filters": 8},
            "Glow, mixture couplings": {"depth": 1, "filters": 4, "coupling": "logistic_mixture"},
            "Jet": {"depth": 2, "width": 8},
            "TarFlow, patches": {"patch": 2, "depth": 2, "width": 8, "num_heads": 2},
            "TarFlow, pixels": {"patch": 1, "depth": 1, "width": 8, "num_bins": 16},
        },
    ),
    "cnf-43": Case("cnf", dims=43, layers=1, hidden_units=(64, 64, 64), batch_size=512),
    "cnf-2": Case("cnf", dims=2, layers=1, hidden_units=(64, 64, 64), batch_size=512),
    "vae-784": Case("vae", dims=784, layers=4, hidden_units=(300, 300), batch_size=100, latents=40),
    "vae-tiny": Case("vae", dims=12, layers=2, hidden_units=(8, 8), batch_size=16, latents=3),
    "wells-32": Case("wells", dims=32, layers=10, hidden_units=(128,), batch_size=512),
    "wells-tiny": Case("wells", dims=4, layers=2, hidden_units=(8,), batch_size=16),
    "cnf-tiny": Case("cnf", dims=3, layers=1, hidden_units=(8, 8), batch_size=16),
}


def find_case(name: str) -> Case:
    """The case of that name."""
    if name not in CASES:
        raise ValueError(f"--case must be one of {list(CASES)}. Received: {name}")
    return CASES[name]
