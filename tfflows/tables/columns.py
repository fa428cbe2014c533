"""The kinds of columns of a table, and what a parsed column holds."""

import dataclasses
import datetime
import functools
import math
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

DATETIME_UNITS = ("D", "h", "m", "s", "ms", "us", "ns")


class Cells(NamedTuple):
    """A parsed column.

    Attributes:
        values: `[n]`. Real, Positive, Interval: float64. Integer: int64, the number of steps.
            Datetime: int64 ticks since 1970-01-01. Ordinal, Category, Boolean: int64 codes, which
            index the column's `values`; what training did not see has the code `len(values)`. Zero
            where missing.
        missing: bool `[n]`.
    """

    values: np.ndarray
    missing: np.ndarray


@dataclasses.dataclass(frozen=True)
class Column:
    """What a column of a table may hold; one subclass per kind.

    Attributes:
        name: as in the table.
        missing: whether a cell may be missing, which then has a probability mass.
        dtype: the pandas dtype that samples come back in, such as "int64", "float32", "category"
            or "datetime64[ns]". None: the natural one of the kind.
    """

    name: str
    missing: bool = dataclasses.field(default=False, kw_only=True)
    dtype: str | None = dataclasses.field(default=None, kw_only=True)

    is_discrete: ClassVar[bool] = True

    def __post_init__(self):
        if not isinstance(self.name, str):
            raise ValueError(f"Expected the name of a column as a string. Received: {self.name!r}")
        if not isinstance(self.missing, bool):
            self._refuse("`missing` to be true or false", self.missing)
        if not isinstance(self.dtype, str | None):
            self._refuse("`dtype` to be the name of a dtype", self.dtype)

    @property
    def kind(self) -> str:
        """The kind as schemas name it: "real", "category", ..."""
        return type(self).__name__.lower()

    def get_config(self) -> dict[str, Any]:
        """The kind and every field that differs from its default, as JSON can hold them."""
        config: dict[str, Any] = {"kind": self.kind}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            # By repr, because (0, 1) == (False, True).
            if field.name == "name" or repr(value) != repr(field.default):
                config[field.name] = list(value) if isinstance(value, tuple) else value
        return config

    def _set(self, **fields):
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def _refuse(self, expected, received):
        raise ValueError(f"Expected column {self.name!r}: {expected}. Received: {received!r}")


class Dense(Column):
    """A number with a density, and `atoms` with a probability mass."""

    atoms: Sequence[float]
    is_discrete: ClassVar[bool] = False

    def _check_atoms(self, low, high):
        try:
            atoms = tuple(sorted({float(atom) for atom in self.atoms}))
        except (TypeError, ValueError):
            self._refuse("`atoms` to be a list of numbers", self.atoms)
        if not all(math.isfinite(atom) and low <= atom <= high for atom in atoms):
            self._refuse(f"finite `atoms` in [{low}, {high}]", self.atoms)
        self._set(atoms=atoms)


@dataclasses.dataclass(frozen=True)
class Real(Dense):
    """A number on the real line, with a density in its own units.

    Attributes:
        atoms: single values with a probability mass, such as 0 where many rows are 0.

    Example:
        >>> Real("balance", atoms=(0.0,)).is_discrete
        False
    """

    atoms: Sequence[float] = ()

    def __post_init__(self):
        super().__post_init__()
        self._check_atoms(*self.bounds)

    @property
    def bounds(self) -> tuple[float, float]:
        """The open interval on which the column has a density."""
        return -math.inf, math.inf


@dataclasses.dataclass(frozen=True)
class Positive(Dense):
    """A number above 0, with a density in its own units.

    Attributes:
        atoms: single values with a probability mass; 0 may be one.
    """

    atoms: Sequence[float] = ()

    def __post_init__(self):
        super().__post_init__()
        self._check_atoms(*self.bounds)

    @property
    def bounds(self) -> tuple[float, float]:
        """The open interval on which the column has a density."""
        return 0.0, math.inf


@dataclasses.dataclass(frozen=True)
class Interval(Dense):
    """A number in the open interval (low, high), with a density in its own units.

    Attributes:
        low, high: the ends.
        atoms: single values with a probability mass; the ends may be among them.
    """

    low: float
    high: float
    atoms: Sequence[float] = ()

    def __post_init__(self):
        super().__post_init__()
        if not (_is_number(self.low) and _is_number(self.high) and self.low < self.high):
            self._refuse("numbers `low` < `high`", (self.low, self.high))
        self._set(low=float(self.low), high=float(self.high))
        self._check_atoms(*self.bounds)

    @property
    def bounds(self) -> tuple[float, float]:
        """The open interval on which the column has a density."""
        return self.low, self.high


@dataclasses.dataclass(frozen=True)
class Integer(Column):
    """A whole number, or a number on a grid `offset + step * k`, with a probability mass.

    Attributes:
        low, high: the smallest and the largest value, in the units of the data; None where there
            is no bound. Counts have `low=0`.
        step: between neighbours: 0.01 for prices in cents. A density would mean nothing for
            rounded numbers, because a model could make it as large as it likes.
        offset: a value of the grid, such as of whole numbers that were standardized.

    Example:
        >>> Integer("price", low=0, step=0.01).to_ticks(np.array([0.07, 1.99]))
        array([  7., 199.])
    """

    low: float | None = None
    high: float | None = None
    step: float = 1
    offset: float = 0

    def __post_init__(self):
        super().__post_init__()
        if not _is_number(self.step) or self.step <= 0:
            self._refuse("a positive number `step`", self.step)
        if not _is_number(self.offset):
            self._refuse("a number `offset`", self.offset)
        self._set(step=_plain(self.step), offset=_plain(self.offset))
        for name in ("low", "high"):
            bound = getattr(self, name)
            if bound is not None and not (_is_number(bound) and self.is_on_grid(bound)):
                self._refuse(f"`{name}` to be {self.grid}, or null", bound)
            self._set(**{name: _plain(bound)})
        if self.low is not None and self.high is not None and self.low > self.high:
            self._refuse("`low` <= `high`", (self.low, self.high))

    @property
    def grid(self) -> str:
        """What its values are, in words."""
        if (self.step, self.offset) == (1, 0):
            return "a whole number"
        return f"a multiple of {self.step}" + f" from {self.offset} on" * bool(self.offset)

    @property
    def bounds(self) -> tuple[int | None, int | None]:
        """The smallest and the largest number of steps, or None."""
        low, high = (
            None if bound is None else int(self.to_ticks(np.asarray(bound)))
            for bound in (self.low, self.high)
        )
        return low, high

    def to_ticks(self, x: np.ndarray) -> np.ndarray:
        """The nearest whole number of steps to each number, as float64."""
        per_unit = self._steps_per_unit
        x = np.asarray(x, "float64") - self.offset
        return np.rint(x * per_unit if per_unit else x / self.step)

    def from_ticks(self, ticks: np.ndarray) -> np.ndarray:
        """The numbers of so many steps: int64, or float64 where they are not whole."""
        ticks = np.asarray(ticks)
        if float(self.step).is_integer() and float(self.offset).is_integer():
            return ticks * int(self.step) + int(self.offset)
        # 3 / 10 is the float 0.3; 3 * 0.1 is not.
        x = ticks / self._steps_per_unit if self._steps_per_unit else ticks * self.step
        return x + self.offset

    def is_on_grid(self, x: np.ndarray | float, eps: float = 2.3e-16) -> np.ndarray:
        """Whether each number is on the grid, up to the rounding of its float.

        Args:
            x: numbers.
            eps: the relative precision that they were stored in.
        """
        x = np.asarray(x, "float64")
        error = np.abs(x - self.from_ticks(self.to_ticks(x)))
        return error <= 1e-6 * self.step + 2 * eps * (np.abs(x) + abs(self.offset))

    @property
    def _steps_per_unit(self) -> int:
        """1 / step where that is whole, else 0."""
        per_unit = 1 / self.step
        return round(per_unit) if abs(per_unit - round(per_unit)) < 1e-9 * per_unit else 0


@dataclasses.dataclass(frozen=True)
class Coded(Column):
    """A column with finitely many values, whose cells are codes."""

    values: Sequence[Any]

    def __post_init__(self):
        super().__post_init__()
        values = self.values
        if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray):
            self._refuse("`values` to be a list", values)
        values = tuple(map(_plain, values))
        for value in values:
            if not isinstance(value, str | bool | int | float) or value != value:
                self._refuse("`values` to be strings or numbers", value)
        if not values:
            self._refuse("`values` to hold at least one value", values)
        if len(set(values)) < len(values):
            twice = next(v for i, v in enumerate(values) if v in values[:i])
            self._refuse("`values` that differ", f"{twice!r} twice")
        self._set(values=values)

    @property
    def num_codes(self) -> int:
        """How many codes there are, without "missing"."""
        return len(self.values)

    def code_of(self, value: Any) -> int:
        """The code of a value, which may be text for a number; -1 where there is none."""
        value = _plain(value)
        code = self._codes.get(value)
        return self._codes.get(_key(value), -1) if code is None else code

    @functools.cached_property
    def _codes(self):
        codes = {_key(value): code for code, value in enumerate(self.values)}
        return codes | {value: code for code, value in enumerate(self.values)}


@dataclasses.dataclass(frozen=True)
class Ordinal(Coded):
    """One of several levels that have an order, with a probability mass.

    Attributes:
        values: the levels as they stand in the data, smallest first: strings or numbers.
    """


@dataclasses.dataclass(frozen=True)
class Category(Coded):
    """One of several names that have no order, with a probability mass.

    Attributes:
        values: the names, as they stand in the data.
        other: whether values that are not among them are allowed. They share one probability mass,
            and come back as "(other)".
    """

    other: bool = False

    @property
    def num_codes(self) -> int:
        """How many codes there are, without "missing"."""
        return len(self.values) + self.other

    def code_of(self, value: Any) -> int:
        """The code of a value, which may be text for a number; -1 where there is none."""
        code = super().code_of(value)
        return len(self.values) if code < 0 and self.other else code


@dataclasses.dataclass(frozen=True)
class Boolean(Coded):
    """One of two values, with a probability mass.

    Attributes:
        values: the two as they stand in the data, such as ("no", "yes").
    """

    values: Sequence[Any] = (False, True)

    def __post_init__(self):
        super().__post_init__()
        if len(self.values) != 2:
            self._refuse("two `values`", self.values)


@dataclasses.dataclass(frozen=True)
class Datetime(Column):
    """A date or time, with a probability mass per tick.

    Times with a zone are converted to UTC. pandas before 3 parses text from 1677 to 2262 only.

    Attributes:
        unit: of a tick: "D", "h", "m", "s", "ms", "us" or "ns".
        format: of dates that are text, as `strftime` has it; None for ISO 8601.
        low, high: the first and the last tick, as ISO 8601 text; None where there is no bound.
    """

    unit: str = "D"
    format: str | None = None
    low: str | None = None
    high: str | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.unit not in DATETIME_UNITS:
            self._refuse(f"`unit` to be one of {list(DATETIME_UNITS)}", self.unit)
        for name in ("low", "high"):
            bound = getattr(self, name)
            if isinstance(bound, datetime.date):  # as YAML reads it
                bound = bound.isoformat()
            if bound is not None:
                try:
                    tick = np.datetime64(bound).astype(f"datetime64[{self.unit}]")
                except (TypeError, ValueError):
                    self._refuse(f"`{name}` to be a date such as 2024-12-31, or null", bound)
                self._set(**{name: str(tick)})
        low, high = self.bounds
        if low is not None and high is not None and low > high:
            self._refuse("`low` <= `high`", (self.low, self.high))

    @property
    def bounds(self) -> tuple[int | None, int | None]:
        """The first and the last tick since 1970-01-01, or None."""
        low, high = (
            None if bound is None else int(np.datetime64(bound, self.unit).astype("int64"))
            for bound in (self.low, self.high)
        )
        return low, high


def _plain(value):
    return value.item() if isinstance(value, np.generic) else value


def _is_number(value):
    return (
        isinstance(value, int | float | np.number)
        and not isinstance(value, bool)
        and math.isfinite(value)
    )


def _key(value):
    """What text and the value that it says have in common: "1", "1.0", 1 and 1.0; "true", True."""
    text = str(value).strip()
    try:
        return "number", float(text)
    except ValueError:
        return "text", text.lower() if text.lower() in ("true", "false") else text
