"""Which copies of outputs are delivered, and under which names; no two may share one.

Not here: making them (`execution.delivery`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from mediabuild.pipeline.mistakes import Mistakes
from mediabuild.pipeline.model import Given, Pipeline, Task
from mediabuild.pipeline.placeholders import text_of


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
    prefix = (task.stage.deliver or "").replace("{job}", task.job if usual else task.job_dir.name)
    for key in task.stage.matrix:
        prefix = prefix.replace("{" + key + "}", text_of(task.params[key]))
    return os.path.normpath(prefix)


def check_deliveries(
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


def deliveries(pipeline: Pipeline, task: Task, outputs: Iterable[str]) -> dict[str, str]:
    """Path below the project → output path, of each copy that the stage's `deliver` asks for.

    The copy's name is the prefix and the output's name from its first dot on: `subtitles.es.srt`
    delivered to `out/{job}` is `out/ep01.es.srt`.
    """
    if task.stage.deliver is None:
        return {}
    prefix = delivery_prefix(pipeline, task)
    return {prefix + suffixes(path): path for path in sorted(outputs) if not path.endswith("/")}
