"""Uniform noise on columns of whole numbers, which gives them a density."""

import zlib
from collections.abc import Sequence

import numpy as np

from tfflows.datasets.readers.columns import find_columns

# Beyond, float32 has no numbers between two whole ones.
_LARGEST = 2**22


class UniformNoise:
    """Adds u from [0, 1) to chosen columns of whole numbers (Theis et al. 2016, section 3.1).

    A density of whole numbers as reals has no bound. With noise, E log p(k + u) is a lower bound of
    the log of the probability of k, and floor(x) of a sample x is a whole number again.

    The noise of a value depends on the seed, its column and the number of its row in the file: all
    splits, and every time the file is read, have the same.

    Args:
        table: an open table.
        columns: places of the columns of x.
        dequantize: names or places of the columns to add noise to, among `columns`.
        seed: of the noise.

    Raises:
        ValueError: a column that is not there or is not one of x.
    """

    def __init__(self, table, columns: Sequence[int], dequantize: Sequence[str | int], seed: int):
        self._table, self._columns = table, columns
        places = find_columns(table, dequantize, "dequantize")
        for place in places:
            if place not in columns:
                raise ValueError(
                    f"{table.path}: dequantize= must name columns of x. Received: "
                    f"{table.names[place]!r}, which is none"
                )
        self._chosen = [list(columns).index(place) for place in places]
        self._seed = seed

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns that noise is added to."""
        return tuple(self._table.names[self._columns[i]] for i in self._chosen)

    def add(self, x: np.ndarray, rounded: np.ndarray, first_row: int) -> np.ndarray:
        """x in float32 with the noise of rows `first_row`, `first_row` + 1, ...

        Args:
            x: `[n, columns]`, as read, NaN where missing.
            rounded: x in float32.
            first_row: number of the first row in the file; 0 begins anew, and others go on.

        Raises:
            ValueError: a value that is not a whole number of at most 4,194,304, by its place.
        """
        if not self._chosen:
            return rounded
        if first_row == 0:
            keys = [[self._seed, zlib.crc32(name.encode())] for name in self.names]
            self._generators = [np.random.default_rng(key) for key in keys]
        noisy = rounded.copy()
        for i, generator in zip(self._chosen, self._generators, strict=True):
            whole = x[:, i].astype("float64")
            self._refuse_others(whole, i, first_row)
            noise = generator.random(len(whole))
            # Rounding to float32 must not reach the next whole number.
            below = np.nextafter((whole + 1).astype("float32"), np.float32(-np.inf))
            noisy[:, i] = np.minimum((whole + noise).astype("float32"), below)
        return noisy

    def _refuse_others(self, values, i, first_row):
        fits = (np.floor(values) == values) & (np.abs(values) <= _LARGEST)
        wrong = np.flatnonzero(~fits & ~np.isnan(values))
        if len(wrong):
            raise ValueError(
                f"{self._table.path}, {self._table.place(first_row + wrong[0])}, column "
                f"{self._table.names[self._columns[i]]!r}: dequantize= requires whole numbers of "
                f"at most {_LARGEST:,}. Received: {values[wrong[0]]:g}"
            )
