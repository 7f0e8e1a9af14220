"""From a pipeline to its tasks: sources become jobs, stages times jobs times matrix values become tasks.

Not here: whether a task is up to date (`rebuilder`) and which ones were asked for (`selection`).
"""

from __future__ import annotations

import contextlib
import glob
import itertools
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mediabuild.config import Mistakes, effective_params, is_path, needed_stages, split_reference
from mediabuild.model import ALL_JOBS, MANIFEST_NAME, STATE_DIR, Given, Pipeline, Produced, Reference, StageSpec, Task
from mediabuild.names import WILDCARDS, encode_name, expand_braces, fixed_part, nearest, suffixes

RESERVED_JOBS = (STATE_DIR, ALL_JOBS)
Overrides = Mapping[str, Mapping[str, Any]]


def recorded_sources(pipeline: Pipeline) -> dict[str, Given]:
    """Job name → its source, as the jobs' own summaries name them: where the recordings aren't."""
    found = {}
    for file in pipeline.jobs_dir.glob("**/" + MANIFEST_NAME):
        job = os.path.relpath(file.parent, pipeline.jobs_dir)
        source = recorded_source(file.parent, job)
        if source:
            found[job] = source
    return found


def recorded_source(directory: Path, job: str) -> Given | None:
    """The source that the summary in a job's directory names; None where there is no summary of this job."""
    try:
        summary = json.loads((directory / MANIFEST_NAME).read_bytes())
        if str(summary["job"]) != job:
            return None
        label = str(summary["source"])
        return Given(pattern=str(summary.get("source_path", label)), label=label)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None  # a stage's manifest, or damaged


def find_sources(
    pipeline: Pipeline, given: Iterable[str] = (), known: Mapping[str, Given] | None = None
) -> dict[str, Given]:
    """Job name → its source, sorted by name.

    Args:
        given: files named on the command line, instead of the pipeline's globs.
        known: jobs that are there though their recordings may not be; no recording is missed then.

    Raises:
        PipelineError: nothing matches, two sources have one name, or a job would lie in another's stage.
    """
    mistakes = Mistakes(pipeline.file.name)
    found = _matches(pipeline, tuple(given), mistakes if known is None else Mistakes(""))
    jobs: dict[str, Given] = {}
    for path, base in sorted(found.items()):
        job = _job_name(path, base)
        try:
            path.encode()
        except UnicodeEncodeError:
            mistakes.add("pipeline.sources", f"the name of {os.fsencode(path)!r} is not UTF-8", "rename it")
            continue
        label = os.path.relpath(path, base) if os.path.isabs(path) else path
        if job in jobs:
            mistakes.add("pipeline.sources", f"two sources are called {job!r}: {jobs[job].pattern} and {path}")
        jobs[job] = Given(pattern=path, label=label)
    jobs = {**(known or {}), **jobs}
    _check_nesting(jobs, pipeline, mistakes)
    if not jobs and not mistakes.found:
        mistakes.add("pipeline.sources", f"no recording matches {', '.join(pipeline.sources)}", "put one there")
    for job in pipeline.job_params.keys() - jobs.keys():
        if not tuple(given):
            mistakes.add(f'jobs."{job}"', "no source has this name", nearest(job, jobs))
    mistakes.raise_if_any()
    return dict(sorted(jobs.items()))


def _matches(pipeline: Pipeline, given: tuple[str, ...], mistakes: Mistakes) -> dict[str, str]:
    """Path of every source → the folder that its name is relative to."""
    root, found = str(pipeline.root), {}
    for path in given:
        relative = os.path.relpath(Path(path).absolute(), root)
        path_here = str(Path(path).absolute()) if relative.startswith("..") else relative
        if not (pipeline.root / path_here).is_file():
            mistakes.add("--source", f"no such file: {path}")
        found[path_here] = os.path.dirname(path_here)
    if given:
        return found
    excluded = {p for pattern in pipeline.sources if pattern[0] == "!" for p in matching(pipeline, pattern[1:])}
    for pattern in (p for p in pipeline.sources if not p.startswith("!")):
        if not WILDCARDS.search(pattern) or (pipeline.root / pattern).is_file():
            if not (pipeline.root / pattern).is_file():
                mistakes.add("pipeline.sources", f"no such file: {pattern}")
            else:
                found[os.path.normpath(pattern)] = os.path.dirname(os.path.normpath(pattern))
            continue
        base = os.path.normpath(fixed_part(pattern)) if fixed_part(pattern) else ""
        for path in matching(pipeline, pattern):
            if path not in excluded and os.path.isfile(os.path.join(root, path)):
                found[os.path.normpath(path)] = base
    return found


def matching(pipeline: Pipeline, pattern: str) -> list[str]:
    """All that a glob of `sources` matches now, as it stands there."""
    choices = expand_braces(pattern)
    return [p for choice in choices for p in glob.glob(choice, root_dir=pipeline.root, recursive=True)]


def _job_name(path: str, base: str) -> str:
    inside = base and path.startswith(base + "/")  # as nearly always; `relpath` takes its time
    relative = path[len(base) + 1 :] if inside else os.path.relpath(path, base) if base else path
    return encode_name(os.path.splitext(relative)[0].replace("../", ""))


def _check_nesting(jobs: Mapping[str, Given], pipeline: Pipeline, mistakes: Mistakes) -> None:
    for job in jobs:
        parts = job.split("/")
        if any(part in RESERVED_JOBS for part in parts):
            mistakes.add(
                "pipeline.sources", f"the job {job!r} has a name that mediabuild keeps for itself", "rename it"
            )
        for count in range(1, len(parts)):
            parent, child = "/".join(parts[:count]), parts[count].removesuffix(".edited")
            if parent in jobs and child in pipeline.stages:
                mistakes.add(
                    "pipeline.sources", f"the job {job!r} would lie in the stage {child!r} of the job {parent!r}"
                )


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
            task = _task(pipeline, spec, job, directory, source, combo, merged, device, mistakes, changed, shelf)
            if task.name in tasks:
                mistakes.add(f"stages.{spec.name}.matrix", f"two combinations are called {task.value!r}")
            tasks[task.name] = task
    _check_deliveries(pipeline, jobs, tasks, mistakes)
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


def delivery_prefix(pipeline: Pipeline, task: Task) -> str:
    """Where a task's copies go, relative to the pipeline: `deliver` with its placeholders filled in.

    A job in a directory of its own (`--job-dir`) delivers under that directory's name, so that two
    directories of one recording don't fight over one copy.
    """
    usual = pipeline.jobs_dir / task.job == task.job_dir
    prefix = (task.stage.deliver or "").replace("{job}", task.job if usual else task.job_dir.name)
    for key in task.stage.matrix:
        prefix = prefix.replace("{" + key + "}", str(task.params[key]))
    return os.path.normpath(prefix)


def _check_deliveries(
    pipeline: Pipeline, jobs: Mapping[str, Given], tasks: Mapping[str, Task], mistakes: Mistakes
) -> None:
    """No two copies may have one name, and none may stand in for a source or lie among the jobs."""
    taken: dict[str, str] = {os.path.normpath(given.pattern): "the source" for given in jobs.values()}
    for task in tasks.values():
        if task.stage.deliver is None:
            continue
        where, prefix = f"stages.{task.stage.name}.deliver", delivery_prefix(pipeline, task)
        if not os.path.relpath(pipeline.root / prefix, pipeline.jobs_dir).startswith(".."):
            mistakes.add(where, "copies can't go into the jobs directory", 'deliver = "out/{job}"')
            return
        for path in task.stage.outputs.values():
            copy = prefix + suffixes(path)
            if copy in taken:
                hint = "{job} and the keys of the matrix tell copies apart"
                mistakes.add(where, f"{task.name} would deliver {copy}, as {taken[copy]} does", hint)
                return
            taken[copy] = task.name


def _job_params(
    pipeline: Pipeline, spec: StageSpec, job: str, overrides: Overrides, mistakes: Mistakes
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The stage's effective params for a job, and those of them that the command line changed."""
    own = pipeline.job_params.get(job, {}).get(spec.name, {})
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
    combo: Mapping[str, str],
    params: Mapping[str, Any],
    device: str | None,
    mistakes: Mistakes,
    overrides: Mapping[str, Any],
    shelf: Shelf,
) -> Task:
    value = encode_name("-".join(combo.values()))
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
        params={**params, **combo},
        overrides=overrides,
        value=value,
        device=device or pipeline.device,
        needs=tuple(dict.fromkeys(needs)),
    )


def task_name(stage: str, job: str, value: str = "") -> str:
    """`translate:ep01:es`"""
    return f"{stage}:{job}:{value}" if value else f"{stage}:{job}"


def _references(
    pipeline: Pipeline,
    spec: StageSpec,
    name: str,
    job: str,
    source: Given,
    combo: Mapping[str, str],
    mistakes: Mistakes,
    shelf: Shelf,
) -> Iterable[Reference]:
    text = spec.inputs[name]
    optional, text = text.startswith("?"), text.removeprefix("?")
    if text == "source":
        yield source
    elif is_path(text):
        given = _given(text, job, optional, pipeline.root)
        if not optional and not _is_there(given, pipeline.root):
            where = f"stages.{spec.name}.inputs.{name}"
            mistakes.add(where, f"nothing is at {given.pattern}", f'"?{text}" if it may be absent')
        _check_apart(f"stages.{spec.name}.inputs.{name}", given, pipeline, mistakes)
        yield given
    else:
        stage, output = split_reference(text)
        producer = pipeline.stages[stage]
        choices = [(combo[key],) if key in combo else values for key, values in producer.matrix.items()]
        fan_in = any(key not in combo for key in producer.matrix)
        over_all = spec.collect and not producer.collect
        for of_job in shelf.jobs if over_all else [ALL_JOBS if producer.collect else job]:
            for values in sorted(itertools.product(*choices)):  # a list in another order is the same matrix
                value = encode_name("-".join(values))
                keys = [of_job] * over_all + [value] * fan_in
                yield Produced(task_name(stage, of_job, value), output, of_job, ":".join(keys))


def _given(text: str, job: str, optional: bool, root: Path) -> Given:
    path = os.path.normpath(text.replace("{job}", job))
    if not WILDCARDS.search(text.replace("{job}", "")) or os.path.exists(root / path):
        return Given(pattern=path, optional=optional)
    # braces before the job's name goes in, which may hold braces of its own
    choices = (os.path.normpath(choice.replace("{job}", glob.escape(job))) for choice in expand_braces(text))
    return Given(pattern=path, globs=tuple(choices), optional=optional)


def _check_apart(where: str, given: Given, pipeline: Pipeline, mistakes: Mistakes) -> None:
    """A path may neither hold the jobs directory, which every run changes, nor lie in it."""
    path, jobs = (os.path.normpath(p) for p in (pipeline.root / given.pattern, pipeline.jobs_dir))
    if given.globs:
        path = os.path.normpath(pipeline.root / fixed_part(given.pattern))
        holds = False
    else:
        holds = (jobs + "/").startswith(path.rstrip("/") + "/")
    if holds or (path + "/").startswith(jobs + "/"):
        mistakes.add(where, f"{given.pattern} and the jobs directory overlap", "read a stage's output as STAGE.OUTPUT")


def _is_there(given: Given, root: Path) -> bool:
    """Whether something matches, or may: what can't be looked at is reported when its stage is."""
    try:
        return bool(paths_of(given, root))
    except OSError:
        return True


def paths_of(given: Given, root: Path) -> list[str]:
    """What a path or glob matches now, sorted; relative to `root` unless it is absolute.

    Raises:
        OSError: the glob's folder can't be listed, which isn't the same as empty.
    """
    if not given.globs:
        return [given.pattern] if os.path.lexists(root / given.pattern) else []
    found = (glob.glob(choice, root_dir=root, recursive=True) for choice in given.globs)
    paths = sorted({os.path.normpath(path) for paths in found for path in paths})
    for choice in given.globs if not paths else ():
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.listdir(root / fixed_part(choice))
    return paths
