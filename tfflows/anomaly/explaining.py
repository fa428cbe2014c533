"""Why a row is abnormal: how far its score falls with a cell that fits the others."""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfflows.anomaly.densities import Model, inputs_of
from tfflows.anomaly.rows import is_frame, take
from tfflows.anomaly.scores import Score
from tfflows.tables import TableFlow

NUM_VALUES = 32  # of normal rows, tried in each column
NUM_IMAGES = 8  # whose patches are tried
MAX_PATCH = 8  # pixels of a patch's side, of which an image has at least three
BATCH = 16_384  # rows that are scored at once


@dataclasses.dataclass(frozen=True)
class Explanation:
    """What carries the scores of rows.

    Attributes:
        contributions: how far the score falls by each column, `[n, columns]`, or by the patches
            over each pixel, their mean, `[n, height, width]`; 0 where no value is more normal.
        scores: the anomaly scores of the rows, `[n]`, larger where more abnormal.
        names: of the columns.
        rows: as they were given.
        expected: rows of the values that would make each cell most normal, given the others.
    """

    contributions: np.ndarray
    scores: np.ndarray
    names: tuple[str, ...]
    rows: Any
    expected: Any

    def reasons(self, row: int, count: int = 3) -> list[str]:
        """The columns that carry a row's score, or the places, the first one most, as text.

        Those without a contribution are left out.
        """
        own = self.contributions[row]
        steps = [_patch_and_step(side)[1] for side in own.shape[-2:]]
        if own.ndim > 1:
            own = own[:: steps[0], :: steps[1]]
        across, own = own.shape[-1], own.reshape(-1)
        lines = []
        for place in np.argsort(-own, kind="stable")[:count]:
            if own[place] <= 0:
                break
            if self.contributions.ndim > 2:
                cell = zip(steps, divmod(int(place), across), strict=True)
                spans = ", ".join(f"{step * k}:{step * (k + 1)}" for step, k in cell)
                lines.append(f"pixels [{spans}] (+{own[place]:.3g})")
                continue
            came, usual = (_cell(rows, row, place) for rows in (self.rows, self.expected))
            lines.append(f"{self.names[place]} = {came}, not {usual} (+{own[place]:.3g})")
        return lines

    def picture(self, path: str | Path, count: int = 8) -> None:
        """Write a picture of the first rows: images and what carries their scores, or bars.

        Args:
            path: of a .png or .svg file.
            count: how many rows.
        """
        from tfflows.anomaly.pictures import draw_explanation

        draw_explanation(self, path, count)


def reference_rows(model: Model, rows: Any, seed: int) -> Any:
    """Normal rows whose values `explain` tries, in the form of `rows`."""
    is_image = not is_frame(rows) and rows.ndim > 2
    count = min(NUM_IMAGES if is_image else NUM_VALUES, len(rows))
    places = np.random.default_rng(seed).choice(len(rows), count, replace=False)
    chosen = take(rows, np.sort(places))
    if is_image or isinstance(model, TableFlow):
        return chosen
    # Evenly spread values of each column say more of it than those of a few rows.
    x = np.asarray(model.data_schema.in_order(rows), "float64")
    return np.quantile(x, np.linspace(0.01, 0.99, NUM_VALUES), axis=0).astype("float32")


def explain(
    score: Score, rows: Any, reference: Any, names: Sequence[str] | None = None
) -> Explanation:
    """The explanation of a few rows: about `NUM_VALUES * columns` scores for each of them.

    Args:
        score: a fitted score.
        rows: an array or a DataFrame.
        reference: what `reference_rows` gave.
        names: of the columns, or None.
    """
    model = score.model
    inputs = inputs_of(model, rows)
    scores = score.of_inputs(inputs)
    tried = inputs_of(model, reference)
    if len(inputs) == 1 and inputs[0].ndim > 2:
        contributions, expected = _of_patches(score, inputs[0], tried[0], scores)
        return Explanation(contributions, scores, (), inputs[0], expected)
    cells = _cells_of(model)
    contributions = np.zeros((len(scores), len(cells)))
    best = np.zeros((len(scores), len(cells)), int)
    for column, places in enumerate(cells):
        fallen = _with_cells(score, inputs, tried, places)
        best[:, column] = fallen.argmin(axis=1)
        contributions[:, column] = np.maximum(scores - fallen.min(axis=1), 0)
    if isinstance(model, TableFlow):
        names = model.schema.names
        rows, reference = rows[list(names)], reference[list(names)]
        columns = zip(names, best.T, strict=True)
        expected = {name: reference[name].to_numpy()[places] for name, places in columns}
        import pandas as pd

        expected = pd.DataFrame(expected)
    else:
        expected = np.take_along_axis(tried[0], best, axis=0)
        rows = inputs[0]
    names = names or [f"x{place}" for place in range(len(cells))]
    return Explanation(contributions, scores, tuple(names), rows, expected)


def _cells_of(model) -> list[dict[int, int]]:
    """For each column, which place it has in which of the model's inputs."""
    if not isinstance(model, TableFlow):
        return [{0: place} for place in range(model.event_shape[0])]
    numbers = {m.column.name: place for place, m in enumerate(model.fitted_encoder.marginals)}
    return [
        {0: place} | ({1: numbers[name]} if name in numbers else {})
        for place, name in enumerate(model.schema.names)
    ]


def _with_cells(score, inputs, tried, places):
    """Scores of each row with a cell of each normal row instead of its own, `[n, values]`."""
    count = len(tried[0])
    rows_at_once = max(1, BATCH // count)
    parts = []
    for start in range(0, len(inputs[0]), rows_at_once):
        changed = [np.repeat(values[start : start + rows_at_once], count, 0) for values in inputs]
        for part, place in places.items():
            repeats = len(changed[part]) // count
            changed[part][:, place] = np.tile(
                tried[part][:, place], (repeats, *(1 for _ in tried[part].shape[2:]))
            )
        parts.append(score.of_inputs(tuple(changed)).reshape(-1, count))
    return np.concatenate(parts)


def _of_patches(score, x, tried, scores):
    """Contributions of pixels, `[n, height, width]`, and the images with the best patches.

    Patches overlap by half: with a patch from another image come edges that no image has, and the
    mean over patches evens them out.
    """
    total, covered = np.zeros(x.shape[:3]), np.zeros(x.shape[1:3])
    largest, expected = np.zeros(x.shape[:3]), x.copy()
    rows, columns = (_spans(side) for side in x.shape[1:3])
    for span in itertools.product(rows, columns):
        patch = (slice(None), *span)
        changed = np.repeat(x, len(tried), axis=0)
        changed[patch] = np.tile(tried[patch], (len(x), 1, 1, 1))
        fallen = score.of_inputs((changed,)).reshape(len(x), len(tried))
        gain = np.maximum(scores - fallen.min(axis=1), 0)[:, None, None]
        total[patch] += gain
        covered[span] += 1
        is_best = gain > largest[patch]
        best = tried[patch][fallen.argmin(axis=1)]
        expected[patch] = np.where(is_best[..., None], best, expected[patch])
        largest[patch] = np.maximum(largest[patch], gain)
    return total / covered, expected


def _patch_and_step(side):
    """Pixels of a patch along a side of an image, and from one patch to the next."""
    patch = max(1, min(MAX_PATCH, side // 3))
    return patch, max(1, patch // 2)


def _spans(side):
    """Where the patches along a side are; the last one ends with it."""
    patch, step = _patch_and_step(side)
    starts = [*range(0, side - patch, step), side - patch]
    return [slice(start, start + patch) for start in starts]


def _cell(rows, row, place):
    """A cell as people read it."""
    if not is_frame(rows):
        return f"{rows[row, place]:.4g}"
    value = rows.iloc[row, place]
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)
