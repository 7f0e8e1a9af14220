"""Opens a pipeline for one command: reads it, makes its tasks, and what looks at them.

Not here: doit (`schedule`), running tasks (`execution`), and what is printed (`commands`, `reporting`).
"""

from __future__ import annotations

import functools
import os
from collections import ChainMap
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path

from mediabuild.freshness.as_before import params_before, with_languages
from mediabuild.freshness.bulk import Bulk
from mediabuild.freshness.look import Freshness
from mediabuild.freshness.orphans import Orphan, Withdrawn, find_orphans, find_withdrawn, recorded_copies
from mediabuild.freshness.unread import Unread, find_unread
from mediabuild.freshness.verdicts import Verdict, verdicts
from mediabuild.machine.hardware.cores import cores
from mediabuild.machine.hardware.device import Devices
from mediabuild.machine.hardware.memory import memory_gb
from mediabuild.machine.here import PIPELINE
from mediabuild.machine.visible import same_text
from mediabuild.pipeline.code_of_stages.separator import separator_venv, with_separator
from mediabuild.pipeline.config import load_pipeline
from mediabuild.pipeline.deliveries import deliveries
from mediabuild.pipeline.mistakes import Mistakes
from mediabuild.pipeline.model import Given, Pipeline, Task
from mediabuild.pipeline.options import Options
from mediabuild.pipeline.overrides import stage_overrides, with_matrix_overrides
from mediabuild.pipeline.paths import paths_of
from mediabuild.pipeline.references import reads_collected
from mediabuild.pipeline.reserved import ALL_JOBS
from mediabuild.pipeline.sources import find_sources
from mediabuild.pipeline.tasks import make_tasks
from mediabuild.store import inventory, owners, places
from mediabuild.store.digest import Digests
from mediabuild.store.index import tasks_of
from mediabuild.store.manifest import find_manifest
from mediabuild.store.summaries import recorded_sources, write_summaries


class Build:
    """A pipeline, opened for one command.

    Args:
        root: the folder of `pipeline.toml`.
        commands: words that no stage may be called.
        before: called when the pipeline is known, and its jobs aren't yet.
        targets: what the user's own tasks make, as paths from here.

    Raises:
        PipelineError: with all mistakes of the file and the command line at once.
    """

    def __init__(
        self,
        root: Path,
        options: Options,
        *,
        commands: tuple[str, ...] = (),
        before: Callable[[Pipeline], None] = lambda pipeline: None,
        targets: Collection[str] = (),
    ) -> None:
        self.options = options
        self.warnings: list[str] = []  # of files and patterns as they are: each run says them, with an index, too
        self.bulk = Bulk(root)
        loaded = load_pipeline(root / PIPELINE, commands=commands, alone=options.is_alone(root))
        before(loaded)
        loaded = with_separator(loaded, separator_venv(root, options.demucs_venv))
        self.pipeline, variables = with_matrix_overrides(
            loaded, with_languages(loaded, options.sources, options.variables)
        )
        overrides = stage_overrides(self.pipeline, variables, allow_unknown=options.allow_unknown)
        recorded = recorded_sources(self.pipeline) if options.manifests_only else None
        self.jobs: dict[str, Given] = find_sources(
            self.pipeline, options.sources, recorded, lambda: recorded_copies(self.pipeline)
        )
        self.before = params_before(self.pipeline, self.jobs)
        job_dir = self._job_dir(options.job_dir)
        # of all jobs, too, whether a stage collects now or did once
        self.job_dirs = [job_dir or self.pipeline.jobs_dir / job for job in (*self.jobs, ALL_JOBS)]
        places.check_shared(self.pipeline.jobs_dir)
        self.digests = Digests(self.pipeline.root, places.stat_cache(self.pipeline.jobs_dir))
        if options.read:
            self.digests.forget()
        self.devices = Devices(places.devices_file(self.pipeline.jobs_dir))
        self.check_devices()
        may_know = options.as_written and not options.read
        known = self.bulk.fresh(self.pipeline, self.devices, self.shelf) if may_know else set()
        self.left_out = self._narrowed(known) if options.narrow else set()
        made = make_tasks(
            self.pipeline,
            {job: source for job, source in self.jobs.items() if job not in self.left_out},
            overrides=overrides,
            before=self.before,
            device=options.device,
            job_dir=job_dir,
            brought=self._brought(),
            targets=targets,
        )
        # Tasks over all jobs are used as they are where one job is built.
        used = {name: task for name, task in made.tasks.items() if task.stage.collect and options.one_job}
        self.tasks: dict[str, Task] = {}
        for name, task in made.tasks.items():
            if name not in used:
                self.tasks[name] = replace(task, needs=tuple(n for n in task.needs if n not in used))
        self.freshness = Freshness(
            self.pipeline,
            ChainMap(self.tasks, used),
            self.digests,
            self.devices,
            known=known,
            sources=self.jobs.values(),
            left_out=self.left_out_tasks,
            decided_by=made.decided_by,
            media_present=not options.manifests_only,
        )

    def _brought(self) -> set[str]:
        """The jobs that a task over all jobs brings along: all that take part in the run."""
        jobs = self.options.selection.jobs(self.jobs)
        if self.options.only_failed and not reads_collected(self.pipeline):
            jobs = {job for job in jobs if inventory.failed_marks(self.pipeline.jobs_dir / job)}
        return jobs

    @property
    def shelf(self) -> dict[str, Given]:
        """The jobs, and what stands for all of them where a stage collects."""
        collects = any(spec.collect for spec in self.pipeline.stages.values())
        return self.jobs | ({ALL_JOBS: Given("")} if collects else {})

    def _narrowed(self, known: set[str]) -> set[str]:
        """The jobs that need no tasks; a stage over all jobs needs the tasks of all of them."""
        shelf = self.shelf
        if not self.bulk.same_jobs(shelf):  # jobs may be in each other's way
            return set()
        return known.copy() if ALL_JOBS not in shelf or known == shelf.keys() else set()

    def orphans(self) -> list[Orphan]:
        """The jobs whose recording is gone; none where the command line says what the recordings are."""
        return [] if self.options.one_job or self.options.manifests_only else find_orphans(self.pipeline, self.jobs)

    def withdrawn(self, *, copies_only: bool = False) -> list[Withdrawn]:
        """What is left of tasks that the pipeline has no more; none where the command line changes the pipeline."""
        if not self.options.as_written:
            return []
        job_dirs = {job: self.pipeline.jobs_dir / job for job in (*self.jobs, ALL_JOBS)}  # whether a stage collects now
        present = {*self.tasks, *self.left_out_tasks}
        found = find_withdrawn(self.pipeline, job_dirs, present, copies_only=copies_only)
        return [gone for gone in found if self._is_told(gone.job)]

    def _is_told(self, job: str) -> bool:
        """Whether what decides which tasks a job has can be looked at: else nothing of it is withdrawn."""
        try:
            for given in self.freshness.decided_by.get(job, ()):
                paths_of(given, self.pipeline.root)
        except OSError:
            return False
        return True

    def unread(self) -> list[Unread]:
        """What somebody wrote for the pipeline and nothing reads; none where the command line names recordings."""
        return [] if self.options.one_job or self.options.manifests_only else find_unread(self.pipeline, self.jobs)

    def delivered(self) -> set[str]:
        """The copies that the tasks deliver, as far as they were ever built."""
        found: set[str] = set()
        for task in self.tasks.values() if any(s.deliver for s in self.pipeline.stages.values()) else ():
            manifest = find_manifest(task.directory) if task.stage.deliver is not None else None
            found |= deliveries(self.pipeline, task, manifest.copied_files()).keys() if manifest else set()
        return found

    def tasks_of_file(self, path: str) -> list[str]:
        """The tasks that a file stands for, by its path below the project: those of a recording, or a copy's own."""
        jobs = {job for job, source in self.jobs.items() if same_text(os.path.normpath(source.pattern)) == path}
        if jobs:
            return [task.name for task in self.tasks.values() if task.job in jobs]
        for task in self.tasks.values():
            manifest = find_manifest(task.directory) if task.stage.deliver else None
            if manifest and path in deliveries(self.pipeline, task, manifest.output_files()):
                return [task.name]
        return []

    def orphaned(self) -> list[str]:
        """Their names; from the index, where it was written for just these jobs, and as far as they weren't removed."""
        known = self.bulk.orphans(self.shelf) if self.options.as_written else None
        if known is None:
            return [orphan.job for orphan in self.orphans()]
        return [job for job in known if owners.is_ours(self.pipeline, self.pipeline.jobs_dir / job)]

    def _job_dir(self, given: str | None) -> Path | None:
        if given is None:
            return None
        mistakes = Mistakes("--job-dir")
        if len(self.jobs) != 1:
            mistakes.add("--job-dir", f"is for one job, and there are {len(self.jobs)}", "--source FILE")
        mistakes.raise_if_any()
        return Path(given).absolute()

    def check_devices(self) -> None:
        """Refuse a device that is asked for by name and isn't there, before anything runs."""
        for spec in self.pipeline.stages.values():
            self.devices.resolve(self.options.device or self.pipeline.device, spec.devices, spec.python)

    @functools.cached_property
    def left_out_tasks(self) -> dict[str, float]:
        """The tasks of the jobs that are left out since they are all fresh → how long they took, in seconds."""
        return tasks_of(entry for job, entry in self.bulk.known.jobs.items() if job in self.left_out)

    def record_fresh(self, *, alone: bool, orphans: list[str]) -> None:
        """Let the index know of the jobs that are fresh now; `alone`: the user has no tasks of their own."""
        if self.options.as_written:
            self.bulk.record(self.freshness, self.shelf, alone=alone, orphans=orphans, warnings=self.warnings)

    @property
    def capacity(self) -> dict[str, float]:
        """What the machine has for stages that run at once; `[pipeline.resources]` wins."""
        gpus = self.devices.gpus()
        machine = {"cpu": float(cores()), "gpu": float(max(1, gpus)), "memory_gb": memory_gb()}
        return machine | dict(self.pipeline.resources)

    def earlier_s(self, name: str) -> float | None:
        """How long a task took last time, in seconds; None where it never ran."""
        manifest = find_manifest(self.tasks[name].directory)
        return manifest.duration_s if manifest else None

    def closure(self, names: Iterable[str]) -> list[str]:
        """These tasks and all that they need."""
        found: dict[str, None] = {}
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name] = None
                waiting += self.tasks[name].needs
        return list(found)

    def verdicts(self, names: Iterable[str]) -> dict[str, Verdict]:
        """What a run of these tasks would do, in canonical order; they bring no others."""
        return verdicts(self.freshness, self.tasks, names)

    def write_summaries(self, jobs: Iterable[str]) -> None:
        """Write the summaries of these jobs.

        Raises:
            OSError: they can't be written.
        """
        write_summaries(self.pipeline, self.tasks.values(), self.jobs, jobs)
