"""A person's text: a typing error is named with its line, and markup isn't spoken."""

from __future__ import annotations

from pathlib import Path

import pytest

from mediabuild.errors import StageError
from mediabuild.media.corrections import read_correction

CUE = "1\n00:00:01,000 --> 00:00:02,000\nHello\n\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.srt", CUE + "2\n00:00:03,000 -> 00:00:04,000\nyou\n", r"^a\.srt:5: a text without times"),
        ("a.srt", CUE + "2\n00:00:03,000 --> 00:00:04\nyou\n", r"^a\.srt:6: '00:00:03,000 --> 00:00:04' are no times"),
        ("a.srt", CUE + "2\n00:00:05,000 --> 00:00:04,000\nyou\n", r"^a\.srt:6: the cue ends before it starts"),
        ("a.srt", CUE.strip() + "\n2\n00:00:03,000 --> 00:00:04,000\nyou\n", r"^a\.srt:5: an empty line is missing"),
        ("a.vtt", "WEBVTT\n\n" + CUE + "lost words\n", r"^a\.vtt:7: a text without times"),
        ("a.srt", CUE.encode() + "2\n\xe9".encode("latin1"), r"^a\.srt:6: not UTF-8"),
        ("a.json", '{"segments": [\n{"start_s": 1,,}]}', r"^a\.json:2: .*malformed"),
        ("a.json", '{"segments": [{"start_s": "1", "end_s": 2, "text": "x"}]}', r"^a\.json: .*segments\[0\]\.start_s"),
        ("a.json", '{"segments": [{"start_s": 1, "end_s": 1, "text": "x"}]}', r"^a\.json: segments\[0\]: .*1\.0 s"),
        ("a.json", "", r"^a\.json"),
    ],
)
def test_a_typing_error_is_named_with_its_place(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    """Nothing is guessed and nothing swallowed: the message holds the file and the line, or the JSON's field."""
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(StageError, match=message):
        read_correction(path)


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
