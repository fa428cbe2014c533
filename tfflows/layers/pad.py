"""Padding of images of discrete data, for sides that the levels of a model do not divide."""

import keras
from keras import ops

from tfflows.backend.tensor_ops import repeat_log_det
from tfflows.layers.flow_layer import FlowLayer


@keras.saving.register_keras_serializable(package="tfflows")
class Pad(FlowLayer):
    """Put images of integers into the middle of larger ones of zeros; log-det zero.

    x `[batch, height, width, channels]` becomes z `[batch, *sides, channels]`, and the inverse cuts
    the border off. It stands before Dequantize, where it is exact about the data: a border that is
    always zero has probability 1, so that the probability of an image and its border bounds that of
    the image from below, and bits per dimension count the image's own pixels.

    Args:
        sides: (height, width) of the padded image.
    """

    def __init__(self, sides: tuple[int, int], **kwargs):
        super().__init__(**kwargs)
        self.sides = tuple(sides)

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        fits = len(self.event_shape) == 3 and len(self.sides) == 2
        if not fits or any(
            side < own for side, own in zip(self.sides, self.event_shape[:2], strict=True)
        ):
            raise ValueError(
                f"Pad expects images [batch, height, width, channels] of at most {self.sides}. "
                f"Received: x of shape {tuple(x_shape)}"
            )
        self._before = [
            (side - own) // 2 for side, own in zip(self.sides, self.event_shape[:2], strict=True)
        ]

    def latent_event_shape(self, event_shape):
        return (*self.sides, event_shape[-1])

    def data_event_shape(self, latent_shape):
        raise ValueError(
            "Pad cannot tell the data's shape from its latent. Call it on data, or "
            f"`build((None, *event_shape))`, first. Received: latent of shape {latent_shape}"
        )

    def _forward(self, x, condition=None, training=False):
        widths = [
            (before, side - own - before)
            for before, side, own in zip(
                self._before, self.sides, self.event_shape[:2], strict=True
            )
        ]
        return ops.pad(x, [(0, 0), *widths, (0, 0)]), repeat_log_det(0.0, x)

    def _inverse(self, z, condition=None, training=False):
        (top, left), (height, width) = self._before, self.event_shape[:2]
        return z[:, top : top + height, left : left + width], repeat_log_det(0.0, z)

    def get_config(self):
        return {**super().get_config(), "sides": list(self.sides)}
