"""INT, TERM and HUP: whether the run was asked to stop.

Not here: stopping what runs (`machine.processes`).
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from typing import Any

from mediabuild.errors import Interrupted

INSIST_S = 1.0  # a second signal counts when the first had no effect for this long


class Stop:
    """Whether INT, TERM or HUP asked the run to stop.

    The handler raises `Interrupted` in the main thread, but Python drops what is raised in a `__del__`
    or a callback: so the request is also kept here, and the scheduling loop looks.
    """

    def __init__(self) -> None:
        self.asked_s: float | None = None
        self.cleaning_up = False

    def handle(self, number: int, frame: Any) -> None:
        """The signal handler: a second signal while cleaning up changes nothing."""
        now_s, first = time.monotonic(), self.asked_s is None
        if first:
            self.asked_s = now_s
        if first or (not self.cleaning_up and now_s - (self.asked_s or now_s) > INSIST_S):
            raise Interrupted("interrupted")

    def check(self) -> None:
        """Raise `Interrupted` if the run was asked to stop."""
        if self.asked_s is not None:
            raise Interrupted("interrupted")


STOP = Stop()  # of this process, as its signal handlers are


@contextlib.contextmanager
def signals_interrupt() -> Iterator[None]:
    """INT, TERM and HUP raise `Interrupted` in the main thread while the block runs."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    STOP.asked_s, STOP.cleaning_up = None, False
    earlier = {n: signal.getsignal(n) for n in numbers}
    for n in numbers:
        if earlier[n] is not signal.SIG_IGN:  # nohup means it
            signal.signal(n, STOP.handle)
    try:
        yield
    finally:
        for n in numbers:
            signal.signal(n, earlier[n])
