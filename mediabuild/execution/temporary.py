"""Deletes the outputs of `temp` stages once no task needs them.

Their manifest stays, and vouches for them: that they are gone is no reason to run. They are made again
when a task that reads them is about to run.

Not here: making them again, which is doit's with its setup tasks (`schedule.tasks`).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable

from mediabuild.errors import MediabuildError
from mediabuild.freshness.look import Freshness
from mediabuild.freshness.producers import deleted_outputs, produced
from mediabuild.machine.files import is_straight, remove_empty, remove_file
from mediabuild.pipeline.model import Task
from mediabuild.store.holding import holding
from mediabuild.store.manifest import Manifest, find_manifest


class Temporary:
    """The temp stages of a pipeline, during one run."""

    def __init__(self, freshness: Freshness) -> None:
        self.freshness = freshness
        self._settled: set[str] = set()  # tasks that are up to date now

    @functools.cached_property
    def _readers(self) -> dict[str, list[Task]]:
        """Temp task → the tasks that read its outputs."""
        tasks = self.freshness.tasks
        found: dict[str, list[Task]] = {name: [] for name, task in tasks.items() if task.stage.temp}
        for reader in tasks.values() if found else ():
            for name in dict.fromkeys(reference.task for reference in produced(reader)):
                if name in found:
                    found[name].append(reader)
        return found

    def settle(self, task: Task) -> None:
        """A task is up to date: temporary outputs that it was the last to read go."""
        if not self._readers:
            return
        self._settled.add(task.name)
        done: dict[str, bool] = {}
        unneeded = []
        for producer in self.freshness.producers.of(task):
            readers = self._readers.get(producer.name, ())
            if readers and all(self._is_done_with(reader, done) for reader in readers):
                unneeded.append(producer)
        self._delete_unneeded(unneeded)

    def close(self) -> None:
        """The run ends: what was read by tasks that it didn't look at goes, too."""
        there = [task for task in self.freshness.tasks.values() if task.stage.temp and not deleted_outputs(task)]
        self._delete_unneeded(there)

    def _is_done_with(self, reader: Task, known: dict[str, bool]) -> bool:
        """Whether it won't read any more in this run; a temp task may have to, until all that read it are done."""
        if reader.name not in known:
            known[reader.name] = reader.name in self._settled and (
                not deleted_outputs(reader)
                or all(self._is_done_with(other, known) for other in self._readers.get(reader.name, ()))
            )
        return known[reader.name]

    def _delete_unneeded(self, tasks: Iterable[Task]) -> None:
        """Delete the outputs of those that all who read them are done with; the manifests stay.

        Who is busy with one of them or with a task that reads it keeps them; they go at the end of a later run.
        """
        readings: dict[str, dict[str, str] | None] = {}  # task → what it has read; each is looked at once
        for task in tasks:
            with contextlib.suppress(OSError, MediabuildError), contextlib.ExitStack() as held:
                for one in (task, *self._readers[task.name]):
                    held.enter_context(holding(one))
                if self._is_unneeded(task, readings):
                    _delete(task)

    def _is_unneeded(self, task: Task, readings: dict[str, dict[str, str] | None]) -> bool:
        """Whether all that read the outputs are up to date with just these; what a person wrote is always needed."""
        manifest, readers = find_manifest(task.directory), self._readers[task.name]
        if manifest is None or manifest.adopted or not readers or self._is_stale(task):
            return False
        for reader in readers:
            if reader.name not in readings:
                readings[reader.name] = self._reading(reader)
            if not self._has_read(reader, readings[reader.name], task, manifest):
                return False
        return True

    def _reading(self, task: Task) -> dict[str, str] | None:
        """What an up-to-date task has read: label → digest; None for a stale one."""
        manifest = None if self._is_stale(task) else find_manifest(task.directory)
        if manifest is None:
            return None
        return {label: digest for files in manifest.inputs.values() for label, digest in files.items()}

    def _is_stale(self, task: Task) -> bool:
        """Whether it would run; that this run was forced is past."""
        return bool(self.freshness.reasons(task, forced=False))

    def _has_read(self, reader: Task, recorded: dict[str, str] | None, task: Task, manifest: Manifest) -> bool:
        """Whether the reader's manifest records these very digests: they will be compared with the record."""
        if recorded is None:
            return False
        folder = self.freshness.producers.label(reader, task)
        names = {reference.output for reference in produced(reader) if reference.task == task.name}
        for name, files in manifest.outputs.items():
            if name not in names and None not in names:
                continue
            if any(recorded.get(f"{folder}/{path}") != digest for path, digest in files.items()):
                return False
        return True


def _delete(task: Task) -> None:
    """Delete the outputs that the manifest records, and the directories that this leaves empty."""
    manifest = find_manifest(task.directory)
    for path in manifest.output_files() if manifest else ():
        with contextlib.suppress(OSError):
            if not path.endswith("/") and is_straight(task.directory, path):
                remove_file(task.directory / path)
    remove_empty(task.directory)
