"""Which module loads a dataset of a given name."""

import importlib
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfflows.datasets.image_folder import is_image_folder, load_image_folder
from tfflows.datasets.sets.embedded import NAMES as EMBEDDED
from tfflows.datasets.user_file import is_file_name, load_file
from tfflows.utils.damage import shortened
from tfflows.utils.suggest import nearest

# name: module and function (name, split, data_dir, **options) -> (x, class numbers or None,
# DatasetInfo); imported when the name is asked for.
_LOADERS = {
    **dict.fromkeys(EMBEDDED, ("embedded", "load_embedded")),
    **dict.fromkeys(
        ("power", "gas", "hepmass", "miniboone", "bsds300"), ("maf_archive", "load_maf")
    ),
    "bsds300_patches": ("bsds_patches", "load_bsds_patches"),
    "binarized_mnist": ("npz_images", "load_binarized_mnist"),
    "frey_faces": ("npz_images", "load_frey_faces"),
}
NAMES = tuple(_LOADERS)
# What messages call the types of options.
_WORDS = {
    bool: "true or false",
    float: "a finite number",
    int: "an integer",
    Path: "a path",
    str: "a word",
    types.NoneType: "null",
}


def find_loader(name: str, data_dir: str | None = None) -> Callable | None:
    """The function that loads the arrays of a name or path, or None for a TFDS dataset."""
    if name in _LOADERS:
        module, function = _LOADERS[name]
        return getattr(importlib.import_module(f"tfflows.datasets.sets.{module}"), function)
    if is_file_name(name):
        return load_file
    return load_image_folder if is_image_folder(name, data_dir) else None


def check_options(name: str, loader: Callable, options: Mapping[str, Any]) -> None:
    """ValueError for options that this dataset does not take, and for values of another type."""
    known = dict(list(inspect.signature(loader).parameters.items())[3:])
    for option, value in options.items():
        if option not in known:
            raise ValueError(
                f"{name} has no option {option!r} among {list(known)}{nearest(str(option), known)}"
            )
        annotation = known[option].annotation
        if not _fits(value, annotation):
            raise ValueError(
                f"{name}: the option {option} must be {_in_words(annotation)}. "
                f"Received: {shortened(value)}"
            )


def _fits(value, annotation) -> bool:
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        return any(_fits(value, kind) for kind in typing.get_args(annotation))
    if typing.get_origin(annotation) is Sequence:
        (kind,) = typing.get_args(annotation)
        return isinstance(value, list | tuple | np.ndarray) and all(_fits(v, kind) for v in value)
    if annotation is int:
        return isinstance(value, int | np.integer) and not isinstance(value, bool)
    if annotation is float:
        return _fits(value, int) or (
            isinstance(value, float | np.floating) and math.isfinite(value)
        )
    return isinstance(value, annotation)


def _in_words(annotation) -> str:
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        return " or ".join(_in_words(kind) for kind in typing.get_args(annotation))
    if typing.get_origin(annotation) is Sequence:
        return f"a list of ({_in_words(typing.get_args(annotation)[0])})"
    return _WORDS[annotation]
