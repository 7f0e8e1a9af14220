"""Holding a task: its places are looked at, then its lock is taken. Whoever changes anything of a task holds it.

Not here: the lock itself (`machine.lock`), what a dead holder left (`execution.sweep`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from mediabuild.machine.lock import locked
from mediabuild.pipeline.model import Task
from mediabuild.store import places


@contextlib.contextmanager
def holding(task: Task, *, wait: bool = False, waiting: Callable[[str], None] = lambda owner: None) -> Iterator[None]:
    """Hold a task; arguments as of `locked`.

    Raises:
        StageError: a link or a file is in the place of one of its directories.
        LockBusy: another holds it, and `wait` is False. OSError: the lock can't be made.
    """
    places.check(task)
    with locked(places.lock(task), task.name, wait=wait, waiting=waiting):
        yield
