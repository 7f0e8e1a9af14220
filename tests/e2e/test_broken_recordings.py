"""Fifty recordings of which three are broken: the others are finished, and the next run is about the three."""

from __future__ import annotations

import shutil

from tests.e2e.conftest import Project
from tests.stages.recordings import ffmpeg

PIPELINE = """
[pipeline]
sources = ["media/*.mp4"]

[stages.demux]
inputs = { media = "source" }

[stages.size]
command = ["sh", "-c", 'wc -c < "$1" > "$2"', "size", "{inputs.audio}", "{outputs.n}"]
inputs  = { audio = "demux.audio" }
outputs = { n = "n.txt" }
"""


def test_three_broken_of_fifty(project: Project) -> None:
    """No sound, cut off, no media at all: 47 finish, three are named with cause and hint; then only they run again."""
    media = project.root / "media"
    media.mkdir()
    sound, picture = "sine=frequency=440:duration=0.3:sample_rate=16000", "color=size=32x32:rate=5:duration=0.4"
    ffmpeg("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, media / "00.mp4")
    for number in range(1, 47):
        shutil.copyfile(media / "00.mp4", media / f"{number:02}.mp4")
    ffmpeg("-f", "lavfi", "-i", picture, media / "silent.mp4")
    whole = (media / "00.mp4").read_bytes()
    (media / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (media / "letter.mp4").write_text("Dear editor, this is no recording.\n" * 50)
    project.write("pipeline.toml", PIPELINE)

    run = project.run("-n", "2")
    assert run.status == 1
    finished = [task for task in run.tasks("stage_completed") if task.startswith("size:")]
    assert sorted(finished) == [f"size:{number:02}" for number in range(47)]
    failed = {e["task"]: e for e in run.events if e["event"] == "stage_failed" and "blocked_by" not in e}
    assert set(failed) == {"demux:silent", "demux:cut", "demux:letter"}
    assert "has no audio track" in failed["demux:silent"]["message"]
    assert "cut off" in failed["demux:cut"]["message"]
    assert "ffmpeg can't read it" in failed["demux:letter"]["message"]
    assert all(event["hint"] for event in failed.values())

    (media / "note.mp4").write_text("Nor is this.\n" * 50)
    again = project.run("-n", "2")
    assert again.status == 1
    assert sorted(again.ran) == ["demux:cut", "demux:letter", "demux:note", "demux:silent"]
    assert len(again.skipped) == 2 * 47
    summary = again.out.partition("FAILED  4 tasks:")[2]
    assert "has no audio track (it holds: 1 video): demux:silent" in summary
    assert "Invalid data found when processing input: demux:letter, demux:note" in summary
