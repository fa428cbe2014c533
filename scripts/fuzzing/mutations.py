"""Random damage to the bytes of a file."""

from collections.abc import Callable

import numpy as np

_NUMBERS = (
    b"1e999", b"nan", b"-inf", b"-1", b"0", b"9" * 400, b"9" * 5000, b"18446744073709551616",
    b"1_0", b"0x1f", b"1e-400", b"0.5", b"",
)  # fmt: skip
_TOKENS = (
    b"\x00", b'"', b"'", b",", b"\n", b"\r\n", b"\t", b":", b": ", b"- ", b"[", b"]", b"{", b"}",
    b"[" * 3000, b"{a: " * 500, b"&a ", b"*a", b"<<: *a", b"!!python/name:os.system ", b"!!binary ",
    b"!!set ", b"%YAML 1.1\n", b"---\n", b"#", b"|\n", b"? ", b"\xff\xfe", b"\xef\xbb\xbf",
    b"\xed\xa0\x80", b"2001-13-45", b"true", b"null", b"=", b"a" * 70_000, b"," * 3000,
)  # fmt: skip
_INTEGERS = (0, 1, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1)


def damage(content: bytes, rng: np.random.Generator, is_text: bool) -> bytes:
    """The content after up to three random changes."""
    data = bytearray(content)
    changes = _TEXT if is_text else _BINARY
    for _ in range(rng.integers(0, 4)):
        place = int(rng.integers(0, len(data) + 1))
        changes[rng.integers(len(changes))](data, place, rng)
    return bytes(data)


def _flip(data, place, rng):
    for i in range(place, min(place + int(rng.integers(1, 9)), len(data))):
        data[i] ^= int(rng.integers(1, 256))


def _insert_noise(data, place, rng):
    data[place:place] = rng.bytes(int(rng.integers(1, 64)))


def _delete(data, place, rng):
    del data[place : place + int(rng.integers(1, max(2, len(data) // 4)))]


def _repeat(data, place, rng):
    part = data[place : place + int(rng.integers(1, 200))]
    data[place:place] = part * int(rng.integers(1, 20))


def _cut(data, place, rng):
    del data[place:]


def _move(data, place, rng):
    part = data[place : place + int(rng.integers(1, 100))]
    to = int(rng.integers(0, len(data) + 1))
    data[to : to + len(part)] = part


def _integer(data, place, rng):
    width = int(rng.choice([1, 2, 4, 8]))
    value = _INTEGERS[rng.integers(len(_INTEGERS))] % 256**width
    data[place : place + width] = value.to_bytes(width, str(rng.choice(["little", "big"])))


def _token(data, place, rng):
    data[place:place] = _TOKENS[rng.integers(len(_TOKENS))]


def _number(data, place, rng):
    """Put another number where the next one stands."""
    start = place
    while start < len(data) and not chr(data[start]).isdigit():
        start += 1
    end = start
    while end < len(data) and (chr(data[end]).isdigit() or data[end] == ord(".")):
        end += 1
    data[start:end] = _NUMBERS[rng.integers(len(_NUMBERS))]


Change = Callable[[bytearray, int, np.random.Generator], None]
_BINARY: tuple[Change, ...] = (_flip, _flip, _insert_noise, _delete, _repeat, _cut, _move, _integer)
_TEXT: tuple[Change, ...] = (_flip, _delete, _repeat, _cut, _move, _token, _token, _number, _number)
