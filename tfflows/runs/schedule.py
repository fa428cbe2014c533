"""How long a warm-up and an average of the weights are, for the length of a run."""

import warnings

from tfflows.runs.recipe import Optimizer, Recipe

_MAX_WARMUP, _MAX_WINDOW = 500, 1000


def resolve_steps(section: Optimizer, total_steps: int) -> tuple[int, float | None]:
    """Warm-up steps and momentum of the average (None without one), as numbers.

    "auto" is a warm-up of a twentieth of the steps, at most 500, and an average over about as many,
    from 2 to 1,000: its momentum is 1 - 1 / steps.
    """
    part = total_steps // 20
    warmup, ema = section.warmup_steps, section.ema
    if warmup == "auto":
        warmup = min(part, _MAX_WARMUP)
    if ema == "auto":
        ema = 1 - 1 / min(max(part, 2), _MAX_WINDOW)
    return warmup, ema


def warn_of_length(recipe: Recipe, rows: int, total_steps: int) -> None:
    """Warn where a warm-up or an average is too long for a run, or a batch holds all rows.

    Args:
        recipe: of the run.
        rows: training rows.
        total_steps: training steps of the whole run.
    """
    warmup, ema = resolve_steps(recipe.optimizer, total_steps)
    if warmup * 2 >= total_steps:
        warnings.warn(
            f"{recipe.name}: the learning rate warms up for {warmup} of "
            f"{total_steps} steps, so that little is trained: lower optimizer.warmup_steps (auto "
            "takes a twentieth of the steps), or raise training.epochs",
            stacklevel=2,
        )
    if ema is not None and 2 / (1 - ema) >= total_steps:
        warnings.warn(
            f"{recipe.name}: weights are averaged over about {1 / (1 - ema):.0f} steps in "
            f"a run of {total_steps}, so that validation and best.keras lag behind: lower "
            "optimizer.ema (auto follows the steps), or raise training.epochs",
            stacklevel=2,
        )
    if recipe.training.batch_size >= rows > 1:
        warnings.warn(
            f"{recipe.name}: a batch holds all {rows} training rows, so that an epoch is one step: "
            f"lower training.batch_size. Received: {recipe.training.batch_size}",
            stacklevel=2,
        )
