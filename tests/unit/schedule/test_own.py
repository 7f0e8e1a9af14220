"""Whatever a user's own task starts belongs to the run; where nothing is started, nobody watches over it."""

from __future__ import annotations

from doit.action import CmdAction

from mediabuild.machine.processes import Processes
from mediabuild.schedule.own import belonging


def test_only_a_task_with_actions_is_watched_over() -> None:
    """A task that only names others, as `A` does with `A:one`, costs no process."""
    processes = Processes()
    with belonging((), processes):
        assert processes._reaper is None
    with belonging([CmdAction("true")], processes):
        assert processes._reaper is not None
    processes.close()
