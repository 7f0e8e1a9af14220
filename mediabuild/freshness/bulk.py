"""Decides from the index, for all jobs at once, which are fresh; and writes the index after a run.

A job is recorded after a run that left all its tasks up to date, with everything that was looked at for
them. What has changed too recently for its stats to vouch for it isn't recorded, and is looked at the long
way once more.

Not here: the file (`index`), the decision for one task (`rebuilder`).
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from mediabuild import __version__, code_stamp
from mediabuild.freshness import code
from mediabuild.freshness.look import Freshness
from mediabuild.freshness.unread import folders_of_inputs
from mediabuild.freshness.watch import Unsettled, Watch, folders_listed, models_text, name_in
from mediabuild.machine.files import write_atomically
from mediabuild.machine.hardware.device import Devices
from mediabuild.machine.hardware.driver import surroundings
from mediabuild.machine.interpreter import lacking_for_separator, site_packages
from mediabuild.pipeline.code_of_stages.loading import builtin_stages_dir
from mediabuild.pipeline.code_of_stages.separator import runs_demucs
from mediabuild.pipeline.model import Given, Pipeline, StageSpec, Task
from mediabuild.pipeline.paths import expand_braces
from mediabuild.pipeline.reserved import ALL_JOBS, MANIFEST_NAME
from mediabuild.store import index, places
from mediabuild.store.index import Entry, Index, Watched, said_of
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
        self.devices: dict[str, str] = {}
        self.file = root

    def fresh(self, pipeline: Pipeline, devices: Devices, jobs: Mapping[str, Given]) -> set[str]:
        """The jobs whose tasks are all up to date, as far as the index knows; nothing was hashed for it.

        Args:
            jobs: job → source.
        """
        self.file = Path(places.index_file(pipeline.jobs_dir))
        self.definition |= {name_in(self.root, file): stats_or_absent(file) for file in _defining(pipeline)}
        self.devices = _devices(pipeline, devices)
        glance = index.take_glance(str(self.file))
        self.known = glance.index if glance else index.load(self.file)
        if self.known.code != code_stamp() or self.known.devices != self.devices:
            self.known = Index()
        if not self.same_jobs(jobs):
            self.known.jobs.pop(ALL_JOBS, None)
        moved = self._moved_models(pipeline)
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

    def _moved_models(self, pipeline: Pipeline) -> set[int]:
        """The numbers of the models that a stage would now find elsewhere."""
        return {
            number
            for number, (stage, params, found) in enumerate(self.known.models)
            if stage not in pipeline.stages or found != models_text(pipeline, stage, params)
        }

    def record(
        self,
        freshness: Freshness,
        jobs: Mapping[str, Given],
        *,
        alone: bool,
        orphans: list[str],
        warnings: list[str],
    ) -> None:
        """Record the jobs that turned out to be fresh, and keep what is known of the others; trouble is no failure.

        Args:
            freshness: with the tasks of the jobs that are not among the fresh ones which the index knew.
            jobs: all jobs there are.
            alone: the user has no tasks of their own. orphans: the jobs whose recording is gone.
            warnings: what the run said of the pipeline.
        """
        if not all(is_still(stats, self.since) for stats in self.definition.values() if stats != ABSENT):
            return
        by_job: dict[str, list[Task]] = {job: [] for job in jobs if job not in freshness.known}
        for task in freshness.tasks.values():
            if task.job in by_job:
                by_job[task.job].append(task)
        youngest = [path for tasks in by_job.values() for path in _youngest(tasks)]
        freshness.digests.settle(youngest, looked_at=False)
        found: dict[str, tuple[Watch, Given]] = {}
        for job, tasks in by_job.items():
            with contextlib.suppress(Unsettled, OSError):
                found[job] = Watch(freshness, job, tasks), jobs[job]
        self._save(freshness, jobs, found, alone=alone, orphans=orphans, warnings=warnings)

    def _save(
        self,
        freshness: Freshness,
        jobs: Mapping[str, Given],
        found: Mapping[str, tuple[Watch, Given]],
        *,
        alone: bool,
        orphans: list[str],
        warnings: list[str],
    ) -> None:
        old, pipeline = self.known if freshness.known else Index(), freshness.pipeline
        common = old.shared.by_path() | self.definition
        times = Counter(path for job, (watch, _) in found.items() for path in watch.watched if job != ALL_JOBS)
        for watch, _ in found.values():
            common |= {path: stats for path, stats in watch.watched.items() if times[path] > 1}
        models = list(old.models)
        entries = {job: entry for job, entry in old.jobs.items() if job in freshness.known and job in jobs}
        with contextlib.suppress(OverflowError, OSError, Unsettled):
            for job, (watch, source) in found.items():
                numbers = []
                for model in watch.models:
                    if model not in models:
                        models.append(model)
                    numbers.append(models.index(model))
                own = {path: stats for path, stats in watch.watched.items() if path not in common}
                said, spared_s = said_of(watch.spared_s), sum(watch.spared_s.values())
                entries[job] = Entry(source.pattern, said, numbers, watch.due_ts, spared_s, Watched.of(own))
            plain = alone and not orphans and all(map(_is_plain, pipeline.stages.values()))
            new = Index(
                code=code_stamp(),
                version=__version__,
                alone=plain,
                devices=self.devices,
                surroundings=surroundings(),
                models=models,
                shared=Watched.of(common),
                listing=self._listing(pipeline, models),
                others=[job for job in jobs if job not in entries],
                orphans=orphans,
                warnings=warnings,
                jobs={job: entries[job] for job in jobs if job in entries},
            )
            write_atomically(self.file, new.encode())

    def _listing(self, pipeline: Pipeline, models: Iterable[tuple[str, str, str]]) -> Watched:
        """The folders that the sources' globs list, and the places where packages and models were looked for."""
        looked: list[str | Path] = []
        for pattern in pipeline.sources:
            for choice in expand_braces(pattern.removeprefix("!")):
                looked += folders_listed(self.root, choice.rstrip("/"))
        for folder in folders_of_inputs(pipeline):
            looked += folders_listed(self.root, f"{folder}/**/*")
        for stage, params, _ in models:
            found_at: list[Path] = []
            models_text(pipeline, stage, params, found_at)
            looked += found_at
        for spec in pipeline.stages.values():
            if spec.devices:
                looked += [spec.python or sys.executable, *site_packages(spec.python)]
        found: dict[str, Stats] = {}
        for place in looked:
            stats = stats_or_absent(self.root / place)
            if stats != ABSENT and not is_still(stats, self.since):
                raise Unsettled(str(place))
            found[name_in(self.root, self.root / place) if isinstance(place, Path) else place] = stats
        return Watched.of(found)


def _defining(pipeline: Pipeline) -> list[Path]:
    """The files, besides `pipeline.toml`, that say what the tasks are."""
    return code.watched(pipeline) + ([pipeline.jobs_table] if pipeline.jobs_table else [])


def _is_plain(spec: StageSpec) -> bool:
    """Whether stats and the circumstances that the index holds tell all about a stage's models and its interpreter.

    A function of somebody else's may look for models anywhere; a missing demucs may turn up anywhere.
    """
    finds_models = spec.declaration is not None and spec.declaration.models is not None
    ours = spec.file is not None and spec.file.parent == builtin_stages_dir()
    return (ours or not finds_models) and not (runs_demucs(spec) and lacking_for_separator(spec.python))


def _youngest(tasks: list[Task]) -> list[Path]:
    """What a run changes last in a job."""
    manifests = [task.directory / MANIFEST_NAME for task in tasks]
    state = [places.state_of(tasks[0].job_dir), *places.settled(tasks[0].job_dir)] if tasks else []
    return [*manifests, *state]


def _devices(pipeline: Pipeline, devices: Devices) -> dict[str, str]:
    """Stage → device, for those that use one; empty where it can't be told."""
    specs = [spec for spec in pipeline.stages.values() if spec.devices]
    return {spec.name: devices.resolve(pipeline.device, spec.devices, spec.python) for spec in specs}
