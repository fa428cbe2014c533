"""From raw data to what a flow likes: the first layers of a model."""

from collections.abc import Sequence

from tfflows.layers import (
    Dequantize,
    Flatten,
    FlowLayer,
    Logit,
    RadialGaussianize,
    Standardize,
    Whiten,
)


def preprocessing(
    levels: int | None, logit: float | None, standardize: bool, dtype
) -> list[FlowLayer]:
    """Dequantize, Logit and Standardize, each where it is asked for.

    Args:
        levels: grey levels of discrete data 0..levels-1, or None for real data.
        logit: margin alpha of the logit of data in [0, 1], or None for none.
        standardize: whether to standardize every channel by statistics of the data.
        dtype: dtype policy of the layers.
    """
    layers = []
    if levels is not None:
        layers.append(Dequantize(levels, dtype=dtype))
    if logit is not None:
        layers.append(Logit(logit, dtype=dtype))
    if standardize:
        layers.append(Standardize(dtype=dtype))
    return layers


def vector_preprocessing(
    event_shape: Sequence[int],
    levels: int | None,
    logit: float | None,
    standardize: bool,
    whiten: bool,
    radial: bool,
    dtype,
) -> list[FlowLayer]:
    """The same for models of vectors: then Flatten, Whiten and RadialGaussianize, where asked for.

    Args:
        event_shape: shape of one example; more than one axis is flattened.
        levels, logit, standardize, dtype: see `preprocessing`.
        whiten: whether to give vectors the identity for a covariance.
        radial: whether to give them, whitened or not, the norms of normal ones.
    """
    layers = preprocessing(levels, logit, standardize, dtype)
    if len(event_shape) > 1:
        layers.append(Flatten(dtype=dtype))
    if whiten:
        layers.append(Whiten(dtype=dtype))
    if radial:
        layers.append(RadialGaussianize(dtype=dtype))
    return layers
