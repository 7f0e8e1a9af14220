"""The fresh jobs of a pipeline, decided in bulk from the index; and what the index is to know of a job.

A job is recorded after a run that left all its tasks up to date, with everything that the rebuilder looked at
for them. What has changed too recently for its stats to vouch for it isn't recorded, and is looked at the long
way once more.

Not here: the file (`index`), the decision for one task (`rebuilder`).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

import msgspec

from mediabuild import index, noop
from mediabuild.digest import is_still, stats_of, write_atomically
from mediabuild.graph import paths_of
from mediabuild.index import ABSENT, Entry, Index, Stats, Watched
from mediabuild.manifest import DAY_S, Manifest, find_manifest, known_stats
from mediabuild.model import ALL_JOBS, MANIFEST_NAME, STATE_DIR, Given, Pipeline, Task
from mediabuild.names import WILDCARDS, expand_braces, fixed_part
from mediabuild.rebuilder import Rebuilder, deliveries, models_of

DODO = "dodo.py"
MOST_FOLDERS = 1000  # below one glob or directory: above, looking costs more than the long way


class Unsettled(Exception):
    """Something that a job depends on can't be vouched for by its stats."""


class Bulk:
    """The index of a pipeline, for one command.

    Args:
        root: the pipeline's folder; made before `pipeline.toml` is read, so that a change meanwhile shows.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.since = time.time()
        self.definition = {name: _stats(root / name) for name in ("pipeline.toml", DODO, "stages")}
        self.known = Index()
        self.file = root
        self.alone = False

    def fresh(self, rebuilder: Rebuilder, jobs: Mapping[str, Given]) -> set[str]:
        """The jobs whose tasks are all up to date, as far as the index knows; nothing was hashed for it.

        Args:
            rebuilder: with the pipeline and the devices; its tasks aren't needed.
            jobs: job → source.
        """
        pipeline = rebuilder.pipeline
        self.file = pipeline.jobs_dir / STATE_DIR / index.NAME
        self.definition |= {_name(self.root, file): _stats(file) for file in _stage_files(pipeline)}
        glance, noop.Glance.latest = noop.Glance.recent(str(self.file)), None
        self.known = glance.index if glance else index.load(self.file)
        if self.known.code != index.code_stamp() or self.known.devices != _devices(rebuilder):
            self.known = Index()
        if not self.same_jobs(jobs):
            self.known.jobs.pop(ALL_JOBS, None)
        moved = self._moved_models(rebuilder)
        with contextlib.chdir(self.root):
            unchanged = glance.unchanged if glance else self.known.unchanged(time.time())
        found = [name for name in unchanged if name in jobs and name in self.known.jobs]
        entries = {name: self.known.jobs[name] for name in found}
        return {n for n, e in entries.items() if e.source == jobs[n].pattern and moved.isdisjoint(e.models)}

    def looked_ts(self, job: str) -> float:
        """When a run last found a job fresh by its stats alone, in seconds since 1970; 0 if never."""
        return self.file.stat().st_mtime if job in self.known.jobs else 0.0

    def orphans(self, jobs: Mapping[str, Given]) -> list[str] | None:
        """The jobs whose recording was gone when there were just these jobs; None where the index can't tell."""
        return self.known.orphans if self.same_jobs(jobs) else None

    def same_jobs(self, jobs: Mapping[str, Given]) -> bool:
        """Whether there were just these jobs when the index was written."""
        return jobs.keys() == {*self.known.jobs, *self.known.others}

    def _moved_models(self, rebuilder: Rebuilder) -> set[int]:
        """The numbers of the models that a stage would now find elsewhere."""
        return {
            number
            for number, (stage, params, found) in enumerate(self.known.models)
            if stage not in rebuilder.pipeline.stages or found != _models(rebuilder, stage, params)
        }

    def record(
        self,
        rebuilder: Rebuilder,
        jobs: Mapping[str, Given],
        looked_at: Iterable[str],
        *,
        alone: bool,
        orphans: list[str],
    ) -> None:
        """Record the jobs that turned out to be fresh, and keep what is known of the others; trouble is no failure.

        Args:
            rebuilder: with the tasks of these jobs.
            jobs: all jobs there are. looked_at: those that are not among the fresh ones that the index knew.
            alone: the user has no tasks of their own. orphans: the jobs whose recording is gone.
        """
        if not all(is_still(stats, self.since) for stats in self.definition.values() if stats != ABSENT):
            return
        by_job: dict[str, list[Task]] = {job: [] for job in looked_at}
        for task in rebuilder.tasks.values():
            if task.job in by_job:
                by_job[task.job].append(task)
        youngest = [path for tasks in by_job.values() for path in _youngest(tasks)]
        rebuilder.digests.settle(youngest, looked_at=False)
        found: dict[str, tuple[Look, Given]] = {}
        for job, tasks in by_job.items():
            with contextlib.suppress(Unsettled, OSError):
                found[job] = Look(rebuilder, tasks), jobs[job]
        self._save(rebuilder, jobs, found, alone=alone, orphans=orphans)

    def _save(
        self,
        rebuilder: Rebuilder,
        jobs: Mapping[str, Given],
        found: Mapping[str, tuple[Look, Given]],
        *,
        alone: bool,
        orphans: list[str],
    ) -> None:
        old, pipeline = self.known if rebuilder.fresh else Index(), rebuilder.pipeline
        common = dict(zip(old.shared.paths, _rows(old.shared), strict=True)) | self.definition
        times = Counter(path for job, (look, _) in found.items() for path in look.watched if job != ALL_JOBS)
        common |= {path: stats for look, _ in found.values() for path, stats in look.watched.items() if times[path] > 1}
        models = list(old.models)
        entries = {job: entry for job, entry in old.jobs.items() if job in rebuilder.fresh and job in jobs}
        with contextlib.suppress(OverflowError, OSError, Unsettled):
            for job, (look, source) in found.items():
                numbers = []
                for model in look.models:
                    if model not in models:
                        models.append(model)
                    numbers.append(models.index(model))
                own = {path: stats for path, stats in look.watched.items() if path not in common}
                watched = Watched.of(own)
                entries[job] = Entry(source.pattern, look.names, numbers, look.due_ts, look.spared_s, watched)
            plain = alone and not orphans and not models and not any(spec.devices for spec in pipeline.stages.values())
            new = Index(
                code=index.code_stamp(),
                version=version("mediabuild"),
                alone=plain,
                devices=_devices(rebuilder),
                models=models,
                shared=Watched.of(common),
                listing=self._listing(pipeline),
                others=[job for job in jobs if job not in entries],
                orphans=orphans,
                jobs={job: entries[job] for job in jobs if job in entries},
            )
            write_atomically(self.file, new.encode())

    def _listing(self, pipeline: Pipeline) -> Watched:
        """The folders that the sources' globs list."""
        found: dict[str, Stats] = {}
        for pattern in pipeline.sources:
            for choice in expand_braces(pattern.removeprefix("!")):
                for folder in _listed(self.root, choice):
                    stats = _stats(self.root / folder)
                    if stats != ABSENT and not is_still(stats, self.since):
                        raise Unsettled(folder)
                    found[folder] = stats
        return Watched.of(found)


class Look:
    """What the rebuilder looks at for the tasks of one job, which are all fresh.

    Args:
        watched: path → stats. models: as in the index. names: of the tasks.

    Raises:
        Unsettled: a task is stale, or a file could have changed without its stats showing it.
        OSError: a file can't be looked at.
    """

    def __init__(self, rebuilder: Rebuilder, tasks: list[Task]) -> None:
        self.rebuilder = rebuilder
        self.root = rebuilder.pipeline.root
        self.since = time.time()
        self.names = [task.name for task in tasks]
        self.watched: dict[str, Stats] = {}
        self.models: list[tuple[str, str, str]] = []
        self.due_ts, self.spared_s = float("inf"), 0.0
        for folder in ("marks", "tmp", "swap"):
            self._add(tasks[0].state_dir / folder)
        for task in tasks:
            if rebuilder.reasons(task) or rebuilder.left_out(task):
                raise Unsettled(task.name)
            self._add_task(task)

    def _add_task(self, task: Task) -> None:
        manifest = self._add_outputs(task)
        refreshed = manifest.last_checked_ts != manifest.timestamp
        self.due_ts = min(self.due_ts, manifest.last_checked_ts + DAY_S if refreshed else 0.0)
        self.spared_s += manifest.duration_s
        for copy in deliveries(self.rebuilder.pipeline, task, manifest):
            self._add(self.root / copy)
        for reference in (reference for references in task.inputs.values() for reference in references):
            if isinstance(reference, Given):
                self._add_given(reference)
            elif self.rebuilder.tasks[reference.task].job != task.job:
                self._add_outputs(self.rebuilder.tasks[reference.task])
                self._add(self.rebuilder.tasks[reference.task].state_dir / "marks")
        if task.stage.declaration is not None and task.stage.declaration.models is not None:
            params = _text(task.params)
            self.models.append((task.stage.name, params, _models(self.rebuilder, task.stage.name, params)))
            for model in models_of(self.rebuilder.pipeline, task.stage, task.params).values():
                if model.path is not None:
                    self._add(model.path)

    def _add_outputs(self, task: Task) -> Manifest:
        manifest, stats = find_manifest(task.directory), known_stats(task.directory)
        if manifest is None or stats is None:
            raise Unsettled(task.name)
        self.watched[_name(self.root, task.directory / MANIFEST_NAME)] = stats
        for path in manifest.output_files():
            self._add(task.directory / path)
        for pattern in task.stage.outputs.values():
            if "*" not in pattern:
                self._add(task.directory / pattern)
        return manifest

    def _add_given(self, given: Given) -> None:
        self._add(self.root / given.pattern)
        for choice in given.globs:
            if WILDCARDS.search(choice):
                for folder in _listed(self.root, choice):
                    self._add_folder(self.root / folder)
            else:
                self._add(self.root / choice)
        for path in paths_of(given, self.root):
            self._add(self.root / path)

    def _add(self, path: Path) -> None:
        """A file, a directory with all it holds, or what isn't there."""
        if path.is_dir():
            for folder in _folders(path):
                self._add_folder(folder)
                for name in os.listdir(folder):
                    if not (folder / name).is_dir():
                        self._add_file(folder / name)
        else:
            self._add_file(path)

    def _add_file(self, path: Path) -> None:
        known = self.rebuilder.digests.known(path) if os.path.lexists(path) else (ABSENT, {})
        if known is None:
            raise Unsettled(str(path))
        self.watched[_name(self.root, path)] = known[0]

    def _add_folder(self, folder: Path) -> None:
        stats = _stats(folder)
        if stats != ABSENT and not is_still(stats, self.since):
            raise Unsettled(str(folder))
        self.watched[_name(self.root, folder)] = stats


def _stats(path: Path) -> Stats:
    """A path's stats, `ABSENT` where nothing is."""
    try:
        return stats_of(path)
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT


def _rows(watched: Watched) -> list[Stats]:
    numbers = iter(watched.stats)
    return list(zip(numbers, numbers, numbers, numbers, strict=True))


def _name(root: Path, path: Path) -> str:
    """A path as the index has it: relative to the pipeline's folder where it lies below."""
    return os.fspath(path).removeprefix(os.path.join(root, ""))


def _stage_files(pipeline: Pipeline) -> list[Path]:
    declared = [(spec.file, spec.declaration) for spec in pipeline.stages.values()]
    return [file for own, stage in declared if own and stage for file in (own, *stage.shared.values())]


def _youngest(tasks: list[Task]) -> list[Path]:
    """What a run changes last in a job."""
    return [*(task.directory / MANIFEST_NAME for task in tasks), *(tasks[0].state_dir / n for n in ("tmp", "marks"))]


def _devices(rebuilder: Rebuilder) -> dict[str, str]:
    """Stage → device, for those that use one; empty where it can't be told."""
    pipeline = rebuilder.pipeline
    specs = [spec for spec in pipeline.stages.values() if spec.devices]
    return {spec.name: rebuilder.devices.resolve(pipeline.device, spec.devices, spec.python) for spec in specs}


def _models(rebuilder: Rebuilder, stage: str, params: str) -> str:
    """What a stage would load with these params (JSON), as text; why not, if it can't be told."""
    spec = rebuilder.pipeline.stages[stage]
    try:
        found = models_of(rebuilder.pipeline, spec, msgspec.json.decode(params))
    except Exception as error:  # a stage's own function may raise anything
        return f"{type(error).__name__}: {error}"
    return _text({name: [model.name, os.fspath(model.path) if model.path else None] for name, model in found.items()})


def _text(value: object) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


def _listed(root: Path, pattern: str) -> list[str]:
    """The folders that a glob lists; what stands before its first wildcard, if that isn't there.

    Raises:
        Unsettled: they are too many.
    """
    fixed = fixed_part(pattern)
    if not WILDCARDS.search(pattern) or not (root / fixed).is_dir():
        return [fixed or "."] if WILDCARDS.search(pattern) else [pattern]
    deep = pattern.count("/") > fixed.count("/") + bool(fixed)
    return [_name(root, folder) for folder in _folders(root / fixed)] if deep else [fixed or "."]


def _folders(folder: Path) -> list[Path]:
    """A folder and all below it; links are followed, loops cut.

    Raises:
        Unsettled: they are too many.
    """
    found, waiting, seen = [], [folder], set()
    while waiting:
        folder = waiting.pop()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        found.append(folder)
        if len(found) > MOST_FOLDERS:
            raise Unsettled(f"{folder}: more than {MOST_FOLDERS} folders")
        with os.scandir(folder) as entries:
            waiting += [Path(entry.path) for entry in entries if entry.is_dir()]
    return found
