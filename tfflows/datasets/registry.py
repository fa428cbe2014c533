"""Which module loads a dataset of a given name."""

import importlib
import inspect
from collections.abc import Callable

from tfflows.datasets.sets.embedded import NAMES as EMBEDDED
from tfflows.datasets.user_file import is_file_name, load_file
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


def find_loader(name: str) -> Callable | None:
    """The function that loads the arrays of a name or path, or None for a TFDS dataset."""
    if name in _LOADERS:
        module, function = _LOADERS[name]
        return getattr(importlib.import_module(f"tfflows.datasets.sets.{module}"), function)
    return load_file if is_file_name(name) else None


def check_options(name: str, loader: Callable, options: dict) -> None:
    """ValueError for options that this dataset does not take."""
    known = list(inspect.signature(loader).parameters)[3:]
    for option in options:
        if option not in known:
            hint = nearest(option, known)
            raise ValueError(f"{name} has no option {option!r} among {known}{hint}")
