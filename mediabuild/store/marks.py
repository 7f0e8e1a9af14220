"""Marks beside the manifests: what `forget` and `ignore` leave, and why a task failed last time.

Not here: what follows from them (`freshness`), where they lie (`places`).
"""

from __future__ import annotations

import contextlib
import os
from typing import Literal

from mediabuild.errors import StageError
from mediabuild.machine import regular
from mediabuild.machine.visible import visible_line
from mediabuild.pipeline.model import Task
from mediabuild.store import places

Kind = Literal["forgotten", "ignored", "failed"]


def is_set(task: Task, kind: Kind) -> bool:
    """Whether a task has a mark.

    Args:
        kind: `forgotten` and `ignored` are what the commands leave; `failed` goes when the task succeeds.
    """
    return os.path.lexists(places.mark(task, kind))


def put(task: Task, kind: Kind, text: str = "") -> None:
    """Make a mark; `failed` says why.

    Raises:
        OSError: it can't be written.
    """
    places.check(task)
    mark = places.mark(task, kind)
    mark.parent.mkdir(parents=True, exist_ok=True)
    with regular.open_file(mark, "wb") as file:
        file.write(text.encode(errors="replace"))


def clear(task: Task, *kinds: Kind) -> None:
    """Remove marks, where they are; a disk that can't be written is no reason to fail."""
    with contextlib.suppress(OSError, StageError):
        set_now = [kind for kind in kinds if is_set(task, kind)]
        if set_now:
            places.check(task)
        for kind in set_now:
            places.mark(task, kind).unlink(missing_ok=True)


def failure_of(task: Task) -> str:
    """Why the task failed last time, or nothing."""
    try:
        return visible_line(regular.read_bytes(places.mark(task, "failed")).decode(errors="replace"))
    except OSError:
        return ""
