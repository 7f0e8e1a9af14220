"""Starts the worker of a heavy task while what the task waits for still runs: what it imports takes seconds.

Only where a task of the run can't start just then, and only for a task that was never built: it runs for certain, once
what it waits for is made. The worker imports on a core that nobody needs, or not at all.

Not here: how a worker does that (`execution.worker`), whose turn it is (`turns`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from doit.task import Task as DoitTask

from mediabuild.execution.executor import Executor
from mediabuild.pipeline.model import Task
from mediabuild.schedule.state import is_remake, pipeline_task
from mediabuild.schedule.tasks import action_of
from mediabuild.schedule.turns import Turns
from mediabuild.store.manifest import find_manifest


class Ahead:
    """Looks ahead from the tasks that run to those that wait for nothing else.

    Args:
        is_ignored: whether doit is to leave a task alone.
    """

    def __init__(self, executor: Executor, turns: Turns, is_ignored: Callable[[DoitTask], bool]) -> None:
        self.executor = executor
        self.turns = turns
        self.is_ignored = is_ignored
        self._seen: set[str] = set()  # tasks that ran when it looked

    def look(self, running: Sequence[Any]) -> None:
        """Start the workers that the next tasks will need.

        Args:
            running: doit's nodes of the tasks that run.
        """
        names = {node.task.name for node in running}
        for node in running:
            if node.task.name not in self._seen and self._is_made_anew(node.task):
                for follower in node.waiting_me:
                    if names.issuperset(follower.wait_run):
                        self._start(follower.task)
            self._seen.add(node.task.name)

    def _is_made_anew(self, doit_task: DoitTask) -> bool:
        """Whether a running task makes outputs that weren't there before."""
        task = pipeline_task(doit_task)
        if task is None or is_remake(doit_task) or find_manifest(task.directory) is not None:
            return False
        return not self.executor.restorer.reads_nothing(task, action_of(doit_task).look)

    def _start(self, doit_task: DoitTask) -> None:
        task = pipeline_task(doit_task)
        if task is None or is_remake(doit_task) or not self._will_run(task) or self.is_ignored(doit_task):
            return
        device = self.turns.device_of(task)
        if device and not (device == "cuda" and self.turns.needs.of(task).gpu):  # which of several it gets isn't known
            memory_gb = self.turns.needs.of(task).memory_gb or 0.0
            self.executor.programs.start_early(task, device, memory_gb)

    def _will_run(self, task: Task) -> bool:
        only = self.executor.only
        declaration = task.stage.declaration
        if declaration is None or not declaration.imports or not declaration.heavy:
            return False
        return find_manifest(task.directory) is None and (only is None or task.name in only)
