"""metrics.jsonl: one line per epoch of a training, in its run and in the zoo model made of it."""

import math
from pathlib import Path

import pydantic

CURVE = "metrics.jsonl"


class Epoch(pydantic.BaseModel):
    """What a line says of the likelihood: nats per event, which may be NaN or infinite.

    `nll` is None where the training had another objective, such as flow matching; `val_nll` is NaN
    where it looked at no held-out rows.
    """

    model_config = pydantic.ConfigDict(frozen=True)

    epoch: int
    nll: float | None = None
    val_nll: float
    seconds: float


def read_epochs(folder: Path) -> list[Epoch]:
    """The epochs of the training, from the folder of a run or of a model.

    Raises:
        ValueError: a line is not an epoch, or none has a finite nll.
    """
    path = folder / CURVE
    epochs = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            epochs.append(Epoch.model_validate_json(line))
        except pydantic.ValidationError as error:
            problem = error.errors()[0]
            key = ".".join(map(str, problem["loc"])) or "the whole"
            raise ValueError(
                f"{path}, line {number}: {key}: {problem['msg']}. Received: {line[:200]!r}"
            ) from error
    if not any(map(_is_finite, epochs)):
        raise ValueError(f"{path} has no epoch with a finite val_nll among {len(epochs)}")
    return epochs


def best_epoch(epochs: list[Epoch]) -> Epoch:
    """The one with the lowest validation nll, whose weights a run keeps; the last without any."""
    finite = [epoch for epoch in epochs if math.isfinite(epoch.val_nll)]
    return min(finite, key=lambda epoch: epoch.val_nll) if finite else epochs[-1]


def _is_finite(epoch):
    value = epoch.nll if math.isnan(epoch.val_nll) and epoch.nll is not None else epoch.val_nll
    return math.isfinite(value)
