"""Earlier outputs of a stage, kept so that they can come back instead of being made again.

When a stage re-runs with other facts, its earlier directory moves aside by rename, under the digest of
its trace; when the facts come back, so does the directory. Nothing is copied. What is kept is bounded
by `[cache] max_gb`, the least recently used first, and is the first to go when the disk is full; the units
of tasks (`units`) count, too.

Not here: the current outputs; those are never collected.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mediabuild.machine.files import move_tree, remove_tree
from mediabuild.machine.listing import files_below
from mediabuild.machine.reflink import copy
from mediabuild.pipeline.model import Task
from mediabuild.pipeline.reserved import MANIFEST_NAME
from mediabuild.store import inventory, places
from mediabuild.store.digest import Digests
from mediabuild.store.manifest import Manifest, find_manifest


@dataclass(frozen=True)
class Kept:
    """One kept output set, or all units of a task: where, how large in bytes, when last used, in seconds since 1970."""

    path: Path
    is_units: bool
    size_bytes: int
    used_ts: float

    @property
    def manifest(self) -> Manifest | None:
        """Of an output set, where it can be read."""
        return None if self.is_units else find_manifest(self.path)

    def delete(self) -> bool:
        """Delete it, if that is possible."""
        with contextlib.suppress(OSError):
            remove_tree(self.path)
        return not os.path.lexists(self.path)


def keep(task: Task, earlier: Path, digests: Digests) -> None:
    """Move a stage's earlier directory aside under its trace.

    One that is not whole, or was made from the same facts as the current one, is deleted. The caller
    holds the task's lock.
    """
    manifest, current = find_manifest(earlier), find_manifest(task.directory)
    same = manifest and current and manifest.trace() == current.trace()
    if manifest is None or same or not is_whole(earlier, manifest, digests):
        _drop(earlier)
        return
    target = places.generations(task) / manifest.trace()
    try:
        _drop(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        move_tree(earlier, target)
        os.utime(target)
    except OSError:  # a full disk: a cache is no reason to fail
        _drop(earlier)
        return
    digests.adopt((earlier / path, target / path) for path in manifest.output_files())


def find(task: Task, trace: str, digests: Digests) -> Path | None:
    """The kept output set of a trace, its digests verified; a damaged one is dropped."""
    path = places.generations(task) / trace
    manifest = find_manifest(path)
    if manifest is None:
        return None
    if manifest.trace() != trace or not is_whole(path, manifest, digests):
        _drop(path)
        return None
    return path


def is_whole(directory: Path, manifest: Manifest, digests: Digests) -> bool:
    """Whether every output is there as it was recorded, and nothing else is; an empty folder is something, too."""
    recorded = manifest.output_files()
    sound = all(
        (directory / path).is_dir() if path.endswith("/") else digests.holds(directory / path, digest)
        for path, digest in recorded.items()
    )
    try:
        there = {path for path, _ in files_below(directory, follow=False)} - {MANIFEST_NAME}
    except OSError:
        return False
    return sound and there == recorded.keys()


def share_units(units: Path | None, task: Task) -> None:
    """Give a task that keeps none yet a copy of another's units; the caller holds the task's lock.

    Args:
        units: another run may add to the file meanwhile: what is cut off at its end counts not.
    """
    target = places.units(task)
    if units is None or not task.stage.keeps_units or os.path.lexists(target):
        return
    with contextlib.suppress(OSError):  # a full disk: a cache is no reason to fail
        folder = places.make_temporary(task)
        try:
            copy(units, folder / target.name)
            target.parent.mkdir(exist_ok=True)
            os.replace(folder / target.name, target)
        finally:
            remove_tree(folder)


def forget(task: Task) -> None:
    """Delete what is kept of a task."""
    for path in (places.generations(task), places.units(task)):
        _drop(path)


def _drop(path: Path) -> None:
    """Delete what is kept; where that can't be, the next `gc` tries again."""
    with contextlib.suppress(OSError):
        remove_tree(path)


def kept(job_dirs: Iterable[Path]) -> list[Kept]:
    """What is kept in these jobs, least recently used first."""
    found = []
    for job_dir in job_dirs:
        for path in inventory.units_files(job_dir):
            with contextlib.suppress(OSError):
                stats = os.lstat(path)
                found.append(Kept(path, True, stats.st_size, stats.st_mtime))
        for path in inventory.generation_dirs(job_dir):
            with contextlib.suppress(OSError):
                found.append(Kept(path, False, _size_bytes(path), os.lstat(path).st_mtime))
    return sorted(found, key=lambda one: one.used_ts)


def _size_bytes(folder: str | Path) -> int:
    with os.scandir(folder) as entries:
        return sum(
            _size_bytes(e.path) if e.is_dir(follow_symlinks=False) else e.stat(follow_symlinks=False).st_size
            for e in entries
        )


def collect(
    job_dirs: Iterable[Path], max_bytes: float, wanted: Callable[[Kept], bool] = lambda kept: True
) -> list[Kept]:
    """Delete the least recently used until what is left fits; returns what went.

    Args:
        wanted: which of all that is kept may go; the rest doesn't count.
    """
    found = [one for one in kept(job_dirs) if wanted(one)]
    total = sum(one.size_bytes for one in found)
    gone = []
    for one in found:
        if total <= max_bytes and one.size_bytes:  # folders that a killed deletion has emptied always go
            continue
        if one.delete():
            total -= one.size_bytes
            gone.append(one)
    return gone
