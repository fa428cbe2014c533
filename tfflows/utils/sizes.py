"""How much a file from elsewhere may hold, seen before anything is unpacked or allocated."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

MAX_EXPANSION = 100  # times the bytes on disk; weights hardly shrink, but new ones are zeros
SLACK_BYTES = 2**26


def check_members(
    archive: zipfile.ZipFile, source: str | Path, limits: Mapping[str, int | None]
) -> None:
    """See that an archive has known members, each once and of a size that can be.

    Args:
        archive: an open one.
        source: its file, for errors.
        limits: for each known member its largest size in bytes, or None where `MAX_EXPANSION`
            times what it takes in the archive bounds it.

    Raises:
        ValueError: a member is unknown, comes twice or is too large. Nothing was unpacked.
    """
    seen = set()
    for member in archive.infolist():
        name, size = member.filename, member.file_size
        if name not in limits or name in seen:
            raise ValueError(
                f"{source}: Expected the members {', '.join(limits)}. Received: {name[:80]!r}"
                f"{' twice' if name in seen else ''}"
            )
        seen.add(name)
        limit = limits[name]
        if limit is None:
            limit = MAX_EXPANSION * member.compress_size + SLACK_BYTES
        if size > limit:
            raise ValueError(
                f"{source}: Expected {name} of at most {limit:,} bytes. Received: {size:,} bytes "
                f"in {member.compress_size:,} of the archive"
            )
