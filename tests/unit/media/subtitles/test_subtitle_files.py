"""Subtitles as files: what was written is what is read, whatever the text is."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediabuild.media.formats import Segment, Transcript
from mediabuild.media.muxing.captions import captions
from mediabuild.media.subtitles.canvas import Canvas
from mediabuild.media.subtitles.corrections import read_correction
from mediabuild.media.subtitles.cue_rules import CueParams, rules_for
from mediabuild.media.subtitles.cues import build_cues
from mediabuild.media.subtitles.subtitle_files import EMPTY_SRT, rendered
from mediabuild.media.subtitles.tokens import Token, cut_wide
from mediabuild.media.text.words import split_words, text_of

MARKUP = [
    "a<b",
    "c>d",
    "&section=2",
    "&lt;",
    "{x}",
    "{\\an8}",
    "\\N",
    "-->",
    "00:00:01,000",
    "<i>",
    "</b>",
    "❴",
    "\u2060",
]
PARTS = [
    *MARKUP,
    "the",
    "7",
    "NOTE",
    "WEBVTT",
    "今日は",
    "天気が",
    "「雨」。",
    "วันนี้",
    "ดี",
    "iPhone",
    "안녕",
    "٪",
    "👍🏽",
    ".",
]


@st.composite
def texts(draw: st.DrawFn) -> str:
    parts = draw(st.lists(st.tuples(st.sampled_from(PARTS), st.sampled_from(["", " "])), min_size=1, max_size=30))
    return " ".join("".join(part + space for part, space in parts).split())


@pytest.mark.parametrize("suffix", ["srt", "vtt"])
@settings(max_examples=200, deadline=None)
@given(text=texts(), language=st.sampled_from(["en", "ja", "th", "zh"]))
def test_every_cue_comes_back_as_it_was_written(suffix: str, text: str, language: str) -> None:
    """As a person's correction: the same cues, times and texts, markup, arrows and scripts without spaces included."""
    rules = rules_for(language, CueParams(), None)
    pieces = split_words(text, language)
    spoken = [Token(p.text, 500 * i, 500 * i + 450, i % 9 == 8, True, p.space_after) for i, p in enumerate(pieces)]
    tokens = cut_wide(spoken, rules.line_columns)
    cues = build_cues(tokens, rules)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"a.{suffix}")
        path.write_text(rendered(language, tokens, cues, Canvas(1920, 1080))[suffix], encoding="utf-8")
        found = read_correction(path)
    assert found.faults == []
    assert [part.text for part in found.segments] == [text_of(tokens[cue.first : cue.last + 1]) for cue in cues]
    assert [(round(1000 * part.start_s), round(1000 * part.end_s)) for part in found.segments] == [
        (cue.start_ms, cue.end_ms) for cue in cues
    ]


def test_a_transcript_is_a_correction_of_itself(tmp_path: Path) -> None:
    """With its language and its clock."""
    transcript = Transcript("es-MX", "track", [Segment(0, 1.0, 2.5, "a<b ❴ \u2060 今日は")], 90.0)
    path = tmp_path / "a.json"
    path.write_bytes(msgspec.json.encode(transcript))
    found = read_correction(path)
    assert (found.language, found.clip_start_s, found.faults) == ("es-MX", 90.0, [])
    assert [(part.start_s, part.end_s, part.text) for part in found.segments] == [(1.0, 2.5, "a<b ❴ \u2060 今日は")]


def test_a_file_without_text_becomes_no_track(tmp_path: Path) -> None:
    """What players and converters accept as an empty file is none that `mux` would show."""
    for language, text in (("en", EMPTY_SRT), ("es", "1\n00:00:00,000 --> 00:00:01,000\nHola\n\n"), ("fr", "")):
        (tmp_path / f"subtitles.{language}.srt").write_text(text, encoding="utf-8")
    files = {path.name: path for path in sorted(tmp_path.iterdir())}
    assert [shown.language for shown in captions(files, None, "en", first=None, burnt=None)] == ["es"]
