"""Where tfflows keeps what it can get or make again."""

import os
from pathlib import Path

from tfflows.utils.remote import refuse_remote


def cache_root() -> Path:
    """TFFLOWS_CACHE, or ~/.cache/tfflows."""
    folder = os.environ.get("TFFLOWS_CACHE") or Path.home() / ".cache" / "tfflows"
    refuse_remote("The cache, TFFLOWS_CACHE,", folder)
    return Path(folder)
