"""Glow: generative flow with invertible 1x1 convolutions (Kingma and Dhariwal 2018)."""

from collections.abc import Sequence

import keras

from tfflows.distributions import Distribution
from tfflows.layers import (
    ActNorm,
    AdditiveCoupling,
    AffineCoupling,
    ConditionalAffine,
    FactorOut,
    Flatten,
    InvertibleConv1x1,
    LogisticMixtureCoupling,
    Squeeze,
)
from tfflows.models.preprocessing import image_preprocessing, padding_to_fit
from tfflows.models.published_flow import PublishedFlow
from tfflows.networks import GlowNet
from tfflows.utils.checks import as_shape, check_positive

SIZES = {
    "small": {"num_levels": 2, "depth": 8, "filters": 128},  # MNIST on two CPU cores
    "medium": {"num_levels": 3, "depth": 16, "filters": 256},
    "large": {"num_levels": 3, "depth": 32, "filters": 512},  # the paper's CIFAR-10
}

COUPLINGS = {
    "affine": AffineCoupling,
    "additive": AdditiveCoupling,
    "logistic_mixture": LogisticMixtureCoupling,
}


@keras.saving.register_keras_serializable(package="tfflows")
class Glow(PublishedFlow):
    """The paper's architecture (figure 2) on images `(height, width, channels)`.

    Each level squeezes, makes `depth` steps of ActNorm, an invertible 1x1 convolution and a channel
    coupling, and, but for the last, factors half of the channels out, normalised given the other
    half by a learned prior; the last has its own learned prior, given the condition. Data are
    `[batch, height, width, channels]`, latents `[batch, elements]`.

    Example:
        flow = tfflows.models.Glow((32, 32, 3), num_levels=3)
        flow.compile("adam")
        flow.fit(images, epochs=10)  # integers 0..255

    Args:
        event_shape: (height, width, channels); 2**num_levels divides height and width.
        num_levels: resolutions, L in the paper.
        depth: steps per level, K in the paper.
        filters: channels of the hidden convolutions of each coupling.
        coupling: "affine", "additive" or "logistic_mixture" (Flow++).
        form: of the 1x1 convolutions, "lu" or "plain".
        quantization_levels: grey levels of discrete data 0..levels-1 (32 for 5-bit images), or
            None for real data.
        logit: margin of the logit of data in [0, 1], or None for none (the paper's way).
        pad: whether to pad images of discrete data to sides that fit, 28 to 32 for three levels.
        checkpoint: whether training computes the couplings' networks again for the gradient and
            does not keep what is inside them: see `Coupling`.
        seed: integer seed of the rotations that the 1x1 convolutions start with.
        base: distribution of the latents, vectors; standard normal by default.
        condition_shape: shape of one condition, such as a one-hot class, or None.
        variational_dequantization: whether the noise of discrete data is learned, by
            `VariationalDequantize`.
        input_limit: where couplings cut what their networks see, which ActNorm gives a spread of
            about 1, or None: see `Coupling`. Without it a few samples in a hundred run into white.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        num_levels: int = 2,
        depth: int = 8,
        filters: int = 128,
        coupling: str = "affine",
        form: str = "lu",
        quantization_levels: int | None = 256,
        logit: float | None = None,
        pad: bool = False,
        checkpoint: bool = False,
        seed: int = 0,
        base: Distribution | None = None,
        condition_shape: Sequence[int] | None = None,
        variational_dequantization: bool = False,
        input_limit: float | None = 10.0,
        dtype=None,
        **kwargs,
    ):
        event_shape = as_shape("event_shape", event_shape)
        check_positive(num_levels=num_levels, depth=depth, filters=filters)
        pad = pad and quantization_levels is not None
        padding = padding_to_fit(event_shape, 2**num_levels, "2**num_levels", pad, dtype)
        if coupling not in COUPLINGS:
            raise ValueError(f"coupling must be one of {list(COUPLINGS)}. Received: {coupling!r}")
        make_coupling = COUPLINGS[coupling]

        def level(number):
            layers = [Squeeze(dtype=dtype)]
            for i in range(depth):
                layers += [
                    ActNorm(dtype=dtype),
                    InvertibleConv1x1(form, seed + number * depth + i, dtype=dtype),
                    make_coupling(
                        "channel",
                        0,
                        GlowNet(filters, dtype=dtype),
                        checkpoint=checkpoint,
                        input_limit=input_limit,
                        dtype=dtype,
                    ),
                ]
            if number == num_levels - 1:
                return [*layers, ConditionalAffine(dtype=dtype), Flatten(dtype=dtype)]
            prior = GlowNet(0, dtype=dtype)
            rest = level(number + 1)
            return [*layers, FactorOut(rest, prior, "soft_clip", input_limit, dtype=dtype)]

        layers = [
            *padding,
            *image_preprocessing(quantization_levels, logit, dtype, variational_dequantization),
            *level(0),
        ]
        super().__init__(layers, event_shape, base, condition_shape, dtype=dtype, **kwargs)

    @classmethod
    def of_size(cls, size: str, event_shape: Sequence[int], **kwargs) -> "Glow":
        """A model of `num_levels`, `depth` and `filters` by the name of a size.

        Args:
            size: "small", "medium" or "large".
            event_shape, **kwargs: arguments of the model.
        """
        if size not in SIZES:
            raise ValueError(f"size must be one of {list(SIZES)}. Received: {size!r}")
        return cls(event_shape, **{**SIZES[size], **kwargs})
