"""The live view: how long a task still takes, and lines above it."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediabuild.reporting.live import LiveView, remaining_s

SECONDS = st.floats(0, 1e6)


@pytest.mark.parametrize(
    ("elapsed_s", "fraction", "earlier_s", "left_s"),
    [(10, 0.5, None, 10), (30, 0.75, 1000, 10), (5, 0.0, 20, 15), (50, 0.0, 20, 0), (5, 0.0, None, None)],
)
def test_the_time_that_is_left(
    elapsed_s: float, fraction: float, earlier_s: float | None, left_s: float | None
) -> None:
    """From the progress where there is some, else from the earlier run, else nothing."""
    assert remaining_s(elapsed_s, fraction, earlier_s) == left_s


@given(SECONDS, st.floats(0, 1), st.none() | SECONDS)
def test_it_is_never_negative(elapsed_s: float, fraction: float, earlier_s: float | None) -> None:
    """Whatever the clock and the stage say."""
    left_s = remaining_s(elapsed_s, fraction, earlier_s)
    assert left_s is None or left_s >= 0


def test_lines_are_printed_above_running_tasks() -> None:
    """A line goes through the view while there is one, and to the caller when there is none."""
    stream = io.StringIO()
    view = LiveView(stream, lambda task: 12.0)
    assert not view.print("before")
    view.start("separate:ep01")
    view.progress("separate:ep01", 30, 60)
    view.progress("nobody:knows", 1, 2)
    assert view.print("a line [with brackets]")
    view.stop("separate:ep01")
    view.close()
    assert "a line [with brackets]" in stream.getvalue()
