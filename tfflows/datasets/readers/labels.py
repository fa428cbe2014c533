"""Classes of a label column: whole numbers or words, in sorted order."""

from collections.abc import Iterable, Sequence

import numpy as np

_MAX_CLASSES = 1000


class LabelCodes:
    """Numbers classes as they come; `ordered` renumbers them by value.

    Args:
        where: file and column, for messages.
        classes: the only classes that may come, in the order of `ordered`; None takes all.
    """

    def __init__(self, where: str, classes: Sequence[str] | None = None):
        self._where = where
        self._codes: dict[str, int] = {}
        self._names = [] if classes is None else [self._name(str(name)) for name in classes]
        self._given = self._closed = classes is not None

    def encode(self, values: Iterable) -> np.ndarray:
        """Class numbers `[n]`, in order of first appearance, of words or numbers `[n]`."""
        return np.asarray([self._code(str(value)) for value in values], "int32")

    def close(self, where: str) -> None:
        """Refuse further classes, in `where` for messages."""
        self._closed, self._where = True, where

    def ordered(self) -> tuple[tuple[str, ...], np.ndarray]:
        """Names in sorted order (whole numbers by value), and the place of each code in it.

        Classes that were given keep their order.
        """
        if self._given:
            return tuple(self._names), np.arange(len(self._names), dtype="int32")
        numbers = [_whole_number(name) for name in self._names]
        keys = self._names if None in numbers else np.asarray(numbers, object)
        order = np.argsort(keys, kind="stable")
        return tuple(self._names[code] for code in order), np.argsort(order).astype("int32")

    def _code(self, value):
        code = self._codes.get(value)
        if code is None:
            name = self._name(value)
            if name not in self._names:
                self._add(name)
            code = self._codes[value] = self._names.index(name)
        return code

    def _name(self, value):
        """ "1" for "1.0", since a table with gaps has its whole numbers written so."""
        if _whole_number(value) is not None:
            return str(_whole_number(value))
        try:
            number = float(value)
        except ValueError:
            return value
        if not number.is_integer():
            raise ValueError(
                f"{self._where}: a label must hold whole numbers or words. Received: {value[:60]}"
            )
        return str(int(number))

    def _add(self, name):
        if self._closed:
            raise ValueError(
                f"{self._where}: the class {name!r} is not one of the training classes: "
                f"{', '.join(self.ordered()[0][:20])}"
            )
        if len(self._names) == _MAX_CLASSES:
            raise ValueError(
                f"{self._where}: a label must have at most {_MAX_CLASSES} classes. Received: "
                f"more, such as {', '.join(self._names[:3])}"
            )
        self._names.append(name)


def _whole_number(name):
    try:
        return int(name)
    except ValueError:
        return None
