"""A running child process: a group of its own, of which nothing is left when it is over.

Not here: all children of a run, and when they are stopped (`processes`), where what they start is found (`kin`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator

from mediabuild.machine import kin

LONG_S = 60.0  # after this long, process numbers may have gone round
CAN_PEEK = hasattr(os, "waitid")  # not on macOS before Python 3.13


class Child:
    """A running process group.

    Args:
        process: its leader. mark: what all that it starts has in its environment.
    """

    def __init__(self, process: subprocess.Popen[bytes], mark: str) -> None:
        self.process = process
        self.mark = mark
        self.group = process.pid
        self.timed_out = False
        self.peak_memory_bytes: int | None = None
        self._started_s = time.monotonic()
        self._reaped = threading.Lock()

    def wait(self) -> int:
        """Wait for the leader, then end whatever it left behind; returns its exit status, negative for a signal."""
        if CAN_PEEK:  # without reaping, so that the group's number can't go to somebody else before the kill
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, self.group, os.WEXITED | os.WNOWAIT)
            self.end_rest()
        self._reap(0)
        if not CAN_PEEK:
            with contextlib.suppress(OSError):
                os.killpg(self.group, signal.SIGKILL)
        assert self.process.returncode is not None
        return self.process.returncode

    def end_rest(self) -> None:
        """End what an ended leader left behind, in its group and elsewhere."""
        was_long = time.monotonic() - self._started_s > LONG_S
        with self.own_group() as groups:
            _signal_groups(groups, signal.SIGKILL)
            kin.end({self.mark}, groups, None if was_long else kin.born_after(self.group))

    def _reap(self, options: int) -> None:
        """Collect the leader's exit status, if it has ended or `options` says to wait."""
        with self._reaped:
            if self.process.returncode is None:
                pid, status, usage = os.wait4(self.group, options)
                if pid:
                    self.process.returncode = os.waitstatus_to_exitcode(status)
                    self.peak_memory_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    def signal(self, number: int) -> None:
        """Send a signal to all that it started, if it is still there."""
        send([self], number)

    @contextlib.contextmanager
    def own_group(self) -> Iterator[set[int]]:
        """Its group's number; nothing when it is collected, since the number may be somebody else's then.

        It isn't collected during the block, where the machine can look without.
        """
        with self._reaped if CAN_PEEK else contextlib.nullcontext():
            yield {self.group} if self.process.returncode is None else set()

    def ended(self) -> bool:
        """Whether the leader has ended."""
        if self.process.returncode is None and CAN_PEEK:
            with contextlib.suppress(ChildProcessError):
                return os.waitid(os.P_PID, self.group, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
        elif self.process.returncode is None and self._reaped.acquire(blocking=False):
            self._reaped.release()  # nobody is waiting for it, so nobody minds that it is collected here
            self._reap(os.WNOHANG)
        return self.process.returncode is not None


def send(children: Collection[Child], number: int, marks: Collection[str] = ()) -> None:
    """Send a signal to children and to all that they started, and to whoever bears one of these marks.

    A group hears it as one, before those that left it: who waits for another is asked before that one has ended.
    Who is stopped (Ctrl-Z) is woken up, so that it hears.
    """
    with _own_groups(children) as groups:
        found = kin.kin({*marks, *(child.mark for child in children if child.group in groups)}, groups)
        for signal_number in (number, signal.SIGCONT):
            _signal_groups(groups, signal_number)
            kin.send(found, signal_number, besides=groups)


def end(children: Collection[Child], marks: Collection[str] = ()) -> None:
    """Kill children and all that they started, and whoever bears one of these marks."""
    with _own_groups(children) as groups:
        kin.end({*marks, *(child.mark for child in children)}, groups)


@contextlib.contextmanager
def _own_groups(children: Collection[Child]) -> Iterator[set[int]]:
    with contextlib.ExitStack() as held:
        yield {group for child in children for group in held.enter_context(child.own_group())}


def _signal_groups(groups: Collection[int], number: int) -> None:
    for group in groups:
        with contextlib.suppress(OSError):
            os.killpg(group, number)
