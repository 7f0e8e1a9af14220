"""Everything that one command works with: the pipeline, its tasks, and what looks at and runs them.

Not here: doit (`doit_plugin`) and what is printed (`report`, `commands`).
"""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomli_w

from mediabuild.freshness.bulk import Bulk
from mediabuild.freshness.orphans import Orphan, find_orphans
from mediabuild.freshness.rebuilder import Rebuilder
from mediabuild.freshness.verdicts import Verdict, _is_upstream
from mediabuild.machine.device import Devices
from mediabuild.machine.files import write_atomically
from mediabuild.pipeline.config import load_pipeline
from mediabuild.pipeline.mistakes import Mistakes
from mediabuild.pipeline.model import Given, Reason, Task
from mediabuild.pipeline.options import Options
from mediabuild.pipeline.overrides import stage_overrides, with_matrix_overrides
from mediabuild.pipeline.reserved import ALL_JOBS, STATE_DIR
from mediabuild.pipeline.separator import separator_venv, with_separator
from mediabuild.pipeline.sources import find_sources
from mediabuild.pipeline.tasks import make_tasks
from mediabuild.store.digest import Digests
from mediabuild.store.manifest import find_manifest
from mediabuild.store.marks import failure_of, ignored_mark
from mediabuild.store.summaries import _json, _without_none, recorded_sources

PIPELINE_NAME = "pipeline.toml"


class Build:
    """A pipeline, opened for one command.

    Args:
        root: the folder of `pipeline.toml`.
        commands: words that no stage may be called.

    Raises:
        PipelineError: with all mistakes of the file and the command line at once.
    """

    def __init__(self, root: Path, options: Options, *, commands: tuple[str, ...] = ()) -> None:
        self.bulk = Bulk(root)
        loaded = load_pipeline(root / PIPELINE_NAME, commands=commands)
        loaded = with_separator(loaded, separator_venv(root, options.demucs_venv))
        self.pipeline, variables = with_matrix_overrides(loaded, options.variables)
        self.options = options
        overrides = stage_overrides(self.pipeline, variables, allow_unknown=options.allow_unknown)
        known = recorded_sources(self.pipeline) if options.manifests_only else None
        self.jobs: dict[str, Given] = find_sources(self.pipeline, options.sources, known)
        job_dir = self._job_dir(options.job_dir)
        self.job_dirs = [job_dir or self.pipeline.jobs_dir / job for job in self.shelf]
        self.state_dir = self.pipeline.jobs_dir / STATE_DIR
        self.digests = Digests(self.pipeline.root, self.state_dir / "stats.cache")
        self.devices = Devices(self.state_dir / "devices.json")
        self.check_devices()
        self.tasks: dict[str, Task] = {}
        self.used: dict[str, Task] = {}  # tasks over all jobs that are used as they are
        tasks = ChainMap(self.tasks, self.used)
        self.rebuilder = Rebuilder(self.pipeline, tasks, self.digests, self.devices)
        if options.as_written:
            self.rebuilder.fresh = self.bulk.fresh(self.rebuilder, self.shelf)
        self.left_out = self._narrowed() if options.narrow else set()
        made = make_tasks(
            self.pipeline,
            {job: source for job, source in self.jobs.items() if job not in self.left_out},
            overrides=overrides,
            device=options.device,
            job_dir=job_dir,
            brought=self._brought(),
        )
        self.used |= {name: task for name, task in made.items() if task.stage.collect and options.one_job}
        for name, task in made.items():
            if name not in self.used:
                self.tasks[name] = replace(task, needs=tuple(n for n in task.needs if n not in self.used))

    def _brought(self) -> set[str]:
        """The jobs that a task over all jobs brings along."""
        jobs = self.options.selection.jobs(self.jobs)
        if self.options.only_failed:
            jobs = {job for job in jobs if any((self.pipeline.jobs_dir / job).glob(f"{STATE_DIR}/marks/*.failed"))}
        return jobs

    @property
    def shelf(self) -> dict[str, Given]:
        """The jobs, and what stands for all of them where a stage collects."""
        collects = any(spec.collect for spec in self.pipeline.stages.values())
        return self.jobs | ({ALL_JOBS: Given("")} if collects else {})

    def _narrowed(self) -> set[str]:
        """The jobs that need no tasks; a stage over all jobs needs the tasks of all of them."""
        fresh, shelf = self.rebuilder.fresh.copy(), self.shelf
        known = self.bulk.same_jobs(shelf)  # else jobs may be in each other's way
        return fresh if known and (ALL_JOBS not in shelf or fresh == shelf.keys()) else set()

    def orphans(self) -> list[Orphan]:
        """The jobs whose recording is gone; none where the command line says what the recordings are."""
        return [] if self.options.one_job or self.options.manifests_only else find_orphans(self.pipeline, self.jobs)

    def orphaned(self) -> list[str]:
        """Their names; from the index, where it was written for just these jobs."""
        known = self.bulk.orphans(self.shelf) if self.options.as_written else None
        if known is None:
            return [orphan.job for orphan in self.orphans()]
        return [job for job in known if (self.pipeline.jobs_dir / job).is_dir()]

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

    @property
    def left_out_tasks(self) -> list[str]:
        """The tasks of the jobs that are left out since they are all fresh, in canonical order."""
        return [task for job, entry in self.bulk.known.jobs.items() if job in self.left_out for task in entry.tasks]

    @property
    def left_out_s(self) -> float:
        """How long those tasks took when they ran, in seconds."""
        return sum(self.bulk.known.jobs[job].spared_s for job in self.left_out)

    def record_fresh(self, *, alone: bool, orphans: list[str]) -> None:
        """Let the index know of the jobs that are fresh now; `alone`: the user has no tasks of their own."""
        if self.options.as_written:
            looked_at = [job for job in self.shelf if job not in self.rebuilder.fresh]
            self.bulk.record(self.rebuilder, self.shelf, looked_at, alone=alone, orphans=orphans)

    @property
    def capacity(self) -> dict[str, float]:
        """What the machine has for stages that run at once; `[pipeline.resources]` wins."""
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        gpus = self.devices.gpus()
        machine = {"cpu": float(os.cpu_count() or 1), "gpu": float(max(1, gpus)), "memory_gb": pages / 1e9}
        return machine | dict(self.pipeline.resources)

    def earlier_s(self, name: str) -> float | None:
        """How long a task took last time, in seconds; None where it never ran."""
        manifest = find_manifest(self.tasks[name].directory)
        return manifest.duration_s if manifest else None

    def verdicts(self, names: Iterable[str]) -> dict[str, Verdict]:
        """What a run of these tasks would do, in canonical order; they bring no others."""
        wanted = set(names)
        self.rebuilder.warm(self.tasks[name] for name in wanted)
        found: dict[str, Verdict] = {}
        for task in self.tasks.values():
            if task.name in wanted:
                found[task.name] = self._verdict(task, found)
        for name in reversed(found):
            self._add_remakes(name, found)
        return found

    def _add_remakes(self, name: str, found: dict[str, Verdict]) -> None:
        """Temporary outputs that were deleted are made again for a task that would run."""
        would_run = found[name].state in ("stale", "failed", "follows")
        for need in self.tasks[name].needs if would_run else ():
            if need in found and found[need].state == "fresh":
                gone = self.rebuilder.gone(self.tasks[need])
                reasons = tuple(Reason("outputs", path, now=f"needed by {name}") for path in gone)
                if gone:
                    found[need] = Verdict("follows" if found[name].state == "follows" else "stale", reasons)

    def _verdict(self, task: Task, earlier: Mapping[str, Verdict]) -> Verdict:
        upstream = [earlier[name] for name in task.needs if name in earlier]
        if ignored_mark(task).exists() or any(v.state == "ignored" and not task.stage.collect for v in upstream):
            return Verdict("ignored")
        reasons = tuple(self.rebuilder.reasons(task))
        failure = failure_of(task)
        stopped = [v.state in ("failed", "blocked") for v in upstream]
        if any(stopped) and not (task.stage.collect and self.rebuilder.producers(task)):
            return Verdict("blocked", reasons)
        if any(stopped) or any(v.state in ("stale", "follows") for v in upstream):
            own = tuple(reason for reason in reasons if not _is_upstream(task, reason))
            return Verdict("stale" if own else "follows", own or reasons)
        if reasons and failure:
            return Verdict("failed", reasons, failure)
        return Verdict("stale" if reasons else "fresh", reasons)

    def write_summaries(self, jobs: Iterable[str]) -> None:
        """Write each job's `manifest.json` (its stages at a glance) and `job.toml` (as it was resolved)."""
        wanted = set(jobs)
        by_job: dict[str, list[Task]] = {}
        for task in self.tasks.values():
            if task.job in wanted and task.job != ALL_JOBS:
                by_job.setdefault(task.job, []).append(task)
        for job, tasks in by_job.items():
            directory = tasks[0].job_dir
            write_atomically(directory / "manifest.json", _json(self._summary(job, tasks)))
            write_atomically(directory / "job.toml", tomli_w.dumps(self._resolved(job, tasks)).encode())

    def _summary(self, job: str, tasks: list[Task]) -> dict[str, Any]:
        stages = {}
        for task in tasks:
            manifest = find_manifest(task.directory)
            if manifest is not None:
                stages[task.name] = {
                    "timestamp": manifest.timestamp,
                    "duration_s": manifest.duration_s,
                    "inputs_checksum": manifest.inputs_checksum,
                    "outputs": sorted(manifest.output_files()),
                }
        source = self.jobs[job]
        where = {"source_path": source.pattern} if os.path.isabs(source.pattern) else {}
        return {"job": job, "source": source.label, **where, "schema_version": 1, "stages": stages}

    def _resolved(self, job: str, tasks: list[Task]) -> dict[str, Any]:
        stages: dict[str, Any] = {}
        for task in tasks:
            table = stages.setdefault(task.stage.name, {"inputs": dict(task.stage.inputs)})
            table["params"] = _without_none(task.params)
            if task.overrides:
                table["overrides"] = _without_none(task.overrides)
            if task.stage.matrix:
                table["matrix"] = {key: list(values) for key, values in task.stage.matrix.items()}
        return {"job": job, "source": self.jobs[job].label, "device": tasks[0].device, "stages": stages}
