"""Being asked to stop: Python may drop what a signal handler raises, the run must hear of it all the same."""

from __future__ import annotations

import contextlib
import gc
import os
import signal

import pytest

from mediabuild.errors import Interrupted
from mediabuild.schedule.signals import STOP, Stop, signals_interrupt


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_request_that_was_dropped_is_seen_by_the_next_look() -> None:
    """A signal that arrives in a `__del__` raises nothing; `check` raises."""

    class Last:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    with signals_interrupt():
        STOP.check()
        last = Last()
        del last
        gc.collect()
        with pytest.raises(Interrupted):
            STOP.check()
    with signals_interrupt():
        STOP.check()


def test_a_second_signal_while_cleaning_up_changes_nothing() -> None:
    """The first raises; after that, none does until the run has insisted in vain."""
    stop = Stop()
    with pytest.raises(Interrupted):
        stop.handle(signal.SIGINT, None)
    stop.handle(signal.SIGINT, None)
    stop.cleaning_up = True
    assert stop.asked_s is not None
    stop.asked_s -= 60
    stop.handle(signal.SIGTERM, None)


def test_insisting_counts_where_the_first_had_no_effect() -> None:
    """Nobody cleans up, a second has passed: raised again."""
    stop = Stop()
    with contextlib.suppress(Interrupted):
        stop.handle(signal.SIGINT, None)
    assert stop.asked_s is not None
    stop.asked_s -= 60
    with pytest.raises(Interrupted):
        stop.handle(signal.SIGINT, None)
