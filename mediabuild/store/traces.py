"""Finds the outputs of the same facts in any job, so that one recording in two jobs is worked on once.

A trace here says nothing of the job: the source counts with its content and its suffix, not with its name. So it is
only kept for Python stages, which are handed content; a command is handed paths, and may write them down.

A file for each trace, under `jobs/.mediabuild/traces/`, with a line for each task. It is derived: what a
line says is verified whenever it is used, and it may be damaged or deleted at any time.

Not here: a task's own earlier outputs (`generations`).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from mediabuild.machine import regular
from mediabuild.pipeline.command_stages.pieces import columns_used
from mediabuild.pipeline.model import Given, Task
from mediabuild.pipeline.placeholders import fill, text_of
from mediabuild.pipeline.reserved import own_name
from mediabuild.store import inventory, places
from mediabuild.store.facts import Facts
from mediabuild.store.manifest import Manifest, find_manifest

MOST_LINES = 20


class Holder(msgspec.Struct, array_like=True):
    """A task that made the outputs: its directory and its job's, relative to the jobs directory, and its key."""

    directory: str
    job_dir: str
    key: str


class Found(NamedTuple):
    """Outputs of the same facts: where they lie, what is recorded of them, and the file of the task's units."""

    directory: Path
    manifest: Manifest
    units: Path | None


class Traces:
    """The traces of a jobs directory.

    Args:
        jobs_dir: nothing outside of it is ever read.
    """

    def __init__(self, jobs_dir: Path) -> None:
        self.jobs_dir = jobs_dir
        self.folder = places.traces(jobs_dir)

    def add(self, task: Task, manifest: Manifest) -> None:
        """Note who holds an output set; trouble is no failure."""
        if not bears_no_name(task) or manifest.adopted:
            return
        file, line = self._file(trace_in_any_job(task, manifest)), self._line(task)
        with contextlib.suppress(OSError, ValueError):
            if line in _lines(file):
                return
            file.parent.mkdir(parents=True, exist_ok=True)
            if file.parent.is_symlink():
                return
            with regular.open_file(file, "ab") as stream:
                stream.write(line + b"\n")

    def find(self, task: Task, facts: Facts) -> Iterator[Found]:
        """What other tasks hold whose manifests record the same facts, the newest word first.

        Args:
            facts: of the task as it is now. What the files hold is for the caller to verify.
        """
        if not bears_no_name(task):
            return
        trace = trace_in_any_job(task, facts)
        for line in reversed(_lines(self._file(trace))):
            for directory in self._places(line):
                manifest = find_manifest(directory) if directory != task.directory else None
                if manifest is not None and not manifest.adopted and _of(task, manifest) == trace:
                    yield Found(directory, manifest, self._units(line))

    def prune(self) -> None:
        """Forget traces that nobody holds any more."""
        for file in inventory.trace_files(self.jobs_dir):
            with contextlib.suppress(OSError):
                if not any(place.is_dir() for line in _lines(file) for place in self._places(line)):
                    file.unlink()

    def _file(self, trace: str) -> Path:
        return self.folder / trace[:2] / trace[2:]

    def _line(self, task: Task) -> bytes:
        directory, job_dir = (os.path.relpath(path, self.jobs_dir) for path in (task.directory, task.job_dir))
        return msgspec.json.encode(Holder(directory, job_dir, task.key))

    def _places(self, line: bytes) -> Iterator[Path]:
        """A task's directory and its generations, where they lie below the jobs directory."""
        try:
            holder = msgspec.json.decode(line, type=Holder)
            root = os.path.realpath(self.jobs_dir)
            kept = [p for p in inventory.generation_dirs(self.jobs_dir / holder.job_dir) if p.parent.name == holder.key]
            for path in (self.jobs_dir / holder.directory, *kept):
                if os.path.realpath(path).startswith(root + os.sep):
                    yield path
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError, OSError):
            return  # damaged

    def _units(self, line: bytes) -> Path | None:
        """The units of a task that has a place."""
        holder = msgspec.json.decode(line, type=Holder)
        job_dir = Path(os.path.realpath(self.jobs_dir / holder.job_dir))
        inside = job_dir.is_relative_to(os.path.realpath(self.jobs_dir))
        with contextlib.suppress(OSError):  # another run removes them at this moment
            files = inventory.units_files(job_dir) if inside else []
            return next((file for file in files if file.name == holder.key), None)
        return None


def _of(task: Task, manifest: Manifest) -> str:
    """The trace of another task of the same stage."""
    return trace_in_any_job(task, manifest, manifest.task.split(":")[1] if ":" in manifest.task else None)


def bears_no_name(task: Task) -> bool:
    """Whether a task is told no job's name, so that another job's result can be its own."""
    return task.stage.declaration is not None or task.stage.running.isolate


def trace_in_any_job(task: Task, facts: Facts, job: str | None = None) -> str:
    """The trace of facts in which the source has no name, so that it is the same in every job: as hex.

    Nor has any file that no task made, where a command is told no names; unless its pieces are called after it.

    Args:
        job: whose facts these are; None for the task's own.
    """
    given = {name: refs[0] for name, refs in task.inputs.items() if len(refs) == 1 and isinstance(refs[0], Given)}
    inputs: dict[str, Any] = dict(facts.inputs)
    for name, reference in given.items():
        names_pieces = name == task.stage.running.each and not columns_used(task.stage)
        if reference.folder or (reference.label and names_pieces):
            continue  # by the way from the job's folder: that bears no name
        if reference.label:
            inputs[name] = _nameless(facts.inputs.get(name, {}))
        elif task.stage.running.isolate:
            text = task.stage.inputs[name].removeprefix("?")
            names = {key: text_of(value) for key, value in task.at.items()} | {"job": own_name(job or task.job)}
            pattern = os.path.normpath(fill(text, names.get))
            files = facts.inputs.get(name, {})
            inputs[name] = _without_place(pattern, files, is_glob=bool(reference.globs), is_named=names_pieces)
    return Facts(**{**facts.facts(), "inputs": inputs}).trace()


def _without_place(pattern: str, files: Mapping[str, str], *, is_glob: bool, is_named: bool) -> Mapping[str, Any]:
    """A file without its name, unless that counts, a directory's files without the directory's; more as they are."""
    if not is_glob and pattern not in files:
        return {path.removeprefix(f"{pattern}/"): digest for path, digest in files.items()}
    is_file = len(files) == 1 and "**" not in pattern and next(iter(files)).count("/") == pattern.count("/")
    return _nameless(files) if is_file and not is_named else files


def _nameless(files: Mapping[str, str]) -> dict[str, Any]:
    """A source without its name: suffix → digest."""
    return {os.path.splitext(path)[1].lower(): digest for path, digest in files.items()}


def _lines(file: Path) -> list[bytes]:
    try:
        return regular.read_bytes(file).splitlines()[-MOST_LINES:]
    except OSError:
        return []
