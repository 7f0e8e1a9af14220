"""Which tasks the command line asks for, beyond doit's own names: ranges, stages, jobs.

Not here: doit's names, patterns and targets; they are expanded before they come here.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from mediabuild.config import Mistakes
from mediabuild.errors import PipelineError
from mediabuild.manifest import find_manifest
from mediabuild.model import ALL_JOBS, Pipeline, Task
from mediabuild.names import nearest
from mediabuild.rebuilder import Rebuilder


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
        """Those of these jobs that `--job` fits."""
        return {job for job in jobs if self.job is None or job == self.job or fnmatch.fnmatchcase(job, self.job)}

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
            raise PipelineError(
                "nothing is selected: the names and the range have no task in common", "doit list --all"
            )
        return picked


def check_missing(
    rebuilder: Rebuilder, tasks: Mapping[str, Task], picked: Collection[str], *, whatever: bool = False
) -> list[str]:
    """Look at what a range reads and doesn't make.

    Args:
        whatever: all of the range runs, fresh or not.

    Returns:
        A warning for each that is stale but whole.

    Raises:
        PipelineError: some are missing or not what their stage made; says which stages to add.
    """
    chosen, mistakes, warnings = set(picked), Mistakes("selection"), []
    outside = dict.fromkeys(p.name for name in picked for p in rebuilder.producers(tasks[name]) if p.name not in chosen)
    temporary = [name for name in outside if rebuilder.gone(rebuilder.tasks[name])]
    needed_again = _needed_again(rebuilder, tasks, picked, whatever) if temporary else set()
    for name in outside:
        producer = rebuilder.tasks[name]
        manifest = find_manifest(producer.directory)
        broken = list(rebuilder.output_reasons(producer, manifest)) if manifest else []
        if name in needed_again:
            mistakes.add(name, "its outputs are temporary and were deleted", f"add the stage: {producer.stage.name}")
        elif manifest is None:
            mistakes.add(name, "its outputs are needed and were never built", f"add the stage: {producer.stage.name}")
        elif broken:
            mistakes.add(name, str(broken[0]), f"add the stage: {producer.stage.name}")
        else:
            reasons = rebuilder.reasons(producer)
            warnings += [f"{name} is used as it is, though it is stale: {reasons[0]}"] if reasons else []
    mistakes.raise_if_any()
    return warnings


def _needed_again(rebuilder: Rebuilder, tasks: Mapping[str, Task], picked: Collection[str], whatever: bool) -> set[str]:
    """The temp tasks whose outputs are gone, and are read by a task of a range that may run."""
    running: set[str] = set()
    for name in picked:
        if whatever or rebuilder.reasons(tasks[name]) or not running.isdisjoint(tasks[name].needs):
            running.add(name)
    for name in reversed(list(picked)):
        if name in running:
            running |= {producer.name for producer in rebuilder.producers(tasks[name]) if rebuilder.gone(producer)}
    return running
