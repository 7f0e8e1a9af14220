"""Names the copies of outputs that go where people look, and sees to it that no two share a name.

The name of a copy is the prefix `deliver`, and the output's name from its first dot on: `subtitles.es.srt` delivered
to `out/{job}` is `out/ep01.es.srt`. An output that is a directory is delivered as a directory, with all it holds
under its own names: `hls/0.ts` is `out/ep01.hls/0.ts`.

Not here: making the copies (`execution.delivery`).
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator, Mapping

from mediabuild.pipeline.mistakes import Mistakes
from mediabuild.pipeline.model import Given, Pipeline, Task
from mediabuild.pipeline.placeholders import fill, text_of


def suffixes(path: str) -> str:
    """A file's name from its first dot on: `subs/subtitles.es.srt` → `.es.srt`; `.NAME` where it has none."""
    name = path.rpartition("/")[2]
    return name[name.index(".") :] if "." in name else f".{name}"


def delivery_prefix(pipeline: Pipeline, task: Task) -> str:
    """Where a task's copies go, relative to the pipeline: `deliver` with its placeholders filled in.

    A job in a directory of its own (`--job-dir`) delivers under that directory's name, so that two
    directories of one recording don't fight over one copy.
    """
    usual = pipeline.jobs_dir / task.job == task.job_dir
    values = {key: text_of(task.params[key]) for key in task.stage.matrix}
    values["job"] = task.job if usual else task.job_dir.name
    return os.path.normpath(fill(task.stage.deliver or "", values.get))


def deliveries(pipeline: Pipeline, task: Task, outputs: Iterable[str]) -> dict[str, str]:
    """Path below the project → output path, of each copy that the stage's `deliver` asks for.

    Both end with a `/` for a directory that is empty. Of two outputs that would share a copy's name, the first counts.
    """
    found: dict[str, str] = {}
    for copy, output in _named(pipeline, task, outputs):
        found.setdefault(copy, output)
    return found


def clash(pipeline: Pipeline, task: Task, outputs: Iterable[str]) -> tuple[str, str] | None:
    """The first copy that two of a task's outputs would share, and what is wrong."""
    found: dict[str, str] = {}
    for copy, output in _named(pipeline, task, outputs):
        other = found.setdefault(copy, output)
        above = next((folder for folder in _folders(copy) if folder in found), None)
        if other != output or above:
            return copy, f"{found[above] if above else other} and {output} would both be {above or copy}"
    return None


def _named(pipeline: Pipeline, task: Task, outputs: Iterable[str]) -> Iterator[tuple[str, str]]:
    if task.stage.deliver is None:
        return
    prefix = delivery_prefix(pipeline, task)
    for path in sorted(outputs):
        depth = _declaration(path, task.stage.outputs.values()).count("/") + 1
        top, rest = path.split("/")[:depth], path.split("/")[depth:]
        yield prefix + suffixes("/".join(top)) + "".join(f"/{name}" for name in rest), path


def _declaration(path: str, declared: Iterable[str]) -> str:
    """The declared output that a path belongs to, a file, a directory or a pattern; empty for none."""
    for pattern in declared:
        if path == pattern or path.startswith(pattern + "/") or ("*" in pattern and fnmatch.fnmatchcase(path, pattern)):
            return pattern
    return ""


def _folders(path: str) -> Iterator[str]:
    """All folders above a path, the nearest first."""
    while path := path.rpartition("/")[0]:
        yield path


def check_deliveries(
    pipeline: Pipeline, jobs: Mapping[str, Given], tasks: Mapping[str, Task], mistakes: Mistakes
) -> None:
    """No two copies may have one name, and none may stand in for a source or lie among the jobs."""
    taken: dict[str, str] = {os.path.normpath(given.pattern): "the source" for given in jobs.values()}
    above: dict[str, str] = {}
    for task in tasks.values():
        if task.stage.deliver is None:
            continue
        where, prefix = f"stages.{task.stage.name}.deliver", delivery_prefix(pipeline, task)
        if not os.path.relpath(pipeline.root / prefix, pipeline.jobs_dir).startswith(".."):
            mistakes.add(where, "copies can't go into the jobs directory", 'deliver = "out/{job}"')
            return
        for path in task.stage.outputs.values():
            copy = prefix + suffixes(path)
            folders = list(_folders(copy))
            other = taken.get(copy) or above.get(copy) or next((taken[f] for f in folders if f in taken), None)
            if other:
                hint = "{job} and the keys of the matrix tell copies apart"
                mistakes.add(where, f"{task.name} would deliver {copy}, as {other} does", hint)
                return
            taken[copy] = task.name
            above |= dict.fromkeys(folders, task.name)
