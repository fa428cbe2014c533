"""What a dataset is, apart from its rows."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """Description of one split of a dataset.

    Attributes:
        name: name that `load` takes.
        split: split that was loaded.
        event_shape: shape of one example.
        levels: number of grey levels of discrete data 0..levels-1, or None for real data.
        num_classes: number of labels, or None.
        size: number of examples.
        source: where the data come from.
        columns: names of the columns of a user's table, or None.
        label: name of the column, or key of the array, that holds the classes of a user's file.
        classes: names of the classes in the order of the one-hot labels, where they have any.
        dropped: rows that were left out because of missing values.
        condition_columns: names of the columns of numbers that are the condition, or None.
        dequantized: names of the columns of whole numbers that have noise added to them, or None.
    """

    name: str
    split: str
    event_shape: tuple[int, ...]
    levels: int | None
    num_classes: int | None
    size: int
    source: str
    columns: tuple[str, ...] | None = None
    label: str | None = None
    classes: tuple[str, ...] | None = None
    dropped: int = 0
    condition_columns: tuple[str, ...] | None = None
    dequantized: tuple[str, ...] | None = None

    @property
    def dims(self) -> int:
        """Number of elements of an example."""
        return math.prod(self.event_shape)

    @property
    def condition_shape(self) -> tuple[int] | None:
        """Shape of a condition: of a one-hot label or of numbers; None where there is none."""
        if self.condition_columns is not None:
            return (len(self.condition_columns),)
        return None if self.num_classes is None else (self.num_classes,)
