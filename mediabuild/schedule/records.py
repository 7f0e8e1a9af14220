"""Stands in for doit's database: the status of the pipeline's tasks comes from marks and manifests.

Not here: doit's own file for the user's own tasks (`state`).
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

from doit.dependency import Dependency
from doit.task import Task as DoitTask

from mediabuild.schedule.state import StateFile, is_group, pipeline_task
from mediabuild.store import marks

KEEP_S = 0.5  # saving reads and writes the whole file, and own tasks may be many and quick


class Records(Dependency):  # type: ignore[misc]
    """doit's view of what is recorded: for the pipeline's tasks that is marks beside the manifests."""

    _kept_s = 0.0

    def status_is_ignore(self, task: DoitTask) -> bool:
        """Whether the task was marked by `doit ignore`."""
        ours = pipeline_task(task)
        return marks.is_set(ours, "ignored") if ours else bool(super().status_is_ignore(task))

    def get_status(self, task: DoitTask, tasks_dict: dict[str, DoitTask], get_log: bool = False) -> Any:
        """doit's, except that targets which are temporary may be missing."""
        ours = pipeline_task(task)
        targets, task.targets = task.targets, [] if ours is not None and ours.stage.temp else task.targets
        try:
            return super().get_status(task, tasks_dict, get_log)
        finally:
            task.targets = targets

    def ignore(self, task: DoitTask) -> None:
        """Mark a task."""
        ours = pipeline_task(task)
        if ours:
            marks.put(ours, "ignored")
        elif not is_group(task):
            super().ignore(task)

    def save_success(self, task: DoitTask, result_hash: str | None = None) -> None:
        """Record a success; the pipeline's tasks have their manifests."""
        if not (pipeline_task(task) or is_group(task)):
            super().save_success(task, result_hash)
            self._keep()

    def remove_success(self, task: DoitTask) -> None:
        """Forget a success: called for each failed or blocked task too, so it never touches a manifest."""
        if not (pipeline_task(task) or is_group(task)):
            super().remove_success(task)
            self._keep()

    def _keep(self) -> None:
        """Save now and then: a kill loses little, and a `forget` that comes after it holds."""
        if isinstance(self.backend, StateFile) and time.monotonic() > self._kept_s + KEEP_S:
            with contextlib.suppress(OSError):  # it is said at the end, when all else is done
                self.backend.dump()
            self._kept_s = time.monotonic()
