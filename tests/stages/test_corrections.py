"""A person's text on its way through `align`: which clock it is on, and in which language."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mediabuild.media import formats
from mediabuild.media.formats import Probe, Segment, Transcript
from mediabuild.stage import Context


@pytest.fixture
def aligned(run_stage: Callable[..., Context], reading: Any, tmp_path: Path) -> Callable[..., Any]:
    """``aligned("a.srt", text, heard, probe)`` → the transcript, the warnings; of 37 s of speech."""

    def run(name: str, text: str, heard: Transcript, probe: Probe | None = None) -> tuple[Transcript, list[str]]:
        formats.write(tmp_path / "transcript.json", heard)
        (tmp_path / name).write_text(text, encoding="utf-8")
        inputs = {"audio": reading.path, "transcript": tmp_path / "transcript.json", "corrections": tmp_path / name}
        if probe:
            formats.write(tmp_path / "probe.json", probe)
            inputs["probe"] = tmp_path / "probe.json"
        done = run_stage("align", inputs)
        warnings = [fields["message"] for _, fields in done.messages if "message" in fields]  # type: ignore[attr-defined]
        return formats.read(done.output("transcript"), Transcript), warnings

    return run


def srt(*cues: tuple[float, float, str]) -> str:
    def clock(time_s: float) -> str:
        return f"{int(time_s) // 60:02}:{time_s % 60:06.3f}"

    return "".join(f"{n}\n{clock(a)} --> {clock(b)}\n{text}\n\n" for n, (a, b, text) in enumerate(cues, 1))


def test_a_file_for_the_whole_recording_fits_a_clip_of_it(aligned: Any, reading: Any) -> None:
    """The clip starts 60 s into the source: its words are where they are spoken, what lies before it is left out."""
    start_s, end_s, text = reading.sentences[0]
    probe = Probe("wav", 300.0, 60.0, 97.0, 0, None, [], [])
    heard = Transcript("en", "param", [Segment(0, 1.0, 2.0, "noise")])
    whole = srt((10, 12, "Long before."), (60 + start_s, 60 + end_s, text), (200, 202, "Long after."))
    found, warnings = aligned("a.srt", whole, heard, probe)
    assert [segment.text for segment in found.segments] == [text]
    assert abs(found.segments[0].words[0].start_s - start_s) < 0.35
    assert found.clip_start_s == 60.0
    assert warnings == []
    # What the stage wrote says itself on which clock it is: copied, it fits, also when the clip moves.
    again, _ = aligned("a.json", json.dumps(msgspec_of(found)), heard, probe)
    assert again.segments[0].words == found.segments[0].words


def msgspec_of(document: Any) -> Any:
    import msgspec

    return msgspec.to_builtins(document)


def test_a_text_far_longer_than_the_recording_stays_inside_it(aligned: Any) -> None:
    """Eleven cues over 53 s: what is spoken after the end of a shorter recording is named and left out."""
    cues = [(5.0 * i, 5.0 * i + 4, "Fishing boats drifted back") for i in range(11)]
    found, warnings = aligned("a.srt", srt(*cues), Transcript("en", "param", []))
    assert all(0 <= word.start_s <= word.end_s <= 38 for segment in found.segments for word in segment.words)
    assert len(found.segments) == 8
    assert any("left out: 'Fishing boats drifted back' (40 s)" in warning for warning in warnings)


def test_lyrics_of_a_recording_in_which_nobody_speaks(aligned: Any) -> None:
    """The language is the text's, so that what follows can work."""
    lyrics = srt((1, 9, "Ay, ay, ay, ay, canta y no llores, porque cantando se alegran los corazones."))
    found, warnings = aligned("a.srt", lyrics, Transcript("und", "assumed", []))
    assert found.language == "es"
    assert found.segments[0].words
    assert any("NOTE language: TAG" in warning for warning in warnings)


def test_a_faulty_cue_costs_itself(aligned: Any) -> None:
    """A cue without duration is left out, one with an empty line goes on; both are named with their lines."""
    text = srt((1, 3, "The little harbour"), (4, 4, "lost"), (5, 7, "town woke")) + "slowly\n"
    found, warnings = aligned("a.srt", text, Transcript("en", "param", []))
    assert [segment.text for segment in found.segments] == ["The little harbour", "town woke slowly"]
    assert [warning.split(": ")[2] for warning in warnings] == ["line 6", "line 13"]
