"""Cleans up after a run that was killed: deletes its temporary directories, completes or undoes its last exchange.

Only names of one strict pattern, of tasks that are known, are ever touched (`store.places`).

Not here: the exchange (`store.publish`).
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable
from pathlib import Path

from mediabuild.errors import LockBusy, MediabuildError
from mediabuild.machine.lock import locked
from mediabuild.pipeline.model import Task
from mediabuild.store import places
from mediabuild.store.publish import recover


def sweep(tasks: Iterable[Task]) -> None:
    """Finish or undo what dead runs left of these tasks; what a live run is busy with is locked, and left alone."""
    by_job: dict[Path, dict[str, Task]] = {}
    for task in tasks:
        by_job.setdefault(task.job_dir, {})[task.key] = task
    for job_dir, known in by_job.items():
        for key in places.leftovers(job_dir).keys() & known.keys():
            with contextlib.suppress(OSError, LockBusy, MediabuildError):
                places.check(known[key])
                with locked(places.lock(known[key]), key, wait=False):
                    recover(known[key].directory, places.swap(known[key]))
                    sweep_dead(known[key])


def sweep_dead(task: Task) -> None:
    """Remove what dead runs of a task left; its lock is held, so they are dead."""
    for leftover in places.leftovers(task.job_dir).get(task.key, ()):
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
