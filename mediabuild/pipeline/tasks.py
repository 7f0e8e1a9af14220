"""From a pipeline to its tasks: sources become jobs, stages times jobs times matrix values become tasks.

Which tasks there are is decided here, before anything runs: a job may lack a stage (`skip`, `when`), and with it those
that need it; a matrix may be over a job's files.

Not here: whether a task is up to date (`rebuilder`) and which ones were asked for (`selection`).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mediabuild.machine.visible import same_text
from mediabuild.pipeline.deliveries import check_deliveries, check_reads
from mediabuild.pipeline.mistakes import Mistakes
from mediabuild.pipeline.model import Given, Pipeline, Produced, Reference, StageSpec, Task
from mediabuild.pipeline.params import effective_params
from mediabuild.pipeline.per_job.axis import Scalar
from mediabuild.pipeline.per_job.conditions import holds, is_path_condition
from mediabuild.pipeline.per_job.inputs import NotThere, Resolver, task_name
from mediabuild.pipeline.per_job.outputs import at_values
from mediabuild.pipeline.per_job.values import At, combinations, params_at, stems, value_of
from mediabuild.pipeline.references import needed_stages
from mediabuild.pipeline.reserved import ALL_JOBS, LONGEST_NAME, own_name

Overrides = Mapping[str, Mapping[str, Any]]


@dataclass
class Made:
    """What was made of a pipeline.

    Args:
        tasks: name → task, in canonical order.
        decided_by: job → the paths and globs whose matches decided which tasks it has.
    """

    tasks: dict[str, Task] = field(default_factory=dict)
    decided_by: dict[str, list[Given]] = field(default_factory=dict)


def make_tasks(
    pipeline: Pipeline,
    jobs: Mapping[str, Given],
    *,
    overrides: Overrides | None = None,
    before: Mapping[str, Overrides] | None = None,
    device: str | None = None,
    job_dir: Path | None = None,
    brought: Collection[str] | None = None,
    targets: Collection[str] = (),
) -> Made:
    """All tasks in canonical order, job by job, and those over all jobs after what they read.

    Args:
        overrides: stage → params from the command line, over everything else.
        before: job → those of earlier command lines, which stay.
        device: instead of the pipeline's.
        job_dir: instead of `jobs_dir/JOB`, for the one job there is.
        brought: the jobs that a task over all jobs brings along; of the others it takes what is there.
        targets: what the user's own tasks make; it needn't be there yet.

    Raises:
        PipelineError: an effective param is out of bounds, or an input that must be there is missing.
    """
    mistakes = Mistakes(pipeline.file.name)
    maker = _Maker(pipeline, jobs, overrides or {}, device, jobs if brought is None else brought, mistakes)
    maker.resolver.targets = targets
    maker.before = before or {}
    for job, source, spec in _places(pipeline, jobs):
        maker.add(spec, job, source, pipeline.jobs_dir / job if spec.collect or job_dir is None else job_dir)
    check_deliveries(pipeline, jobs, maker.made.tasks, mistakes)
    check_reads(pipeline, maker.made.tasks, mistakes)
    mistakes.raise_if_any()
    return maker.made


def _places(pipeline: Pipeline, jobs: Mapping[str, Given]) -> Iterator[tuple[str, Given, StageSpec]]:
    """Job, source and stage, job by job; a stage over all jobs comes once, after what it reads."""
    turn: dict[str, int] = {}  # even: stages of each job; odd: over all jobs
    for spec in pipeline.stages.values():
        needs = [turn[name] + (pipeline.stages[name].collect != spec.collect) for name in needed_stages(spec)]
        turn[spec.name] = max(needs, default=int(spec.collect))
    for number in sorted(set(turn.values()) if jobs else ()):
        for job, source in jobs.items() if number % 2 == 0 else [(ALL_JOBS, Given(""))]:
            yield from ((job, source, spec) for spec in pipeline.stages.values() if turn[spec.name] == number)


class _Maker:
    """Makes the tasks of one stage in one job after the other."""

    def __init__(
        self,
        pipeline: Pipeline,
        jobs: Mapping[str, Given],
        overrides: Overrides,
        device: str | None,
        brought: Collection[str],
        mistakes: Mistakes,
    ) -> None:
        self.pipeline = pipeline
        self.overrides = overrides
        self.before: Mapping[str, Overrides] = {}
        self.device = device or pipeline.device
        self.brought = brought
        self.mistakes = mistakes
        self.resolver = Resolver(pipeline, jobs, mistakes)
        self.made = Made()

    def add(self, spec: StageSpec, job: str, source: Given, job_dir: Path) -> None:
        """Make the tasks of a stage in a job."""
        place = spec.name, job
        without = self.resolver.without.setdefault(place, [])
        said = next((name for name in map(same_text, (job, own_name(job))) if name in self.pipeline.said_of), job)
        if spec.name in self.pipeline.skip.get(said, ()):
            without.append({})
            return
        base = {**spec.params, **self.pipeline.job_params.get(said, {}).get(spec.name, {})}
        there = self.resolver.made.setdefault(place, [])
        for at in combinations(spec.matrix, self._files(spec, job, source)):
            try:
                inputs = self.resolver.inputs(spec, job, source, at)
            except NotThere:
                without.append(at)
                continue
            if spec.when and not self._holds(spec, job, source, at, inputs):
                without.append(at)
                continue
            there.append(at)
            self._make(spec, job, job_dir, at, inputs, base)

    def _files(self, spec: StageSpec, job: str, source: Given) -> dict[str, Sequence[Scalar]]:
        """Key of a matrix over files → its values in a job; of a folder that can't be listed, none."""
        found: dict[str, Sequence[Scalar]] = {}
        for key, axis in spec.matrix.items():
            if axis.files:
                given = self._deciding(job, self.resolver.given(axis.files, job, source, {}))
                found[key] = ()
                with contextlib.suppress(OSError):
                    where = f"stages.{spec.name}.matrix.{key}"
                    found[key] = stems(where, axis, given, self.pipeline.root, self.mistakes)
        return found

    def _holds(
        self, spec: StageSpec, job: str, source: Given, at: At, inputs: Mapping[str, Sequence[Reference]]
    ) -> bool:
        path = self.resolver.given(spec.when, job, source, at) if is_path_condition(spec) else None
        for given in [path] if path else inputs.get(spec.when, ()):
            if isinstance(given, Given):
                self._deciding(job, given)
        return holds(spec, source, inputs, path, self.pipeline.root)

    def _deciding(self, job: str, given: Given) -> Given:
        self.made.decided_by.setdefault(job, []).append(given)
        return given

    def _make(
        self,
        spec: StageSpec,
        job: str,
        job_dir: Path,
        at: At,
        inputs: Mapping[str, tuple[Reference, ...]],
        base: Mapping[str, Any],
    ) -> None:
        where, value = f"stages.{spec.name}", value_of(at)
        line = {**self.before.get(job, {}).get(spec.name, {}), **self.overrides.get(spec.name, {})}
        changes = {**params_at(spec.matrix, at, spec.declaration), **line}
        params = effective_params(f"{where}.params", base, changes, spec.declaration, self.mistakes)
        produced = [ref for refs in inputs.values() for ref in refs if isinstance(ref, Produced)]
        needs = [r.task for r in produced if not spec.collect or r.job == ALL_JOBS or r.job in self.brought]
        task = Task(
            name=task_name(spec.name, job, value),
            stage=at_values(spec, at, self.mistakes),
            job=job,
            directory=job_dir / spec.name / value if value else job_dir / spec.name,
            job_dir=job_dir,
            inputs=inputs,
            params=params,
            overrides={key: params.get(key) for key in line},
            value=value,
            at=at,
            device=self.device,
            needs=tuple(dict.fromkeys(needs)),
        )
        if len(os.fsencode(task.key)) > LONGEST_NAME:
            what = f"{spec.name} and its value make too long a name: at most {LONGEST_NAME} bytes"
            self.mistakes.add(f"{where}.matrix", what)
        if task.name in self.made.tasks:
            self.mistakes.add(f"{where}.matrix", f"two combinations are called {task.value!r}")
        self.made.tasks[task.name] = task
