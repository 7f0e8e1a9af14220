"""Files and folders: written whole or not at all, walked, removed where they are empty.

Not here: digests (`store.digest`), copies (`reflink`).
"""

from __future__ import annotations

import contextlib
import glob
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PART = ".part"
PART_AGE_S = 3600  # a run that was killed while it wrote leaves a part behind; none is written for this long


def files_below(directory: Path) -> Iterator[tuple[str, Path]]:
    """Relative name and path of every file below a directory, sorted; links are followed, loops cut."""

    def walk(folder: Path, prefix: str, above: frozenset[str]) -> Iterator[tuple[str, Path]]:
        real = os.path.realpath(folder)
        if real in above:
            return
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        for entry in entries:
            if entry.is_dir():
                yield from walk(Path(entry.path), f"{prefix}{entry.name}/", above | {real})
            else:
                yield prefix + entry.name, Path(entry.path)
        if not entries and prefix:
            yield prefix, folder  # an empty directory is content too

    yield from walk(directory, "", frozenset())


def write_atomically(path: Path, content: bytes, part: Path | None = None) -> None:
    """Write a file so that readers see the old content or the new, never a part.

    Args:
        part: the temporary file's path, up to its random ending; left out, a hidden one beside the file.

    Raises:
        OSError: it could not be written; the old content is still there, and nothing is left over.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part or path.with_name(f".{path.name}")
    _sweep_parts(part)
    number, name = tempfile.mkstemp(prefix=f"{part.name}.", suffix=PART, dir=part.parent)
    temporary = Path(name)
    try:
        with open(number, "wb") as file:
            file.write(content)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _sweep_parts(part: Path) -> None:
    for leftover in part.parent.glob(f"{glob.escape(part.name)}.*{PART}"):
        with contextlib.suppress(OSError):
            if time.time() - leftover.stat().st_mtime > PART_AGE_S:
                leftover.unlink()


def unused_name(path: Path) -> Path:
    """The path, or the first free one with a number before its suffix: `text.2.srt`."""
    number, candidate = 2, path
    while os.path.lexists(candidate):
        candidate = path.with_name(f"{path.stem}.{number}{path.suffix}")
        number += 1
    return candidate


def remove_empty(directory: Path) -> None:
    """Remove a directory and the empty ones in it, if nothing else is there."""
    for folder, _, _ in sorted(os.walk(directory), reverse=True):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
