"""What ffmpeg says while it writes a file: read, and made a failure or a warning."""

from __future__ import annotations

import pytest

from mediabuild.errors import StageError
from mediabuild.media.muxing.losses import Told, heard

QUIET = [
    "",
    "[hevc @ 0x55] The cu_qp_delta 101 is outside the valid range [-26, 25].\n",
    "[mp4 @ 0x55] Non-monotonic DTS; previous: 170102, current: 166502; changing to 170103.\n",
]


def told_of(said: str) -> list[str]:
    """What a user is told of ffmpeg's words."""
    lines: list[str] = []
    heard(said, Told("talk.mp4", lines.append), "mp4")
    return lines


@pytest.mark.parametrize("said", QUIET)
def test_what_harms_nothing_is_not_told(said: str) -> None:
    """One packet out of order at an end, and what a decoder puts up with."""
    assert told_of(said) == []


@pytest.mark.parametrize(
    "line",
    [
        "[mp4 @ 0x5] pts has no value",
        "[in#0/mpegts @ 0x5] Packet corrupt (stream = 0, dts = 1465200).",
        "[srt @ 0x5] Invalid UTF-8 in decoded subtitles text; maybe missing -sub_charenc option",
        "[aost#0:1/copy @ 0x5] Timestamps are unset in a packet for stream 1.",
        "[vist#0:0/h264 @ 0x5] [dec:h264 @ 0x6] Error submitting packet to decoder: Invalid data found",
    ],
)
def test_what_may_be_missing_is_told_once_without_addresses(line: str) -> None:
    """The first of them is quoted: where in memory it happened says nothing, and differs from run to run."""
    (said,) = told_of(f"{line}\n{line}\n")
    assert said.startswith("talk.mp4: ffmpeg had 2 complaints, so something may be missing; the first: ")
    assert "0x" not in said


def test_packets_out_of_order_are_told_where_they_are_many() -> None:
    """As after a jump of the clock."""
    line = "[aost#0:1/copy @ 0x5] Non-monotonic DTS; previous: 2, current: 1; changing to 3.\n"
    assert told_of(line * 2) == []
    assert len(told_of(line * 9)) == 1


def test_a_time_that_does_not_fit_is_a_failure() -> None:
    """The file would show something at the wrong time; the hint is a container where it fits."""
    with pytest.raises(StageError, match=r"talk\.mp4: a time doesn't fit into mp4: Packet duration: 23980") as error:
        told_of("[mp4 @ 0x5] Packet duration: 2398000000 / dts: 2400000000 in stream 1 is out of range\n")
    assert error.value.hint == "doit mux.container=mkv"
