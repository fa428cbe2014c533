"""Downloads of models: whole and of the right hashes, or not at all."""

import contextlib
import sys
import urllib.error
from pathlib import Path

from tfflows.utils.atomic import replaced_on_success
from tfflows.zoo.model_card import CARD, check_files, read_card

SCHEMES = ("https://", "http://", "hf://")


class NotServed(FileNotFoundError):
    """There is no model of that name at the base."""


def download(base: str, name: str, folder: Path, sha256: str | None = None) -> None:
    """Fetch the model `name` from a base into a new folder.

    The card comes first; every other file must be the one that it names. All stay in a temporary
    folder beside `folder` until they are checked.

    Args:
        base: "https://...", "http://..." or "hf://owner/repo", with or without a folder behind it.
        name: name of the model, a folder at the base.
        folder: where to put it; made here.
        sha256: the hash that the card must state, if it is known.

    Raises:
        NotServed: there is no card of that name at the base.
        OSError: the network, the server or the disk failed.
        ValueError: a file is not the one that was asked for.
    """
    url = f"{base}/{name}"
    if not base.startswith(SCHEMES):
        raise ValueError(f"A URL of a model begins with one of {SCHEMES}. Received: {url}")
    if base.startswith("hf://") and base.count("/") < 3:
        raise ValueError(f"A model of Hugging Face is at hf://owner/repo/name. Received: {url}")
    try:
        with replaced_on_success(folder) as temporary:
            temporary.mkdir()
            _fetch(base, name, CARD, temporary)
            card = read_card(temporary, sha256)
            if card.name != name:
                raise ValueError(f"{CARD} is the card of the model {card.name!r}")
            for file in card.files:
                _fetch(base, name, file, temporary)
            check_files(temporary, card)
    except ValueError as error:
        raise ValueError(f"{url} serves another file than was expected: {error}") from error
    except NotServed:
        raise
    except OSError as error:
        if not (folder / CARD).exists():  # or another process was quicker
            raise OSError(f"{url} could not be downloaded to {folder}: {error}") from error


def _fetch(base, name, file, folder):
    """Write one file of the model into `folder`."""
    url = f"{base}/{name}/{file}"
    if base.startswith("hf://"):
        owner, repo, *rest = base.removeprefix("hf://").split("/")
        path = "/".join([*rest, name, file])
        with contextlib.suppress(ImportError):
            from huggingface_hub import hf_hub_download  # pyright: ignore

            found = hf_hub_download(repo_id=f"{owner}/{repo}", filename=path)
            (folder / file).write_bytes(Path(found).read_bytes())
            return
        url = f"https://huggingface.co/{owner}/{repo}/resolve/main/{path}"
    import keras  # here, because only downloads need it

    try:
        with contextlib.redirect_stdout(sys.stderr):  # where Keras shows its progress
            keras.utils.get_file(file, url, cache_dir=folder, cache_subdir="", force_download=True)
    except OSError:
        raise
    except Exception as error:  # what Keras makes of a URLError
        cause = error.__context__
        if isinstance(cause, urllib.error.HTTPError) and cause.code == 404:
            kind = NotServed if file == CARD else OSError
            raise kind(f"There is no {url}") from error
        raise OSError(str(error)) from error
