"""From raw data to what a flow likes: the first layers of a model."""

import math
from collections.abc import Sequence

from tfflows.layers import (
    Dequantize,
    Flatten,
    FlowLayer,
    Logit,
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
