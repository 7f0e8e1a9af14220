"""The live view of a run on a terminal: what runs, how far it is, since when, and for how long still.

Not here: the lines that stay (`report`); they are printed above the view.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import IO, Any

from mediabuild.reporting.events import (
    Event,
    RunFinished,
    StageCompleted,
    StageFailed,
    StageProgress,
    StageRunning,
)

REFRESH_HZ = 4
SURE_FRACTION = 0.03  # below this, an earlier duration tells more about the end than the progress does


def remaining_s(elapsed_s: float, fraction: float, earlier_s: float | None) -> float | None:
    """How long a task will still take, in seconds.

    Args:
        elapsed_s: since its start.
        fraction: how much of its work is done, 0 … 1; 0 where it doesn't say.
        earlier_s: how long it took last time, None where it never ran.

    Returns:
        None where nothing is known; never negative.
    """
    if fraction > SURE_FRACTION:
        return max(0.0, elapsed_s / fraction - elapsed_s)
    if earlier_s is None:
        return None
    return max(0.0, earlier_s - elapsed_s)


class LiveView:
    """Bars for the running tasks, at the foot of a terminal. rich is imported when the first one starts.

    Args:
        stream: the terminal.
        earlier: task name → seconds it took last time, or None.
    """

    def __init__(self, stream: IO[str], earlier: Callable[[str], float | None]) -> None:
        self.stream = stream
        self.earlier = earlier
        self._progress: Any = None
        self._bars: dict[str, Any] = {}
        self._started: dict[str, float] = {}

    def hear(self, event: Event) -> None:
        """Show what an event says."""
        if isinstance(event, StageRunning):
            self.start(event.task)
        elif isinstance(event, StageProgress):
            self.progress(event.task, event.done, event.total)
        elif isinstance(event, (StageCompleted, StageFailed)):
            self.stop(event.task)
        elif isinstance(event, RunFinished):
            self.close()

    def start(self, task: str) -> None:
        """A task starts."""
        if self._progress is None:
            self._open()
        self._started[task] = time.monotonic()
        self._bars[task] = self._progress.add_task(task, total=None, left="")
        self.progress(task, 0, 0)

    def progress(self, task: str, done: float, total: float) -> None:
        """A task says how far it is."""
        if task not in self._bars:
            return
        fraction = done / total if total else 0.0
        left = remaining_s(time.monotonic() - self._started[task], fraction, self.earlier(task))
        text = f"about {left:.0f} s left" if left is not None else ""
        self._progress.update(self._bars[task], completed=done, total=total or None, left=text)

    def stop(self, task: str) -> None:
        """A task ended."""
        bar = self._bars.pop(task, None)
        if bar is not None:
            self._progress.remove_task(bar)

    def print(self, text: str) -> bool:
        """Print a line above the view; False where there is no view, and the caller prints."""
        if self._progress is None:
            return False
        from rich.text import Text

        self._progress.console.print(Text.from_ansi(text), soft_wrap=True)
        return True

    def close(self) -> None:
        """Remove the view."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),  # `A:[1]` is a name, no markup
            BarColumn(24),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        console = Console(file=self.stream, emoji=False)
        self._progress = Progress(*columns, console=console, transient=True, refresh_per_second=REFRESH_HZ)
        self._progress.start()
