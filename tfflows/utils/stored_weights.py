"""Weights in files, compared with a model before any is read.

Keras reads what a model asks for, and leaves the rest of a file without a word: the weights of a
deeper flow load into a shallower one, whose density is another. It allocates what a file declares.
"""

import contextlib
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import keras

from tfflows.utils.errors import first_paragraph, is_of_system
from tfflows.utils.sizes import MAX_EXPANSION, SLACK_BYTES

_OPTIMIZER = "optimizer/"  # a file may hold it beside a model that is not compiled


def check_stored_weights(model: keras.Model, filepath: str | Path) -> None:
    """See that a file has the weights of `model`: these, of these shapes, and no others.

    Args:
        model: a built model.
        filepath: a .weights.h5 file, or a .keras file. Others, which Keras reads as well, are not
            looked at.

    Raises:
        ValueError: a weight is left over, missing or of another shape; or the file declares more
            than it can hold.
    """
    with naming_file(filepath), _opened(filepath) as file:
        if file is None:
            return
        stored = _shapes(file)
    if sorted(stored.values()) == sorted(tuple(weight.shape) for weight in model.weights):
        return
    expected = _own_shapes(model)  # by name, as the model itself would be saved
    problems = {
        "left over": _layers(stored.keys() - expected.keys()),
        "missing": _layers(expected.keys() - stored.keys()),
        "of another shape": sorted(
            f"{name} {stored[name]} instead of {shape}"
            for name, shape in expected.items()
            if stored.get(name, shape) != shape
        ),
    }
    text = "; ".join(f"{kind}: {_some(names)}" for kind, names in problems.items() if names)
    if text:
        raise ValueError(
            f"{filepath} holds the weights of another model: Expected {len(expected)} weights of "
            f"{model.name}. Received: {len(stored)}, {text}"
        )


@contextlib.contextmanager
def naming_file(filepath: str | Path) -> Iterator[None]:
    """Turn what h5py and Keras raise for a damaged file into a ValueError that names it."""
    try:
        yield
    except Exception as error:
        if str(filepath) in str(error) or is_of_system(error):
            raise
        raise ValueError(
            f"{filepath} is not a readable file of weights: {first_paragraph(error)}"
        ) from error


@contextlib.contextmanager
def _opened(filepath) -> Iterator[h5py.File | None]:
    path = Path(filepath)
    if not path.is_file() or not path.name.endswith((".weights.h5", ".keras")):
        yield None  # what is remote or of another format is Keras' own business
    elif path.suffix == ".keras":
        with (
            zipfile.ZipFile(path) as archive,
            archive.open("model.weights.h5") as member,
            h5py.File(member) as file,
        ):
            yield file
    else:
        with h5py.File(path) as file:
            yield file


def _shapes(file) -> dict[str, tuple[int, ...]]:
    """Shapes of a model's own weights by their paths; no links to other files are followed."""
    shapes = {}

    def visit(name, item):
        if not isinstance(item, h5py.Dataset):
            return
        declared, held = item.size * item.dtype.itemsize, item.id.get_storage_size()
        if declared > MAX_EXPANSION * held + SLACK_BYTES:
            raise ValueError(
                f"{file.filename}: {name} declares {declared:,} bytes of shape {item.shape}. "
                f"Received: {held:,} bytes"
            )
        if not name.startswith(_OPTIMIZER):
            shapes[name] = tuple(item.shape)

    file.visititems(visit)
    return shapes


def _own_shapes(model):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "own.weights.h5"
        keras.Model.save_weights(model, path)
        with h5py.File(path) as file:
            return _shapes(file)


def _layers(names):
    return sorted({name.partition("/vars/")[0] for name in names})


def _some(names):
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
