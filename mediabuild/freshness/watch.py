"""Lists the files and folders whose change would make a fresh job stale; the index records their stats.

Not here: the index's file (`store.index`), when it is asked (`bulk`).
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from mediabuild.freshness.look import Freshness
from mediabuild.freshness.observation import models_of
from mediabuild.machine.listing import counts
from mediabuild.pipeline.deliveries import deliveries
from mediabuild.pipeline.model import Given, Pipeline, Task
from mediabuild.pipeline.paths import WILDCARDS, fixed_part, paths_of
from mediabuild.pipeline.reserved import ALL_JOBS, MANIFEST_NAME
from mediabuild.store import places
from mediabuild.store.manifest import DAY_S, Manifest, find_manifest, known_stats
from mediabuild.store.stats import ABSENT, Stats, is_still, stats_or_absent

MOST_FOLDERS = 10_000  # below one glob or directory: above, looking costs more than the long way


class Unsettled(Exception):
    """Something that a job depends on can't be vouched for by its stats."""


class Watch:
    """What was looked at for the tasks of one job, which are all fresh.

    Args:
        watched: path → stats. models: as in the index. spared_s: task → how long it took, in seconds.

    Raises:
        Unsettled: a task is stale, or a file could have changed without its stats showing it.
        OSError: a file can't be looked at.
    """

    def __init__(self, freshness: Freshness, job: str, tasks: list[Task]) -> None:
        self.freshness = freshness
        self.pipeline = freshness.pipeline
        self.root = self.pipeline.root
        self.since = time.time()
        self.watched: dict[str, Stats] = {}
        self.models: list[tuple[str, str, str]] = []
        self.due_ts = float("inf")
        self.spared_s: dict[str, float] = {}
        if tasks:
            self._add_state(tasks[0].job_dir, places.settled(tasks[0].job_dir))
        decided = [job] if job != ALL_JOBS else freshness.decided_by  # who collects depends on what each job has
        for given in (given for name in decided for given in freshness.decided_by.get(name, ())):
            self._add_places(given)
        for task in tasks:
            if freshness.reasons(task) or freshness.producers.left_out(task):
                raise Unsettled(task.name)
            self._add_task(task)

    def _add_task(self, task: Task) -> None:
        manifest = self._add_outputs(task)
        refreshed = manifest.last_checked_ts != manifest.timestamp
        self.due_ts = min(self.due_ts, manifest.last_checked_ts + DAY_S if refreshed else 0.0)
        self.spared_s[task.name] = manifest.duration_s
        for name in manifest.code:  # what a run loaded, also what no line of its code tells
            if "/" in name and task.stage.declaration is not None:
                self._add(self.root / name)
        for copy in deliveries(self.pipeline, task, manifest.copied_files()):
            self._add(self.root / copy)
        for reference in (reference for references in task.inputs.values() for reference in references):
            if isinstance(reference, Given):
                self._add_given(reference)
            elif reference.job != task.job:
                producer = self.freshness.tasks[reference.task]
                self._add_outputs(producer)
                self._add_state(producer.job_dir, [places.marks(producer.job_dir)])
        if task.stage.declaration is not None and task.stage.declaration.models is not None:
            params = _text(task.params)
            self.models.append((task.stage.name, params, models_text(self.pipeline, task.stage.name, params)))
            for model in models_of(self.pipeline, task.stage, task.params).values():
                if model.path is not None:
                    self._add(model.path)

    def _add_outputs(self, task: Task) -> Manifest:
        manifest, stats = find_manifest(task.directory), known_stats(task.directory)
        if manifest is None or stats is None:
            raise Unsettled(task.name)
        self.watched[name_in(self.root, task.directory / MANIFEST_NAME)] = stats
        for path in manifest.output_files():
            self._add(task.directory / path)
        for pattern in task.stage.outputs.values():
            if "*" not in pattern:
                self._add(task.directory / pattern)
        return manifest

    def _add_state(self, job_dir: Path, folders: list[Path]) -> None:
        """Folders of a job's state; what isn't there is seen in the folder above, which costs one look for all."""
        self._add_folder(places.state_of(job_dir))
        for folder in filter(os.path.lexists, folders):
            self._add(folder)

    def _add_given(self, given: Given) -> None:
        self._add(self.root / given.pattern)
        for choice in given.globs:
            if WILDCARDS.search(choice):
                for folder in folders_listed(self.root / given.folder, choice):
                    self._add_folder(self.root / given.folder / folder)
            else:
                self._add(self.root / given.folder / choice)
        for path in paths_of(given, self.root):
            self._add(self.root / path)

    def _add_places(self, given: Given) -> None:
        """What has to stay as it is, so that the same paths match."""
        for choice in given.globs or [os.path.relpath(given.pattern, given.folder or ".")]:
            folder = self.root / given.folder
            for place in folders_listed(folder, choice) if given.globs and WILDCARDS.search(choice) else [choice]:
                self._add_folder(folder / place)

    def _add(self, path: Path) -> None:
        """A file, a directory with all it holds, or what isn't there."""
        if path.is_dir():
            for folder in _folders(path):
                self._add_folder(folder)
                for name in filter(counts, os.listdir(folder)):
                    if not (folder / name).is_dir():
                        self._add_file(folder / name)
        else:
            self._add_file(path)

    def _add_file(self, path: Path) -> None:
        if not os.path.lexists(path):
            self._add_absent(path)
            return
        known = self.freshness.digests.known(path)
        if known is None:
            raise Unsettled(str(path))
        self.watched[name_in(self.root, path)] = known[0]

    def _add_absent(self, path: Path) -> None:
        """While a folder isn't there, nothing in it is: one look for the files of all jobs in `corrections/`."""
        while not os.path.lexists(path.parent):
            path = path.parent
        self.watched[name_in(self.root, path)] = ABSENT

    def _add_folder(self, folder: Path) -> None:
        stats = stats_or_absent(folder)
        if stats != ABSENT and not is_still(stats, self.since):
            raise Unsettled(str(folder))
        self.watched[name_in(self.root, folder)] = stats


def name_in(root: Path, path: Path) -> str:
    """A path as the index has it: relative to the pipeline's folder where it lies below."""
    return os.fspath(path).removeprefix(os.path.join(root, ""))


def models_text(pipeline: Pipeline, stage: str, params: str, looked_at: list[Path] | None = None) -> str:
    """What a stage would load with these params (JSON), as text; why not, if it can't be told. As `models_of`."""
    spec = pipeline.stages[stage]
    try:
        found = models_of(pipeline, spec, msgspec.json.decode(params), looked_at)
    except Exception as error:  # a stage's own function may raise anything
        return f"{type(error).__name__}: {error}"
    return _text({name: [model.name, os.fspath(model.path) if model.path else None] for name, model in found.items()})


def _text(value: object) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


def folders_listed(root: Path, pattern: str) -> list[str]:
    """The folders that a glob lists; what stands before its first wildcard, if that isn't there.

    Raises:
        Unsettled: they are too many.
    """
    fixed = fixed_part(pattern)
    if not WILDCARDS.search(pattern) or not (root / fixed).is_dir():
        return [fixed or "."] if WILDCARDS.search(pattern) else [pattern]
    levels = pattern.count("/") - fixed.count("/") - bool(fixed)
    if not levels:
        return [fixed or "."]
    return [name_in(root, folder) for folder in _folders(root / fixed, None if "**" in pattern else levels)]


def _folders(folder: Path, levels: int | None = None) -> list[Path]:
    """A folder and all below it, down to some level; links are followed, loops cut.

    Raises:
        Unsettled: they are too many.
    """
    found, waiting, seen = [], [(folder, 0)], set()
    while waiting:
        folder, level = waiting.pop()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        found.append(folder)
        if len(found) > MOST_FOLDERS:
            raise Unsettled(f"{folder}: more than {MOST_FOLDERS} folders")
        with os.scandir(folder) as entries:
            if levels is None or level < levels:
                waiting += [(Path(e.path), level + 1) for e in entries if counts(e.name) and e.is_dir()]
    return found
