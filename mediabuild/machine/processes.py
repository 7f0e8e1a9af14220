"""Child processes that never outlive the run: each is a group of its own, stopped with all that it started.

A run that is asked to stop sends TERM to all of them, waits a grace period, then KILLs. When the run itself is
killed, a tiny process that holds the other end of a pipe (the reaper) notices and kills what is left.

Not here: one child (`child`), what they are asked (`workers`, `executor`), where what they start is found (`kin`).
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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from mediabuild.errors import Interrupted, StageError
from mediabuild.machine import kin
from mediabuild.machine.child import CAN_PEEK, Child, end, send

GRACE_S = 5.0
TICK_S = 0.1  # how often a time limit looks at the clock


class Processes:
    """All children of a run."""

    def __init__(self) -> None:
        self._children: set[Child] = set()
        self._others: set[str] = set()  # marks of what somebody else starts
        self._lock = threading.Lock()
        self._reaper: subprocess.Popen[bytes] | None = None
        outer = os.environ.get(kin.MARK)  # this run may be a stage of another one
        self._marks = (f"{os.getpid()}.{time.time_ns():x}.{n}" for n in itertools.count())
        self._outer = f"{outer}," if outer else ""
        self.stopping = threading.Event()

    def start(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        output: IO[bytes] | int = subprocess.DEVNULL,
        errors: IO[bytes] | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> Child:
        """Start a program in a group of its own, its stdout and stderr to `output`, nothing on stdin.

        Args:
            errors: where stderr goes instead.

        Raises:
            StageError: there is no such program. Interrupted: the run is stopping.
        """
        with self._lock:
            mark = self._announce()
            try:
                process = subprocess.Popen(
                    argv,
                    cwd=cwd,
                    env={**(os.environ if env is None else env), kin.MARK: self._outer + mark},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output if errors is None else errors,
                    start_new_session=True,
                    pass_fds=pass_fds,
                )
            except BaseException as error:
                self._tell_reaper(f"-{mark}\n")
                if isinstance(error, FileNotFoundError | PermissionError):
                    raise StageError(f"{argv[0]}: {error.strerror}", f"command -v {argv[0]}") from None
                raise
            child = Child(process, mark)
            self._children.add(child)
            self._tell_reaper(f"{mark} {child.group}\n")
        return child

    @contextlib.contextmanager
    def marked(self) -> Iterator[str]:
        """What is started with this as `kin.MARK` in its environment ends with the run, if that ends during the block.

        Raises:
            Interrupted: the run is stopping.
        """
        with self._lock:
            mark = self._announce()
            self._others.add(mark)
        try:
            yield self._outer + mark
        except BaseException:
            kin.end({mark}, ())
            raise
        finally:
            with self._lock:
                self._others.discard(mark)
                self._tell_reaper(f"-{mark}\n")

    def finish(self, child: Child) -> int:
        """Wait for a child and forget it; returns its exit status."""
        status = child.wait()
        with self._lock:
            self._children.discard(child)
            self._tell_reaper(f"-{child.mark}\n")
        return status

    def watch(self, child: Child) -> None:
        """From now on, when the child ends, what it leaves behind is ended at once: it may hold pipes open."""

        def wait() -> None:
            if CAN_PEEK:
                with contextlib.suppress(ChildProcessError):
                    os.waitid(os.P_PID, child.group, os.WEXITED | os.WNOWAIT)
            while not child.ended():
                time.sleep(TICK_S)
            child.end_rest()

        threading.Thread(target=wait, daemon=True).start()

    def stop(self, child: Child, at_once: threading.Event | None = None) -> None:
        """TERM, a grace period (unless `at_once` is set), KILL; for all that it started."""
        send([child], signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        while time.monotonic() < deadline and not child.ended() and not (at_once and at_once.is_set()):
            time.sleep(0.01)
        end([child])

    def stop_all(self) -> None:
        """Stop every child at once; nothing new can be started. Safe to call again."""
        self.stopping.set()
        with self._lock:
            children, others = list(self._children), set(self._others)
        send(children, signal.SIGTERM, others)
        deadline = time.monotonic() + GRACE_S
        while time.monotonic() < deadline and not (all(c.ended() for c in children) and not kin.kin(others, ())):
            time.sleep(0.01)
        end(children, others)
        if others:
            threading.Thread(target=self._end_late, args=(others,), daemon=True).start()

    def _end_late(self, marks: set[str]) -> None:
        """End what bears these marks and was only about to be started, until their blocks are left."""
        while not marks.isdisjoint(self._others):
            kin.end(marks, ())
            time.sleep(TICK_S)

    @contextlib.contextmanager
    def time_limit(self, child: Child, seconds: float | None) -> Iterator[None]:
        """Stop the child when the block takes longer than this.

        Only time counts in which the machine let this process run: neither Ctrl-Z nor a paused container does.

        Raises:
            StageError: it took longer, whatever it said when it was told to stop.
        """
        if seconds is None:
            yield
            return
        over = threading.Event()
        watch = threading.Thread(target=self._expire, args=(child, seconds, over), daemon=True)
        watch.start()
        try:
            yield
        finally:
            over.set()
            watch.join()  # a KILL that came later would hit what the child does next
            if child.timed_out and not self.stopping.is_set():
                raise StageError(f"took longer than {seconds:g} s and was stopped", "timeout_s in pipeline.toml")

    def _expire(self, child: Child, seconds: float, over: threading.Event) -> None:
        left_s = seconds
        while left_s > 0:
            before_s = time.monotonic()
            if over.wait(min(left_s, TICK_S)):
                return
            left_s -= min(time.monotonic() - before_s, 2 * TICK_S)  # what is more than a tick was a pause
        if not (over.is_set() or child.ended()):
            child.timed_out = True
            self.stop(child, over)

    def _announce(self) -> str:
        """A new mark, told to the reaper before anything bears it: the run may be killed between the two."""
        if self.stopping.is_set():
            raise Interrupted("interrupted")
        mark = next(self._marks)
        self._start_reaper()
        self._tell_reaper(f"{mark} 0\n")
        return mark

    def _start_reaper(self) -> None:
        if self._reaper is None:
            self._reaper = subprocess.Popen(
                [sys.executable, "-I", "-S", kin.__file__],
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
