"""What damaged and hostile files come to: one line that names the file and the place."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

# Deflate, which .npz and .png files use, makes at most 1,032 bytes of one.
_MAX_EXPANSION = 1100
_ALWAYS_ALLOWED_BYTES = 2**28


@contextlib.contextmanager
def damage_named(place: str | Path, fault: str = "is damaged") -> Iterator[None]:
    """ValueError "{place} {fault}: ..." for whatever a library raises over the content of a file.

    Libraries answer damaged bytes with many exceptions (zlib.error, struct.error, TypeError,
    RecursionError, ...), which mean the same to a user. Wrap calls of libraries only, because an
    own error would be renamed. A file that is missing or may not be read stays an OSError.
    """
    try:
        yield
    except (FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except MemoryError as error:
        raise MemoryError(
            f"{place} requires more memory than there is: {one_line(error)}"
        ) from error
    except Exception as error:
        raise ValueError(f"{place} {fault}: {one_line(error)}") from error


def check_expansion(place: str | Path, promised: int, held: int) -> None:
    """Refuse a compressed file that promises more bytes than compression can hold.

    Args:
        place: the file, for the message.
        promised: bytes that its content says it becomes.
        held: bytes of the file.

    Raises:
        ValueError: `promised` is above 256 MiB and above 1,100 times `held`.
    """
    if promised > max(_ALWAYS_ALLOWED_BYTES, _MAX_EXPANSION * held):
        raise ValueError(f"{place} is damaged: it promises {promised:,} bytes in {held:,}")


def one_line(error: BaseException, length: int = 200) -> str:
    """The message of an error, or its type, in one line of at most `length` characters."""
    return cut(" ".join(str(error).split()) or type(error).__name__, length)


def shortened(value: object, length: int = 60) -> str:
    """The repr of a value, cut off at `length` characters."""
    return cut(repr(value), length)


def cut(text: str, length: int = 200) -> str:
    """A text, cut off at `length` characters."""
    return text if len(text) <= length else f"{text[: length - 3]}..."
