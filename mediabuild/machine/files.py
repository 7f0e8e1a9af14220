"""Files and folders: made with the user's modes, written whole or not at all, moved, removed.

What is made here has the modes that the user's umask and the folder's group give it.

Not here: what lies in a folder (`listing`), digests (`store.digest`), copies (`reflink`), which paths they are
(`store.places`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from mediabuild.machine.reflink import copy

PART = ".part"
PART_AGE_S = 3600  # a run that was killed while it wrote leaves a part behind; none is written for this long
TRIES = 100
NAME_BYTES = 255  # the longest name of nearly all file systems
ENDING_BYTES = 100  # what is kept of an ending when a name is cut
OWN = stat.S_IRWXU
READABLE, RUNNABLE = 0o444, 0o111
Made = TypeVar("Made")


def write_atomically(path: Path, content: bytes, part: Path | None = None) -> None:
    """Write a file so that readers see the old content or the new, never a part. An executable stays one.

    Args:
        part: the temporary file's path, up to its random ending; left out, a hidden one beside the file.

    Raises:
        OSError: it could not be written; the old content is still there, and nothing is left over.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part or path.with_name(f".{path.name}")
    _sweep_parts(part)
    number, temporary = new_file(part)
    try:
        with open(number, "wb") as file:
            file.write(content)
        if os.access(path, os.X_OK):
            set_executable(temporary, True)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def set_executable(file: Path, executable: bool) -> None:
    """Make a file an executable, for all who may read it, or none; where there are no modes, nothing happens."""
    mode = stat.S_IMODE(os.stat(file).st_mode)
    wanted = mode | (mode & READABLE) >> 2 if executable else mode & ~RUNNABLE
    if wanted != mode:
        with contextlib.suppress(PermissionError):
            os.chmod(file, wanted)


def new_file(part: Path) -> tuple[int, Path]:
    """A new, empty file: its descriptor and its path, which is `part` with a random ending and `.part`.

    Raises:
        OSError: it can't be made.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return _unused(part, PART, lambda path: os.open(path, flags, 0o666))


def new_directory(part: Path) -> Path:
    """A new, empty directory, called `part` with a random ending.

    Raises:
        OSError: it can't be made.
    """
    return _unused(part, "", os.mkdir)[1]


def _unused(part: Path, suffix: str, make: Callable[[Path], Made]) -> tuple[Made, Path]:
    for _ in range(TRIES):
        path = part.with_name(f"{part.name}.{secrets.token_hex(4)}{suffix}")
        with contextlib.suppress(FileExistsError):
            return make(path), path
    raise FileExistsError(errno.EEXIST, "no name is left", str(part))


def _sweep_parts(part: Path) -> None:
    ours = re.compile(rf"{re.escape(part.name)}\.[0-9a-f]{{8}}{re.escape(PART)}")
    for name in os.listdir(part.parent):
        if not ours.fullmatch(name):
            continue
        with contextlib.suppress(OSError):
            stats = os.lstat(part.parent / name)
            if stat.S_ISREG(stats.st_mode) and time.time() - stats.st_mtime > PART_AGE_S:
                os.unlink(part.parent / name)


def unused_name(path: Path) -> Path:
    """The path, or the first free one with a number before its suffix: `text.2.srt`; shortened where it must be."""
    number, candidate = 2, fitting(path, path.suffix)
    while os.path.lexists(candidate):
        candidate = fitting(path, f".{number}{path.suffix}")
        number += 1
    return candidate


def fitting(path: Path, ending: str) -> Path:
    """The path with another ending in the place of its suffix; cut where the name would be too long."""
    stem, tail = (os.fsencode(text) for text in (path.stem, ending))
    if len(stem) + len(tail) <= NAME_BYTES:
        return path.with_name(path.stem + ending)
    tail = tail[:ENDING_BYTES]
    stem = stem[: NAME_BYTES - len(tail)]
    return path.with_name(stem.decode(errors="ignore") + tail.decode(errors="ignore"))


def is_straight(top: Path, relative: str) -> bool:
    """Whether all between `top` and the path below it are folders, no links; the path itself may be anything."""
    path = os.fspath(top)
    for name in relative.split("/")[:-1]:
        path = os.path.join(path, name)
        try:
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                return False
        except OSError:
            return True  # nothing is there
    return True


def remove_file(file: Path) -> None:
    """Remove a file, or a link, also out of a folder that is read-only; it may be absent.

    Raises:
        OSError: it stays.
    """
    with contextlib.suppress(FileNotFoundError):
        _insistently(os.unlink, file)


def remove_tree(path: Path) -> None:
    """Remove a directory with all it holds, read-only folders too, or what else is there; links are never followed.

    Raises:
        OSError: something stays.
    """
    try:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            remove_file(path)
            return
        shutil.rmtree(path)
    except FileNotFoundError:
        return
    except PermissionError:
        _make_writable(path)
        shutil.rmtree(path)


def remove_empty(directory: Path) -> None:
    """Remove a directory and the empty ones in it, if nothing else is there."""
    for folder, _, _ in sorted(os.walk(directory), reverse=True):
        with contextlib.suppress(OSError):
            _insistently(os.rmdir, Path(folder))


def move(file: Path, target: Path) -> None:
    """Rename a file, also out of a folder that is read-only; the target's folder is made.

    Raises:
        OSError: it can't be moved.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _insistently(lambda path: path.rename(target), file)


def move_tree(directory: Path, target: Path) -> None:
    """Rename a directory; by a copy where it lies in a lower layer of overlayfs, whose directories can't be renamed.

    Raises:
        OSError: it can't be moved; nothing is left over.
    """
    try:
        directory.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy_tree(directory, target)
        remove_tree(directory)


def copy_tree(directory: Path, target: Path) -> None:
    """Copy a directory with its modes, times and links to a path where nothing is.

    Raises:
        OSError: it can't be copied; nothing is left over.
    """
    try:
        target.mkdir()
        for entry in os.scandir(directory):
            copied = target / entry.name
            if entry.is_dir(follow_symlinks=False):
                copy_tree(Path(entry.path), copied)
            elif entry.is_symlink():
                copied.symlink_to(os.readlink(entry.path))
            else:
                copy(Path(entry.path), copied)
                shutil.copystat(entry.path, copied)
        shutil.copystat(directory, target)
    except BaseException:
        remove_tree(target)
        raise


def _insistently(act: Callable[[Path], object], path: Path) -> None:
    """Do something to an entry of a folder, which is made writable if need be: it is ours."""
    try:
        act(path)
    except PermissionError:
        os.chmod(path.parent, stat.S_IMODE(os.stat(path.parent).st_mode) | OWN)
        act(path)


def _make_writable(directory: Path) -> None:
    """Make a directory and all below it ones that may be changed, as far as they are the user's; from the top down."""
    waiting = [directory]
    while waiting:
        folder = waiting.pop()
        with contextlib.suppress(OSError):
            mode = stat.S_IMODE(os.lstat(folder).st_mode)
            if mode & OWN != OWN:
                os.chmod(folder, mode | OWN)
            with os.scandir(folder) as entries:
                waiting += [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
