"""Puts a finished directory in the place of the earlier one, in one step, and moves aside what a person edited.

A run that is killed at any instruction leaves the earlier directory or the new one, whole. Where the
file system can't exchange two directories, two renames do, and `recover` completes or undoes them.
There is no fsync: what a power cut damages, the digests find.

Not here: when to publish (`executor`).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import hashlib
import os
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from mediabuild.errors import StageError
from mediabuild.machine.files import PART, copy_tree, is_straight, move, remove_tree, set_executable, unused_name
from mediabuild.machine.here import quoted
from mediabuild.machine.listing import leaves
from mediabuild.machine.reflink import copy
from mediabuild.pipeline.reserved import MANIFEST_NAME
from mediabuild.store.digest import Digests
from mediabuild.store.manifest import find_manifest

AT_FDCWD = -100
RENAME_EXCHANGE = 2  # linux/fs.h
RENAME_SWAP = 2  # macOS, sys/stdio.h
UNSUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EXDEV}


@functools.cache
def _exchange_call() -> Callable[[bytes, bytes], int] | None:
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin" and hasattr(libc, "renamex_np"):
        return lambda a, b: int(libc.renamex_np(a, b, RENAME_SWAP))
    if hasattr(libc, "renameat2"):
        return lambda a, b: int(libc.renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE))
    return None


def exchange(one: Path, other: Path) -> bool:
    """Exchange two directories in one step; False where the file system can't.

    Raises:
        OSError: it can, but did not.
    """
    call = None if os.environ.get("MEDIABUILD_NO_EXCHANGE") else _exchange_call()
    if call is None:
        return False
    if call(os.fsencode(one), os.fsencode(other)) == 0:
        return True
    number = ctypes.get_errno()
    if number in UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), str(other))


def publish(new: Path, current: Path, swap: Path) -> Path | None:
    """Put `new` where `current` is.

    Args:
        new: the finished directory, its manifest written; it is gone afterwards.
        current: the stage's directory; may be absent.
        swap: a path on the same file system for the two-step way; `recover` looks there.

    Returns:
        Where the earlier directory is now, for the caller to delete or keep; None if there was none.

    Raises:
        StageError: `current` is a link. OSError: as the file system says; `current` is untouched.
    """
    if current.is_symlink():
        raise StageError(f"{current}: is a link; a stage's directory must be a directory", quoted("rm", current))
    current.parent.mkdir(parents=True, exist_ok=True)
    if not current.exists():
        new.rename(current)
        return None
    if exchange(new, current):
        return new
    swap.parent.mkdir(parents=True, exist_ok=True)
    coming, going = swap.with_name(swap.name + ".new"), swap.with_name(swap.name + ".old")
    new.rename(coming)
    try:
        current.rename(going)
    except OSError as error:
        if error.errno != errno.EXDEV:  # else it lies in a lower layer of overlayfs, whose directories can't be renamed
            raise
        copy_tree(current, going)
        (current / MANIFEST_NAME).unlink(missing_ok=True)  # from here on it is no more what `recover` keeps
        remove_tree(current)
    coming.rename(current)
    return going


def recover(current: Path, swap: Path) -> bool:
    """Complete or undo a two-step publication that was cut short; the caller holds the stage's lock.

    Returns:
        Whether there is a current directory now that wasn't there before.
    """
    coming, going = swap.with_name(swap.name + ".new"), swap.with_name(swap.name + ".old")
    for leftover in (coming, going):
        if leftover.is_symlink():  # nothing of ours
            leftover.unlink()
    recovered = going.exists() and not (current / MANIFEST_NAME).exists() and set(leaves(current)) <= set(leaves(going))
    if recovered:
        remove_tree(current)
        (coming if (coming / MANIFEST_NAME).exists() else going).rename(current)
    for leftover in (coming, going):
        remove_tree(leftover)
    return recovered


def keep_edits(current: Path, coming: Mapping[str, str], aside: Path, digests: Digests) -> dict[Path, Path]:
    """Move everything that no manifest vouches for out of a stage's directory, beside it.

    An output that was edited and a file that somebody put there go aside under their own
    names, numbered where one is taken. A file that is the same in the new directory is no loss.

    Args:
        current: the stage's directory; may be absent.
        coming: path → digest of the outputs that are about to take its place.
        aside: where edits go; no directory of a stage.

    Raises:
        StageError: a link is in the way.

    Returns:
        Where they are now → where they were.
    """
    kept = {}
    vouched = _vouched_for(current)
    for inside in list(leaves(current)):
        file = current / inside
        known = (vouched.get(file), coming.get(inside))
        if known[0] == "" or any(digest and digests.holds(file, digest, modes=False) for digest in known):
            continue
        if not is_straight(aside, inside):
            raise StageError(f"{(aside / inside).parent}: leads through a link or a file", quoted("less", aside))
        now = unused_name(aside / inside)
        move(file, now)
        kept[now] = file
        with contextlib.suppress(OSError):  # folders that it leaves empty are as little of the stage's making
            for folder in file.parents:
                if folder == current or folder in vouched:
                    break
                folder.rmdir()
    return kept


def _vouched_for(directory: Path) -> dict[Path, str]:
    """File → digest, of every manifest in or below the directory (a matrix may have come or gone)."""
    known: dict[Path, str] = {}
    for manifest_file in sorted(directory.rglob(MANIFEST_NAME)):
        manifest = find_manifest(manifest_file.parent)
        if manifest is not None:
            known[manifest_file] = ""
            made = {p: digest for p, digest in manifest.output_files().items() if p not in manifest.adopted}
            known |= {manifest_file.parent / path: digest for path, digest in made.items()}
    known.setdefault(directory / MANIFEST_NAME, "")  # a damaged one is no one's writing
    return known


def check_inside(directory: Path) -> None:
    """Refuse links that lead out of a finished output directory or nowhere, and files that are no files.

    The directory is about to be renamed: a link stays what it is only where its text stays inside at every step.

    Raises:
        StageError: names the first one.
    """
    if not stat.S_ISDIR(os.lstat(directory).st_mode):
        raise StageError("its output directory was replaced by something else")
    for inside in leaves(directory):
        path = directory / inside
        if path.is_symlink():
            _check_link(path, inside, directory)
        elif not path.is_file():
            raise StageError(f"output {inside}: is no regular file")


def _check_link(path: Path, inside: str, directory: Path) -> None:
    text = os.readlink(path)
    depth = inside.count("/")
    for part in text.split("/"):
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        if depth < 0 or text.startswith("/"):
            raise StageError(f"output {inside}: is a link that leads outside the directory: {text}")
    if not path.exists():
        raise StageError(f"output {inside}: is a link that leads nowhere: {text}")
    real, root = os.path.realpath(path), os.path.realpath(directory)
    if not real.startswith(root + os.sep) or (real + os.sep).startswith(os.path.join(root, MANIFEST_NAME, "")):
        raise StageError(f"output {inside}: is a link that leads outside the directory: {text}")
    if (os.path.realpath(path.parent) + os.sep).startswith(real + os.sep):
        raise StageError(f"output {inside}: is a link that leads to a folder that it lies in: {text}")


def deliver(source: Path, target: Path, *, executable: bool, mtime_ns: int, part: Path | None = None) -> None:
    """Copy an output to where people look, whole or not at all.

    Args:
        executable: whether the copy is to be one.
        mtime_ns: the time that the copy gets, as well as its file system can keep it.
        part: the temporary file's path; left out, a hidden one beside the target.

    Raises:
        OSError: it could not be written; nothing is left over.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = part or part_of(target)
    temporary.unlink(missing_ok=True)
    try:
        copy(source, temporary)
        set_executable(temporary, executable)
        os.utime(temporary, ns=(mtime_ns, mtime_ns), follow_symlinks=False)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def part_of(target: Path) -> Path:
    """The temporary name of a copy: short, so that it fits wherever the copy's own does.

    It is always the same, so that what a killed run left is found again, and nothing else.
    """
    return target.with_name(f".{hashlib.blake2s(os.fsencode(target.name), digest_size=8).hexdigest()}{PART}")
