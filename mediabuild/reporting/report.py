"""What a run says, to people on the console and to programs as events: one place for both.

    SKIPPED separate:sample
    RUN     translate:sample:es  params.model: "a" → "b"
    DONE    translate:sample:es  3.1 s
    FAILED  transcribe:ep02

Not here: deciding or running anything.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from mediabuild.execution.outcome import Outcome
from mediabuild.pipeline.model import Given, Reason, Task
from mediabuild.reporting.console import LEVELS, SKIPS_SHOWN, colour_wanted, duration, ending, shown
from mediabuild.reporting.eventlog import EventLog
from mediabuild.reporting.events import (
    Event,
    RunFinished,
    RunStarted,
    StageCacheMiss,
    StageCompleted,
    StageDelivered,
    StageFailed,
    StageProgress,
    StageRestored,
    StageRunning,
    StageSkipped,
    StageWarning,
    encode,
)
from mediabuild.reporting.live import LiveView

ORPHANS_SHOWN = 5


class Report:
    """Console lines and events of one run; may be called from any thread.

    Args:
        stream: where console lines go.
        events: where events go.
        root: paths are shown relative to it.
        level: `debug`, `info`, `warning` or `error`; failures are always shown.
        total: how many tasks the run looks at.
        earlier: task name → seconds it took last time; for the live view on a terminal.
    """

    def __init__(
        self,
        stream: IO[str],
        events: EventLog,
        root: Path,
        *,
        level: str = "info",
        total: int = 0,
        earlier: Callable[[str], float | None] = lambda task: None,
    ) -> None:
        self.stream = stream
        self.events = events
        self.root = root
        self.level = LEVELS.index(level)
        self.colour = colour_wanted(stream)
        self.live = LiveView(stream, earlier) if stream.isatty() and level != "error" else None
        self.sum_up = total > SKIPS_SHOWN
        self.counts = dict.fromkeys(("built", "restored", "skipped", "failed", "blocked", "delivered"), 0)
        self.failures: list[tuple[str, str]] = []
        self.spared_s = 0.0
        self.started = time.monotonic()
        self._skipped_temp: dict[str, None] = {}
        self._lock = threading.Lock()

    def line(self, word: str, text: str, level: str = "info") -> None:
        """One line: an aligned word and its text."""
        if LEVELS.index(level) < self.level:
            return
        line = shown(word, text, colour=self.colour)
        with self._lock:
            try:
                if self.live is None or not self.live.print(line):
                    self.stream.write(f"{line}\n")
                    self.stream.flush()
            except BrokenPipeError:  # the reader went away; the run goes on
                self.stream = open(os.devnull, "w")

    def emit(self, event: Event) -> None:
        """An event of the executor's; warnings are shown too."""
        self.events.write(encode([event], self.events.run))
        if isinstance(event, StageWarning):
            self.line("WARNING", f"{event.task}  {event.message}", "warning")
        elif self.live is not None:
            with self._lock:
                self._show(self.live, event)

    def _show(self, live: LiveView, event: Event) -> None:
        if isinstance(event, StageRunning):
            live.start(event.task)
        elif isinstance(event, StageProgress):
            live.progress(event.task, event.done, event.total)
        elif isinstance(event, (StageCompleted, StageFailed)):
            live.stop(event.task)
        elif isinstance(event, RunFinished):
            live.close()

    def start(self, version: str, tasks: int) -> None:
        """The run begins."""
        self.emit(RunStarted(version=version, tasks=tasks))

    def skipped(self, task: Task) -> None:
        """The task is up to date; of a temp task that is said at the end, since it may be made again."""
        if task.stage.temp:
            self._skipped_temp[task.name] = None
        else:
            self.skipped_all([task.name])

    def skipped_all(self, names: list[str]) -> None:
        """These tasks are up to date."""
        self.counts["skipped"] += len(names)
        self.events.write(encode([StageSkipped(task=name) for name in names], self.events.run))
        for name in names if not self.sum_up else ():
            self.line("SKIPPED", name)

    def stale(self, task: Task, reasons: list[Reason]) -> None:
        """The task will run, and why."""
        self._skipped_temp.pop(task.name, None)
        self.emit(StageCacheMiss(task=task.name, reasons=reasons))
        more = f"  (+{len(reasons) - 1} more: doit explain {task.name})" if len(reasons) > 1 else ""
        self.line("RUN", f"{task.name}  {reasons[0] if reasons else 'always'}{more}")

    def finished(self, task: Task, outcome: Outcome) -> None:
        """The task ran, or turned out to be fresh, or only copies were made."""
        for kept in outcome.kept:
            self._kept(task, kept)
        if outcome.built:
            self.counts["built"] += 1
            ran = outcome.ran
            self.spared_s += ran.units_spared_s
            self.emit(
                StageCompleted(
                    task=task.name,
                    seconds=round(outcome.seconds, 3),
                    outputs=outcome.outputs,
                    units=ran.units,
                    units_reused=ran.units_reused,
                    spared_s=ran.units_spared_s,
                )
            )
            resumed = f"  {ran.units_reused} of {ran.units} units were there" if ran.units_reused else ""
            self.line("DONE", f"{task.name}  {duration(outcome.seconds)}{resumed}")
        elif outcome.restored is not None:
            self.counts["restored"] += 1
            made, spared_s = outcome.restored.timestamp, outcome.restored.duration_s
            self.spared_s += spared_s
            self.emit(StageRestored(task=task.name, made_ts=made, spared_s=spared_s, source=outcome.source))
            day = time.strftime("%d %b %H:%M", time.localtime(made))
            whence = f" from {outcome.source}" if outcome.source else ""
            self.line("RESTORED", f"{task.name}{whence}  made {day} in {duration(spared_s)}")
        elif outcome.delivered:
            self.counts["delivered"] += 1
        else:
            self.skipped(task)
        if outcome.delivered:
            self.emit(StageDelivered(task=task.name, files=outcome.delivered))
            if not (outcome.built or outcome.restored):
                self.line("COPIED", f"{task.name}  {', '.join(outcome.delivered)}")

    def _kept(self, task: Task, kept: Path) -> None:
        where = os.path.relpath(kept, self.root)
        self.emit(StageWarning(task=task.name, message=f"it had been edited, and is kept: {where}"))
        self.line(
            "",
            f"  to make an edit count: a file in corrections/ (text), or put it back and: doit reset-dep {task.name}",
        )

    def failed(self, task: Task, message: str, hint: str, log: str = "") -> None:
        """The task failed."""
        self.counts["failed"] += 1
        self.failures.append((task.name, _cause(task, message)))
        self.emit(StageFailed(task=task.name, message=message, hint=hint, log=log))
        self.line("FAILED", f"{task.name}  {message}", "error")
        if hint:
            self.line("", f"  hint: {hint}", "error")

    def blocked(self, task: Task, by: list[str]) -> None:
        """The task can't run, since something that it needs failed."""
        self.counts["blocked"] += 1
        message = f"needs {', '.join(by)}, which failed"
        self.emit(StageFailed(task=task.name, message=message, blocked_by=by))
        self.line("BLOCKED", f"{task.name}  {message}", "warning")

    def orphans(self, jobs: list[str]) -> None:
        """These jobs have no recording any more."""
        if jobs:
            more = f" and {len(jobs) - ORPHANS_SHOWN} more" if len(jobs) > ORPHANS_SHOWN else ""
            shown_jobs = ", ".join(jobs[:ORPHANS_SHOWN]) + more
            self.line("ORPHAN", f"{shown_jobs}: no recording any more; to remove: doit clean --orphans", "warning")

    def finish(self, status: int) -> None:
        """The run ends: what was done, and what failed, grouped by cause."""
        self.skipped_all(list(self._skipped_temp))
        seconds = time.monotonic() - self.started
        counts = self.counts
        self.emit(
            RunFinished(
                status=status,
                built=counts["built"],
                restored=counts["restored"],
                skipped=counts["skipped"],
                failed=counts["failed"] + counts["blocked"],
                seconds=round(seconds, 3),
                spared_s=round(self.spared_s, 3),
            )
        )
        if self.sum_up and counts["skipped"]:
            self.line("SKIPPED", f"{counts['skipped']} tasks")
        if len(self.failures) > 1:
            self._group_failures()
        parts = [f"{counts[name]} {word}" for name, word in _WORDS if counts[name]]
        self.line("", ending(", ".join(parts) or "nothing to do", seconds, self.spared_s))

    def _group_failures(self) -> None:
        causes: dict[str, list[str]] = {}
        for name, message in self.failures:
            causes.setdefault(message, []).append(name)
        self.line("FAILED", f"{len(self.failures)} tasks:", "error")
        for cause, names in causes.items():
            self.line("", f"  {cause}: {', '.join(sorted(names))}", "error")


def _cause(task: Task, message: str) -> str:
    """The first line of a failure, without the name of the recording: what many can have in common."""
    given = (r for references in task.inputs.values() for r in references if isinstance(r, Given) and r.label)
    cause = message.partition("\n")[0]
    for source in given:
        cause = cause.removeprefix(f"{os.path.basename(source.pattern)}: ")
    return cause


_WORDS = (
    ("built", "built"),
    ("restored", "restored"),
    ("delivered", "delivered"),
    ("skipped", "up to date"),
    ("failed", "failed"),
    ("blocked", "blocked"),
)


def warn(message: str) -> None:
    """A warning outside a run."""
    sys.stderr.write(f"WARNING: {message}\n")
