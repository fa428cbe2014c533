"""How long a warm-up and an average of the weights are, for the length of a run."""

import warnings

from tfflows.runs.recipe import Optimizer, Recipe

_MAX_WARMUP, _MAX_WINDOW = 500, 1000


def resolve_optimizer(section: Optimizer, total_steps: int) -> Optimizer:
    """The section with numbers where it says "auto".

    A warm-up takes a twentieth of the steps, at most 500; an average of the weights goes over about
    as many, from 2 to 1,000: its momentum is 1 - 1 / steps.
    """
    part = total_steps // 20
    update = {}
    if section.warmup_steps == "auto":
        update["warmup_steps"] = min(part, _MAX_WARMUP)
    if section.ema == "auto":
        update["ema"] = 1 - 1 / min(max(part, 2), _MAX_WINDOW)
    return section.model_copy(update=update)


def warn_of_length(recipe: Recipe, rows: int, total_steps: int) -> None:
    """Warn where a warm-up or an average is too long for a run, or a batch holds all rows.

    Args:
        recipe: of the run.
        rows: training rows.
        total_steps: training steps of the whole run.
    """
    section = resolve_optimizer(recipe.optimizer, total_steps)
    if section.warmup_steps * 2 >= total_steps:
        warnings.warn(
            f"{recipe.name}: the learning rate warms up for {section.warmup_steps} of "
            f"{total_steps} steps, so that little is trained: lower optimizer.warmup_steps (auto "
            "takes a twentieth of the steps), or raise training.epochs",
            stacklevel=2,
        )
    if section.ema is not None and 2 / (1 - section.ema) >= total_steps:
        warnings.warn(
            f"{recipe.name}: weights are averaged over about {1 / (1 - section.ema):.0f} steps in "
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
