"""A person's text: a typing error is named with its line, and markup isn't spoken."""

from __future__ import annotations

from pathlib import Path

import pytest

from mediabuild.errors import StageError
from mediabuild.media.formats import Transcript
from mediabuild.media.subtitles.corrections import CorrectedSegment, Correction, corrected, fitted, read_correction

CUE = "1\n00:00:01,000 --> 00:00:02,000\nHello\n\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.srt", CUE + "2\n00:00:03,000 -> 00:00:04,000\nyou\n", r"^a\.srt:5: a text without times"),
        ("a.srt", CUE + "2\n00:00:03,000 --> 00:00:04\nyou\n", r"^a\.srt:6: '00:00:03,000 --> 00:00:04' are no times"),
        ("a.srt", CUE + "2\n00:00:05,000 --> 00:00:04,000\nyou\n", r"^a\.srt:6: the cue ends before it starts"),
        ("a.srt", CUE.strip() + "\n2\n00:00:03,000 --> 00:00:04,000\nyou\n", r"^a\.srt:5: an empty line is missing"),
        ("a.srt", "lost words\n\n" + CUE, r"^a\.srt:1: a text without times"),
        ("a.srt", CUE + "2\n00:00:61,000 --> 00:00:62,000\nyou\n", r"^a\.srt:6: .* are no times"),
        ("a.srt", CUE + "2\n00:00:03,000 --> 00:00:04,000\ny\0u\n", r"^a\.srt:7: a control character \(U\+0000\)"),
        ("a.vtt", "WEBVTT\n\n" + CUE + "\x1b[31mred\n", r"^a\.vtt:7: a control character \(U\+001B\)"),
        ("a.vtt", "WEBVTT\nLanguage: english\n\n" + CUE, r"^a\.vtt: language 'english' is no language tag"),
        ("a.srt", "NOTE clip_start_s: soon\n\n" + CUE, r"^a\.srt: clip_start_s is 'soon'"),
        (
            "a.json",
            '{"segments": [{"start_s": 1, "end_s": 2, "text": "a\\u001b"}]}',
            r"^a\.json: segments\[0\]:1: a con",
        ),
        ("a.json", '{"language": "xx", "segments": []}', r"^a\.json: language 'xx' is no language tag"),
        ("a.srt", CUE.encode() + "2\n\xe9".encode("latin1"), r"^a\.srt:6: not UTF-8"),
        ("a.json", '{"segments": [\n{"start_s": 1,,}]}', r"^a\.json:2: .*malformed"),
        ("a.json", '{"segments": [{"start_s": "1", "end_s": 2, "text": "x"}]}', r"^a\.json: .*segments\[0\]\.start_s"),
        ("a.json", '{"segments": [{"start_s": 2, "end_s": 1, "text": "x"}]}', r"^a\.json: segments\[0\]: .*1\.0 s"),
        ("a.json", "", r"^a\.json"),
    ],
)
def test_a_typing_error_is_named_with_its_place(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    """Nothing is guessed and nothing swallowed: the message holds the file and the line, or the JSON's field."""
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(StageError, match=message):
        read_correction(path)
    with pytest.raises(StageError, match=message.replace("^a", "^corrections/season1/a")):
        read_correction(path, f"corrections/season1/{name}")


def test_markup_is_dropped_and_text_is_not(tmp_path: Path) -> None:
    """Tags and positions go; braces, arrows of text and comparisons stay."""
    path = tmp_path / "a.srt"
    path.write_text(
        "1\n00:00:01,000 --> 00:00:02,000\n{\\an8}<b>Tom</b> &amp; <font color='red'>I</font> {laughs} 3 < 4\n"
    )
    assert [part.text for part in read_correction(path).segments] == ["Tom & I {laughs} 3 < 4"]


def test_an_empty_subtitle_file_says_nothing(tmp_path: Path) -> None:
    """A person may silence a recording."""
    path = tmp_path / "a.vtt"
    path.write_text("WEBVTT\n")
    assert read_correction(path).segments == []


def written(tmp_path: Path, name: str, text: str) -> Correction:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return read_correction(tmp_path / name)


@pytest.mark.parametrize("head", ["", "WEBVTT\n\n"])
def test_a_cue_without_duration_costs_that_cue(tmp_path: Path, head: str) -> None:
    """The others are read, and the line is named."""
    name = "a.vtt" if head else "a.srt"
    found = written(tmp_path, name, head + CUE + "2\n00:00:03,000 --> 00:00:03,000\nyou\n\n" + CUE)
    assert [part.text for part in found.segments] == ["Hello", "Hello"]
    assert [fault.split(": ")[:2] for fault in found.faults] == [[f"line {8 if head else 6}", "left out"]]
    segments = '{"segments": [{"start_s": 1, "end_s": 1, "text": "x"}, {"start_s": 1, "end_s": 2, "text": "y"}]}'
    assert [part.text for part in written(tmp_path, "a.json", segments).segments] == ["y"]


def test_an_empty_line_in_a_cue_costs_nothing(tmp_path: Path) -> None:
    """What stands behind it goes on with the cue, and the line is named; a number alone is the next cue's."""
    text = CUE + "dear\nall at 10:30\n\n2\n\n00:00:03,000 --> 00:00:04,000\n\nBye\n"
    found = written(tmp_path, "a.srt", text)
    assert [part.text for part in found.segments] == ["Hello dear all at 10:30", "Bye"]
    assert [fault.split(": ")[0] for fault in found.faults] == ["line 5", "line 12"]


def test_an_arrow_in_a_text_is_text(tmp_path: Path) -> None:
    """Only a line with times begins a cue."""
    assert written(tmp_path, "a.srt", CUE.strip() + "\nA --> B\n").segments[0].text == "Hello A --> B"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.srt", "NOTE clip_start_s: 90\n\nNOTE language: ES-mx\n\n" + CUE),
        ("a.vtt", "WEBVTT\nKind: captions\nLanguage: es-MX\n\nNOTE\nclip_start_s: 90.0\n\n" + CUE),
        (
            "a.json",
            '{"clip_start_s": 90, "language": "es_MX", "segments": [{"start_s": 1, "end_s": 2, "text": "Hello"}]}',
        ),
    ],
)
def test_a_file_says_its_language_and_its_clock(tmp_path: Path, name: str, text: str) -> None:
    """In each format, without a word of it becoming text."""
    found = written(tmp_path, name, text)
    assert (found.language, found.clip_start_s) == ("es-MX", 90.0)
    assert [part.text for part in found.segments] == ["Hello"]


def test_times_are_the_sources_and_the_clip_gets_its_part() -> None:
    """A file made for the whole recording is cut to the clip without a word."""
    whole = Correction([CorrectedSegment(10.0 * i, 10.0 * i + 5, str(i)) for i in range(10)])
    kept, warnings = fitted(whole, (32.0, 53.0), 100.0)
    assert [(part.text, part.start_s, part.end_s) for part in kept] == [("3", 0, 3), ("4", 8, 13), ("5", 18, 21)]
    assert warnings == []
    edges = Correction([CorrectedSegment(30, 33, "most before"), CorrectedSegment(52, 55, "most behind")])
    assert fitted(edges, (32.0, 53.0), 100.0)[0] == []
    own, warnings = fitted(Correction(kept, clip_start_s=32.0), (30.0, 53.0), 100.0)
    assert [(part.text, part.start_s) for part in own] == [("3", 2), ("4", 10), ("5", 20)]
    assert warnings == []


def test_a_file_for_another_clock_is_told_what_to_say() -> None:
    """Nothing of it lies in the clip: most likely its times count from the clip's start."""
    kept, warnings = fitted(Correction([CorrectedSegment(1, 2, "x")]), (90.0, 120.0), 300.0)
    assert kept == []
    assert "NOTE clip_start_s: 90" in warnings[0]


def test_what_is_longer_than_the_recording_is_cut_and_named() -> None:
    """Segments behind the end are left out, one across it ends there; each is named, at most three of a kind."""
    long = Correction([CorrectedSegment(5.0 * i, 5.0 * i + 3, f"word {i}") for i in range(11)])
    kept, warnings = fitted(long, (0.0, 6.0), 6.0)
    assert [(part.start_s, part.end_s) for part in kept] == [(0.0, 3.0), (5.0, 6.0)]
    assert warnings == [
        "after the recording's end (6.0 s), left out: 'word 2' (10 s), 'word 3' (15 s), 'word 4' (20 s) and 6 more",
        "longer than the recording (6.0 s), cut there: 'word 1' (5 s)",
    ]


def test_a_text_for_a_silent_recording_has_its_own_language() -> None:
    """Lyrics: nothing was heard, so the text tells; what the file says wins, and so does what was heard."""
    lyrics = Correction([CorrectedSegment(1, 9, "Ay, ay, ay, ay, canta y no llores, porque cantando se alegran")])
    silent = Transcript("und", "assumed", [])
    found, warnings = corrected(silent, lyrics, (0.0, 10.0), 10.0)
    assert (found.language, found.language_source) == ("es", "detected")
    assert "NOTE language: TAG" in warnings[0]
    lyrics.language = "ca"
    found, warnings = corrected(silent, lyrics, (0.0, 10.0), 10.0)
    assert (found.language, found.language_source, warnings) == ("ca", "param", [])
    lyrics.language = None
    assert corrected(Transcript("en", "track", []), lyrics, (0.0, 10.0), 10.0)[0].language == "en"
