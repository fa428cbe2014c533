"""Version folders of a served model: models/moons/1, models/moons/2, ..."""

from pathlib import Path


def next_version(path: Path) -> Path:
    """The version folder to write: `path` if that is a number, else the next one in `path`.

    Raises:
        FileExistsError: the version is there already, or `path` is a file.
    """
    if path.exists() and not path.is_dir():
        raise FileExistsError(f"A SavedModel is a folder. Received: {path}, which is a file")
    if path.name.isdigit():
        if path.exists():
            raise FileExistsError(
                f"{path} exists, and a served version is never replaced. Choose another version, "
                f"or pass {path.parent} for the next one"
            )
        return path
    versions = [int(p.name) for p in path.glob("*") if p.name.isdigit()] if path.exists() else []
    return path / str(max(versions, default=0) + 1)


def latest_version(path: Path) -> Path:
    """The folder of a SavedModel: `path` itself, or its version of the highest number.

    Raises:
        FileNotFoundError: there is none.
    """
    if (path / "saved_model.pb").exists():
        return path
    versions = [p for p in path.glob("*/saved_model.pb") if p.parent.name.isdigit()]
    if not versions:
        raise FileNotFoundError(f"There is no SavedModel and no run's best.keras in {path}")
    return max(versions, key=lambda p: int(p.parent.name)).parent
