"""From a pipeline to its tasks: sources become jobs, stages times jobs times matrix values become tasks.

Not here: whether a task is up to date (`rebuilder`) and which ones were asked for (`selection`).
"""

from __future__ import annotations

import contextlib
import glob
import itertools
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mediabuild.config import Mistakes, effective_params, is_path, split_reference
from mediabuild.model import MANIFEST_NAME, Given, Pipeline, Produced, Reference, StageSpec, Task
from mediabuild.names import WILDCARDS, encode_name, expand_braces, fixed_part, nearest, suffixes

RESERVED_JOBS = (".mediabuild", ".all")
Overrides = Mapping[str, Mapping[str, Any]]


def recorded_sources(pipeline: Pipeline) -> dict[str, Given]:
    """Job name → its source, as the jobs' own summaries name them: where the recordings aren't."""
    found = {}
    for file in pipeline.jobs_dir.glob("**/" + MANIFEST_NAME):
        try:
            summary = json.loads(file.read_bytes())
            job, source = str(summary["job"]), str(summary["source"])
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            continue  # a stage's manifest, or damaged
        if file.parent == pipeline.jobs_dir / job:
            found[job] = Given(pattern=source, label=source)
    return found


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
    excluded = {
        path
        for pattern in pipeline.sources
        if pattern.startswith("!")
        for choice in expand_braces(pattern[1:])
        for path in glob.glob(choice, root_dir=root, recursive=True)
    }
    for pattern in (p for p in pipeline.sources if not p.startswith("!")):
        if not WILDCARDS.search(pattern) or (pipeline.root / pattern).is_file():
            if not (pipeline.root / pattern).is_file():
                mistakes.add("pipeline.sources", f"no such file: {pattern}")
            else:
                found[os.path.normpath(pattern)] = os.path.dirname(os.path.normpath(pattern))
            continue
        base = os.path.normpath(fixed_part(pattern)) if fixed_part(pattern) else ""
        for choice in expand_braces(pattern):
            for path in glob.glob(choice, root_dir=root, recursive=True):
                if path not in excluded and (pipeline.root / path).is_file():
                    found[os.path.normpath(path)] = base
    return found


def _job_name(path: str, base: str) -> str:
    relative = os.path.relpath(path, base) if base else path
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
) -> dict[str, Task]:
    """All tasks in canonical order, job by job.

    Args:
        overrides: stage → params from the command line, over everything else.
        device: instead of the pipeline's.
        job_dir: instead of `jobs_dir/JOB`, for the one job there is.

    Raises:
        PipelineError: an effective param is out of bounds, or an input that must be there is missing.
    """
    mistakes = Mistakes(pipeline.file.name)
    tasks: dict[str, Task] = {}
    for job, source in jobs.items():
        directory = job_dir or pipeline.jobs_dir / job
        for spec in pipeline.stages.values():
            merged, changed = _job_params(pipeline, spec, job, overrides or {}, mistakes)
            for values in itertools.product(*spec.matrix.values()):
                combo = dict(zip(spec.matrix, values, strict=True))
                task = _task(pipeline, spec, job, directory, source, combo, merged, device, mistakes, changed)
                if task.name in tasks:
                    mistakes.add(f"stages.{spec.name}.matrix", f"two combinations are called {task.value!r}")
                tasks[task.name] = task
    _check_deliveries(pipeline, jobs, tasks, mistakes)
    mistakes.raise_if_any()
    return tasks


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
) -> Task:
    value = encode_name("-".join(combo.values()))
    inputs = {name: tuple(_references(pipeline, spec, name, job, source, combo, mistakes)) for name in spec.inputs}
    produced = [ref.task for refs in inputs.values() for ref in refs if isinstance(ref, Produced)]
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
        needs=tuple(dict.fromkeys(produced)),
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
        for values in sorted(itertools.product(*choices)):  # a list in another order is the same matrix
            value = encode_name("-".join(values))
            yield Produced(task_name(stage, job, value), output, value if fan_in else "")


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
