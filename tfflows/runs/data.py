"""The data of a run, and what identifies them."""

import dataclasses
import hashlib

import numpy as np

from tfflows import datasets
from tfflows.datasets import DatasetInfo, Rows
from tfflows.runs.recipe import Recipe

_HASHED_ROWS = 1000


@dataclasses.dataclass(frozen=True)
class RunData:
    """What a run trains on and validates by.

    Attributes:
        train: training rows.
        validation: validation rows, as many as the recipe asks for.
        info: description of the training rows.
    """

    train: Rows
    validation: Rows
    info: DatasetInfo

    @classmethod
    def load(cls, recipe: Recipe) -> "RunData":
        """Load the data that a recipe names.

        Raises:
            ValueError, OSError: as `tfflows.datasets.load`.
        """
        train, info = load_split(recipe, "train")
        validation, _ = load_split(recipe, "validation")
        return cls(train, validation.spread(recipe.training.validation_rows), info)

    def describe(self) -> dict:
        """What identifies the training rows: their shape, and a hash of some of them."""
        x = self.train.x
        some = np.ascontiguousarray(Rows(x).spread(_HASHED_ROWS).x)
        digest = hashlib.sha256(some.tobytes()).hexdigest()
        return {
            "name": self.info.name,
            "shape": list(x.shape),
            "dtype": str(x.dtype),
            "sha256": digest,
            "columns": _as_list(self.info.columns),
            "classes": _as_list(self.info.classes),
        }


def _as_list(names):
    return None if names is None else list(names)


def load_split(recipe: Recipe, split: str, data_dir: str | None = None) -> tuple[Rows, DatasetInfo]:
    """Rows of a split of a recipe's data, and their description.

    Args:
        recipe: names the data.
        split: "train", "validation" or "test".
        data_dir: folder of the data; None takes the recipe's.
    """
    data = recipe.data
    folder = data_dir or data.dir
    return datasets.load_rows_by_options(data.name, split, data.conditional, folder, data.options)
