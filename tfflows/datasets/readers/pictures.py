"""Picture files as arrays of uint8, whose sizes are read before their pixels."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfflows.utils.damage import damage_named

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg")
# Modes of Pillow with at most 8 bits per channel; it would cut off the others' upper bits.
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


def picture_size(path: Path) -> tuple[int, int]:
    """Height and width of a picture, without reading its pixels.

    Raises:
        ValueError: it is no picture, or one of more than 89 million pixels (Pillow's limit).
    """
    with _opened(path) as picture:
        return picture.height, picture.width


def read_picture(
    path: Path, size: tuple[int, int] | None = None, grayscale: bool = False
) -> np.ndarray:
    """uint8 `[height, width, 1 or 3]` of a .png or .jpg file; transparency is left out.

    Args:
        path: the file.
        size: height and width to resize to by Lanczos' filter, or None.
        grayscale: whether to make one channel, by Pillow's weights, instead of red, green, blue.

    Raises:
        ValueError: it is no picture, damaged, too large, or of more than 8 bits per channel.
    """
    from PIL.Image import Resampling

    with _opened(path) as picture:
        if picture.mode not in _MODES:
            raise ValueError(
                f"Expected {path} to have at most 8 bits per channel. Received: a picture of mode "
                f"{picture.mode!r}"
            )
        with damage_named(path):
            pixels = picture.convert("L" if grayscale else "RGB")
            if size is not None and (pixels.height, pixels.width) != size:
                pixels = pixels.resize((size[1], size[0]), Resampling.LANCZOS)
            return np.asarray(pixels, "uint8").reshape(pixels.height, pixels.width, -1)


@contextlib.contextmanager
def _opened(path) -> Iterator["Image"]:
    from PIL import Image

    with contextlib.ExitStack() as stack:
        with damage_named(path, "is not a picture that can be read"), warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = stack.enter_context(Image.open(path, formats=("PNG", "JPEG")))
        yield picture
