"""doit's state file, for the user's own tasks; and how these are told from the pipeline's.

doit imports it whatever it does, so nothing heavy is imported.

Not here: the pipeline's tasks (`tasks`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doit.dependency import JsonDB

from mediabuild.machine.regular import check_readable

if TYPE_CHECKING:
    from doit.task import Task as DoitTask

    from mediabuild.pipeline.model import Task


class StateFile(JsonDB):  # type: ignore[misc]
    """doit's own state, for the user's own tasks: one JSON file, replaced whole.

    Only what changed here is changed there: another run, or a `forget` beside a run, loses nothing. A damaged file
    counts as empty. Nothing of the pipeline is in it.
    """

    desc = "a JSON file that is replaced whole"

    def __init__(self, name: str, codec: Any, *, module_name: str | None = None) -> None:
        self._changed: set[str] = set()  # tasks
        self._emptied = False
        super().__init__(os.path.abspath(name), codec)

    def _load(self) -> dict[str, Any]:
        try:
            check_readable(self.name)
            content = self.codec.decode(Path(self.name).read_text(encoding="utf-8-sig"))
        except (OSError, ValueError, RecursionError):
            return {}
        entries = content.items() if isinstance(content, dict) else ()
        return {task: record for task, record in entries if isinstance(record, dict)}

    def set(self, task_id: str, dependency: str, value: Any) -> None:
        """Store a value."""
        self._changed.add(task_id)
        super().set(task_id, dependency, value)

    def remove(self, task_id: str) -> None:
        """Forget a task."""
        self._changed.add(task_id)
        super().remove(task_id)

    def remove_all(self) -> None:
        """Forget all tasks."""
        self._emptied = True
        super().remove_all()

    def dump(self) -> None:
        """Save, if anything changed."""
        if not (self._changed or self._emptied):
            return
        from mediabuild.machine.files import write_atomically

        file = Path(self.name)
        with _folder_locked(file.parent):
            found = {} if self._emptied else self._load()
            for task in self._changed:
                if task in self._db:
                    found[task] = self._db[task]
                else:
                    found.pop(task, None)
            write_atomically(file, self.codec.encode(found).encode())
        self._changed, self._emptied = set(), False


@contextlib.contextmanager
def _folder_locked(folder: Path) -> Iterator[None]:
    """Be the only one who replaces the state file in a folder, where its file system knows locks."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def pipeline_task(task: DoitTask) -> Task | None:
    """The pipeline's task behind doit's, if it is one."""
    return (task.meta or {}).get("mediabuild")


def is_group(task: DoitTask) -> bool:
    """Whether it is the group of a stage's tasks."""
    return bool((task.meta or {}).get("mediabuild_group"))


def is_remake(task: DoitTask) -> bool:
    """Whether it makes the deleted outputs of a temp task again, for another that is about to run."""
    return bool((task.meta or {}).get("mediabuild_remake"))
