"""Counts what a run does, for its last event and its last line.

Not here: what is printed (`report`).
"""

from __future__ import annotations

import threading
from collections.abc import Collection

from mediabuild.reporting.events import (
    Event,
    OwnTask,
    RunFinished,
    StageCompleted,
    StageDelivered,
    StageFailed,
    StageIgnored,
    StageRestored,
    StageSkipped,
)

ENDS = (StageCompleted, StageDelivered, StageFailed, StageIgnored, StageRestored, StageSkipped)


class Tally:
    """The counts of a run.

    Attributes:
        spared_s: the seconds of work that were not done again.
        settled: the pipeline's tasks that something became of.
    """

    def __init__(self) -> None:
        self.built = self.restored = self.skipped = self.failed = self.blocked = self.copied = 0
        self.spared_s = 0.0
        self.settled: set[str] = set()
        self._made: set[str] = set()  # tasks that ran or came back
        self._lock = threading.Lock()

    def hear(self, *events: Event) -> None:
        """Count events."""
        with self._lock:
            for event in events:
                self._count(event)

    def _count(self, event: Event) -> None:
        if isinstance(event, ENDS):
            self.settled.add(event.task)
        if isinstance(event, StageSkipped):  # first, since they are the most
            self.skipped += 1
            self.spared_s += event.spared_s
        elif isinstance(event, StageCompleted):
            self.built += 1
            self.spared_s += event.spared_s
            self._made.add(event.task)
        elif isinstance(event, StageRestored):
            self.restored += 1
            self.spared_s += event.spared_s
            self._made.add(event.task)
        elif isinstance(event, StageDelivered):
            self.copied += event.task not in self._made
        elif isinstance(event, StageFailed):
            self.blocked += bool(event.blocked_by)
            self.failed += not event.blocked_by
        elif isinstance(event, OwnTask):
            self.built += event.state == "built"
            self.skipped += event.state == "skipped"
            self.failed += event.state == "failed"
            self.blocked += event.state == "blocked"

    def finished(self, status: int, seconds: float, wanted: Collection[str] = ()) -> RunFinished:
        """The last event of a run.

        Args:
            status: the exit status. seconds: how long the run took. wanted: the pipeline's tasks that were selected.
        """
        return RunFinished(
            status=status,
            built=self.built,
            restored=self.restored,
            skipped=self.skipped,
            failed=self.failed,
            blocked=self.blocked,
            left=len(set(wanted) - self.settled),
            seconds=round(seconds, 3),
            spared_s=round(self.spared_s, 3),
        )

    def __str__(self) -> str:
        """What was done; empty where nothing was."""
        counts = {
            "built": self.built,
            "restored": self.restored,
            "delivered": self.copied,
            "up to date": self.skipped,
            "failed": self.failed,
            "blocked": self.blocked,
        }
        return ", ".join(f"{count} {word}" for word, count in counts.items() if count)
