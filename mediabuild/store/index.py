"""A cache that may be deleted: which jobs were fresh, and the stats of all files that this follows from.

For each job whose tasks were all up to date, the index holds every file and directory that was looked at
(source, inputs, outputs, manifests, delivered copies, marks, folders of globs) with its stats, and what must
not be there. While each is as it was, so is the decision, and a no-op costs one stat a file; any difference, and
the job goes the long way. It is derived: it may be deleted, a damaged one or one of another version counts as
empty, and it is never asked what a manifest says.

The file: a seal (blake3), the lengths of two parts, a JSON header, the stats as columns of 64-bit integers, and all
paths and names as one text, split at NUL.

Not here: what belongs to a job (`freshness.watch`). Reading must cost less than it saves: nothing heavy is imported,
not even `dataclasses`, which alone would be a third of the no-op.
"""

from __future__ import annotations

import json
import os
import sys
import time
from array import array
from itertools import islice
from operator import attrgetter

import blake3

from mediabuild.machine import regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from mediabuild.store.stats import Stats

VERSION = f"5 {sys.byteorder}"
SEAL_BYTES, LENGTH_BYTES = 32, 8
RECENT_S = 1.0
_stats = attrgetter("st_size", "st_mtime_ns", "st_ctime_ns", "st_ino")


class Watched:
    """Paths, relative to the pipeline's folder or absolute.

    Args:
        paths: of what is there. stats: of each. absent: paths of what isn't.
    """

    def __init__(
        self, paths: list[str] | None = None, stats: list[Stats] | None = None, absent: list[str] | None = None
    ) -> None:
        self.paths = paths or []
        self.stats = stats or []
        self.absent = absent or []

    @classmethod
    def of(cls, found: Mapping[str, Stats]) -> Watched:
        """From path → stats."""
        from mediabuild.store.stats import ABSENT  # only here: the no-op reads this module

        there = {path: stats for path, stats in found.items() if stats != ABSENT}
        return cls(list(there), list(there.values()), [path for path in found if path not in there])

    def by_path(self) -> dict[str, Stats]:
        """Path → stats."""
        from mediabuild.store.stats import ABSENT

        return dict(zip(self.paths, self.stats, strict=True)) | dict.fromkeys(self.absent, ABSENT)

    def changed(self) -> bool:
        """Look at each path: is any other than it was?"""
        try:
            if list(map(_stats, map(os.stat, self.paths))) != self.stats:
                return True
        except OSError:
            return True
        for path in self.absent:
            try:
                os.stat(path)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                pass
            return True
        return False


class Entry:
    """A job whose tasks were all fresh.

    Args:
        source: as its task would read it.
        said: what an event says of each of its tasks, as JSON, a line each; in canonical order.
        models: numbers of the index's `models` that its stages would load.
        due_ts: when a manifest of the job is to be refreshed, in seconds since 1970.
        spared_s: how long all took.
    """

    def __init__(
        self, source: str, said: str, models: list[int], due_ts: float, spared_s: float, watched: Watched
    ) -> None:
        self.source = source
        self.said = said
        self.models = models
        self.due_ts = due_ts
        self.spared_s = spared_s
        self.watched = watched


def tasks_of(entries: Iterable[Entry]) -> dict[str, float]:
    """The tasks of jobs → how long each took, in seconds."""
    said = "\n".join(entry.said for entry in entries if entry.said)
    found = json.loads(f"[{{{said}}}]".replace("\n", "},{")) if said else []
    return {task["task"]: task.get("spared_s", 0.0) for task in found}


def said_of(tasks: Mapping[str, float]) -> str:
    """What an event says of tasks and how long each took, in seconds: a line each."""
    spared = {name: f',"spared_s":{seconds}' if seconds else "" for name, seconds in tasks.items()}
    return "\n".join(f'"task":{json.dumps(name)}{text}' for name, text in spared.items())


class Index:
    """What was found fresh, under which circumstances.

    Args:
        code: of the mediabuild that wrote it. version: for its events.
        alone: nothing but stats and the circumstances below need be looked at: no tasks of the user's own, no models
            that a stage of theirs finds.
        devices: stage → device, of the stages that use one.
        surroundings: what suggested a device, and where models and programs were looked for.
        models: (stage, params as JSON, what it would load as JSON), each once.
        others: the jobs that were not fresh. orphans: those whose recording was gone.
        warnings: what a run says of the pipeline each time while these files are as they are.
        shared: what more than one job depends on, and what the tasks themselves were made of.
        listing: the folders in which sources, packages and models were looked for.
    """

    def __init__(
        self,
        *,
        code: str = "",
        version: str = "",
        alone: bool = False,
        devices: Mapping[str, str] = {},
        surroundings: Mapping[str, str] = {},
        models: Sequence[Sequence[str]] = (),
        others: Sequence[str] = (),
        orphans: Sequence[str] = (),
        warnings: Sequence[str] = (),
        shared: Watched | None = None,
        listing: Watched | None = None,
        jobs: Mapping[str, Entry] = {},
    ) -> None:
        self.code = code
        self.version = version
        self.alone = alone
        self.devices = dict(devices)
        self.surroundings = dict(surroundings)
        self.models = [(stage, params, found) for stage, params, found in models]
        self.others = list(others)
        self.orphans = list(orphans)
        self.warnings = list(warnings)
        self.shared = shared or Watched()
        self.listing = listing or Watched()
        self.jobs = dict(jobs)

    def unchanged(self, now: float) -> Iterable[str]:
        """The jobs of which nothing that was looked at has changed, and no manifest is to be refreshed."""
        if self.shared.changed():
            return []
        return [name for name, entry in self.jobs.items() if now < entry.due_ts and not entry.watched.changed()]

    def encode(self) -> bytes:
        """The file's bytes.

        Raises:
            OverflowError: a number that doesn't fit.
        """
        entries = self.jobs.values()
        watched = [self.shared, self.listing, *(entry.watched for entry in entries)]
        header = {name: value for name, value in vars(self).items() if name not in ("shared", "listing", "jobs")}
        header["watched"] = [(len(w.paths), len(w.absent)) for w in watched]
        header["jobs"] = [(entry.models, entry.due_ts, entry.spared_s) for entry in entries]
        texts = [text for w in watched for text in (*w.paths, *w.absent)]
        texts += [text for name, entry in self.jobs.items() for text in (name, entry.source, entry.said)]
        columns = zip(*(stats for w in watched for stats in w.stats), strict=True)
        numbers = b"".join(array("q", column).tobytes() for column in columns)
        head = json.dumps([VERSION, header], separators=(",", ":")).encode()
        lengths = b"".join(len(part).to_bytes(LENGTH_BYTES, "little") for part in (head, numbers))
        body = lengths + head + numbers + "\0".join(texts).encode("utf-8", "surrogatepass")
        return blake3.blake3(body).digest() + body


def load(file: str | os.PathLike[str]) -> Index:
    """The index of a file; an empty one where it is missing, damaged or of another version."""
    try:
        content = regular.read_bytes(file)
    except OSError:
        return Index()
    body = memoryview(content)[SEAL_BYTES:]
    if blake3.blake3(body).digest() != content[:SEAL_BYTES]:
        return Index()
    try:
        start = 2 * LENGTH_BYTES
        middle = start + int.from_bytes(body[:LENGTH_BYTES], "little")
        end = middle + int.from_bytes(body[LENGTH_BYTES:start], "little")
        version, header = json.loads(bytes(body[start:middle]))
        if version != VERSION:
            return Index()
        return _decoded(header, array("q", bytes(body[middle:end])), str(body[end:], "utf-8", "surrogatepass"))
    except (ValueError, TypeError, KeyError, RecursionError):
        return Index()


def _decoded(header: dict[str, Any], numbers: array[int], text: str) -> Index:
    counts, entries = header.pop("watched"), header.pop("jobs")
    count = len(numbers) // 4
    stats = zip(*(numbers[place : place + count] for place in range(0, 4 * count, count or 1)), strict=True)
    texts = iter(text.split("\0"))
    watched = [
        Watched(list(islice(texts, there)), list(islice(stats, there)), list(islice(texts, absent)))
        for there, absent in counts
    ]
    shared, listing, *own = watched
    jobs = {}
    for (models, due_ts, spared_s), files in zip(entries, own, strict=True):
        name, source, said = islice(texts, 3)
        jobs[name] = Entry(source, said, models, due_ts, spared_s, files)
    return Index(**header, shared=shared, listing=listing, jobs=jobs)


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
