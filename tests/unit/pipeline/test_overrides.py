"""NAME=VALUE, and times as people write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mediabuild.pipeline.config import load_pipeline
from mediabuild.pipeline.overrides import in_seconds, stage_overrides

PIPELINE = Path(__file__).parents[3] / "pipeline.toml"


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [("1:30", "90.0"), ("1:02:03.5", "3723.5"), ("0:05", "5.0"), ("90", "90"), ("1:3", "1:3"), ("x:10", "x:10")],
)
def test_times_as_on_a_clock(typed: str, seconds: str) -> None:
    """Minutes and seconds, hours too; what is none is left to the param's own check."""
    assert in_seconds(typed) == seconds


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("demux.audio_track=1", 1),  # as its own hint says
        ("demux.audio_track=eng", "eng"),
        ("mux.burn_in=null", None),  # too
        ("mux.burn_in=en", "en"),
        ("demux.clip_end_s=null", None),
        ("subtitles.max_lines=1", 1),
    ],
)
def test_values_that_may_be_a_number_a_text_or_nothing(typed: str, value: Any) -> None:
    """By what they look like."""
    name, _, text = typed.partition("=")
    (params,) = stage_overrides(load_pipeline(PIPELINE), {name: text}).values()
    assert list(params.values()) == [value]
