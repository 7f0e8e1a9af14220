"""Child processes that never outlive the run: each is a group of its own, stopped as a group.

A run that is asked to stop sends TERM to every group, waits a grace period, then KILLs. When the run
itself is killed, a tiny process that holds the other end of a pipe (the reaper) notices and kills
the groups that are left.

Not here: what the children are asked to do (`workers`, `executor`).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from mediabuild.errors import Interrupted, StageError

GRACE_S = 5.0
CAN_PEEK = hasattr(os, "waitid")  # not on macOS before Python 3.13
MARK = "MEDIABUILD_CHILD"  # in a child's environment: who it is, for the reaper

REAPER = """
import os, signal, sys
for name in ("SIGINT", "SIGTERM", "SIGHUP"):
    signal.signal(getattr(signal, name), signal.SIG_IGN)
groups, announced = set(), ""
for line in sys.stdin:
    sign, word = line[0], line[1:].strip()
    announced = word if sign == "?" else ""
    if sign == "+":
        groups.add(int(word))
    elif sign == "-":
        groups.discard(int(word))
for pid in filter(str.isdigit, os.listdir("/proc") if announced and os.path.isdir("/proc") else ()):
    try:
        with open(f"/proc/{pid}/environ", "rb") as environment:
            if f"MARK={announced}".encode() in environment.read().split(bytes(1)):
                groups.add(os.getpgid(int(pid)))
    except OSError:
        pass
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
""".replace("MARK", MARK)


class Child:
    """A running process group.

    Args:
        process: its leader.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.group = process.pid
        self.timed_out = False
        self.peak_memory_bytes: int | None = None
        self._reaped = threading.Lock()

    def wait(self) -> int:
        """Wait for the leader, then end whatever it left behind; returns its exit status, negative for a signal."""
        if CAN_PEEK:  # without reaping, so that the group's number can't go to somebody else before the kill
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, self.group, os.WEXITED | os.WNOWAIT)
            self.signal(signal.SIGKILL)
        self._reap(0)
        if not CAN_PEEK:
            with contextlib.suppress(OSError):
                os.killpg(self.group, signal.SIGKILL)
        assert self.process.returncode is not None
        return self.process.returncode

    def _reap(self, options: int) -> None:
        """Collect the leader's exit status, if it has ended or `options` says to wait."""
        with self._reaped:
            if self.process.returncode is None:
                pid, status, usage = os.wait4(self.group, options)
                if pid:
                    self.process.returncode = os.waitstatus_to_exitcode(status)
                    self.peak_memory_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    def signal(self, number: int) -> None:
        """Send a signal to the whole group, if it is still there."""
        if self.process.returncode is None:
            with contextlib.suppress(OSError):
                os.killpg(self.group, number)

    def ended(self) -> bool:
        """Whether the leader has ended."""
        if self.process.returncode is None and CAN_PEEK:
            with contextlib.suppress(ChildProcessError):
                return os.waitid(os.P_PID, self.group, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
        elif self.process.returncode is None and self._reaped.acquire(blocking=False):
            self._reaped.release()  # nobody is waiting for it, so nobody minds that it is collected here
            self._reap(os.WNOHANG)
        return self.process.returncode is not None


class Processes:
    """All children of a run."""

    def __init__(self) -> None:
        self._children: set[Child] = set()
        self._lock = threading.Lock()
        self._reaper: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count()
        self.stopping = threading.Event()

    def start(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        output: IO[bytes] | int = subprocess.DEVNULL,
        pass_fds: tuple[int, ...] = (),
    ) -> Child:
        """Start a program in a group of its own, its stdout and stderr to `output`, nothing on stdin.

        Raises:
            StageError: there is no such program. Interrupted: the run is stopping.
        """
        with self._lock:
            if self.stopping.is_set():
                raise Interrupted("interrupted")
            self._start_reaper()
            # announced, since the run may be killed between the child's start and the word of its group
            mark = f"{os.getpid()}.{next(self._numbers)}"
            self._tell_reaper(f"?{mark}\n")
            try:
                process = subprocess.Popen(
                    argv,
                    cwd=cwd,
                    env={**(os.environ if env is None else env), MARK: mark},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    pass_fds=pass_fds,
                )
            except (FileNotFoundError, PermissionError) as error:
                raise StageError(f"{argv[0]}: {error.strerror}", f"command -v {argv[0]}") from None
            child = Child(process)
            self._children.add(child)
            self._tell_reaper(f"+{child.group}\n")
        return child

    def finish(self, child: Child) -> int:
        """Wait for a child and forget it; returns its exit status."""
        status = child.wait()
        with self._lock:
            self._children.discard(child)
            self._tell_reaper(f"-{child.group}\n")
        return status

    def stop(self, child: Child) -> None:
        """TERM, a grace period, KILL; for the whole group."""
        child.signal(signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        while time.monotonic() < deadline and not child.ended():
            time.sleep(0.01)
        child.signal(signal.SIGKILL)

    def stop_all(self) -> None:
        """Stop every child at once; nothing new can be started. Safe to call again."""
        self.stopping.set()
        with self._lock:
            children = list(self._children)
        for child in children:
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        while time.monotonic() < deadline and not all(child.ended() for child in children):
            time.sleep(0.01)
        for child in children:
            child.signal(signal.SIGKILL)

    @contextlib.contextmanager
    def time_limit(self, child: Child, seconds: float | None):  # type: ignore[no-untyped-def]
        """Stop the child when the block takes longer than this; `child.timed_out` says so afterwards."""
        if seconds is None:
            yield
            return

        def expire() -> None:
            child.timed_out = True
            self.stop(child)

        timer = threading.Timer(seconds, expire)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _start_reaper(self) -> None:
        if self._reaper is None:
            self._reaper = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", REAPER],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    def _tell_reaper(self, line: str) -> None:
        if self._reaper is not None and self._reaper.stdin is not None:
            with contextlib.suppress(OSError):
                os.write(self._reaper.stdin.fileno(), line.encode())

    def close(self) -> None:
        """Let the reaper go."""
        if self._reaper is not None and self._reaper.stdin is not None:
            with contextlib.suppress(OSError):
                self._reaper.stdin.close()
            self._reaper.wait()
            self._reaper = None
