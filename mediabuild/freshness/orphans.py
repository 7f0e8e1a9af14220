"""Finds what no recording or no stage stands for any more: orphaned jobs, withdrawn tasks.

A recording that can't be seen isn't gone: where the folder of a glob holds nothing that matches (a drive
that isn't mounted), or can't be read, no job is called orphaned. A job that another pipeline made is none of ours.

Not here: jobs that have their recording (`pipeline.sources`), removing the others (`execution.removal`).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mediabuild.machine.natural import in_order
from mediabuild.pipeline.model import Pipeline
from mediabuild.pipeline.paths import expand_braces, fixed_part
from mediabuild.pipeline.per_job.inputs import task_name
from mediabuild.pipeline.reserved import ALL_JOBS, MANIFEST_NAME, STATE_DIR
from mediabuild.pipeline.sources import matching
from mediabuild.store import inventory, owners, places
from mediabuild.store.delivered import read_record
from mediabuild.store.manifest import find_manifest
from mediabuild.store.summaries import recorded_source


@dataclass(frozen=True)
class Orphan:
    """A job's directory, and the recording that it was made from, as the job's summary names it.

    Args:
        source: empty where only the state is left, which names none.
    """

    job: str
    directory: Path
    source: str


@dataclass(frozen=True)
class Withdrawn:
    """A task that the pipeline has no more, of a job that it has: its stage or its matrix value went from there.

    Args:
        key: as `Task.key`. directory: of its outputs; None where they are gone, and only copies or state are left.
    """

    job: str
    job_dir: Path
    key: str
    directory: Path | None = None

    @property
    def name(self) -> str:
        """As the task was called."""
        stage, _, value = self.key.partition("@")
        return task_name(stage, self.job, value)


def find_orphans(pipeline: Pipeline, jobs: Collection[str]) -> list[Orphan]:
    """The jobs of this pipeline that have a directory and no recording any more, in natural order.

    Args:
        jobs: those that have one.
    """
    left = [(job, folder) for job, folder in _job_dirs(pipeline) if job not in jobs]
    if not left or unseen(pipeline):
        return []
    named = [(job, folder, recorded_source(folder, job)) for job, folder in left if owners.is_ours(pipeline, folder)]
    found = [Orphan(job, folder, source.pattern) for job, folder, source in named if source]
    found = [orphan for orphan in found if _is_gone(pipeline, orphan.source)]
    found += [Orphan(job, folder, "") for job, folder in left if _is_emptied(pipeline, folder)]
    return in_order(found, lambda orphan: orphan.job)


def foreign_jobs(pipeline: Pipeline, jobs: Collection[str]) -> list[tuple[str, str]]:
    """The jobs that are none of this pipeline's, and what their state says of whose they are; empty for nothing."""
    left = [(job, folder) for job, folder in _job_dirs(pipeline) if job not in jobs]
    left = [(job, folder) for job, folder in left if not _is_emptied(pipeline, folder)]
    named = [(job, owners.owner_of(folder) or "") for job, folder in in_order(left, lambda one: one[0])]
    return [(job, owner) for job, owner in named if owner != owners.name_of(pipeline)]


def unseen(pipeline: Pipeline) -> list[str]:
    """The globs that match nothing, one for each brace set's choice: are their recordings gone, or out of sight?"""
    choices = [choice for pattern in pipeline.sources if pattern[0] != "!" for choice in expand_braces(pattern)]
    folders: dict[str, list[str]] = {}  # several suffixes in one folder are one place
    for choice in choices:
        folders.setdefault(fixed_part(choice), []).append(choice)
    return [group[0] for group in folders.values() if not any(matching(pipeline, choice) for choice in group)]


def find_withdrawn(
    pipeline: Pipeline, job_dirs: Mapping[str, Path], tasks: Collection[str], *, copies_only: bool = False
) -> list[Withdrawn]:
    """What is left of tasks that the pipeline has no more, in the jobs that it has.

    Args:
        job_dirs: job → its directory, also of what stands for all jobs. tasks: the names of those that there are.
        copies_only: look no further than for copies, which costs next to nothing.
    """
    found: list[Withdrawn] = []
    for job, job_dir in job_dirs.items():
        left: dict[str, Path | None] = dict.fromkeys(inventory.delivered_files(job_dir))
        if not copies_only:
            left |= dict.fromkeys(inventory.keys(job_dir))
            left |= dict(_made(job, job_dir))
        left = {key: directory for key, directory in left.items() if Withdrawn(job, job_dir, key).name not in tasks}
        if left and not owners.may_touch(pipeline, job_dir):
            continue
        found += [Withdrawn(job, job_dir, key, left[key]) for key in in_order(left)]
    return found


def recorded_copies(pipeline: Pipeline) -> set[str]:
    """What was delivered, relative to the pipeline, as the records of all jobs that it may touch have it."""
    folders = [*(folder for _, folder in _job_dirs(pipeline)), pipeline.jobs_dir / ALL_JOBS]
    records = [inventory.delivered_files(folder).values() for folder in owners.own(pipeline, folders)]
    return {copy for files in records for record in files for copy in read_record(record)}


def recordings_of_copies(pipeline: Pipeline) -> dict[str, str]:
    """What was delivered, as `recorded_copies` has it → the recording that it was made of."""
    found: dict[str, str] = {}
    for job, folder in _job_dirs(pipeline):
        source = recorded_source(folder, job) if owners.may_touch(pipeline, folder) else None
        for record in inventory.delivered_files(folder).values() if source else ():
            found |= dict.fromkeys(read_record(record), source.pattern if source else "")
    return found


def _made(job: str, job_dir: Path) -> Iterator[tuple[str, Path | None]]:
    """Key and directory of each task whose manifest lies in a job's directory and says that it is this task's."""
    for stage in _folders(job_dir):
        places_of = [(stage, "")] if (job_dir / stage / MANIFEST_NAME).is_file() else []
        places_of += [(f"{stage}/{value}", value) for value in _folders(job_dir / stage)]
        for place, value in places_of:
            manifest = find_manifest(job_dir / place)
            if manifest is not None and manifest.task == task_name(stage, job, value):
                yield (f"{stage}@{value}" if value else stage), job_dir / place


def _folders(folder: Path) -> list[str]:
    """The folders in a folder; links are none."""
    try:
        with os.scandir(folder) as entries:
            return [e.name for e in entries if e.name != STATE_DIR and e.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _job_dirs(pipeline: Pipeline) -> list[tuple[str, Path]]:
    """Every job's name and directory, as far as they have a state; jobs may lie in folders, and in jobs."""
    found, waiting = [], [""]
    while waiting:
        above = waiting.pop()
        with contextlib.suppress(OSError), os.scandir(pipeline.jobs_dir / above) as entries:
            for entry in entries:
                job = os.path.join(above, entry.name)
                stage = entry.name.removesuffix(places.EDITED) in pipeline.stages and above
                if entry.name in (STATE_DIR, ALL_JOBS) or stage or not entry.is_dir(follow_symlinks=False):
                    continue
                waiting.append(job)
                if places.is_safe(Path(entry.path), pipeline.jobs_dir) and places.state_of(Path(entry.path)).is_dir():
                    found.append((job, Path(entry.path)))
    return found


def _is_emptied(pipeline: Pipeline, job_dir: Path) -> bool:
    """Whether nothing but its state is left of a job of ours: after `clean`, or where a kill cut off a first run.

    Also where a kill cut off its removal; in the end that leaves folders without any file, and so without an owner.
    """
    owner = owners.owner_of(job_dir)
    if owner not in (None, owners.name_of(pipeline)):
        return False
    for folder, folders, files in os.walk(job_dir):
        if owner is not None and folder == str(job_dir):
            folders.remove(STATE_DIR)
        if files:
            return False
    return True


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
