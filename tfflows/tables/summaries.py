"""What a column holds, from one pass over its chunks in memory that does not grow with the rows."""

import datetime
import math
import numbers
from typing import Any

import numpy as np

from tfflows.tables.date_formats import Dates
from tfflows.tables.rows import Rows
from tfflows.utils.damage import shortened

# More different texts are no categories, and more different numbers are not counted one by one.
MAX_TEXTS = 100_000
MAX_DISTINCT_NUMBERS = 20_000
# Rows kept for quantiles and for values that stand in many rows.
_SAMPLE_ROWS = 100_000
MAX_DECIMALS = 6
_FIRST_ROWS = 100
# Steps of a grid this fine beside the largest number are the rounding of the float itself.
ULPS_PER_STEP = 1000


class Numbers:
    """Of the numbers in a column: range, grid, different values, and an even sample of rows.

    Attributes:
        count, num_zero: how many there are, and how many zeros.
        low, high: the smallest and the largest.
        decimals: the number of decimals that all of them have, at most 6; None for more.
        is_integer: whether all came as integers.
    """

    def __init__(self):
        self.count = self.num_zero = 0
        self.low, self.high = math.inf, -math.inf
        self.decimals: int | None = 0
        self.is_integer = True
        self._distinct: np.ndarray | None = None
        self._sample: list[np.ndarray] = []
        self._every, self._phase = 1, 0

    def update(self, x: np.ndarray) -> None:
        """Add finite numbers `[n]` of any dtype."""
        if not len(x):
            return
        eps = np.finfo(x.dtype).eps if x.dtype.kind == "f" else 0.0
        self.is_integer &= x.dtype.kind in "iu"
        self.count += len(x)
        self.num_zero += int(np.sum(x == 0))
        self.low, self.high = min(self.low, x.min().item()), max(self.high, x.max().item())
        if eps:
            self._add_decimals(x.astype("float64"), eps)
        if self._distinct is None or len(self._distinct) <= MAX_DISTINCT_NUMBERS:
            known = self._distinct
            self._distinct = np.unique(x) if known is None else np.union1d(known, x)
        self._add_sample(x.astype("float64"))

    @property
    def distinct(self) -> np.ndarray | None:
        """The different numbers, sorted, or None where there are more than 20,000."""
        known = np.zeros(0) if self._distinct is None else self._distinct
        return known if len(known) <= MAX_DISTINCT_NUMBERS else None

    @property
    def sample(self) -> np.ndarray:
        """An even sample of the numbers, at most 100,000."""
        return np.concatenate([np.zeros(0), *self._sample])

    def _add_decimals(self, x, eps):
        # Most numbers show their decimals in the first rows.
        if len(x) > 2 * _FIRST_ROWS:
            self._add_decimals(x[:_FIRST_ROWS], eps)
        noise = max(self.high, -self.low) * eps
        while self.decimals is not None:
            scaled = x * 10.0**self.decimals
            if 10.0**-self.decimals < ULPS_PER_STEP * noise:
                self.decimals = None
            elif np.all(np.abs(scaled - np.rint(scaled)) <= 4 * noise * 10.0**self.decimals):
                return
            else:
                self.decimals = self.decimals + 1 if self.decimals < MAX_DECIMALS else None

    def _add_sample(self, x):
        self._sample.append(x[self._phase :: self._every])
        self._phase = (self._phase - len(x)) % self._every
        if sum(map(len, self._sample)) > _SAMPLE_ROWS:
            sample, total = self.sample, self.count
            self._sample, self._every = [sample[::2]], 2 * self._every
            self._phase = -total % self._every


class ColumnSummary:
    """What the cells of a column are, whatever their dtype.

    Attributes:
        name: of the column.
        count, num_missing: of its cells.
        dtype: in the data; None for text of CSV files.
        levels: values of a categorical dtype in its order, or None.
        is_ordered: whether that dtype orders them.
        texts: how often each text occurs, or None where there are more than 100,000.
        numbers: of numbers, and of texts that say one.
        num_words: cells of text that says no number.
        dates: of datetimes, and the formats that fit all texts.
        has_bools: whether there are booleans.
    """

    def __init__(self, name: str, dtype: str | None):
        self.name, self.dtype = name, dtype
        self.count = self.num_missing = self.num_words = self.num_text = 0
        self.levels: list | None = None
        self.is_ordered = self.has_bools = False
        self.texts: dict[str, int] | None = {}
        self.numbers, self.dates = Numbers(), Dates()
        self._first: dict[str, tuple[Rows, int, Any]] = {}

    def update(self, series: Any, rows: Rows, dtype: str | None) -> None:
        """Add the cells of a chunk.

        Raises:
            ValueError: an infinite number, or a value that is neither text, a number, a boolean
                nor a date, by its row.
        """
        import pandas as pd

        missing = series.isna().to_numpy(bool)
        self.count += len(series)
        self.num_missing += int(missing.sum())
        if self.num_missing:
            series = series[~missing]
        at = np.flatnonzero(~missing)
        is_bool = pd.api.types.is_bool_dtype(series.dtype)
        if isinstance(series.dtype, pd.CategoricalDtype):
            if dtype is not None:
                self._add_levels(series.cat)
            self._add_distinct(series.cat.codes.to_numpy(), series.cat.categories, at, rows)
        elif series.dtype.kind == "M":
            self.dates.add_times(series)
        elif series.dtype.kind in "iuf" and not is_bool:
            is_single = str(series.dtype).lower() == "float32"
            dtype = "float32" if is_single else f"{series.dtype.kind}8"
            self._add_numbers(series.to_numpy(dtype), at, rows)
        else:
            try:
                codes, values = pd.factorize(series)
            except TypeError:
                self._refuse_unhashable(series, at, rows)
                raise
            self._add_distinct(codes, values, at, rows)

    @property
    def num_present(self) -> int:
        """The number of cells that are not missing."""
        return self.count - self.num_missing

    def place_of(self, kind: str) -> str:
        """The first cell of a kind, "word", "number" or "bool", and what stands there."""
        rows, row, value = self._first[kind]
        return f"{rows.place(row, self.name)}: {shortened(value)}"

    def _add_levels(self, categorical):
        new = [value for value in categorical.categories if value not in set(self.levels or ())]
        self.levels = (self.levels or []) + new
        self.is_ordered = bool(categorical.ordered)

    def _add_numbers(self, x, at, rows, kind="number"):
        """Add numbers, which stand in the rows `at`."""
        finite = np.isfinite(x)
        if not finite.all():
            place = rows.place(at[finite.argmin()], self.name)
            raise ValueError(f"{place}: expected a finite number. Received: {x[finite.argmin()]}")
        if len(x):
            value = bool(x[0]) if kind == "bool" else x[0].item()
            self._first.setdefault(kind, (rows, at[0], value))
        self.numbers.update(x)

    def _add_distinct(self, codes, values, at, rows):
        """Add the cells `values[codes]`, which stand in the rows `at`."""
        counts = np.bincount(codes, minlength=len(values))
        values = np.asarray(values, object)
        kinds = np.array([_kind_of(value) for value in values], "U6")
        kinds[counts == 0] = ""
        for kind in set(kinds.tolist()) - {""}:
            is_kind = kinds == kind
            cells = is_kind[codes]
            if kind == "other":
                self._refuse(values[codes[cells.argmax()]], at[cells.argmax()], rows)
            if kind == "date":
                self.dates.add_times(_times(values[is_kind]))
            elif kind == "text":
                self._add_texts(values, counts, is_kind, codes, at, rows)
            else:
                self.has_bools |= kind == "bool"
                x = np.zeros(len(values), _number_type(values[is_kind]))
                x[is_kind] = values[is_kind].astype(x.dtype)
                self._add_numbers(x[codes[cells]], at[cells], rows, kind)

    def _refuse_unhashable(self, series, at, rows):
        for row, value in zip(at, series, strict=True):
            if isinstance(value, list | dict | set | np.ndarray):
                self._refuse(value, row, rows)

    def _refuse(self, value, row, rows):
        raise ValueError(
            f"{rows.place(row, self.name)}: expected text, a number, a boolean or a date. "
            f"Received: {shortened(value)} of {type(value)}"
        )

    def _add_texts(self, values, counts, is_text, codes, at, rows):
        """Add the cells whose value is text, those that say a number to the numbers as well."""
        import pandas as pd
        import pyarrow as pa
        import pyarrow.compute as pc

        self.num_text += int(counts[is_text].sum())
        if self.texts is not None:
            for text, count in zip(values[is_text], counts[is_text].tolist(), strict=True):
                self.texts[text] = self.texts.get(text, 0) + count
            self.texts = self.texts if len(self.texts) <= MAX_TEXTS else None
        x, is_word = np.full(len(values), np.nan), is_text.copy()
        x[is_text] = pd.to_numeric(pd.Series(values[is_text], dtype=object), errors="coerce")
        # A number with a leading zero is a name: 02139.
        zeros = pc.match_substring_regex(pa.array(values[is_text], pa.string()), r"^\s*[+-]?0\d")
        is_word[is_text] = np.isnan(x[is_text]) | zeros.to_numpy(zero_copy_only=False)
        words = is_word[codes]
        if words.any():
            self.num_words += int(words.sum())
            row = words.argmax()
            self._first.setdefault("word", (rows, at[row], values[codes[row]]))
            self.dates.add_texts(values[is_word])
        is_number = is_text & ~is_word
        cells = is_number[codes]
        if cells.any():
            found = x[is_number]
            # "1.0" is a float, as pandas reads it.
            is_float = any(set(text) & set(".eE") for text in values[is_number][:1000])
            if not is_float and np.all(found % 1 == 0) and np.abs(found).max() < 2.0**53:
                x = np.where(is_number, x, 0).astype("int64")
            self._add_numbers(x[codes[cells]], at[cells], rows)


def _times(values):
    import pandas as pd

    return pd.to_datetime(pd.Series(list(values)), utc=True)


def _number_type(values):
    """int64 where all values are whole numbers that it holds, else float64."""
    is_int = all(isinstance(v, int | np.integer) and abs(v) < 2**63 for v in values)
    return "int64" if is_int else "float64"


def _kind_of(value):
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool | np.bool_):
        return "bool"
    if isinstance(value, numbers.Real) or type(value).__name__ == "Decimal":
        return "number"
    if isinstance(value, datetime.date | np.datetime64):
        return "date"
    return "other"
