"""A person's text for a recording: `corrections/JOB.json`, `.srt` or `.vtt`.

JSON is `transcript.json` or less of it: segments of `start_s`, `end_s` and `text`. Subtitles are read
here because pysubs2 swallows a broken cue into the one before, and drops `{…}`; a person's typing
error shall have a line number instead.

Not here: what is done with the text (the `align` stage).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from mediabuild.errors import StageError

TIME = r"(?:(\d+):)?(\d{1,2}):(\d{2})[.,](\d{1,3})"
TIMES = re.compile(rf"\s*{TIME}\s*-->\s*{TIME}(?:\s.*)?$")
EXAMPLE = "00:00:01,000 --> 00:00:02,500"
NO_CUE = re.compile(r"(WEBVTT|NOTE|STYLE|REGION)\b")  # blocks of WebVTT that aren't spoken
MARKUP = re.compile(r"</?[A-Za-z0-9][^<>]*>|\{\\[^}]*\}")  # <i>, <v Bob>, <00:01.000>, {\an8}


class CorrectedSegment(msgspec.Struct):
    """What a person says is spoken, and when; seconds from the clip's start."""

    start_s: float
    end_s: float
    text: str


class Correction(msgspec.Struct):
    """A person's text; `language` is None where the file doesn't say one. Other fields are ignored."""

    segments: list[CorrectedSegment]
    language: str | None = None


def read_correction(path: Path) -> Correction:
    """Read a person's text, its segments in order of time.

    Raises:
        StageError: the file can't be understood; names the line, or the place in the JSON.
    """
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise StageError(f"{path.name}:{line}: not UTF-8", f"iconv -f latin1 -t utf-8 {path.name}") from error
    if path.suffix.lower() == ".json":
        correction = _read_json(path.name, text.encode())
    else:
        correction = Correction(list(_cues(path.name, text)))
    correction.segments.sort(key=lambda segment: segment.start_s)
    return correction


def _read_json(name: str, raw: bytes) -> Correction:
    try:
        correction = msgspec.json.decode(raw, type=Correction)
    except msgspec.DecodeError as error:
        offset = re.search(r"\(byte (\d+)\)", str(error))  # of a fault in the syntax; of the shape, it names the field
        line = f":{raw.count(bytes([10]), 0, int(offset[1])) + 1}" if offset else ""
        raise StageError(f"{name}{line}: {error}") from error
    for index, segment in enumerate(correction.segments):
        if not 0 <= segment.start_s < segment.end_s:
            raise StageError(
                f"{name}: segments[{index}]: it starts at {segment.start_s} s and ends at {segment.end_s} s"
            )
    return correction


def _cues(name: str, text: str) -> Iterator[CorrectedSegment]:
    """The cues of an SRT or WebVTT file, without markup."""
    for first_line, block in _blocks(text):
        timed = [index for index, line in enumerate(block) if "-->" in line]
        if not timed and NO_CUE.match(block[0]):
            continue
        if not timed:
            raise StageError(f"{name}:{first_line}: a text without times", EXAMPLE)
        if len(timed) > 1:
            raise StageError(f"{name}:{first_line + timed[1]}: an empty line is missing before this cue")
        line, times = first_line + timed[0], block[timed[0]]
        match = TIMES.match(times)
        if match is None:
            raise StageError(f"{name}:{line}: {times.strip()!r} are no times", EXAMPLE)
        start_s, end_s = _seconds(match.groups()[:4]), _seconds(match.groups()[4:])
        if start_s >= end_s:
            raise StageError(f"{name}:{line}: the cue ends before it starts: {times.strip()}", EXAMPLE)
        said = MARKUP.sub("", " ".join(block[timed[0] + 1 :]))
        yield CorrectedSegment(start_s, end_s, html.unescape(said))


def _blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """What stands between empty lines, with the number of its first line."""
    block: list[str] = []
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        if line.strip():
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def _seconds(parts: Sequence[str | None]) -> float:
    """`("01", "02", "03", "5")` → 3723.5; no hours are none."""
    hours, minutes, seconds, fraction = (part or "0" for part in parts)
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(fraction.ljust(3, "0")) / 1000
