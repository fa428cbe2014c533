"""Kinds of files to damage: how a good one is made, and what reads it.

Another kind is a class here, registered by `@kind(name)`: `make` gives the bytes of a damaged file,
and `read` reads a path, in the worker. `read` may raise ValueError or OSError that name the path.
"""

import contextlib
import functools
import io
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from fuzzing.mutations import damage


class Kind(Protocol):
    """A kind of files."""

    suffix: str

    def make(self, rng: np.random.Generator) -> bytes:
        """A damaged file."""
        ...

    def read(self, path: Path) -> None:
        """Read it as users' commands do."""
        ...


KINDS: dict[str, Kind] = {}


def kind(name: str) -> Callable:
    """Register a class of kinds by its name on the command line."""

    def register(cls):
        KINDS[name] = cls()
        return cls

    return register


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _read_all(path: Path, readers: Sequence[Callable[[], object]]) -> None:
    """Call each; ValueError or OSError where all refuse the file, or one without its name."""
    errors = []
    for read in readers:
        try:
            with _quiet():
                read()
        except (ValueError, OSError) as error:
            if path.name not in str(error):
                raise
            errors.append(error)
    if len(errors) == len(readers):
        raise errors[0]


def _readers(path, options):
    """The ways to read a table."""
    from tfflows import datasets

    def stream():
        for part in datasets.stream_table(path):
            if not np.isfinite(part).all():
                raise RuntimeError("a value that is not finite came through")

    def load(choice):
        rows, info = datasets.load_rows(path, "train", **choice)
        x = np.asarray(rows.x[:10])
        if x.shape[1:] != info.event_shape:
            raise RuntimeError(f"rows of {x.shape[1:]}, described as {info.event_shape}")

    return [stream, *(functools.partial(load, choice) for choice in options)]


def _rows(rng):
    return rng.normal(size=(int(rng.integers(2, 90)), 3))


@kind("csv")
class Csv:
    """Tables of words and numbers."""

    suffix = ".csv"

    def make(self, rng):
        rows = _rows(rng)
        words = rng.choice(["dog", "cat", "3"], len(rows))
        lines = [f"{a:.9g},{b:.9g},{c:.3g},{k}" for (a, b, c), k in zip(rows, words, strict=True)]
        head = ["a,b,c,kind"] if rng.uniform() < 0.8 else []
        if rng.uniform() < 0.5:
            lines = [line.rpartition(",")[0] for line in lines]
            head = [line.rpartition(",")[0] for line in head]
        return damage("\n".join([*head, *lines]).encode(), rng, rng.uniform() < 0.8)

    def read(self, path):
        _read_all(path, _readers(path, [{}, {"missing": "drop"}, {"label": -1}]))


@kind("parquet")
class Parquet:
    """Tables of four types, with and without compression."""

    suffix = ".parquet"

    def make(self, rng):
        import pyarrow as pa
        import pyarrow.parquet

        rows = _rows(rng)
        columns = {
            "a": rows[:, 0],
            "b": rows[:, 1].astype("float32"),
            "i": rng.integers(0, 9, len(rows)),
            "s": rng.choice(["dog", "cat"], len(rows)),
        }
        kept = [name for name in columns if rng.uniform() < 0.8] or ["a"]
        file = io.BytesIO()
        pa.parquet.write_table(
            pa.table({name: columns[name] for name in kept}),
            file,
            compression=str(rng.choice(["none", "snappy", "zstd", "gzip"])),
            use_dictionary=bool(rng.uniform() < 0.5),
        )
        return damage(file.getvalue(), rng, False)

    def read(self, path):
        _read_all(path, _readers(path, [{}, {"label": -1, "missing": "drop"}]))


def _npy_bytes(rng, damaged=True):
    shape = [(9,), (20, 3), (5, 4, 3), (5, 4, 4, 1)][rng.integers(4)]
    dtype = str(rng.choice(["<f8", ">f4", "u1", "i8", "f2", "?", "U3", "c16", "f16"]))
    array = (100 * rng.normal(size=shape)).astype(dtype)
    file = io.BytesIO()
    np.save(file, np.asfortranarray(array) if rng.uniform() < 0.3 else array)
    content = file.getvalue()
    if not damaged:
        return content
    if rng.uniform() < 0.6:  # the header is what can lie
        return damage(content[:128], rng, bool(rng.uniform() < 0.6)) + content[128:]
    return damage(content, rng, False)


@kind("npy")
class Npy:
    """Arrays of many types and shapes."""

    suffix = ".npy"

    def make(self, rng):
        return _npy_bytes(rng)

    def read(self, path):
        _read_all(path, _readers(path, [{}, {"missing": "drop"}, {"label": 0}]))


@kind("npz")
class Npz:
    """Archives of arrays, of which some are damaged within."""

    suffix = ".npz"

    def make(self, rng):
        file = io.BytesIO()
        methods = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2]
        with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as archive:
            warnings.simplefilter("ignore")  # of names that come twice
            for name in rng.choice(["x", "y", "x_train", "x_test"], int(rng.integers(1, 3))):
                method = methods[rng.integers(4)]
                content = _npy_bytes(rng, damaged=rng.uniform() < 0.3)
                archive.writestr(f"{name}.npy", content, compress_type=method)
        # A sum in the archive finds damage outside; damage within the arrays passes it.
        return damage(file.getvalue(), rng, False) if rng.uniform() < 0.5 else file.getvalue()

    def read(self, path):
        choices = [{}, {"array": "x"}, {"array": "y", "missing": "drop"}, {"label": "y"}]
        _read_all(path, _readers(path, choices))


@kind("picture")
class Picture:
    """Pictures of several formats and modes."""

    suffix = ".png"

    def make(self, rng):
        from PIL import Image

        file = io.BytesIO()
        mode = str(rng.choice(["L", "RGB", "RGBA", "P", "1"]))
        image = Image.fromarray(rng.integers(0, 256, (8, 6, 3), "uint8")).convert(mode)
        if mode in ("L", "RGB") and rng.uniform() < 0.5:
            image.save(file, str(rng.choice(["JPEG", "GIF", "TIFF", "JPEG"])))
        else:
            image.save(file, "PNG")
        return damage(file.getvalue(), rng, False)

    def read(self, path):
        from tfflows.datasets.readers.pictures import picture_size, read_picture

        with _quiet():
            picture_size(path)
            read_picture(path)
            read_picture(path, (4, 4), grayscale=True)


_RECIPE = b"""\
format: 2
name: small
seed: 3
data: {name: table.csv, options: {columns: [0, 1], validation: 0.2, seed: 1, exclude: []}}
preprocessing: [Standardize, {Logit: {alpha: 0.05}}, {RadialGaussianize: {num_bins: 16}}]
model:
  name: ffjord
  arguments:
    network: {DynamicsMLP: {hidden_units: [8, 8]}}
    solver: {FixedStep: {method: rk4, num_steps: 8}}
base: {name: diagonal-normal}
optimizer: {name: adam, learning_rate: 2e-3, schedule: cosine, arguments: {beta_1: 0.9}}
training: {epochs: 2, batch_size: 250, early_stopping: 10}
backend: {jit: false}
"""


@kind("recipe")
class Recipe:
    """A recipe, and the table that it names."""

    suffix = ".yaml"

    def make(self, rng):
        return damage(_RECIPE, rng, rng.uniform() < 0.9)

    def read(self, path):
        from tfflows.runs import read_recipe
        from tfflows.runs.data import load_split

        recipe = read_recipe(path)
        table = path.parent / "table.csv"
        if not table.exists():
            x = np.random.default_rng(0).normal(size=(40, 3))
            np.savetxt(table, x, "%.6g", ",", header="a,b,c", comments="")
        if recipe.data.name == "table.csv":
            try:
                with _quiet():
                    load_split(recipe, "train", str(path.parent))
            except (ValueError, OSError) as error:
                if "table.csv" in str(error):
                    raise ValueError(f"{path.name}: {error}") from error
                raise


@kind("hdf5")
class Hdf5:
    """The archive of patches that `bsds300` reads."""

    suffix = ".hdf5"

    def make(self, rng):
        import h5py

        file = io.BytesIO()
        chunks = (4, 63) if rng.uniform() < 0.5 else None
        with h5py.File(file, "w", track_order=False) as archive:
            for split in ("train", "validation", "test"):
                x = rng.normal(size=(8, 63)).astype("float32")
                archive.create_dataset(split, data=x, chunks=chunks, compression=chunks and "gzip")
        return damage(file.getvalue(), rng, False)

    def read(self, path):
        from tfflows import datasets

        folder = path.parent / "BSDS300"
        folder.mkdir(exist_ok=True)
        path.replace(folder / "BSDS300.hdf5")
        try:
            datasets.load_rows("bsds300", "train", data_dir=str(path.parent))
        except (ValueError, OSError) as error:
            if "BSDS300.hdf5" in str(error):
                raise ValueError(f"{path.name}: {error}") from error
            raise
