"""Where models come from: a path, the wheel, the cache, a URL; in this order."""

import importlib.resources
import os
import re
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import quote

from tfflows.utils.cache import cache_root
from tfflows.utils.suggest import nearest
from tfflows.zoo.download import NotServed, download
from tfflows.zoo.model_card import CARD, NAME, Card, check_files, read_card

WHEEL = Path(str(importlib.resources.files("tfflows.zoo.data")))


def cache_folder() -> Path:
    """Where downloaded models are kept: TFFLOWS_CACHE, or ~/.cache/tfflows."""
    return cache_root() / "zoo"


def is_model(folder: Path) -> bool:
    """Whether a folder is meant to be a model of a zoo, whole or not."""
    return any((folder / name).is_file() for name in (CARD, "config.json", "model.weights.h5"))


def list_models(pattern: str = "*") -> list[str]:
    """Sorted names of the models that the wheel carries or the cache holds.

    Args:
        pattern: a shell's pattern, such as "glow-*".
    """
    folders = [*WHEEL.glob("*"), *cache_folder().glob("*/*")]
    # A hidden folder is one that is being written.
    names = {f.name for f in folders if is_model(f) and not f.name.startswith(".")}
    return sorted(name for name in names if fnmatchcase(name, pattern))


def find(reference: str | Path) -> Path:
    """The folder of a model, downloaded if it is not here, its card and files checked.

    Args:
        reference: the name of a model that the wheel carries, that is in the cache or at the base
            TFFLOWS_ZOO, if that is set; the path of a model's folder, which is a `Path` or a text
            with a slash, such as "./glow-mnist"; or a URL, "https://host/base/name" or
            "hf://owner/repo/name". A text may end with "#sha256=" and the card's hash to take no
            other model than that.

    Raises:
        FileNotFoundError: the model does not exist; the nearest names are shown.
        OSError: the model could not be downloaded, or not be written to the cache.
        ValueError: a file is not the one that the card describes, the card is not whole or that of
            another model, or the hash after "#" is not one.
    """
    if isinstance(reference, Path):
        where, sha256, is_path = str(reference), None, True
    else:
        where, sha256 = _split_pin(reference)
        is_path = "://" not in where and ("/" in where or os.sep in where)
    if is_path:
        folder, name = _local(Path(where)), None
    else:
        folder = _cached(where, sha256) if "://" in where else _named(where, sha256)
        name = where.rstrip("/").rpartition("/")[2]
    try:
        found = read_card(folder, sha256)
        if name not in (None, found.name):  # a path is what it is; a name says which model it is
            raise ValueError(f"{folder} is not {name}: its card is that of {found.name}")
        check_files(folder, found)
    except ValueError as error:
        hint = ". Remove the folder to have it downloaded again"
        raise ValueError(f"{error}{hint if cache_folder() in folder.parents else ''}") from error
    return folder


def card(name: str | Path) -> Card:
    """What is known of a model of the zoo; its files are checked as by `load`."""
    return read_card(find(name))


def _split_pin(reference):
    """A reference without its pin, and the hash that it is pinned to, or None."""
    where, sign, pin = reference.partition("#")
    if not sign:
        return where, None
    sha256 = pin.removeprefix("sha256=").lower()
    if not pin.startswith("sha256=") or not re.fullmatch("[0-9a-f]{64}", sha256):
        raise ValueError(
            "Expected a model to be pinned by #sha256= and the 64 hex digits of its card. "
            f"Received: {reference!r}"
        )
    return where, sha256


def _local(path):
    """A folder given by its path."""
    if is_model(path):
        return path
    if path.is_dir():
        raise ValueError(f"{path} is not a model of a zoo: it has no {CARD}")
    raise FileNotFoundError(f"There is no model of a zoo at {path}")


def _named(name, sha256):
    is_name = re.fullmatch(NAME, name)
    if is_name and is_model(WHEEL / name):
        return WHEEL / name
    base = os.environ.get("TFFLOWS_ZOO")
    is_here = f"; the folder here is ./{name}, with a slash" if is_model(Path(name)) else ""
    unknown = FileNotFoundError(
        f"There is no model {name!r} in the zoo{is_here or nearest(name, list_models())}; "
        f"there are {list_models()}{f' and those at {base}' if base else ''}"
    )
    if not is_name:
        raise unknown
    if base:
        try:
            return _cached(f"{base.rstrip('/')}/{name}", sha256)
        except NotServed as error:
            raise unknown from error
    found = sorted(path for path in cache_folder().glob(f"*/{name}") if is_model(path))
    if not found:
        raise unknown
    if len(found) > 1:
        raise ValueError(
            f"The cache has more than one model {name!r}: give one of the folders "
            f"{[str(path) for path in found]}"
        )
    return found[0]


def _cached(url, sha256):
    """The folder in the cache of the model at a URL, which is downloaded if it is not there."""
    base, _, name = url.rstrip("/").rpartition("/")
    if not re.fullmatch(NAME, name):
        raise ValueError(f"A URL of a model ends with its name. Received: {url}")
    folder = cache_folder() / quote(base, safe="") / name
    if not is_model(folder):
        download(base, name, folder, sha256)
    return folder
