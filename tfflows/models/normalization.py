"""What a model puts between its layers."""

from tfflows.layers import ActNorm, BatchNorm, FlowLayer

NORMALIZATIONS = {"actnorm": ActNorm, "batch_norm": BatchNorm}


def normalization_layers(name: str | None, dtype) -> list[FlowLayer]:
    """The layer called `name`, or none of them."""
    if name is None:
        return []
    if name not in NORMALIZATIONS:
        raise ValueError(
            f"normalization must be one of {[*NORMALIZATIONS, None]}. Received: {name!r}"
        )
    return [NORMALIZATIONS[name](dtype=dtype)]
