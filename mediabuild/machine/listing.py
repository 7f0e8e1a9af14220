"""Lists what lies in a folder and counts, and what a glob matches.

Not here: making and removing it (`files`).
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import glob
import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from unicodedata import normalize

from mediabuild.machine.visible import same_text

# What file managers, network disks and office programs leave in any folder; such files are never content.
NEVER_COUNT = (
    ".DS_Store", "._*", ".localized", "Icon\r", ".Spotlight-V100", ".Trashes", ".fseventsd", ".TemporaryItems",
    "Thumbs.db", "ehthumbs.db", "[Dd]esktop.ini", "$RECYCLE.BIN", "System Volume Information", ".directory", "@eaDir",
    ".nfs*", ".~lock.*#",
)  # fmt: skip
MOST_LINKS = 10_000  # followed to folders below one: with a dozen that all link to each other there is no end to it
FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
_never = re.compile("|".join(map(fnmatch.translate, NEVER_COUNT)))


def counts(name: str) -> bool:
    """Whether a file or folder of this name is content: what file managers leave behind never is."""
    return _never.match(name) is None


def files_below(directory: Path, *, follow: bool = True) -> Iterator[tuple[str, Path]]:
    """Relative name and path of every file below a directory, sorted; links are followed, loops cut.

    Args:
        follow: False for links as files of their own.

    Raises:
        OSError: a folder can't be listed, a name isn't UTF-8, which nothing could record, or folders link to each
            other again and again.
    """
    links = itertools.count(1)

    def walk(folder: Path, prefix: str, above: frozenset[str]) -> Iterator[tuple[str, Path]]:
        real = os.path.realpath(folder)
        if real in above:
            return
        entries = sorted((e for e in os.scandir(folder) if counts(e.name)), key=lambda entry: entry.name)
        for entry in entries:
            refuse_unprintable(entry.name)
            if entry.is_dir(follow_symlinks=follow):
                if entry.is_symlink() and next(links) > MOST_LINKS:
                    raise OSError(errno.ELOOP, "its folders link to each other too often", str(directory))
                yield from walk(Path(entry.path), f"{prefix}{entry.name}/", above | {real})
            else:
                yield prefix + entry.name, Path(entry.path)
        if not entries and prefix:
            yield prefix, folder  # an empty directory is content too

    yield from walk(directory, "", frozenset())


def matches(pattern: str, root: Path) -> list[str]:
    """What a glob matches, relative to `root` as it stands there; as Python's `glob` where there is no `**`.

    `**` takes each folder once: by its own path, else by the shortest one through links, so loops of links end there.
    What file managers leave never matches. Letters match however they are encoded: a Mac's `é` is two characters.
    """
    forms = [pattern] if pattern.isascii() else dict.fromkeys([pattern, *(normalize(f, pattern) for f in FORMS)])
    return list(dict.fromkeys(path for form in forms for path in _matches(form, root)))


def _matches(pattern: str, root: Path) -> list[str]:
    parts = pattern.split("/")
    if "**" not in parts:
        return [path for path in glob.glob(pattern, root_dir=root) if counts(os.path.basename(path.rstrip("/")))]
    place = parts.index("**")
    head, rest = "/".join(parts[:place]), "/".join(parts[place + 1 :])
    only_folders = parts[place + 1 :] == [""]
    base = head or "/" * (place > 0)
    found: dict[str, None] = {}
    for top in glob.glob(base, root_dir=root) if base else [""]:
        for folder in _folders_once(os.path.join(root, top)):
            below = os.path.join(top, folder)
            inside = [] if only_folders else _matches(rest or "*", Path(root, below))
            found |= dict.fromkeys([os.path.join(below, "")] if not rest else [])
            found |= dict.fromkeys(os.path.join(below, path) for path in inside)
    return list(found)


def _folders_once(top: str) -> list[str]:
    """A folder (as the empty name) and all below it that are not hidden, each once, by names relative to it."""
    found: list[str] = []
    seen: set[str] = set()
    waiting = [("", os.path.realpath(top))]
    links: list[str] = []
    while waiting or links:
        if not waiting:
            links.sort(key=lambda name: (len(name), name))
            waiting.append((links[0], os.path.realpath(os.path.join(top, links.pop(0)))))
        name, real = waiting.pop()
        if real in seen:
            continue
        seen.add(real)
        with contextlib.suppress(OSError):  # as Python's `glob`: what can't be listed holds nothing
            entries = sorted(os.scandir(os.path.join(top, name)), key=lambda entry: entry.name, reverse=True)
            found.append(name)
            for entry in entries:
                if entry.name.startswith(".") or not counts(entry.name) or not entry.is_dir():
                    continue
                inside = os.path.join(name, entry.name)
                if entry.is_symlink():
                    links.append(inside)
                else:
                    waiting.append((inside, os.path.join(real, entry.name)))
    return found


def as_stored(path: str, root: Path) -> str:
    """A path, or a glob, with its names as they are stored, where some look the same but are encoded otherwise."""
    if path.isascii() or os.path.lexists(root / path):
        return path
    parts = path.split("/")
    for place, part in enumerate(parts):
        here = os.path.join(root, "/".join(parts[:place]) or ("/" if place else ""))
        if os.path.lexists(os.path.join(here, part)):
            continue
        try:
            stored = next(name for name in sorted(os.listdir(here)) if same_text(name) == same_text(part))
        except (OSError, StopIteration):
            break
        parts[place] = stored
    return "/".join(parts)


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
