"""Sources that must not change: one that isn't what a manifest says is no new content, but a failure.

It stays one until `reset-dep` adopts what is there. What no manifest knows yet is new, and no failure.

Not here: taking digests (`inputs`), reading files in spite of the stat cache (`check --read`, `store.digest`).
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from mediabuild.machine.here import command
from mediabuild.pipeline.model import Given, Pipeline, Reason, Reference, Task
from mediabuild.pipeline.paths import expand_braces
from mediabuild.pipeline.reserved import ALL_JOBS
from mediabuild.store.digest import Digests
from mediabuild.store.facts import Files
from mediabuild.store.manifest import Manifest, find_manifest

CHANGED = "frozen, and isn't what was recorded"


class Fixity:
    """Compares frozen files with what the manifests say of them.

    Args:
        tasks: all tasks of the pipeline: one that was never built goes by the others of its job.
    """

    def __init__(self, pipeline: Pipeline, digests: Digests, tasks: Mapping[str, Task]) -> None:
        self.pipeline = pipeline
        self.digests = digests
        self.tasks = tasks

    def troubles(self, task: Task, name: str, files: Files) -> Iterator[Reason]:
        """The frozen files of an input that aren't what was recorded.

        Args:
            files: what is there: path as manifests have it → digest.
        """
        if not self.pipeline.frozen or not any(self._is_frozen(reference) for reference in task.inputs[name]):
            return
        own = find_manifest(task.directory)
        for path, digest in files.items():
            promised = _recorded(own, path) if own else set()
            promised = promised or {d for other in self._beside(task) for d in _recorded(find_manifest(other), path)}
            if promised and not any(self._is(path, digest, was) for was in promised):
                yield Reason("inputs", f"{name}: {path}", now=CHANGED)

    def _beside(self, task: Task) -> list[Path]:
        """The directories of the job's other tasks."""
        return [t.directory for t in self.tasks.values() if t.job == task.job and t.name != task.name]

    def _is(self, path: str, digest: str, was: str) -> bool:
        """Whether a file is what it was; that may be recorded by another algorithm."""
        algorithm = was.partition(":")[0]
        if digest.startswith(f"{algorithm}:"):
            return digest == was
        return self.digests.holds(self.pipeline.root / path, was)

    def _is_frozen(self, reference: Reference) -> bool:
        if not isinstance(reference, Given):
            return False
        if self.pipeline.frozen is True:
            return bool(reference.label)  # a source
        return any(is_frozen_by(pattern, reference.pattern) for pattern in self.pipeline.frozen or ())


def accepting(task: Task) -> str:
    """What is typed where a frozen source is meant to be another: adopt it, and make anew what follows from it."""
    what = [task.name] if task.job == ALL_JOBS else ["--job", task.job]
    return f"if it is meant to be another: {command('reset-dep', *what)} && {command('--force', *what)}"


def is_frozen_by(pattern: str, path: str) -> bool:
    """Whether a glob of `frozen` means a path."""
    globs = expand_braces(os.path.normpath(pattern))
    return any(fnmatch.fnmatchcase(path, g) or fnmatch.fnmatchcase(path, g.replace("**/", "")) for g in globs)


def _recorded(manifest: Manifest | None, path: str) -> set[str]:
    """The digests that a manifest has of an input's file."""
    return {files[path] for files in manifest.inputs.values() if path in files} if manifest else set()
