"""Knows which pipeline a job belongs to: several may share a jobs directory, and none touches another's jobs.

A job's state names its pipeline by the way from the jobs directory to the pipeline's folder, so that a project that is
moved or copied whole keeps its jobs. A job of a pipeline that isn't there any more is taken over by the one that has
a recording of this name; it is never removed by another.

Not here: jobs whose recording is gone (`freshness.orphans`).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable
from pathlib import Path

from mediabuild.errors import StageError
from mediabuild.machine import regular
from mediabuild.machine.files import write_atomically
from mediabuild.pipeline.model import Pipeline, Task
from mediabuild.pipeline.paths import jobs_dir_of
from mediabuild.store import inventory, places
from mediabuild.store.summaries import begin_summary


def owner_of(job_dir: Path) -> str | None:
    """The pipeline's folder that a job's state names; None where none does."""
    try:
        return os.fsdecode(regular.read_bytes(places.owner(job_dir)))
    except OSError:
        return None


def name_of(pipeline: Pipeline) -> str:
    """How a job's state names a pipeline: its folder, seen from the jobs directory."""
    return os.path.relpath(os.path.realpath(pipeline.root), os.path.realpath(pipeline.jobs_dir))


def is_ours(pipeline: Pipeline, job_dir: Path) -> bool:
    """Whether a job was made by this pipeline, and by no other since."""
    return owner_of(job_dir) == name_of(pipeline)


def may_touch(pipeline: Pipeline, job_dir: Path) -> bool:
    """Whether a job of a recording of this pipeline is its own, or nobody's."""
    return bool(own(pipeline, [job_dir]))


def own(pipeline: Pipeline, job_dirs: Iterable[Path]) -> list[Path]:
    """Those of these jobs' directories that may be touched."""
    known = (None, name_of(pipeline))
    return [one for one in job_dirs if owner_of(one) in known and places.is_safe(one, pipeline.jobs_dir)]


def keeping(pipeline: Pipeline, job_dirs: Iterable[Path]) -> list[Path]:
    """Those of them that keep units or earlier outputs."""
    return own(pipeline, inventory.keeping(job_dirs))


def claim(pipeline: Pipeline, task: Task) -> None:
    """Note that a task's job belongs to this pipeline, and which recording it is of; `places.check` has been asked.

    Raises:
        StageError: it belongs to another, which is there and uses this jobs directory.
        OSError: it can't be noted.
    """
    job_dir = task.job_dir
    owner, ours = owner_of(job_dir), name_of(pipeline)
    if owner == ours:
        begin_summary(task)
        return
    if owner is not None and "\0" not in owner and _uses(pipeline.jobs_dir / owner, pipeline.jobs_dir):
        folder = os.path.normpath(pipeline.jobs_dir / owner)
        hint = f'[pipeline] jobs_dir = "jobs-{pipeline.root.name}"'
        raise StageError(f"{job_dir}: belongs to the pipeline in {folder}", hint)
    write_atomically(places.owner(job_dir), os.fsencode(ours))
    begin_summary(task)


def _uses(root: Path, jobs_dir: Path) -> bool:
    """Whether there is a pipeline in a folder, and its jobs are in this directory."""
    try:
        table = tomllib.loads((root / "pipeline.toml").read_text(encoding="utf-8"))["pipeline"]
        return os.path.realpath(root / jobs_dir_of(table)) == os.path.realpath(jobs_dir)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
