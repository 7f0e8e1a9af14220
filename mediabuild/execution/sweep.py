"""Cleans up after a run that was killed: deletes its temporary directories, completes or undoes its last exchange.

Only names of one strict pattern, of tasks that are known, are ever touched (`store.inventory`).

Not here: the exchange (`store.publish`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from mediabuild.errors import LockBusy, MediabuildError
from mediabuild.machine.files import remove_tree
from mediabuild.pipeline.model import Pipeline, Task
from mediabuild.store import inventory, owners, places
from mediabuild.store.holding import holding
from mediabuild.store.publish import recover


def sweep(pipeline: Pipeline, tasks: Iterable[Task]) -> None:
    """Finish or undo what dead runs left of these tasks; what a live run is busy with is locked, and left alone."""
    by_job: dict[Path, dict[str, Task]] = {}
    for task in tasks:
        by_job.setdefault(task.job_dir, {})[task.key] = task
    for job_dir, known in by_job.items():
        keys = inventory.leftovers(job_dir).keys() & known.keys()
        for key in keys if keys and owners.may_touch(pipeline, job_dir) else ():
            with contextlib.suppress(OSError, LockBusy, MediabuildError), holding(known[key]):
                recover(known[key].directory, places.swap(known[key]))
                sweep_dead(known[key])


def sweep_dead(task: Task) -> None:
    """Remove what dead runs of a task left; its lock is held, so they are dead."""
    for leftover in inventory.leftovers(task.job_dir).get(task.key, ()):
        with contextlib.suppress(OSError):
            remove_tree(leftover)
