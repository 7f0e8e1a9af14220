"""Marks beside the manifests: what `forget` and `ignore` leave, and why a task failed last time.

Not here: what follows from them (`freshness`).
"""

from __future__ import annotations

from pathlib import Path

from mediabuild.pipeline.model import Task


def forgotten_mark(task: Task) -> Path:
    """The mark that `doit forget` leaves beside the manifests."""
    return task.state_dir / "marks" / f"{task.key}.forgotten"


def failed_mark(task: Task) -> Path:
    """The mark of a failure: its text is the message; it goes when the task succeeds."""
    return task.state_dir / "marks" / f"{task.key}.failed"


def ignored_mark(task: Task) -> Path:
    """The mark that `doit ignore` leaves beside the manifests."""
    return task.state_dir / "marks" / f"{task.key}.ignored"


def set_mark(mark: Path) -> None:
    """Make a mark beside the manifests."""
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()


def failure_of(task: Task) -> str:
    """Why the task failed last time, or nothing."""
    try:
        return failed_mark(task).read_text(errors="replace")
    except OSError:
        return ""
