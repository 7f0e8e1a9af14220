"""A built-in stage under another name: what its hints say can be typed in this pipeline.

Not here: what the stages do (`tests/stages`).
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mediabuild.errors import StageError
from mediabuild.media.ffmpeg import ffmpeg_path
from mediabuild.media.muxing.captions import captions
from mediabuild.media.muxing.losses import Told, heard
from mediabuild.media.speech import whisper
from tests.e2e.conftest import Project

PIPELINE = """
[pipeline]
sources = ["media/*.mka"]

[stages.cut]
uses = "demux"
inputs = { media = "source" }

[stages.who]
uses = "detect_speech"
inputs = { audio = "cut.audio", probe = "cut.probe" }

[stages.join]
uses = "mux"
inputs = { media = "source", subtitles = "./media/*.srt" }
"""


def test_hints_name_the_stage_as_the_pipeline_calls_it(project: Project) -> None:
    """Also one that another stage has to follow."""
    project.write("pipeline.toml", PIPELINE)
    project.write("media/a.en.srt", "1\n00:00:00,000 --> 00:00:00,500\nhello\n")
    sound = ("-f", "lavfi", "-i", "anullsrc=r=8000", "-t", "1", "-map", "0", "-map", "0")
    command = [ffmpeg_path(), "-nostdin", "-v", "error", *sound, project.root / "media/a.mka"]
    subprocess.run(command, check=True)
    project.write("media/b.mka", "no recording")
    said = project.run("join.burn_in=en")
    text = said.out + said.err
    assert "hint: mediabuild cut.audio_track=1\n" in text
    assert "hint: mediabuild join.burn_in=null\n" in text
    assert "hint: mediabuild ignore 'cut:b'\n" in text
    assert "hint: mediabuild ignore join:b\n" in text
    for typed in ("cut.audio_track=7", "cut.clip_start_s=90"):
        text = project.run(typed, "cut:a").out
        assert f"hint: mediabuild {typed[:-1].rstrip('9')}0\n" in text
    assert not [word for word in ("demux.", "demux:", "mux.", "mux:") if f" {word}" in text]


def test_hints_of_what_stages_share(tmp_path: Path) -> None:
    """They are told the stage's name."""
    with pytest.raises(StageError) as refused:
        whisper.load("smal", None, "cpu", "int8", 1, stage="hear")
    assert "doit hear.model=small" in refused.value.hint
    with pytest.raises(StageError) as refused:
        captions({"a": tmp_path / "a.en.srt"}, None, None, first=None, burnt="es", stage="join")
    assert refused.value.hint == "doit join.burn_in=en"
    told = Told("a.mp4", lambda line: None, "join")
    with pytest.raises(StageError) as refused:
        heard("Packet duration: -3 / dts: 5 is out of range", told, "mp4")
    assert refused.value.hint == "doit join.container=mkv"
