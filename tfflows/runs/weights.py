"""Beginning a training with the weights of a trained flow."""

from tfflows.flow import Flow


def copy_weights(source: Flow, target: Flow) -> None:
    """Set the weights of a flow to those of another one of the same layers.

    Raises:
        ValueError: the flows have other weights; the first difference is named.
    """
    if type(source) is not type(target):
        raise ValueError(
            f"Expected the weights of a {type(target).__name__}, as the recipe's model is. "
            f"Received: a {type(source).__name__}"
        )
    pairs = list(zip(target.weights, source.weights, strict=False))
    for ours, theirs in pairs:
        if tuple(ours.shape) != tuple(theirs.shape):
            raise ValueError(
                f"Expected the weights to begin with to be of the same model: {ours.path} has "
                f"shape {tuple(ours.shape)}. Received: {theirs.path} of {tuple(theirs.shape)}"
            )
    if len(target.weights) != len(source.weights):
        raise ValueError(
            f"Expected the weights to begin with to be of the same model, with "
            f"{len(target.weights)} arrays. Received: {len(source.weights)}"
        )
    for ours, theirs in pairs:
        ours.assign(theirs)
