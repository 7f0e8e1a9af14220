"""Lists what lies in a folder and counts.

Not here: making and removing it (`files`).
"""

from __future__ import annotations

import errno
import fnmatch
import os
import re
from collections.abc import Iterator
from pathlib import Path

# What file managers, network disks and office programs leave in any folder; such files are never content.
NEVER_COUNT = (
    ".DS_Store", "._*", ".localized", "Icon\r", ".Spotlight-V100", ".Trashes", ".fseventsd", ".TemporaryItems",
    "Thumbs.db", "ehthumbs.db", "[Dd]esktop.ini", "$RECYCLE.BIN", "System Volume Information", ".directory", "@eaDir",
    ".nfs*", ".~lock.*#",
)  # fmt: skip
_never = re.compile("|".join(map(fnmatch.translate, NEVER_COUNT)))


def counts(name: str) -> bool:
    """Whether a file or folder of this name is content: what file managers leave behind never is."""
    return _never.match(name) is None


def files_below(directory: Path, *, follow: bool = True) -> Iterator[tuple[str, Path]]:
    """Relative name and path of every file below a directory, sorted; links are followed, loops cut.

    Args:
        follow: False for links as files of their own.

    Raises:
        OSError: a folder can't be listed, or a name isn't UTF-8, which nothing could record.
    """

    def walk(folder: Path, prefix: str, above: frozenset[str]) -> Iterator[tuple[str, Path]]:
        real = os.path.realpath(folder)
        if real in above:
            return
        entries = sorted((e for e in os.scandir(folder) if counts(e.name)), key=lambda entry: entry.name)
        for entry in entries:
            refuse_unprintable(entry.name)
            if entry.is_dir(follow_symlinks=follow):
                yield from walk(Path(entry.path), f"{prefix}{entry.name}/", above | {real})
            else:
                yield prefix + entry.name, Path(entry.path)
        if not entries and prefix:
            yield prefix, folder  # an empty directory is content too

    yield from walk(directory, "", frozenset())


def leaves(directory: Path) -> Iterator[str]:
    """Relative path of every file and link below a directory that counts; no link is followed, none left out."""
    for folder, folders, files in os.walk(directory):
        folders.sort()
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in filter(counts, sorted(files + links)):
            yield os.path.relpath(os.path.join(folder, name), directory)


def refuse_unprintable(name: str) -> None:
    """Refuse a name that isn't UTF-8, since nothing could record it.

    Raises:
        OSError: says so; the text can be printed.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        raise OSError(errno.EILSEQ, f"the name of {printable(name)} is not UTF-8; rename it") from None


def printable(name: str) -> str:
    """A name for people: what isn't UTF-8 becomes `\\xff`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
