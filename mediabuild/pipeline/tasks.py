"""From a pipeline to its tasks: sources become jobs, stages times jobs times matrix values become tasks.

Not here: whether a task is up to date (`rebuilder`) and which ones were asked for (`selection`).
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mediabuild.machine.natural import natural
from mediabuild.machine.visible import same_text
from mediabuild.pipeline.deliveries import check_deliveries
from mediabuild.pipeline.mistakes import Mistakes
from mediabuild.pipeline.model import Given, Pipeline, Produced, Reference, Scalar, StageSpec, Task
from mediabuild.pipeline.params import effective_params
from mediabuild.pipeline.paths import check_apart, check_brackets, given_for, may_be_there
from mediabuild.pipeline.placeholders import names_in, text_of
from mediabuild.pipeline.references import is_path, needed_stages, split_reference
from mediabuild.pipeline.reserved import ALL_JOBS, LONGEST_NAME, encode_name

Overrides = Mapping[str, Mapping[str, Any]]


def make_tasks(
    pipeline: Pipeline,
    jobs: Mapping[str, Given],
    *,
    overrides: Overrides | None = None,
    device: str | None = None,
    job_dir: Path | None = None,
    brought: Collection[str] | None = None,
) -> dict[str, Task]:
    """All tasks in canonical order, job by job, and those over all jobs after what they read.

    Args:
        overrides: stage → params from the command line, over everything else.
        device: instead of the pipeline's.
        job_dir: instead of `jobs_dir/JOB`, for the one job there is.
        brought: the jobs that a task over all jobs brings along; of the others it takes what is there.

    Raises:
        PipelineError: an effective param is out of bounds, or an input that must be there is missing.
    """
    mistakes = Mistakes(pipeline.file.name)
    tasks: dict[str, Task] = {}
    shelf = Shelf(tuple(jobs), jobs if brought is None else brought)
    for job, source, spec in _places(pipeline, jobs):
        directory = pipeline.jobs_dir / job if spec.collect else job_dir or pipeline.jobs_dir / job
        merged, changed = _job_params(pipeline, spec, job, overrides or {}, mistakes)
        for values in itertools.product(*spec.matrix.values()):
            combo = dict(zip(spec.matrix, values, strict=True))
            params = merged
            if combo:
                params = effective_params(f"stages.{spec.name}.params", merged, combo, spec.declaration, mistakes)
            task = _task(pipeline, spec, job, directory, source, combo, params, device, mistakes, changed, shelf)
            if len(os.fsencode(task.key)) > LONGEST_NAME:
                what = f"{spec.name} and its value make too long a name: at most {LONGEST_NAME} bytes"
                mistakes.add(f"stages.{spec.name}.matrix", what)
            if task.name in tasks:
                mistakes.add(f"stages.{spec.name}.matrix", f"two combinations are called {task.value!r}")
            tasks[task.name] = task
    check_deliveries(pipeline, jobs, tasks, mistakes)
    mistakes.raise_if_any()
    return tasks


@dataclass(frozen=True)
class Shelf:
    """All jobs, and those of them that a task over all jobs brings along."""

    jobs: tuple[str, ...]
    brought: Collection[str]


def _places(pipeline: Pipeline, jobs: Mapping[str, Given]) -> Iterator[tuple[str, Given, StageSpec]]:
    """Job, source and stage, job by job; a stage over all jobs comes once, after what it reads."""
    turn: dict[str, int] = {}  # even: stages of each job; odd: over all jobs
    for spec in pipeline.stages.values():
        needs = [turn[name] + (pipeline.stages[name].collect != spec.collect) for name in needed_stages(spec)]
        turn[spec.name] = max(needs, default=int(spec.collect))
    for number in sorted(set(turn.values()) if jobs else ()):
        for job, source in jobs.items() if number % 2 == 0 else [(ALL_JOBS, Given(""))]:
            yield from ((job, source, spec) for spec in pipeline.stages.values() if turn[spec.name] == number)


def _job_params(
    pipeline: Pipeline, spec: StageSpec, job: str, overrides: Overrides, mistakes: Mistakes
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The stage's effective params for a job, and those of them that the command line changed."""
    own = pipeline.job_params.get(same_text(job), {}).get(spec.name, {})
    from_line = dict(overrides.get(spec.name, {}))
    plain = {**spec.params, **own}
    merged = effective_params(f"stages.{spec.name}.params", plain, from_line, spec.declaration, mistakes)
    return merged, {key: merged.get(key) for key in from_line}


def _task(
    pipeline: Pipeline,
    spec: StageSpec,
    job: str,
    job_dir: Path,
    source: Given,
    combo: Mapping[str, Scalar],
    params: Mapping[str, Any],
    device: str | None,
    mistakes: Mistakes,
    overrides: Mapping[str, Any],
    shelf: Shelf,
) -> Task:
    value = _value_of(combo.values())
    inputs = {
        name: tuple(_references(pipeline, spec, name, job, source, combo, mistakes, shelf)) for name in spec.inputs
    }
    produced = [ref for refs in inputs.values() for ref in refs if isinstance(ref, Produced)]
    needs = [r.task for r in produced if not spec.collect or r.job == ALL_JOBS or r.job in shelf.brought]
    return Task(
        name=task_name(spec.name, job, value),
        stage=spec,
        job=job,
        directory=job_dir / spec.name / value if value else job_dir / spec.name,
        job_dir=job_dir,
        inputs=inputs,
        params=params,
        overrides=overrides,
        value=value,
        device=device or pipeline.device,
        needs=tuple(dict.fromkeys(needs)),
    )


def task_keys(pipeline: Pipeline, *, collect: bool = False) -> set[str]:
    """The keys of the tasks that a job has, or of those over all jobs (`Task.key`)."""
    specs = [spec for spec in pipeline.stages.values() if spec.collect == collect]
    combos = [(spec.name, values) for spec in specs for values in itertools.product(*spec.matrix.values())]
    return {f"{name}@{_value_of(values)}" if values else name for name, values in combos}


def task_name(stage: str, job: str, value: str = "") -> str:
    """`translate:ep01:es`"""
    return f"{stage}:{job}:{value}" if value else f"{stage}:{job}"


def _references(
    pipeline: Pipeline,
    spec: StageSpec,
    name: str,
    job: str,
    source: Given,
    combo: Mapping[str, Scalar],
    mistakes: Mistakes,
    shelf: Shelf,
) -> Iterable[Reference]:
    text = spec.inputs[name]
    optional, text = text.startswith("?"), text.removeprefix("?")
    if text == "source":
        yield source
    elif is_path(text):
        given = given_for(text, job, optional, pipeline.root)
        where = f"stages.{spec.name}.inputs.{name}"
        of_all = "job" not in names_in(text)  # what one job lacks is that job's trouble
        if of_all and not optional and not may_be_there(given, pipeline.root):
            mistakes.add(where, f"nothing is at {given.pattern}", f'"?{text}" if it may be absent')
        check_brackets(where, given.globs, pipeline.root, mistakes)
        check_apart(where, given, pipeline, mistakes)
        yield given
    else:
        stage, output = split_reference(text)
        producer = pipeline.stages[stage]
        choices = [_choices(spec, stage, key, combo, values, mistakes) for key, values in producer.matrix.items()]
        fan_in = any(key not in combo for key in producer.matrix)
        over_all = spec.collect and not producer.collect
        for of_job in shelf.jobs if over_all else [ALL_JOBS if producer.collect else job]:
            # sorted: a list in another order is the same matrix
            for value in map(_value_of, sorted(itertools.product(*choices), key=_place)):
                keys = [of_job] * over_all + [value] * fan_in
                many = output is None or "*" in producer.outputs.get(output, "")
                yield Produced(task_name(stage, of_job, value), output, of_job, ":".join(keys), many)


def _value_of(values: Iterable[Scalar]) -> str:
    """The name of a combination of matrix values."""
    return encode_name("-".join(map(text_of, values)))


def _place(values: Iterable[Scalar]) -> list[tuple[float, object]]:
    """A key that sorts combinations of matrix values: numbers by what they are, texts in natural order."""
    return [(math.inf, natural(text_of(v))) if isinstance(v, str | bool) else (v, "") for v in values]


def _choices(
    spec: StageSpec, stage: str, key: str, combo: Mapping[str, Scalar], values: Sequence[Scalar], mistakes: Mistakes
) -> Sequence[Scalar]:
    """The values of a producer's matrix that a task reads: its own where it has the same key, else all of them."""
    if key not in combo:
        return values
    same = [value for value in values if text_of(value) == text_of(combo[key])]
    if not same:
        what = f"{stage} has no {text_of(combo[key])!r}, which {spec.name} would read"
        mistakes.add(f"stages.{spec.name}.matrix.{key}", what, f"matrix.{key} of stages.{stage}")
    return same
