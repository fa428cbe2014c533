"""Widths of hidden layers where a model is not told any.

Saved configs hold None for them: other numbers here need a rule in `tfflows.utils.legacy`.
"""


def default_width(num_elements: int, least: int = 256) -> int:
    """`least`, or where there are more elements than that, the next multiple of 64 of their number.

    An autoregressive network needs a hidden unit for each element, so that it can tell them apart
    (see `networks.MADE`).
    """
    return max(least, 64 * -(-num_elements // 64))


def default_widths(num_elements: int, residual: bool = False) -> list[int]:
    """Two hidden layers of `default_width`; three where they are residual."""
    return [default_width(num_elements)] * (3 if residual else 2)
