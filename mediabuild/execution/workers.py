"""The run's side of the worker processes: starts them, sends requests, reads replies, keeps one for each kind.

Light stages share a worker; a heavy stage (torch, a large model) has one per device. A worker that
dies fails the stage it was running and is replaced by the next request.

Not here: what happens inside (`worker`).
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import msgspec

from mediabuild.errors import Interrupted, StageError
from mediabuild.execution.worker import Reply, Request
from mediabuild.machine.processes import Child, Processes

Key = tuple[str, str, int]  # interpreter, kind, threads
Report = Callable[[str, dict[str, Any]], None]
PACKAGE = str(Path(__file__).parents[1])

# Brings this mediabuild into any interpreter, and nothing else: as an entry of PYTHONPATH, its parent
# could be a site-packages full of libraries that another Python can't load.
BOOT = """
import importlib.util, runpy, sys
where = sys.argv.pop(1)
spec = importlib.util.spec_from_file_location("mediabuild", where + "/__init__.py", submodule_search_locations=[where])
sys.modules["mediabuild"] = importlib.util.module_from_spec(spec)
runpy.run_module("mediabuild.execution.worker", run_name="__main__", alter_sys=True)
"""


class RunningWorker:
    """A worker process and the two pipes to it."""

    def __init__(self, key: Key, cwd: Path, processes: Processes, log: Path) -> None:
        self.key = key
        self.processes = processes
        their_requests, our_requests = os.pipe()
        our_replies, their_replies = os.pipe()
        try:
            with log.open("ab") as output:
                self.child: Child = processes.start(
                    [key[0], "-c", BOOT, PACKAGE, str(their_requests), str(their_replies)],
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
        self.requests: IO[bytes] = os.fdopen(our_requests, "wb", buffering=0)
        self.replies: IO[bytes] = os.fdopen(our_replies, "rb")

    def run(self, request: Request, timeout_s: float | None, report: Report) -> dict[str, Any]:
        """Run one request; returns the fields of `done`.

        Raises:
            StageError: the stage failed, took too long, or the worker died.
            Interrupted: the run is stopping.
        """
        with self.processes.time_limit(self.child, timeout_s):
            try:
                self.requests.write(msgspec.json.encode(request) + b"\n")
                for line in self.replies:
                    reply = msgspec.json.decode(line, type=Reply)
                    if reply.kind == "done":
                        return reply.fields
                    if reply.kind == "failed":
                        raise StageError(reply.fields["message"], reply.fields["hint"])
                    report(reply.kind, {**reply.fields, "worker": self.child.group})
            except BrokenPipeError:
                pass
        status = self.processes.finish(self.child)
        if self.processes.stopping.is_set():
            raise Interrupted("interrupted")
        raise StageError(f"the worker died ({_ending(status)})", f"less {request.log}")

    def alive(self) -> bool:
        """Whether it can take another request."""
        return not self.child.ended()

    def close(self) -> None:
        """End it; it notices that the pipe closes."""
        self.requests.close()
        self.processes.finish(self.child)
        self.replies.close()


class Workers:
    """The idle workers of a run."""

    def __init__(self, processes: Processes, root: Path) -> None:
        self.processes = processes
        self.root = root
        self._idle: dict[Key, list[RunningWorker]] = {}
        self._lock = threading.Lock()

    def run(self, key: Key, request: Request, timeout_s: float | None, report: Report) -> dict[str, Any]:
        """Run a request on an idle worker of this kind, or on a new one; as `RunningWorker.run`."""
        worker = self._take(key, Path(request.log))
        result = None
        try:
            result = worker.run(request, timeout_s, report)
        finally:
            if worker.alive():
                with self._lock:
                    self._idle.setdefault(key, []).append(worker)
        return result

    def _take(self, key: Key, log: Path) -> RunningWorker:
        with self._lock:
            idle = self._idle.get(key, [])
            while idle:
                worker = idle.pop()
                if worker.alive():
                    return worker
        return RunningWorker(key, self.root, self.processes, log)

    def close(self) -> None:
        """End all idle workers; no request may be running."""
        with self._lock:
            for workers in self._idle.values():
                for worker in workers:
                    worker.close()
            self._idle.clear()


def worker_key(python: Path | None, heavy: bool, device: str, threads: int) -> Key:
    """Which worker a stage shares."""
    return (str(python or sys.executable), device if heavy else "light", threads)


def _environment(threads: int) -> dict[str, str]:
    budget = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    return {**os.environ, **budget, "PYTHONUNBUFFERED": "1"}


def _ending(status: int) -> str:
    return f"killed by signal {-status}" if status < 0 else f"exit {status}"
