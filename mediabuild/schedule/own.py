"""What the user's own tasks start ends with the run, when that is stopped or killed while they are at it.

They run as in doit, in the run's own session, so that they can use the terminal. They are known by a mark in their
environment. What a task that is done has left running on purpose stays.

Not here: whose turn it is (`turns`).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from typing import Any

from doit.action import CmdAction, PythonAction

from mediabuild.machine.kin import MARK
from mediabuild.machine.processes import Processes


@contextlib.contextmanager
def belonging(actions: Iterable[Any], processes: Processes) -> Iterator[None]:
    """Whatever these actions start during the block belongs to the run.

    Args:
        actions: doit's; Python actions run in the main thread, one at a time.

    Raises:
        Interrupted: the run is stopping.
    """
    found = list(actions)
    if not found:  # a task that only names others: nothing is started, so nobody has to watch over it
        yield
        return
    with processes.marked() as mark, contextlib.ExitStack() as after:
        for action in found:
            if isinstance(action, CmdAction):
                given = action.pkwargs.get("env")
                action.pkwargs["env"] = {**(os.environ if given is None else given), MARK: mark}
        if any(isinstance(action, PythonAction) for action in found):
            after.callback(_set, os.environ.get(MARK))
            _set(mark)
        yield


def _set(mark: str | None) -> None:
    if mark is None:
        os.environ.pop(MARK, None)
    else:
        os.environ[MARK] = mark
