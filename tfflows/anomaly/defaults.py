"""What a detector takes where its user says nothing: the models, their training, the score.

One default for all tables and one for all images: nothing here looks at anomalies.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tfflows.anomaly.complexity import GivenComplexity, UnusualComplexity
from tfflows.anomaly.densities import Model
from tfflows.anomaly.nearest import NearestRow
from tfflows.anomaly.scores import LatentNorm, NegativeLogLikelihood, Score
from tfflows.flow import Flow
from tfflows.layers import NoiseConditional
from tfflows.models import Glow
from tfflows.tables import TableFlow

IMAGE_SIDES = 4  # two levels of Glow halve the sides twice


class Plan(NamedTuple):
    """How a default model is trained.

    Attributes:
        epochs: at most.
        batch_size: rows per step.
        learning_rate: the first; it falls to zero along a cosine.
        weight_decay: of AdamW.
        patience: epochs without a better held-out nll, after which training ends; None
            looks at no held-out rows, because noise keeps the model from learning rows by heart.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    patience: int | None


def default_image_model(event_shape: Sequence[int]) -> Flow:
    """An untrained flow of images of whole numbers 0..255: a small Glow.

    Args:
        event_shape: (height, width, channels).

    Raises:
        ValueError: a side is not a multiple of four.
    """
    if any(side % IMAGE_SIDES for side in event_shape[:2]):
        raise ValueError(
            f"The default model of images expects sides that are multiples of {IMAGE_SIDES}. "
            f"Received: images of {event_shape}; pad or crop them, or give a `model`"
        )
    return Glow(event_shape, num_levels=2, depth=8, filters=64)


def plan_for(model: Flow, num_rows: int) -> Plan:
    """How a flow is trained on this many rows."""
    if any(isinstance(layer, NoiseConditional) for layer in model.flow_layers):
        batch_size = min(256, num_rows)
        steps = int(np.clip(num_rows / 50, 800, 3_000))
        epochs = math.ceil(steps * batch_size / num_rows)
        return Plan(epochs, batch_size, 2e-3, 1e-4, None)
    if len(model.event_shape) > 1:
        return Plan(20, 64, 1e-3, 1e-4, 5)
    batch_size = int(np.clip(2 ** math.ceil(math.log2(max(num_rows, 1) / 20)), 32, 512))
    steps = math.ceil(num_rows / batch_size)
    return Plan(int(np.clip(6_000 // steps, 1, 200)), batch_size, 1e-3, 1e-4, 30)


def auto_score(model: Model, contamination: float = 0.0) -> str:
    """The score that "auto" stands for.

    Args:
        model: of normal rows.
        contamination: the share of them that may be anomalies. A flow learns a cluster of anomalies
            as it learns any other, whereas a row has few of them as neighbours.
    """
    if is_of_images(model):
        return "smallest_p_value"
    if isinstance(model, Flow) and len(model.event_shape) == 1:
        return "nearest" if contamination else "smallest_p_value"
    return "nll"


def is_of_images(model: Model) -> bool:
    """Whether the model is a flow of images of whole numbers."""
    return isinstance(model, Flow) and len(model.event_shape) == 3 and model.is_discrete


def statistics_of(model: Model) -> tuple[Callable[..., Score], ...]:
    """What "density_of_states" and "joint_density" look at."""
    if is_of_images(model):
        return (NegativeLogLikelihood, LatentNorm, GivenComplexity)
    if isinstance(model, TableFlow):
        return (NegativeLogLikelihood,)
    return (NegativeLogLikelihood, LatentNorm)


def complementary_scores(model: Model) -> tuple[Callable[[Model], Score], ...]:
    """What "smallest_p_value" looks at: two scores, each of which sees what the other does not."""
    if is_of_images(model):
        return (GivenComplexity, UnusualComplexity)
    return (NegativeLogLikelihood, NearestRow)
