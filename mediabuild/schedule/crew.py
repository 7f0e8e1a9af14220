"""The run's threads; each runs one task at a time.

Not here: which task is next (`turns`).
"""

from __future__ import annotations

import contextlib
import queue
import threading
import traceback
from typing import Any

from doit.exceptions import BaseFail, TaskError, TaskFailed

from mediabuild.errors import Interrupted

Done = tuple[Any, BaseFail | None]


class Crew:
    """Threads that run tasks; started when needed.

    Args:
        size: how many at most.
        work: runs one node's task and returns its failure or None.
    """

    def __init__(self, size: int, work: Any) -> None:
        self.size = size
        self.nodes: list[Any] = []  # whose tasks run
        self.done: queue.Queue[Done] = queue.Queue()
        self._work = work
        self._jobs: queue.Queue[Any] = queue.Queue()
        self._threads: list[threading.Thread] = []

    @property
    def running(self) -> int:
        """How many tasks run."""
        return len(self.nodes)

    @property
    def free(self) -> bool:
        """Whether another task can be started."""
        return self.running < self.size

    def start(self, node: Any) -> None:
        """Run a node's task on a thread."""
        self.nodes.append(node)
        if len(self._threads) < self.running:
            self._threads.append(threading.Thread(target=self._serve, daemon=True))
            self._threads[-1].start()
        self._jobs.put(node)

    def finished(self, timeout_s: float) -> Done | None:
        """The next task that ends, or None when none does within the time."""
        try:
            done = self.done.get(timeout=timeout_s)
        except queue.Empty:
            return None
        self.nodes.remove(done[0])
        return done

    def close(self) -> None:
        """Wait for the threads to end."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while (node := self._jobs.get()) is not None:
            failure: BaseFail | None = TaskFailed("interrupted")
            try:
                failure = self._work(node.task)
            except Interrupted:
                pass
            except BaseException as error:  # a bug should look like one
                failure = TaskError(f"{type(error).__name__}: {error}")
                with contextlib.suppress(OSError, ValueError):  # the console may be what is wrong
                    traceback.print_exc()
            finally:
                self.done.put((node, failure))  # nobody waits for it for ever
