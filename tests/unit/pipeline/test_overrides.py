"""NAME=VALUE, and times as people write them."""

from __future__ import annotations

import pytest

from mediabuild.pipeline.overrides import in_seconds


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [("1:30", "90.0"), ("1:02:03.5", "3723.5"), ("0:05", "5.0"), ("90", "90"), ("1:3", "1:3"), ("x:10", "x:10")],
)
def test_times_as_on_a_clock(typed: str, seconds: str) -> None:
    """Minutes and seconds, hours too; what is none is left to the param's own check."""
    assert in_seconds(typed) == seconds
