"""Jet: a modern transformer-based normalizing flow (Kolesnikov, Pinto and Tschannen 2024)."""

from collections.abc import Sequence

import keras
import numpy as np

from tfflows.distributions import Distribution
from tfflows.layers import ActNorm, AffineCoupling, Permute, Reshape, Squeeze
from tfflows.models.preprocessing import image_preprocessing, padding_to_fit
from tfflows.models.published_flow import PublishedFlow
from tfflows.networks import VisionTransformer
from tfflows.utils.checks import as_shape, check_positive

SIZES = {
    "small": {"depth": 16, "width": 64, "num_blocks": 1, "num_heads": 2},  # two CPU cores
    "medium": {"depth": 32, "width": 256, "num_blocks": 2, "num_heads": 4},
    "large": {"depth": 64, "width": 512, "num_blocks": 5, "num_heads": 8},
}
SPATIAL_PERIOD = 4  # couplings from one of tokens to the next; the paper's models have others
_GRIDS = (
    lambda row, column: (row + column) % 2,
    lambda row, column: row % 2,
    lambda row, column: column % 2,
)


def _halves(grid, rows, columns, channels):
    """Which tokens are kept; of an odd number, by element, so that the network sees all places."""
    kept = np.fromfunction(grid, (rows, columns), dtype=int).ravel() == 0
    if 2 * kept.sum() == kept.size:
        return kept
    return np.repeat(kept[:, None], channels, axis=1)


@keras.saving.register_keras_serializable(package="tfflows")
class Jet(PublishedFlow):
    """Affine couplings only, on patches of images `(height, width, channels)` as tokens.

    Each coupling keeps half of the channels of every token, after a frozen random permutation of
    them, and every fourth one half of the tokens, in turn as a checkerboard, by rows and by
    columns. A vision transformer makes the scale, 2 sigmoid(s), and the shift of the other half.

    Data are `[batch, height, width, channels]`, latents `[batch, tokens, channels of a patch]`.

    Example:
        flow = tfflows.models.Jet((28, 28, 1))
        flow.compile("adam", jit_compile=True)
        flow.fit(images, epochs=10)  # integers 0..255

    Args:
        event_shape: (height, width, channels); the patch divides height and width.
        patch: side of a patch.
        depth: number of couplings.
        width: size of a token within the transformers.
        num_blocks: transformer blocks of a coupling.
        num_heads: attention heads, which divide the width.
        quantization_levels: grey levels of discrete data 0..levels-1 (32 for 5-bit images), or
            None for real data.
        logit: margin of the logit of data in [0, 1], or None for none (the paper's way).
        checkpoint: whether training computes the transformers again for the gradient and does not
            keep what is inside them: see `Coupling`.
        seed: integer seed of the permutations.
        base: distribution of the latents `[tokens, channels]`; standard normal by default.
        condition_shape: shape of one condition, such as a one-hot class, or None.
        variational_dequantization: whether the noise of discrete data is learned, by
            `VariationalDequantize`.
        pad: whether to pad images of discrete data to sides that the patch divides.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        patch: int = 4,
        depth: int = 16,
        width: int = 64,
        num_blocks: int = 1,
        num_heads: int = 2,
        quantization_levels: int | None = 256,
        logit: float | None = None,
        checkpoint: bool = False,
        seed: int = 0,
        base: Distribution | None = None,
        condition_shape: Sequence[int] | None = None,
        variational_dequantization: bool = False,
        pad: bool = False,
        dtype=None,
        **kwargs,
    ):
        event_shape = as_shape("event_shape", event_shape)
        check_positive(patch=patch, depth=depth)
        pad = pad and quantization_levels is not None
        padding = padding_to_fit(event_shape, patch, "patch", pad, dtype)
        rows, columns = (-(-side // patch) for side in event_shape[:2])
        channels = patch * patch * event_shape[2]
        spatial = [_halves(grid, rows, columns, channels) for grid in _GRIDS]
        layers = image_preprocessing(quantization_levels, logit, dtype, variational_dequantization)
        layers = [*padding, *layers]
        if patch > 1:
            layers.append(Squeeze(patch, dtype=dtype))
        layers += [ActNorm(dtype=dtype), Reshape((rows * columns, channels), dtype=dtype)]
        for i in range(depth):
            network = VisionTransformer(width, num_blocks, num_heads, dtype=dtype)
            settings = {"log_scale": "two_sigmoid", "checkpoint": checkpoint, "dtype": dtype}
            turn, place = divmod(i, SPATIAL_PERIOD)
            if place == SPATIAL_PERIOD - 1 and rows * columns > 1:
                kept = spatial[turn % len(spatial)] if min(rows, columns) > 1 else spatial[0]
                parity = turn // len(spatial) % 2
                layers.append(AffineCoupling(kept, parity, network, **settings))
            else:
                layers.append(Permute(seed=seed + i, dtype=dtype))
                layers.append(AffineCoupling("channel", 0, network, **settings))
        super().__init__(layers, event_shape, base, condition_shape, dtype=dtype, **kwargs)

    @classmethod
    def of_size(cls, size: str, event_shape: Sequence[int], **kwargs) -> "Jet":
        """A model of `depth`, `width`, `num_blocks` and `num_heads` by the name of a size.

        Args:
            size: "small", "medium" or "large".
            event_shape, **kwargs: arguments of the model.
        """
        if size not in SIZES:
            raise ValueError(f"size must be one of {list(SIZES)}. Received: {size!r}")
        return cls(event_shape, **{**SIZES[size], **kwargs})
