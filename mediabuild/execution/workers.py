"""The run's side of the worker processes: starts them, sends requests, reads replies, keeps one for each kind.

Light built-in stages share a worker; a heavy one (torch, a large model) has one per device. Each stage of a project's
own has workers of its own, so that what it changes of a library reaches no other. A worker that dies, whose answer was
not read to its end, or that says it is spent gets no other request.

Not here: what happens inside (`worker`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from mediabuild.errors import Interrupted, StageError
from mediabuild.execution.protocol import REPLY_BYTES, Early, Reply, Request
from mediabuild.machine.child import Child
from mediabuild.machine.hardware.cores import cores
from mediabuild.machine.here import quoted
from mediabuild.machine.processes import Processes

Key = tuple[str, str, int]  # interpreter, kind, threads: workers of one key are alike
Report = Callable[[str, dict[str, Any]], None]
MOST_IDLE = 4 * cores()  # each may hold a model
# glibc gives large blocks back to the kernel and takes them anew each time, a tenth of Whisper's time: mallopt(3). And
# what one thread gave back another doesn't get, half of Whisper's memory; two of them hardly wait for each other.
KEEPS_BLOCKS = {
    "MALLOC_MMAP_THRESHOLD_": str(64 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
    "MALLOC_ARENA_MAX": str(max(1, cores() // 2)),
}
PACKAGE = str(Path(__file__).parents[1])

# Brings this mediabuild into any interpreter, and nothing else: as an entry of PYTHONPATH, its parent
# could be a site-packages full of libraries that another Python can't load. The working directory, which `-c` puts
# first, goes before anything is imported: it is the project's, and its `queue.py` isn't Python's.
BOOT = """
import sys
sys.path[:] = [folder for folder in sys.path if folder]
import importlib.util, runpy
where = sys.argv.pop(1)
spec = importlib.util.spec_from_file_location("mediabuild", where + "/__init__.py", submodule_search_locations=[where])
sys.modules["mediabuild"] = importlib.util.module_from_spec(spec)
runpy.run_module("mediabuild.execution.worker", run_name="__main__", alter_sys=True)
"""


class RunningWorker:
    """A worker process and the two pipes to it."""

    def __init__(self, key: Key, cwd: Path, processes: Processes, log: Path, early: Early | None = None) -> None:
        self.key = key
        self.processes = processes
        their_requests, our_requests = os.pipe()
        our_replies, their_replies = os.pipe()
        try:
            with log.open("ab") as output:
                self.child: Child = processes.start(
                    [key[0], "-c", BOOT, PACKAGE, str(their_requests), str(their_replies), *_argument(early)],
                    cwd=cwd,
                    env=_environment(key[2]),
                    output=output,
                    pass_fds=(their_requests, their_replies),
                )
        except BaseException:
            os.close(our_requests)
            os.close(our_replies)
            raise
        finally:
            os.close(their_requests)
            os.close(their_replies)
        processes.watch(self.child)  # a child of its own may hold the pipe of replies open
        self.requests: IO[bytes] = os.fdopen(our_requests, "wb")
        self.replies: IO[bytes] = os.fdopen(our_replies, "rb")
        self.number = 0
        self.memory_gb = 0.0  # what it took at most until now
        self.is_idle = True  # nothing of an earlier request can come from it any more

    def run(self, request: Request, timeout_s: float | None, report: Report) -> dict[str, Any]:
        """Run one request; returns the fields of `done`.

        Raises:
            StageError: the stage failed, took too long, or the worker died.
            Interrupted: the run is stopping.
        """
        self.is_idle = False
        self.number += 1
        request.number = self.number
        with self.processes.time_limit(self.child, timeout_s):
            with contextlib.suppress(BrokenPipeError):
                self.requests.write(msgspec.json.encode(request) + b"\n")
                self.requests.flush()
            while line := self.replies.readline(REPLY_BYTES):
                reply = self._decoded(line, request)
                if reply.kind in ("done", "failed"):
                    self.is_idle = not reply.spent
                if reply.kind == "done":
                    self.memory_gb = (reply.fields["peak_memory_bytes"] or 0) / 1e9
                    return reply.fields
                if reply.kind == "failed":
                    raise StageError(reply.fields["message"], reply.fields["hint"])
                report(reply.kind, {**reply.fields, "worker": self.child.group})
        status = self.processes.finish(self.child)
        if self.processes.stopping.is_set():
            raise Interrupted("interrupted")
        raise StageError(f"the worker died ({_ending(status)})", quoted("less", request.log))

    def _decoded(self, line: bytes, request: Request) -> Reply:
        """A reply to this request.

        Raises:
            StageError: it is none: something else wrote into the pipe.
        """
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            reply = msgspec.json.decode(line, type=Reply)
            if reply.number == request.number:
                return reply
        raise StageError(
            "the worker's answer can't be read: the stage wrote into its pipe", quoted("less", request.log)
        )

    def alive(self) -> bool:
        """Whether it can take another request."""
        return self.is_idle and not self.child.timed_out and not self.child.ended()

    def end(self) -> None:
        """End it, and all that it started, whatever it does."""
        if self.processes.stopping.is_set():
            return  # it is being stopped, and has a moment to tidy up
        self.child.signal(signal.SIGKILL)
        self.finish()

    def finish(self) -> None:
        """Wait until it has ended."""
        self.processes.finish(self.child)
        self._close_pipes()

    def _close_pipes(self) -> None:
        for pipe in (self.requests, self.replies):
            with contextlib.suppress(OSError):  # what was never read
                pipe.close()


class Workers:
    """The idle workers of a run, the longest idle first."""

    def __init__(self, processes: Processes, root: Path) -> None:
        self.processes = processes
        self.root = root
        self._idle: list[RunningWorker] = []
        self._busy: Counter[Key] = Counter()
        self._lock = threading.Lock()

    def are_busy(self, key: Key) -> bool:
        """Whether all workers of this kind, at least one, have a request: another one would load its models again."""
        with self._lock:
            return self._busy[key] > 0 and all(worker.key != key for worker in self._idle)

    def shrink(self, room_gb: float, wanted: Key) -> None:
        """End idle workers, the longest idle first, until they take no more than this; those of a kind stay."""
        ended = []
        with self._lock:
            spare = [worker for worker in self._idle if worker.key != wanted]
            while spare and sum(worker.memory_gb for worker in self._idle) > room_gb:
                ended.append(spare.pop(0))
                self._idle.remove(ended[-1])
        _let_go(ended)

    def run(self, key: Key, request: Request, timeout_s: float | None, report: Report) -> dict[str, Any]:
        """Run a request on an idle worker of this kind, or on a new one; as `RunningWorker.run`."""
        worker = self._take(key, Path(request.log))
        try:
            return worker.run(request, timeout_s, report)
        finally:
            with self._lock:
                self._busy[key] -= 1
            if worker.alive():
                self._keep(worker)
            else:
                worker.end()

    def start_early(self, key: Key, early: Early, memory_gb: float) -> None:
        """Start a worker that will be needed, unless there is one of this kind; what it prints goes nowhere.

        Args:
            memory_gb: what it is taken to need until it has had a request.
        """
        with self._lock:
            known = self._busy[key] > 0 or any(worker.key == key for worker in self._idle)
        if not known:
            with contextlib.suppress(StageError, OSError):  # the task itself will say so
                worker = RunningWorker(key, self.root, self.processes, Path(os.devnull), early)
                worker.memory_gb = memory_gb
                self._keep(worker)

    def _take(self, key: Key, log: Path) -> RunningWorker:
        while True:
            with self._lock:
                worker = next((worker for worker in reversed(self._idle) if worker.key == key), None)
                if worker is not None:
                    self._idle.remove(worker)
            worker = worker or RunningWorker(key, self.root, self.processes, log)
            if worker.alive():
                with self._lock:
                    self._busy[key] += 1
                return worker
            worker.end()

    def _keep(self, worker: RunningWorker) -> None:
        with self._lock:
            self._idle.append(worker)
            surplus, self._idle = self._idle[:-MOST_IDLE], self._idle[-MOST_IDLE:]
        _let_go(surplus)

    def close(self) -> None:
        """End all idle workers; no request may be running."""
        with self._lock:
            _let_go(self._idle)
            self._idle.clear()


def _let_go(workers: Sequence[RunningWorker]) -> None:
    """End idle workers, all at once: each takes a while to give its memory back."""
    for worker in workers:
        with contextlib.suppress(OSError):
            worker.requests.close()  # it notices
    for worker in workers:
        worker.finish()


def _environment(threads: int) -> dict[str, str]:
    budget = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    return {**KEEPS_BLOCKS, **os.environ, **budget, "PYTHONUNBUFFERED": "1"}


def _argument(early: Early | None) -> list[str]:
    return [msgspec.json.encode(early).decode()] if early is not None else []


def _ending(status: int) -> str:
    return f"killed by signal {-status}" if status < 0 else f"exit {status}"
