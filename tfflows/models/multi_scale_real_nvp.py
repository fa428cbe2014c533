"""Multi-scale convolutional RealNVP (Dinh, Sohl-Dickstein and Bengio 2017) for images."""

from collections.abc import Sequence

import keras

from tfflows.distributions import Distribution
from tfflows.layers import ActNorm, AffineCoupling, FactorOut, Flatten, Squeeze
from tfflows.models.preprocessing import image_preprocessing
from tfflows.models.published_flow import PublishedFlow
from tfflows.networks import ConvResNet
from tfflows.utils.checks import as_shape, check_positive


@keras.saving.register_keras_serializable(package="tfflows")
class MultiScaleRealNVP(PublishedFlow):
    """The paper's architecture (section 3.6) on images `(height, width, channels)`.

    Each scale has `couplings_per_stage` checkerboard couplings, a squeeze, as many channel
    couplings, and factors half of the channels out; the last scale has one more checkerboard
    coupling and no squeeze. ActNorm stands before each coupling where the paper has batch norm,
    and the factored-out half is normalised given the other (see `FactorOut`). Data are
    `[batch, height, width, channels]`, latents `[batch, elements]`.

    Example:
        flow = tfflows.models.MultiScaleRealNVP((28, 28, 1))
        flow.compile("adam")
        flow.fit(images, epochs=10)  # integers 0..255

    Args:
        event_shape: (height, width, channels); 2**(num_scales - 1) divides height and width,
            and the last scale has at least two positions.
        num_scales: resolutions, at least 1.
        couplings_per_stage: couplings of one kind in a row.
        filters: channels of the convolutions in each coupling's residual network.
        num_blocks: residual blocks in it.
        activation: within it.
        weight_norm: whether its convolutions are weight-normalised (the paper's way).
        quantization_levels: grey levels of discrete data 0..levels-1, or None for real data.
        logit: margin of the logit of data in [0, 1] (0.05 for natural images), or None.
        base: distribution of the latents, vectors; standard normal by default.
        condition_shape: shape of one condition, or None.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        num_scales: int = 2,
        couplings_per_stage: int = 3,
        filters: int = 32,
        num_blocks: int = 2,
        activation: str = "relu",
        weight_norm: bool = True,
        quantization_levels: int | None = 256,
        logit: float | None = 0.05,
        base: Distribution | None = None,
        condition_shape: Sequence[int] | None = None,
        dtype=None,
        **kwargs,
    ):
        event_shape = as_shape("event_shape", event_shape)
        check_positive(num_scales=num_scales, couplings_per_stage=couplings_per_stage)
        self._check_sides(event_shape, 2 ** (num_scales - 1))

        def network():
            return ConvResNet(filters, num_blocks, activation, weight_norm, dtype=dtype)

        def couplings(partition, count):
            for i in range(count):
                yield ActNorm(dtype=dtype)
                yield AffineCoupling(partition, i % 2, network(), dtype=dtype)

        def scale(remaining):
            if remaining == 1:
                return [*couplings("checkerboard", couplings_per_stage + 1), Flatten(dtype=dtype)]
            return [
                *couplings("checkerboard", couplings_per_stage),
                Squeeze(dtype=dtype),
                *couplings("channel", couplings_per_stage),
                FactorOut(scale(remaining - 1), network(), dtype=dtype),
            ]

        layers = [*image_preprocessing(quantization_levels, logit, dtype), *scale(num_scales)]
        super().__init__(layers, event_shape, base, condition_shape, dtype=dtype, **kwargs)

    @staticmethod
    def _check_sides(event_shape, factor):
        fits = len(event_shape) == 3 and not any(side % factor for side in event_shape[:2])
        if not fits or event_shape[0] * event_shape[1] == factor**2:
            raise ValueError(
                "Expected `event_shape` to be (height, width, channels) with height and "
                f"width that 2**(num_scales - 1) = {factor} divides, leaving at least 2 positions "
                f"for the last checkerboard. Received: {event_shape}"
            )
