"""Prints what people read of a run: a line for each task (SKIPPED, RUN, DONE, FAILED …) and a summary at the end.

    SKIPPED separate:sample
    RUN     translate:sample:es  params.model: "a" → "b"
    DONE    translate:sample:es  3.1 s
    FAILED  transcribe:ep02

It hears events and nothing else.

Not here: deciding or running anything, what programs read (`eventlog`), how a line looks (`console`).
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Callable
from typing import IO

from mediabuild.machine.here import command
from mediabuild.machine.natural import in_order
from mediabuild.machine.signals import INTERRUPTED
from mediabuild.pipeline.model import Reason
from mediabuild.reporting.console import LEVELS, SKIPS_SHOWN, colour_wanted, duration, ending, program, shown, typed
from mediabuild.reporting.events import (
    Event,
    InputsUnread,
    JobsOrphaned,
    RunFinished,
    StageCacheMiss,
    StageCompleted,
    StageDelivered,
    StageFailed,
    StageIgnored,
    StageRestored,
    StageSkipped,
    StageWarning,
)
from mediabuild.reporting.live import LiveView
from mediabuild.reporting.tally import Tally

SHOWN = 5  # names of a list
HEXADECIMAL = re.compile("0x[0-9a-f]+")


class Report:
    """The console lines of one run; may be called from any thread.

    Args:
        stream: where lines go; writing to it never fails.
        tally: counts the same events, and hears each before this does.
        level: `debug`, `info`, `warning` or `error`; failures are always shown.
        total: how many tasks the run looks at: above a hundred, those that are up to date are summed up.
        source_of: task name → the file name of its source, to tell what failures have in common.
        earlier: task name → seconds it took last time; for the live view on a terminal.
    """

    def __init__(
        self,
        stream: IO[str],
        tally: Tally,
        *,
        level: str = "info",
        total: int = 0,
        source_of: Callable[[str], str] = lambda task: "",
        earlier: Callable[[str], float | None] = lambda task: None,
    ) -> None:
        self.stream = stream
        self.tally = tally
        self.level = LEVELS.index(level)
        self.colour = colour_wanted(stream)
        self.live = LiveView(stream, earlier) if stream.isatty() and level != "error" else None
        self.sum_up = total > SKIPS_SHOWN
        self.source_of = source_of
        self._made: set[str] = set()  # tasks that ran or came back
        self._shown: dict[tuple[str, str], str] = {}  # stage and message without names → the task that said it first
        self._failures: list[tuple[str, str]] = []  # task, cause
        self._blocked: dict[tuple[str, ...], list[str]] = {}  # tasks that failed → those that need them
        self._warned: dict[tuple[str, str], list[str]] = {}  # stage and message → tasks
        self._lock = threading.Lock()

    def hear(self, *events: Event) -> None:
        """Say what happened."""
        for event in events:
            self._hear(event)

    def _hear(self, event: Event) -> None:
        if self.live is not None and not isinstance(event, RunFinished):
            with self._lock:
                self.live.hear(event)
        if isinstance(event, StageSkipped):
            if not self.sum_up:
                self._line("SKIPPED", event.task)
        elif isinstance(event, StageIgnored):
            self._line("IGNORED", event.task)
        elif isinstance(event, StageCacheMiss):
            self._stale(event.task, event.reasons)
        elif isinstance(event, StageWarning):
            self._warn(event)
        elif isinstance(event, (StageCompleted, StageRestored, StageDelivered)):
            self._made_now(event)
        elif isinstance(event, StageFailed):
            self._failed(event)
        elif isinstance(event, JobsOrphaned):
            what = f"no source any more; to remove: {program()} clean --orphans"
            self._line("ORPHAN", f"{listed(event.jobs)}: {what}", "warning")
        elif isinstance(event, InputsUnread):
            self._line("UNREAD", f"{listed(event.names)}: {event.message}", "warning")
        elif isinstance(event, RunFinished):
            self._finished(event)

    def _line(self, word: str, text: str, level: str = "info") -> None:
        """One line: an aligned word and its text."""
        if LEVELS.index(level) < self.level:
            return
        line = shown(word, text, colour=self.colour)
        with self._lock:
            if self.live is None or not self.live.print(line):
                self.stream.write(f"{line}\n")

    def _hint(self, hint: str, level: str, task: str) -> None:
        if hint:
            self._line("", f"  hint: {typed(hint, self.source_of(task))}", level)

    def _warn(self, event: StageWarning) -> None:
        """A warning; what is true of several jobs is said once, and at the end of how many."""
        with self._lock:
            tasks = self._warned.setdefault((event.task.partition(":")[0], event.message), [])
            known = any(task != event.task for task in tasks)
            tasks.append(event.task)
        if not known:
            self._line("WARNING", f"{event.task}  {event.message}", "warning")
            self._hint(event.hint, "warning", event.task)

    def _stale(self, task: str, reasons: list[Reason]) -> None:
        more = f"  (+{len(reasons) - 1} more: {typed(command('explain', task))})" if len(reasons) > 1 else ""
        self._line("RUN", f"{task}  {reasons[0] if reasons else 'always'}{more}")

    def _made_now(self, event: StageCompleted | StageRestored | StageDelivered) -> None:
        if isinstance(event, StageCompleted):
            resumed = f"  {event.units_reused} of {event.units} units were there" if event.units_reused else ""
            self._line("DONE", f"{event.task}  {duration(event.seconds)}{resumed}")
        elif isinstance(event, StageRestored):
            day = time.strftime("%d %b %H:%M", time.localtime(event.made_ts))
            whence = f" from {event.source}" if event.source else ""
            self._line("RESTORED", f"{event.task}{whence}  made {day} in {duration(event.spared_s)}")
        elif event.task not in self._made:
            self._line("COPIED", f"{event.task}  {', '.join(event.files)}")
        self._made.add(event.task)

    def _failed(self, event: StageFailed) -> None:
        if event.blocked_by:  # said at the end: one line for all that one failure stops
            self._blocked.setdefault(tuple(event.blocked_by), []).append(event.task)
            return
        self._failures.append((event.task, self._cause(event)))
        like = (event.task.partition(":")[0], self._nameless(event))
        with self._lock:
            first = self._shown.setdefault(like, event.task)
        if first != event.task and "\n" in event.message:
            self._line("FAILED", f"{event.task}  {event.message.partition(chr(10))[0]}, like {first}", "error")
            return
        self._line("FAILED", f"{event.task}  {event.message}", "error")
        self._hint(event.hint, "error", event.task)

    def _nameless(self, event: StageFailed) -> str:
        """A failure's message without the names of its job and source, and without addresses in memory."""
        text = HEXADECIMAL.sub("", event.message)
        job = event.task.split(":")[1] if ":" in event.task else ""
        for name in filter(None, (job, self.source_of(event.task))):
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "", text)
        return text

    def _cause(self, event: StageFailed) -> str:
        """The first line of a failure, without the name of the source: what many can have in common."""
        source = self.source_of(event.task)
        return event.message.partition("\n")[0].removeprefix(f"{source}: " if source else "")

    def _finished(self, event: RunFinished) -> None:
        """What was done, and what failed, grouped by cause."""
        if self.live is not None:
            with self._lock:
                self.live.hear(event)
        if event.status == INTERRUPTED:
            self._line("STOPPED", "interrupted", "error")
        if self.sum_up and event.skipped:
            self._line("SKIPPED", f"{event.skipped} tasks")
        for (_, message), tasks in self._warned.items():
            more = list(dict.fromkeys(task for task in tasks if task != tasks[0]))
            if more:
                self._line("WARNING", f"{listed(more)}: {message}", "warning")
        for failed, blocked in self._blocked.items():
            self._line("BLOCKED", f"{listed(blocked)}: {listed([*failed])} failed", "warning")
        if len(self._failures) > 1:
            self._group_failures()
        nothing = "nothing done" if event.status else "nothing to do"
        counts = ", ".join(filter(None, (str(self.tally), f"{event.left} not done" if event.left else "")))
        self._line("", ending(counts or nothing, event.seconds, event.spared_s))

    def _group_failures(self) -> None:
        causes: dict[str, list[str]] = {}
        for name, message in self._failures:
            causes.setdefault(message, []).append(name)
        self._line("FAILED", f"{len(self._failures)} tasks:", "error")
        for cause, names in causes.items():
            self._line("", f"  {cause}: {', '.join(in_order(names))}", "error")


def listed(names: list[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def warn(message: str) -> None:
    """A warning outside a run."""
    sys.stderr.write(f"WARNING: {message}\n")
