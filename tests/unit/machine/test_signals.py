"""Being asked to stop: Python may drop what a signal handler raises, the run must hear of it all the same."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
from collections.abc import Iterator

import pytest

from mediabuild.errors import Interrupted
from mediabuild.machine.signals import NUMBERS, STOP, Stop, signals_interrupt


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    """Whoever runs the tests hears signals afterwards."""
    earlier = {number: signal.getsignal(number) for number in NUMBERS}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored below a shell's `&`
    yield
    for number, what in earlier.items():
        signal.signal(number, what)


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


def test_who_was_asked_hears_no_more() -> None:
    """After the block, up to the end of the process: Python gives its own handlers up before that."""
    with pytest.raises(Interrupted), signals_interrupt():
        os.kill(os.getpid(), signal.SIGTERM)
    assert all(signal.getsignal(number) is signal.SIG_IGN for number in NUMBERS)


def test_who_was_not_asked_hears_as_before() -> None:
    """And what was ignored before stays ignored."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    earlier = [signal.getsignal(number) for number in NUMBERS]
    with signals_interrupt():
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) == STOP.handle
    assert [signal.getsignal(number) for number in NUMBERS] == earlier
