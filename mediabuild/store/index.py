"""A cache that may be deleted: which jobs were fresh, and the stats of all files that this follows from.

For each job whose tasks were all up to date, the index holds every file and directory that was looked at
(source, inputs, outputs, manifests, delivered copies, marks, folders of globs) with its stats, and what must
not be there. While each is as it was, so is the decision, and a no-op costs one stat a file; any difference, and
the job goes the long way. It is derived: it may be deleted, a damaged one or one of another version counts as
empty, and it is never asked what a manifest says.

The file: a seal (blake3), the length of a JSON header, the header, the stats as 64-bit integers.

Not here: what belongs to a job (`freshness.watch`). Reading must cost less than it saves: nothing heavy is imported,
not even `dataclasses`, which alone would be a third of the no-op.
"""

from __future__ import annotations

import json
import os
import sys
import time
from array import array
from typing import TYPE_CHECKING

import blake3

from mediabuild.machine import regular
from mediabuild.store.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

VERSION = f"5 {sys.byteorder}"
SEAL_BYTES, LENGTH_BYTES = 32, 8
FIELDS = 4
RECENT_S = 1.0
VARIABLES = ("HOME", "PATH", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE")


class Watched:
    """Paths, relative to the pipeline's folder or absolute, and their stats: four numbers each, in one row."""

    def __init__(self, paths: list[str] | None = None, stats: array[int] | None = None) -> None:
        self.paths = paths or []
        self.stats = stats or array("q")

    @classmethod
    def of(cls, found: Mapping[str, Stats]) -> Watched:
        """From path → stats.

        Raises:
            OverflowError: a number that doesn't fit.
        """
        return cls(list(found), array("q", [number for stats in found.values() for number in stats]))

    def by_path(self) -> dict[str, Stats]:
        """Path → stats."""
        size, mtime_ns, ctime_ns, inode = (self.stats[place::FIELDS] for place in range(FIELDS))
        return dict(zip(self.paths, zip(size, mtime_ns, ctime_ns, inode, strict=True), strict=True))

    def changed(self) -> bool:
        """Look at each path: is any other than it was?"""
        size, mtime_ns, ctime_ns, inode = (self.stats[place::FIELDS] for place in range(FIELDS))
        stat = os.stat
        for path, size_bytes, modified, changed, number in zip(
            self.paths, size, mtime_ns, ctime_ns, inode, strict=True
        ):
            try:
                now = stat(path)
            except (FileNotFoundError, NotADirectoryError):
                if size_bytes != -1:
                    return True
                continue
            except OSError:
                return True
            if (
                now.st_ino != number
                or now.st_ctime_ns != changed
                or now.st_mtime_ns != modified
                or now.st_size != size_bytes
            ):
                return True
        return False


class Entry:
    """A job whose tasks were all fresh.

    Args:
        source: as its task would read it. tasks: their names, in canonical order.
        models: numbers of the index's `models` that its stages would load.
        due_ts: when a manifest of the job is to be refreshed, in seconds since 1970.
        spared_s: how long each took, in seconds.
    """

    def __init__(
        self, source: str, tasks: list[str], models: list[int], due_ts: float, spared_s: list[float], watched: Watched
    ) -> None:
        self.source = source
        self.tasks = tasks
        self.models = models
        self.due_ts = due_ts
        self.spared_s = spared_s
        self.watched = watched


class Index:
    """What was found fresh, under which circumstances.

    Args:
        code: of the mediabuild that wrote it. version: for its events.
        alone: nothing but stats and the circumstances below need be looked at: no tasks of the user's own, no models
            that a stage of theirs finds.
        devices: stage → device, of the stages that use one. driver: what suggested a device.
        variables: those of the environment that say where models and programs are looked for.
        models: (stage, params as JSON, what it would load as JSON), each once.
        shared: what more than one job depends on, and what the tasks themselves were made of.
        listing: the folders in which sources, packages and models were looked for.
        others: the jobs that were not fresh. orphans: those whose recording was gone.
        warnings: what a run says of the pipeline each time while these files are as they are.
    """

    def __init__(
        self,
        *,
        code: str = "",
        version: str = "",
        alone: bool = False,
        devices: Mapping[str, str] = {},
        driver: str = "",
        variables: Mapping[str, str] = {},
        models: Sequence[tuple[str, str, str]] = (),
        shared: Watched | None = None,
        listing: Watched | None = None,
        others: Sequence[str] = (),
        orphans: Sequence[str] = (),
        warnings: Sequence[str] = (),
        jobs: Mapping[str, Entry] = {},
    ) -> None:
        self.code = code
        self.version = version
        self.alone = alone
        self.devices = dict(devices)
        self.driver = driver
        self.variables = dict(variables)
        self.models = list(models)
        self.shared = shared or Watched()
        self.listing = listing or Watched()
        self.others = list(others)
        self.orphans = list(orphans)
        self.warnings = list(warnings)
        self.jobs = dict(jobs)

    def unchanged(self, now: float) -> Iterable[str]:
        """The jobs of which nothing that was looked at has changed, and no manifest is to be refreshed."""
        if self.shared.changed():
            return []
        return [name for name, entry in self.jobs.items() if now < entry.due_ts and not entry.watched.changed()]

    def encode(self) -> bytes:
        """The file's bytes."""
        watched = [self.shared, self.listing, *(entry.watched for entry in self.jobs.values())]
        entries = [
            (name, e.source, e.tasks, e.models, e.due_ts, e.spared_s, len(e.watched.paths))
            for name, e in self.jobs.items()
        ]
        header = {
            "code": self.code,
            "version": self.version,
            "alone": self.alone,
            "devices": self.devices,
            "driver": self.driver,
            "variables": self.variables,
            "models": self.models,
            "shared": len(self.shared.paths),
            "listing": len(self.listing.paths),
            "others": self.others,
            "orphans": self.orphans,
            "warnings": self.warnings,
            "jobs": entries,
            "paths": [path for w in watched for path in w.paths],
        }
        text = json.dumps([VERSION, header], separators=(",", ":")).encode()
        body = len(text).to_bytes(LENGTH_BYTES, "little") + text + b"".join(w.stats.tobytes() for w in watched)
        return blake3.blake3(body).digest() + body


def load(file: str | os.PathLike[str]) -> Index:
    """The index of a file; an empty one where it is missing, damaged or of another version."""
    try:
        content = regular.read_bytes(file)
    except OSError:
        return Index()
    seal, body = content[:SEAL_BYTES], memoryview(content)[SEAL_BYTES:]
    if blake3.blake3(body).digest() != seal:
        return Index()
    start = LENGTH_BYTES + int.from_bytes(body[:LENGTH_BYTES], "little")
    try:
        version, header = json.loads(bytes(body[LENGTH_BYTES:start]))
        return _decoded(header, array("q", bytes(body[start:]))) if version == VERSION else Index()
    except (ValueError, TypeError, KeyError, RecursionError):
        return Index()


def _decoded(header: dict[str, Any], stats: array[int]) -> Index:
    paths: list[str] = header.pop("paths")
    place = 0

    def take(count: int) -> Watched:
        nonlocal place
        start, place = place, place + count
        return Watched(paths[start:place], stats[start * FIELDS : place * FIELDS])

    shared, listing, entries = (header.pop(name) for name in ("shared", "listing", "jobs"))
    index = Index(**header, shared=take(shared), listing=take(listing))
    for name, source, tasks, models, due_ts, spared_s, count in entries:
        index.jobs[name] = Entry(source, tasks, models, due_ts, spared_s, take(count))
    return index


def variables() -> dict[str, str]:
    """The variables of the environment that say where models and programs are looked for, as they are now."""
    return {name: os.environ[name] for name in VARIABLES if name in os.environ}


def code_stamp() -> str:
    """What tells this mediabuild from another: the names, sizes and times of its files."""
    found, waiting = [], [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    found.append((entry.path, entry.stat().st_size, entry.stat().st_mtime_ns))
                elif entry.is_dir(follow_symlinks=False) and not entry.name.startswith("__"):
                    waiting.append(entry.path)
    return blake3.blake3(repr(sorted(found)).encode()).hexdigest()


class Glance:
    """What was found at an index that could not answer, so that the long way need not look again at once.

    Args:
        file: the index's. index: what it holds. unchanged: its jobs that are as they were.
    """

    def __init__(self, file: str, found: Index, unchanged: list[str]) -> None:
        self.file, self.index, self.unchanged = file, found, unchanged
        self.taken_s = time.monotonic()


_glances: list[Glance] = []  # of this process: the latest one, if nobody took it


def leave_glance(glance: Glance) -> None:
    """Leave what was found for the long way."""
    _glances[:] = [glance]


def take_glance(file: str, *, leave: bool = False) -> Glance | None:
    """The latest glance, if it was at this file, a moment ago; only one can take it.

    Args:
        leave: don't take it, only ask.
    """
    found = next((g for g in _glances if g.file == file and time.monotonic() - g.taken_s < RECENT_S), None)
    if not leave:
        _glances.clear()
    return found
