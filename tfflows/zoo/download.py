"""Downloads of models: whole and of the right hashes, or not at all."""

import contextlib
import http.client
import shutil
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from tfflows.utils.atomic import replaced_on_success
from tfflows.zoo.model_card import CARD, MAX_CARD_BYTES, check_files, read_card

SCHEMES = ("https://", "http://", "hf://")
SILENCE_SECONDS = 20  # after which a server that sends nothing is given up
_CHUNK_BYTES = 2**18


class NotServed(FileNotFoundError):
    """There is no model of that name at the base."""


def download(base: str, name: str, folder: Path, sha256: str | None = None) -> None:
    """Fetch the model `name` from a base into a new folder.

    The card comes first; every other file must be the one that it names, and is read no further
    than its length there. All stay in a temporary folder beside `folder` until they are checked.

    Args:
        base: "https://...", "http://..." or "hf://owner/repo", with or without a folder behind it.
        name: name of the model, a folder at the base.
        folder: where to put it; made here.
        sha256: the hash that the card must state, if it is known.

    Raises:
        NotServed: there is no card of that name at the base.
        OSError: the network, the server or the disk failed, or the server was silent for
            `SILENCE_SECONDS`.
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
            _fetch(base, name, CARD, temporary, MAX_CARD_BYTES)
            card = read_card(temporary, sha256)
            if card.name != name:
                raise ValueError(f"{CARD} is the card of the model {card.name!r}")
            total = sum(file.bytes for file in card.files.values())
            _check_space(temporary, total)
            sys.stderr.write(f"Downloading {url}, {total / 1e6:.1f} MB\n")
            sys.stderr.flush()
            for file, expected in card.files.items():
                _fetch(base, name, file, temporary, expected.bytes)
            check_files(temporary, card)
    except ValueError as error:
        raise ValueError(f"{url} serves another file than was expected: {error}") from error
    except NotServed:
        raise
    except (OSError, http.client.HTTPException) as error:
        if not (folder / CARD).exists():  # or another process was quicker
            raise OSError(f"{url} could not be downloaded to {folder}: {error}") from error


def _check_space(folder, total):
    free = shutil.disk_usage(folder).free
    if total > free:
        raise OSError(f"Expected {total:,} bytes of free space, as on its card. Received: {free:,}")


def _fetch(base, name, file, folder, limit):
    """Write one file of the model, of at most `limit` bytes, into `folder`."""
    url = f"{base}/{name}/{file}"
    if base.startswith("hf://"):
        owner, repo, *rest = base.removeprefix("hf://").split("/")
        path = "/".join([*rest, name, file])
        with contextlib.suppress(ImportError):
            from huggingface_hub import hf_hub_download  # pyright: ignore

            found = Path(hf_hub_download(repo_id=f"{owner}/{repo}", filename=path))
            if found.stat().st_size > limit:
                raise ValueError(_too_long(url, limit))
            shutil.copyfile(found, folder / file)
            return
        url = f"https://huggingface.co/{owner}/{repo}/resolve/main/{path}"
    try:
        with _open(url) as response, (folder / file).open("wb") as target:
            left = limit
            while chunk := response.read1(min(_CHUNK_BYTES, left + 1)):
                left -= len(chunk)
                if left < 0:
                    raise ValueError(_too_long(url, limit))
                target.write(chunk)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            kind = NotServed if file == CARD else OSError
            raise kind(f"There is no {url}") from error
        raise
    except TimeoutError as error:
        raise OSError(f"{url}: nothing came for {SILENCE_SECONDS} s") from error


def _too_long(url, limit):
    return f"{url}: Expected at most {limit:,} bytes. Received: more"


class _SameSafety(urllib.request.HTTPRedirectHandler):
    """Follows a server elsewhere, but not from https to what everyone on the way can change."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        scheme = urllib.parse.urlsplit(newurl).scheme
        if scheme != "https" and not (scheme == req.type == "http"):
            raise OSError(f"{req.full_url} redirects to {newurl}, which is not protected")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(url):
    agent = {"User-Agent": "tfflows"}
    request = urllib.request.Request(url, headers=agent)
    return urllib.request.build_opener(_SameSafety).open(request, timeout=SILENCE_SECONDS)
