"""The fresh jobs of a pipeline, decided in bulk from the index; and what the index is to know of a job.

A job is recorded after a run that left all its tasks up to date, with everything that the rebuilder looked at
for them. What has changed too recently for its stats to vouch for it isn't recorded, and is looked at the long
way once more.

Not here: the file (`index`), the decision for one task (`rebuilder`).
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

from mediabuild.freshness.rebuilder import Rebuilder
from mediabuild.freshness.watch import Look, Unsettled, _listed, _models, _name
from mediabuild.machine.files import write_atomically
from mediabuild.pipeline.model import Given, Pipeline, Task
from mediabuild.pipeline.paths import expand_braces
from mediabuild.pipeline.reserved import ALL_JOBS, MANIFEST_NAME, STATE_DIR
from mediabuild.store import index
from mediabuild.store.index import Entry, Glance, Index, Watched
from mediabuild.store.stats import ABSENT, Stats, is_still, stats_or_absent

DODO = "dodo.py"


class Bulk:
    """The index of a pipeline, for one command.

    Args:
        root: the pipeline's folder; made before `pipeline.toml` is read, so that a change meanwhile shows.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.since = time.time()
        self.definition = {name: stats_or_absent(root / name) for name in ("pipeline.toml", DODO, "stages")}
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
        self.definition |= {_name(self.root, file): stats_or_absent(file) for file in _stage_files(pipeline)}
        glance, Glance.latest = Glance.recent(str(self.file)), None
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
                    stats = stats_or_absent(self.root / folder)
                    if stats != ABSENT and not is_still(stats, self.since):
                        raise Unsettled(folder)
                    found[folder] = stats
        return Watched.of(found)


def _rows(watched: Watched) -> list[Stats]:
    numbers = iter(watched.stats)
    return list(zip(numbers, numbers, numbers, numbers, strict=True))


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
