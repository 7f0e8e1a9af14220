"""The options that choose: `--from`, `--to`, `--stages`, `--job`, and what else the command line says of the pipeline.

Not here: doit's names, patterns and targets; they are expanded before they come here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mediabuild.errors import PipelineError
from mediabuild.machine.here import PIPELINE
from mediabuild.machine.visible import same_text
from mediabuild.pipeline.mistakes import Mistakes, nearest
from mediabuild.pipeline.model import Pipeline, Task
from mediabuild.pipeline.paths import fitting_names
from mediabuild.pipeline.reserved import ALL_JOBS, encode_name


@dataclass(frozen=True)
class Selection:
    """`--from`, `--to`, `--stages` and `--job`, as typed."""

    first: str | None = None
    last: str | None = None
    stages: str | None = None
    job: str | None = None

    @property
    def is_range(self) -> bool:
        """Whether stages were chosen: then a task brings no dependencies."""
        return bool(self.first or self.last or self.stages)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was chosen."""
        return not (self.is_range or self.job)

    def jobs(self, jobs: Iterable[str]) -> set[str]:
        """Those of these jobs that `--job` fits: a job's name, the recording's own, or a pattern."""
        if self.job is None:
            return set(jobs)
        pattern = same_text(self.job)
        same = {pattern, encode_name(pattern)}
        known = {job: same_text(job) for job in jobs}
        fitting = same & set(known.values()) or set(fitting_names(known.values(), pattern))
        return {job for job, text in known.items() if text in fitting}

    def chosen_stages(self, pipeline: Pipeline) -> list[str]:
        """The chosen stages, in canonical order; all of them where none were.

        Raises:
            PipelineError: an unknown stage, or a range that is reversed.
        """
        order, mistakes = list(pipeline.stages), Mistakes("command line")
        named = [name.strip() for name in (self.stages or "").split(",") if name.strip()]
        for option, names in (("--stages", named), ("--from", [self.first]), ("--to", [self.last])):
            for name in names:
                if name is not None and name not in order:
                    mistakes.add(option, f"there is no stage {name!r}", nearest(name, order))
        mistakes.raise_if_any()
        if self.stages is not None:
            if not named:
                raise PipelineError("--stages: names no stage", f"doit --stages {','.join(order[:2])}")
            return [name for name in order if name in named]
        start = order.index(self.first) if self.first else 0
        stop = order.index(self.last) if self.last else len(order) - 1
        if start > stop:
            raise PipelineError(
                f"--from {self.first} --to {self.last}: reversed", f"doit --from {self.last} --to {self.first}"
            )
        return order[start : stop + 1]

    def pick(
        self, pipeline: Pipeline, tasks: Mapping[str, Task], named: Iterable[str], *, by_name: bool = False
    ) -> list[str]:
        """The tasks among `named` that are in the range and in the jobs, in canonical order.

        A task over all jobs is in no job: `--job` leaves it out, unless it was asked for.

        Args:
            by_name: the tasks were named on the command line.

        Raises:
            PipelineError: unknown stages, a job pattern that fits none, or nothing left.
        """
        stages, names = set(self.chosen_stages(pipeline)), set(named)
        jobs = {task.job for task in tasks.values()} - {ALL_JOBS}
        wanted_jobs = self.jobs(jobs)
        if not wanted_jobs:
            raise PipelineError(f"--job: no job matches {self.job!r}", nearest(self.job or "", jobs))
        if self.job is None or by_name or self.is_range:
            wanted_jobs.add(ALL_JOBS)
        picked = [t.name for t in tasks.values() if t.name in names and t.stage.name in stages and t.job in wanted_jobs]
        if not picked:
            what = "the names and the range have no task in common"
            if stages.isdisjoint(t.stage.name for t in tasks.values() if t.job in wanted_jobs):
                what = f"{', '.join(sorted(stages))}: left out of these jobs, by `when` or `skip`"
            raise PipelineError(f"nothing is selected: {what}", "doit list --all")
        return picked


@dataclass(frozen=True)
class Options:
    """What the command line says about the pipeline as a whole.

    Args:
        manifests_only: the recordings may not be here; jobs are also those with manifests.
        variables: doit's NAME=VALUE words. allow_unknown: some of them may be the dodo file's own.
        demucs_venv: the separator's venv, where it isn't the project's `venv/demucs`.
        narrow: leave out the tasks of jobs that are all fresh.
        read: every file is read, whatever is remembered of it.
        only_failed: what failed last time is asked for, and nothing else.
    """

    selection: Selection = field(default_factory=Selection)
    device: str | None = None
    sources: tuple[str, ...] = ()
    job_dir: str | None = None
    manifests_only: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    allow_unknown: bool = False
    demucs_venv: str | None = None
    narrow: bool = False
    only_failed: bool = False
    read: bool = False

    @property
    def one_job(self) -> bool:
        """Whether one recording is built by itself; then stages over all jobs are used as they are."""
        return bool(self.sources or self.job_dir)

    def is_alone(self, root: Path) -> bool:
        """Whether recordings are named, and their folder is no project."""
        return bool(self.sources) and not (root / PIPELINE).exists()

    @property
    def as_written(self) -> bool:
        """Whether the pipeline is what its file says, and nothing else."""
        changed = self.device or self.sources or self.job_dir or self.manifests_only or self.variables
        return not changed
