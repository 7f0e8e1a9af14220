"""Finds jobs whose recording is gone.

A recording that can't be seen isn't gone: where the folder of a glob holds nothing that matches (a drive
that isn't mounted), or can't be read, no job is called orphaned.

Not here: jobs that have their recording (`pipeline.sources`), removing the others (`execution.removal`).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from mediabuild.pipeline.model import Pipeline
from mediabuild.pipeline.paths import expand_braces, fixed_part
from mediabuild.pipeline.reserved import ALL_JOBS, STATE_DIR
from mediabuild.pipeline.sources import matching
from mediabuild.store.summaries import recorded_source


@dataclass(frozen=True)
class Orphan:
    """A job's directory, and the recording that it was made from, as the job's summary names it."""

    job: str
    directory: Path
    source: str


def find_orphans(pipeline: Pipeline, jobs: Collection[str]) -> list[Orphan]:
    """The jobs that have a directory and no recording any more, sorted by name.

    Args:
        jobs: those that have one.
    """
    left = [(job, folder) for job, folder in _job_dirs(pipeline) if job not in jobs]
    if not left or unseen(pipeline):
        return []
    named = [(job, folder, recorded_source(folder, job)) for job, folder in left]
    found = [Orphan(job, folder, source.pattern) for job, folder, source in named if source]
    return sorted((orphan for orphan in found if _is_gone(pipeline, orphan.source)), key=lambda orphan: orphan.job)


def unseen(pipeline: Pipeline) -> list[str]:
    """The globs that match nothing, one for each brace set's choice: are their recordings gone, or out of sight?"""
    choices = [choice for pattern in pipeline.sources if pattern[0] != "!" for choice in expand_braces(pattern)]
    folders: dict[str, list[str]] = {}  # several suffixes in one folder are one place
    for choice in choices:
        folders.setdefault(fixed_part(choice), []).append(choice)
    return [group[0] for group in folders.values() if not any(matching(pipeline, choice) for choice in group)]


def _job_dirs(pipeline: Pipeline) -> list[tuple[str, Path]]:
    """Every job's name and directory, as far as they have a summary; jobs may lie in folders, and in jobs."""
    found, waiting = [], [""]
    while waiting:
        above = waiting.pop()
        with contextlib.suppress(OSError), os.scandir(pipeline.jobs_dir / above) as entries:
            for entry in entries:
                job = os.path.join(above, entry.name)
                stage = entry.name.removesuffix(".edited") in pipeline.stages and above
                if entry.name in (STATE_DIR, ALL_JOBS) or stage or not entry.is_dir(follow_symlinks=False):
                    continue
                waiting.append(job)
                if os.path.isdir(os.path.join(entry.path, STATE_DIR)):
                    found.append((job, Path(entry.path)))
    return found


def _is_gone(pipeline: Pipeline, source: str) -> bool:
    """Whether a recording isn't there, and the nearest folder above it that is there can be looked at."""
    path = pipeline.root / source
    if os.path.lexists(path):
        return False
    try:
        os.listdir(next(folder for folder in path.parents if folder.exists()))
    except (OSError, StopIteration):
        return False
    return True
