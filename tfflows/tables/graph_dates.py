"""Dates between text and ticks since 1970-01-01 in a TensorFlow graph, which has no strptime.

Days and dates by the arithmetic of Hinnant (2013), "chrono-compatible low-level date algorithms",
https://howardhinnant.github.io/date_algorithms.html: of whole numbers, so that each function takes
integers, arrays and tensors.
"""

import re
from typing import Any, NamedTuple

import tensorflow as tf

from tfflows.backend.tensor_ops import Tensor
from tfflows.tables.columns import Datetime

_SECONDS = {"D": 86_400, "h": 3_600, "m": 60, "s": 1}
_PER_SECOND = {"ms": 10**3, "us": 10**6, "ns": 10**9}
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
# What a part of a format matches.
_PATTERNS = {
    "Y": r"(\d{4})",
    "y": r"(\d{2})",
    "f": r"(\d{1,9})",
    "b": "([A-Za-z]{3})",
    "B": "([A-Za-z]+)",
    "p": "([AaPp][Mm])",
    "z": r"(Z|[+-]\d\d(?::?\d\d)?)",
    **dict.fromkeys("mdHIMS", r"(\d{1,2})"),
}
_ISO = (
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?)?"
    r"(Z|[+-]\d\d(?::?\d\d)?)?"
)
_ISO_FORMATS = {
    "D": "%Y-%m-%d",
    "h": "%Y-%m-%dT%H",
    "m": "%Y-%m-%dT%H:%M",
    "s": "%Y-%m-%dT%H:%M:%S",
    **{unit: f"%Y-%m-%dT%H:%M:%S.%{len(str(per)) - 1}f" for unit, per in _PER_SECOND.items()},
}


class ParsedDates(NamedTuple):
    """Dates from text.

    Attributes:
        ticks: int64 `[n]`.
        is_date: bool `[n]`, whether the text is a date of the format.
        is_whole: bool `[n]`, whether it is no finer than the unit.
    """

    ticks: Any
    is_date: Any
    is_whole: Any


def check_format(column: Datetime) -> None:
    """Raise ValueError where the format has a part that is not computed here."""
    for part in re.findall(r"%(.)", column.format or ""):
        if part != "%" and part not in _PATTERNS:
            raise ValueError(
                f"Column {column.name!r}: a SavedModel reads dates in formats of "
                f"{['%' + known for known in _PATTERNS]}. Received: '%{part}' in {column.format!r}"
            )


def days_from_date(year: Any, month: Any, day: Any) -> Any:
    """Days since 1970-01-01 of a date of the Gregorian calendar."""
    year = year - (14 - month) // 12  # years begin in March, so that leap days come last
    era = year // 400
    year_of_era = year - era * 400
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return (
        (era * 146_097 + 365 * year_of_era + year_of_era // 4 - year_of_era // 100)
        + day_of_year
        - 719_468
    )


def date_from_days(days: Any) -> tuple[Any, Any, Any]:
    """Year, month and day of days since 1970-01-01."""
    days = days + 719_468
    era = days // 146_097
    day = days - era * 146_097
    year = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    day_of_year = day - (365 * year + year // 4 - year // 100)
    month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month + 2) // 5 + 1
    return year + era * 400 + month // 10, (month + 2) % 12 + 1, day


def parse_dates(column: Datetime, texts: Tensor) -> ParsedDates:
    """Ticks of texts `[n]` in the column's format, or ISO 8601; times with a zone as UTC."""
    if column.format is None:
        pattern, parts = _ISO, "YmdHMSfz"
    else:
        pattern, parts = _pattern(column.format)
    is_date = tf.strings.regex_full_match(texts, pattern)

    def group(part):
        number = parts.find(part) + 1
        if not number:
            return tf.fill(tf.shape(texts), "")
        found = tf.strings.regex_replace(texts, f"^{pattern}$", rf"\{number}")
        return tf.where(is_date, found, "")

    year = _year(group, parts)
    month, is_month = _month(group, parts)
    day = _number(group("d"), 1)
    days = days_from_date(year, month, day)
    back = date_from_days(days)
    is_date &= is_month & (month >= 1) & (month <= 12) & (back[1] == month) & (back[2] == day)
    hour, minute, second = _hour(group, parts), _number(group("M")), _number(group("S"))
    is_date &= (hour >= 0) & (hour < 24) & (minute < 60) & (second < 60)
    nanoseconds = _number(tf.strings.substr(tf.strings.join([group("f"), "0" * 9]), 0, 9))
    seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - _offset(group("z"))
    if column.unit in _SECONDS:
        size = _SECONDS[column.unit]
        whole = (seconds % size == 0) & (nanoseconds == 0)
        return ParsedDates(seconds // size, is_date, whole)
    per = _PER_SECOND[column.unit]
    size = 10**9 // per
    return ParsedDates(seconds * per + nanoseconds // size, is_date, nanoseconds % size == 0)


def _pattern(format):
    """The regular expression of a format, and the parts of its groups in order."""
    pattern, parts = "", ""
    for text, part in re.findall(r"([^%]+)|%(.)", format):
        if text or part == "%":
            pattern += re.escape(text or "%")
        else:
            pattern += _PATTERNS[part]
            parts += part
    return pattern, parts


def _number(texts, default=0):
    return tf.strings.to_number(tf.where(texts == "", str(default), texts), tf.int64)


def _year(group, parts):
    if "Y" in parts:
        return _number(group("Y"), 1970)
    year = _number(group("y"), 70)
    return year + tf.where(year < 69, tf.constant(2000, tf.int64), tf.constant(1900, tf.int64))


def _month(group, parts):
    """Numbers, and whether there is such a month."""
    if "m" in parts or not set("bB") & set(parts):
        month = _number(group("m"), 1)
        return month, tf.ones_like(month, tf.bool)
    part = "b" if "b" in parts else "B"
    names = [name.lower()[: 3 if part == "b" else None] for name in _MONTHS]
    is_name = tf.strings.lower(group(part))[:, None] == tf.constant(names)
    return tf.argmax(is_name, axis=1) + 1, tf.reduce_any(is_name, axis=1)


def _hour(group, parts):
    if "I" not in parts:
        return _number(group("H"))
    hour = _number(group("I"), 12)
    is_pm = tf.strings.lower(group("p")) == "pm"
    twelve = tf.cast(is_pm, tf.int64) * 12
    return tf.where((hour >= 1) & (hour <= 12), hour % 12 + twelve, tf.constant(-1, tf.int64))


def _offset(zones):
    """Seconds that local time is ahead of UTC."""
    zones = tf.where((zones == "") | (zones == "Z"), "+0000", zones)
    zones = tf.strings.regex_replace(tf.strings.join([zones, "00"]), ":", "")
    hours, minutes = (_number(tf.strings.substr(zones, start, 2)) for start in (1, 3))
    sign = tf.where(tf.strings.substr(zones, 0, 1) == "-", -1, 1)
    return tf.cast(sign, tf.int64) * (hours * 3_600 + minutes * 60)


def format_dates(column: Datetime, ticks: Tensor) -> Tensor:
    """Texts of ticks int64 `[n]` in the column's format, or ISO 8601 of its unit."""
    if column.unit in _SECONDS:
        seconds, nanoseconds = ticks * _SECONDS[column.unit], tf.zeros_like(ticks)
    else:
        per = _PER_SECOND[column.unit]
        seconds, nanoseconds = ticks // per, ticks % per * (10**9 // per)
    days, second = seconds // 86_400, seconds % 86_400
    year, month, day = date_from_days(days)
    hour, minute, second = second // 3_600, second // 60 % 60, second % 60
    months = tf.constant(_MONTHS)

    def text(part, digits):
        padded = {
            "Y": (year, 4), "y": (year % 100, 2), "m": (month, 2), "d": (day, 2), "H": (hour, 2),
            "I": ((hour + 11) % 12 + 1, 2), "M": (minute, 2), "S": (second, 2),
            "f": (nanoseconds // 10 ** (9 - digits), digits),
        }  # fmt: skip
        if part in padded:
            number, width = padded[part]
            return tf.strings.as_string(number, width=width, fill="0")
        if part == "p":
            return tf.where(hour < 12, "AM", "PM")
        if part == "z":
            return "+0000"
        name = tf.gather(months, month - 1)
        return tf.strings.substr(name, 0, 3) if part == "b" else name

    pieces = []
    format = column.format or _ISO_FORMATS[column.unit]
    for plain, digits, part in re.findall(r"([^%]+)|%(\d?)(.)", format):
        pieces.append(plain or ("%" if part == "%" else text(part, int(digits or 6))))
    return tf.strings.join(pieces)
