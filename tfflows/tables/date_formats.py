"""Which format the dates of a column have, and the coarsest unit that holds them."""

import datetime
import itertools
import re
from typing import Any

import numpy as np

from tfflows.tables.columns import DATETIME_UNITS
from tfflows.tables.dates import to_times

# Where two orders fit, the first one here is taken: the month before the day, as pandas does.
_DATES = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%m-%d-%Y"),
    *("%d-%m-%Y", "%d.%m.%y", "%m/%d/%y", "%d/%m/%y", "%d %b %Y", "%d %B %Y", "%d-%b-%Y"),
    *("%d-%b-%y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%d%b%Y"),
)
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_ISO_TIMES = ("T%H:%M", "T%H:%M:%S", "T%H:%M:%S.%f")
_ZONES = ("", "Z", "%z")
_BEGINNING = r"(\d{1,4}[-/. ]?(\d|[A-Za-z]{3})|[A-Z][a-z]{2,8} \d)[-/., \dA-Za-z]{2,}.{,30}$"


class Dates:
    """Of the dates in a column: formats that fit all texts, unit, range.

    Attributes:
        formats: those that fit all texts so far, the likeliest first; ISO 8601 in any precision is
            None. Empty where there is no such text.
        has_times: whether there were datetimes that are not text.
        low, high: of datetimes that are not text.
    """

    def __init__(self):
        self.formats: list[str | None] = []
        self.has_times = False
        self.low = self.high = np.datetime64("NaT")
        self._has_texts = False
        self._finest: dict[str | None, int] = {}

    def add_times(self, series: Any) -> None:
        """Add datetimes `[n]`."""
        times = to_times(series)
        times = times[~np.isnat(times)]
        if len(times):
            self.has_times = True
            self._add_unit("times", times)
            self.low = np.fmin(self.low, times.min())
            self.high = np.fmax(self.high, times.max())

    def add_texts(self, texts: np.ndarray) -> None:
        """Add texts, object `[n]`."""
        import pandas as pd

        if not self._has_texts:
            self._has_texts, self.formats = True, _candidates(str(texts[0]).strip())
        texts = np.array([text.strip() for text in texts], object)
        for format in list(self.formats):
            # Most formats that do not fit fail on the first rows.
            for part in (texts[:20], texts):
                times = to_times(pd.Series(part), format)
                if np.isnat(times).any():
                    self.formats.remove(format)
                    break
            else:
                self._add_unit(format, times)

    def unit(self, format: str | None = "times") -> str:
        """The coarsest unit that holds all of them."""
        return DATETIME_UNITS[self._finest.get(format, 0)]

    def _add_unit(self, format, times):
        place = self._finest.get(format, 0)
        while np.any(times.astype(f"datetime64[{DATETIME_UNITS[place]}]") != times):
            place += 1
        self._finest[format] = place


def _candidates(text):
    """The formats that fit one text."""
    if not re.match(_BEGINNING, text):
        return []
    is_iso = "T" in text
    formats = []
    for date, time, zone in itertools.product(
        _DATES[: 3 if is_iso else None], _ISO_TIMES if is_iso else _TIMES, _ZONES
    ):
        format = date + time + zone * bool(time)
        has_offset = re.search(r"[+-]\d\d:?\d\d$", text) is not None and ":" in text
        if has_offset != (zone == "%z"):
            continue
        if not has_offset and any(format.count(mark) != text.count(mark) for mark in ":/,."):
            continue
        try:
            datetime.datetime.strptime(text, format)
        except ValueError:
            continue
        formats.append(format)
    if re.match(r"\d{4}-\d\d-\d\d", text):
        formats.append(None)
    return list(dict.fromkeys(formats))
