"""Outputs of `temp` stages: who reads them, and their deletion once nobody needs them.

Their manifest stays, and vouches for them: that they are gone is no reason to run. They are made again
when a task that reads them is about to run.

Not here: that decision, which is doit's with its setup tasks (`doit_plugin`), and the locks (`executor`).
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable
from pathlib import Path

from mediabuild.freshness.rebuilder import Rebuilder
from mediabuild.pipeline.model import Produced, Task
from mediabuild.store.manifest import Manifest, find_manifest


class Temporary:
    """The outputs of the temp stages of a pipeline."""

    def __init__(self, rebuilder: Rebuilder) -> None:
        self.rebuilder = rebuilder

    def readers(self, task: Task) -> list[Task]:
        """The tasks that read a temp task's outputs; none for any other."""
        return self._readers.get(task.name, [])

    @functools.cached_property
    def _readers(self) -> dict[str, list[Task]]:
        tasks = self.rebuilder.tasks
        found: dict[str, list[Task]] = {name: [] for name, task in tasks.items() if task.stage.temp}
        for reader in tasks.values() if found else ():
            for name in dict.fromkeys(reference.task for reference in _produced(reader)):
                if name in found:
                    found[name].append(reader)
        return found

    def readings(self) -> Callable[[Task], dict[str, str] | None]:
        """What the up-to-date tasks have read: task → label → digest; None for a stale one. Each is looked at once."""

        @functools.cache
        def reading(name: str) -> dict[str, str] | None:
            task = self.rebuilder.tasks[name]
            manifest = None if self._is_stale(task) else find_manifest(task.directory)
            files = manifest.inputs.values() if manifest else ()
            return {label: digest for found in files for label, digest in found.items()} if manifest else None

        return lambda task: reading(task.name)

    def is_unneeded(self, task: Task, readings: Callable[[Task], dict[str, str] | None]) -> bool:
        """Whether all that read the outputs are up to date with just these; what a person wrote is always needed."""
        manifest, readers = find_manifest(task.directory), self.readers(task)
        if manifest is None or manifest.adopted or not readers or self._is_stale(task):
            return False
        return all(self._has_read(reader, readings(reader), task, manifest) for reader in readers)

    def _is_stale(self, task: Task) -> bool:
        """Whether it would run; that this run was forced is past."""
        return bool(self.rebuilder.reasons(task, forced=False))

    def _has_read(self, reader: Task, recorded: dict[str, str] | None, task: Task, manifest: Manifest) -> bool:
        """Whether the reader's manifest records these very digests: they will be compared with the record."""
        if recorded is None:
            return False
        folder = self.rebuilder.label_of(reader, task)
        names = {reference.output for reference in _produced(reader) if reference.task == task.name}
        wanted = manifest.outputs if None in names else {n: f for n, f in manifest.outputs.items() if n in names}
        return all(recorded.get(f"{folder}/{p}") == digest for f in wanted.values() for p, digest in f.items())

    def delete(self, task: Task) -> None:
        """Delete the outputs that are what the manifest records, and the directories that this leaves empty."""
        manifest = find_manifest(task.directory)
        for path in manifest.output_files() if manifest else ():
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                if not path.endswith("/"):
                    (task.directory / path).unlink()
        for folder, _, _ in sorted(os.walk(task.directory), reverse=True):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()


def _produced(reader: Task) -> list[Produced]:
    return [r for references in reader.inputs.values() for r in references if isinstance(r, Produced)]
