"""INT, TERM and HUP: whether the program was asked to stop. Whoever works for long looks now and then.

A signal that was ignored when the program started (`nohup`, a script's `&`) stays ignored. One that was heard is not
heard again, up to the very end of the process: who types Ctrl-C twenty times gets one answer.

Not here: stopping what runs (`processes`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

from mediabuild.errors import Interrupted

TYPE_CHECKING = False  # not from typing, which takes a while: the no-op reads this module
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

INTERRUPTED = 130  # exit status, as of a shell
INSIST_S = 1.0  # a second signal counts when the first had no effect for this long


class Stop:
    """Whether INT, TERM or HUP asked the program to stop.

    The handler raises `Interrupted` in the main thread, but Python drops what is raised in a `__del__`
    or a callback, and other threads hear nothing: so the request is also kept here, and loops look.
    """

    def __init__(self) -> None:
        self.asked_s: float | None = None
        self.cleaning_up = False

    @property
    def asked(self) -> bool:
        """Whether it was asked to stop."""
        return self.asked_s is not None

    def handle(self, number: int, frame: Any) -> None:
        """The signal handler: a second signal while cleaning up changes nothing."""
        now_s, first = time.monotonic(), self.asked_s is None
        if first:
            self.asked_s = now_s
        if first or (not self.cleaning_up and now_s - (self.asked_s or now_s) > INSIST_S):
            raise Interrupted("interrupted")

    def check(self) -> None:
        """Raise `Interrupted` if the program was asked to stop."""
        if self.asked_s is not None:
            raise Interrupted("interrupted")


STOP = Stop()  # of this process, as its signal handlers are
NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def signals_interrupt() -> Iterator[None]:
    """INT, TERM and HUP raise `Interrupted` in the main thread while the block runs."""
    STOP.asked_s, STOP.cleaning_up = None, False
    earlier = {n: signal.getsignal(n) for n in NUMBERS}
    heard = [n for n in NUMBERS if earlier[n] is not signal.SIG_IGN]
    for n in heard:
        signal.signal(n, STOP.handle)
    try:
        yield
    finally:
        for n in heard:  # Python itself gives other handlers up when it ends
            signal.signal(n, signal.SIG_IGN if STOP.asked else earlier[n])


@contextlib.contextmanager
def heard_when_deaf(stop: Callable[[], None]) -> Iterator[None]:
    """While the main thread is in C code (`os.system`), it hears no signal: then `stop` is called on another thread.

    Args:
        stop: ends what the main thread may wait for.
    """
    import threading  # only here: the no-op reads this module

    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    over = threading.Event()

    def listen() -> None:
        while number := os.read(reading, 1):
            if number[0] in NUMBERS and not over.wait(INSIST_S) and not STOP.asked:
                stop()
        os.close(reading)

    threading.Thread(target=listen, daemon=True).start()
    earlier = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(earlier)
        os.close(writing)


def leave_at_interrupt() -> None:
    """While the program loads, and when it is done, there is nothing to clean up: INT ends it, and not a word."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _leave)


def _leave(number: int, frame: Any) -> None:
    os._exit(INTERRUPTED)
