"""Version folders of a served model: models/moons/1, models/moons/2, ..."""

from pathlib import Path

from tfflows.utils.remote import exists, is_remote, names_in, remote_name


def next_version(path: str | Path) -> Path | str:
    """The version folder to write: `path` if that is a number, else the next one in `path`.

    Of a remote path (gs://, ...) it is a string.

    Raises:
        FileExistsError: the version is there already, or `path` is a file.
    """
    name = Path(path).name
    if not is_remote(path):
        path = Path(path)
    if isinstance(path, Path) and path.exists() and not path.is_dir():
        raise FileExistsError(f"A SavedModel is a folder. Received: {path}, which is a file")
    if name.isdigit():
        if exists(path):
            raise FileExistsError(
                f"{path} exists, and a served version is never replaced. Choose another version, "
                f"or pass {str(path).rstrip('/').removesuffix(name)} for the next one"
            )
        return path
    versions = [int(name) for name in names_in(path) if name.isdigit()]
    number = str(max(versions, default=0) + 1)
    return f"{remote_name(path).rstrip('/')}/{number}" if is_remote(path) else Path(path) / number


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
