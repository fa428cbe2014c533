"""From raw data to what a flow likes: the first layers of a model."""

import math
from collections.abc import Sequence

from tfflows.layers import (
    Dequantize,
    Flatten,
    FlowLayer,
    Logit,
    Pad,
    Standardize,
    VariationalDequantize,
)


def vector_preprocessing(
    preprocessing: Sequence[FlowLayer] | None, event_shape: tuple[int, ...], dtype
) -> tuple[list[FlowLayer], int]:
    """The layers that a model of vectors begins with, and the number of elements after them.

    Flatten is added before the first layer that needs vectors, or else at the end, where events
    have more than one axis there.

    Args:
        preprocessing: layers that the user gave, of the model's dtype; None is Standardize where
            events have one axis. Weights that train move by about the learning rate in each step,
            which a column of small units does not survive, nor one of large units notice.
        event_shape: shape of one example.
        dtype: dtype policy of Flatten.

    Raises:
        ValueError: something else than flow layers was given.
    """
    if preprocessing is None:
        preprocessing = [Standardize(dtype=dtype)] if len(event_shape) == 1 else []
    if not isinstance(preprocessing, list | tuple):
        raise ValueError(
            "Expected `preprocessing` to be a list of flow layers, such as "
            f"[layers.Standardize()]. Received: {preprocessing!r}"
        )
    layers, shape = [], event_shape
    for layer in preprocessing:
        if not isinstance(layer, FlowLayer):
            raise ValueError(
                "Expected `preprocessing` to hold flow layers, such as layers.Standardize(). "
                f"Received: {layer!r}"
            )
        if layer.needs_vectors and len(shape) > 1:
            layers.append(Flatten(dtype=dtype))
            shape = (math.prod(shape),)
        layers.append(layer)
        shape = tuple(layer.latent_event_shape(shape))
    if len(shape) > 1:
        layers.append(Flatten(dtype=dtype))
    return layers, math.prod(shape)


def padding_to_fit(
    event_shape: tuple[int, ...], factor: int, name: str, pad: bool, dtype
) -> list[Pad]:
    """Pad for a model of images whose sides a factor must divide, where it does not.

    Args:
        event_shape: (height, width, channels).
        factor: that divides height and width.
        name: what the factor is called.
        pad: whether to pad, which is for discrete data.
        dtype: dtype policy of Pad.

    Raises:
        ValueError: it does not divide them, and images are not to be padded; or there is another
            number of axes.
    """
    if len(event_shape) != 3:
        raise ValueError(
            f"Expected `event_shape` to be (height, width, channels). Received: {event_shape}"
        )
    height, width = (factor * -(-side // factor) for side in event_shape[:2])
    if (height, width) == event_shape[:2]:
        return []
    if not pad:
        raise ValueError(
            "Expected `event_shape` to be (height, width, channels) with height and width that "
            f"{name} = {factor} divides. {height} x {width} would fit: pad=True pads images "
            f"to that, with quantization_levels=. Received: {event_shape}"
        )
    return [Pad((height, width), dtype=dtype)]


def image_preprocessing(
    quantization_levels: int | None,
    logit: float | None,
    dtype,
    variational_dequantization: bool = False,
) -> list[FlowLayer]:
    """Dequantize and Logit for a model of images, each where it is asked for.

    Args:
        quantization_levels: grey levels of discrete data 0..levels-1, or None for real data.
        logit: margin alpha of the logit of data in [0, 1], or None for none.
        dtype: dtype policy of the layers.
        variational_dequantization: whether the noise of discrete data is learned.
    """
    layers = []
    if quantization_levels is not None and variational_dequantization:
        layers.append(VariationalDequantize(levels=quantization_levels, dtype=dtype))
    elif quantization_levels is not None:
        layers.append(Dequantize(quantization_levels, dtype=dtype))
    if logit is not None:
        layers.append(Logit(logit, dtype=dtype))
    return layers
