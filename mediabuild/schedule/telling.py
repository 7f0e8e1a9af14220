"""What a run tells of its tasks, as events: each thing once, and of what is blocked, what failed first.

Not here: how events look on the console (`reporting`), what becomes of tasks (`runner`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from doit.task import Task as DoitTask

from mediabuild.execution.outcome import Outcome
from mediabuild.pipeline.model import Reason, Task
from mediabuild.reporting.events import (
    Event,
    OwnState,
    OwnTask,
    StageCacheMiss,
    StageFailed,
    StageIgnored,
    StageSkipped,
)
from mediabuild.store import places


class Telling:
    """Tells of tasks.

    Args:
        emit: receives events. root: the project's folder.
    """

    def __init__(self, emit: Callable[[Event], None], root: Path) -> None:
        self.emit = emit
        self.root = root
        self._unsaid: dict[str, StageSkipped] = {}  # temp tasks that are up to date, and may be made again
        self._roots: dict[str, list[str]] = {}  # blocked task → the failed ones behind it

    def skipped(self, task: Task, spared_s: float) -> None:
        """The task is up to date; of a temp task that is said at the end, since it may be made again."""
        event = StageSkipped(task=task.name, spared_s=spared_s)
        if task.stage.temp:
            self._unsaid[task.name] = event
        else:
            self.emit(event)

    def begins(self, task: Task, reasons: Iterable[Reason]) -> None:
        """The task isn't up to date."""
        self._unsaid.pop(task.name, None)
        self.emit(StageCacheMiss(task=task.name, reasons=list(reasons)))

    def done(self, task: Task, outcome: Outcome) -> None:
        """The task was built, brought back or delivered."""
        for event in outcome.events(task.name, self.root):
            self.emit(event)

    def ignored(self, task: Task) -> None:
        """The user said `doit ignore`."""
        self.emit(StageIgnored(task=task.name))

    def failed(self, task: Task, message: str, hint: str) -> None:
        """The task failed, with its log where there is one."""
        log = places.log(task)
        self.emit(StageFailed(task=task.name, message=message, hint=hint, log=str(log) if log.exists() else ""))

    def blocked(self, task: Task, bad: Iterable[str]) -> None:
        """The task can't run, since something that it needs failed: what failed first is named."""
        roots: dict[str, None] = {}
        for name in bad:
            roots |= dict.fromkeys(self._roots.get(name, [name]))
        self._roots[task.name] = list(roots)
        message = f"needs {', '.join(roots)}, which failed"
        self.emit(StageFailed(task=task.name, message=message, blocked_by=list(roots)))

    def own(self, task: DoitTask, state: OwnState) -> None:
        """A task of the user's own; one without actions only stands for others."""
        if task.actions:
            self.emit(OwnTask(task=task.name, state=state))

    def close(self) -> None:
        """The run ends: what was left unsaid is true now."""
        for event in self._unsaid.values():
            self.emit(event)
