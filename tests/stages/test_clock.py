"""One clock for all stages: where ffmpeg closes a jump while it reads, so do we, to the microsecond."""

from __future__ import annotations

import itertools
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from mediabuild.media.ffmpeg import ffmpeg_path
from mediabuild.media.recordings.clock import explained_s, packets
from mediabuild.media.recordings.extent import extent
from mediabuild.media.recordings.recording import frames_before, opened


@pytest.fixture(scope="module")
def parts(rec: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the same five seconds of picture and sound as MPEG-TS and -PS that start at different times."""
    folder = tmp_path_factory.mktemp("clock")
    rec.write_pictures(folder / "pictures.mp4", [n / 25 for n in range(125)])
    rec.write_sound(folder / "sound.wav", 5)
    source = ("-i", folder / "pictures.mp4", "-i", folder / "sound.wav")
    for start_s in (0, 60, 4000, 95443):
        late = ("-output_ts_offset", str(start_s))
        rec.ffmpeg(*source, "-c:v", "copy", "-c:a", "aac", *late, folder / f"{start_s}.ts")
        rec.ffmpeg(
            *source, "-c:v", "mpeg2video", "-r", "25", "-c:a", "mp2", *late, "-f", "vob", folder / f"{start_s}.mpg"
        )
    return folder


def ffmpegs_times_s(media: Path) -> list[tuple[str, float]]:
    """When each packet is decoded by ffmpeg's own clock, as a copy from the file's beginning has it."""
    command = [ffmpeg_path(), "-v", "error", "-i", str(media), "-map", "0:v", "-map", "0:a", "-c", "copy"]
    done = subprocess.run([*command, "-f", "framecrc", "-"], capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("#tb ")]
    ticks = {line.split()[1][0]: float(Fraction(line.split()[2])) for line in lines}
    rows = [row.split(",") for row in done.stdout.splitlines() if not row.startswith("#")]
    return [(row[0].strip(), round(int(row[1]) * ticks[row[0].strip()], 4)) for row in rows]


@pytest.mark.parametrize("suffix", ["ts", "mpg"])
@pytest.mark.parametrize("starts", [(0, 60), (0, 4000), (60, 0), (0, 0), (60, 4000, 0), (95443,)])
def test_jumps_are_closed_as_ffmpeg_closes_them(rec: Any, parts: Path, starts: tuple[int, ...], suffix: str) -> None:
    """Forward, backward, twice, and a clock that wraps: every packet of both tracks is where a copy has it."""
    media = rec.write_joined(parts / f"joined.{suffix}", [parts / f"{start}.{suffix}" for start in starts])
    jumps: list[str] = []
    with opened(media, "") as container:
        kinds = {"video": "0", "audio": "1"}
        ours = [
            (kinds[packet.stream.type], round(float(packet.dts * packet.time_base), 4))
            for packet in packets(container, jumps=jumps)
            if packet.dts is not None
        ]
    theirs = ffmpegs_times_s(media)
    assert len(ours) == len(theirs)
    for kind in "01":  # what overlaps at a seam is pressed together by ffmpeg's muxer
        times_s = list(itertools.accumulate((time for k, time in ours if k == kind), max))
        assert times_s == pytest.approx([time for k, time in theirs if k == kind], abs=0.0002)
    assert len(jumps) == len(starts) - 1
    assert extent(media, "").duration_s == pytest.approx(5 * len(starts), abs=0.6)
    with opened(media, "") as container:
        assert explained_s(container) == pytest.approx(60 + 2 * 5 * len(starts), abs=1)


def test_a_frame_behind_a_jump_is_found(rec: Any, parts: Path) -> None:
    """The picture that is shown at 7 s lies 4,000 s further on in the file's own time."""
    media = rec.write_joined(parts / "behind.ts", [parts / "0.ts", parts / "4000.ts"])
    with opened(media, "") as container:
        shown_s, keyframe_s = frames_before(container, container.streams.video[0], 7.01)
    assert 6.96 <= shown_s <= 7.01
    assert 4.9 < keyframe_s <= shown_s
