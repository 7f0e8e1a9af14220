"""Subtitles that a person wrote, SubRip or WebVTT: cues, and what notes say of the whole file.

Read here because pysubs2 swallows a broken cue into the one before, and drops `{…}`; a person's typing
error shall have a line number instead. What `subtitle_files` wrote comes back as it was.

Not here: what the text is for (`corrections`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from mediabuild.errors import StageError
from mediabuild.media.subtitles.markup import plain_srt, plain_vtt
from mediabuild.media.text.words import joined_lines

TIME = r"(?:(\d+):)?([0-5]?\d):([0-5]\d)[.,](\d{1,3})"
TIMES = re.compile(rf"\s*{TIME}\s*-->\s*{TIME}(?:\s.*)?$")
TIMELIKE = re.compile(r"\d:\d\d[.,]\d|-+>")  # a text with one of these may be a cue whose times are mistyped
EXAMPLE = "00:00:01,000 --> 00:00:02,500"
NO_CUE = re.compile(r"(WEBVTT|NOTE|STYLE|REGION)\b")  # blocks that aren't spoken
STATEMENT = re.compile(r"(?:NOTE\s+)?(clip_start_s|[Ll]anguage)\s*:\s*(\S+)\s*$")


@dataclass
class ReadCue:
    """A cue as it was written, without markup; `start_s` before `end_s`."""

    start_s: float
    end_s: float
    text: str


@dataclass
class ReadFile:
    """A file's cues in its order, what it states (`clip_start_s`, `language`), and what was mended or left out."""

    cues: list[ReadCue] = field(default_factory=list)
    stated: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def read_cues(name: str, text: str, *, vtt: bool) -> ReadFile:
    """The cues of a file's text.

    A cue without duration is left out. Text behind an empty line belongs to the cue before it. Both are faults.

    Raises:
        StageError: a cue can't be understood; names its line.
    """
    read = ReadFile()
    blocks = list(_blocks(text))
    plain = plain_vtt if vtt else plain_srt
    for at, (first_line, block) in enumerate(blocks):
        arrows = [index for index, line in enumerate(block) if "-->" in line]
        timed = arrows[:1] + [index for index in arrows[1:] if TIMELIKE.search(block[index].replace("-->", ""))]
        following = blocks[at + 1][1][0] if at + 1 < len(blocks) else ""
        if len(timed) > 1:
            raise StageError(f"{name}:{first_line + timed[1]}: an empty line is missing before this cue")
        if timed:
            _add_cue(read, name, first_line + timed[0], block[timed[0] :], plain)
        elif NO_CUE.match(block[0]) and (vtt or not read.cues):
            _heed(read, block)
        elif not (len(block) == 1 and block[0].strip().isdigit() and TIMES.match(following)):  # a cue's number alone
            _add_rest(read, name, first_line, block, plain)
    read.cues = [cue for cue in read.cues if cue.start_s < cue.end_s]
    return read


def _add_cue(read: ReadFile, name: str, line: int, block: list[str], plain: Callable[[str], str]) -> None:
    """A cue, from its line of times on."""
    times = block[0].strip()
    match = TIMES.match(times)
    if match is None:
        raise StageError(f"{name}:{line}: {times!r} are no times", EXAMPLE)
    start_s, end_s = _seconds(match.groups()[:4]), _seconds(match.groups()[4:])
    if start_s > end_s:
        raise StageError(f"{name}:{line}: the cue ends before it starts: {times}", EXAMPLE)
    if start_s == end_s:
        read.faults.append(f"line {line}: left out: a cue without duration: {times}")
    read.cues.append(ReadCue(start_s, end_s, joined_lines(map(plain, block[1:]))))


def _add_rest(read: ReadFile, name: str, line: int, block: list[str], plain: Callable[[str], str]) -> None:
    """Text behind an empty line, which belongs to the cue before it, unless it is a cue with a typing error."""
    if not read.cues or any(TIMELIKE.search(text) for text in block):
        raise StageError(f"{name}:{line}: a text without times", EXAMPLE)
    cue = read.cues[-1]
    cue.text = joined_lines([cue.text, *map(plain, block)])
    read.faults.append(f"line {line}: an empty line inside a cue; its text goes on here: {block[0].strip()!r}")


def _heed(read: ReadFile, block: list[str]) -> None:
    """What a header or a note says of the whole file."""
    for text in block:
        if found := STATEMENT.match(text.strip()):
            read.stated[found[1].lower()] = found[2]


def _blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """What stands between empty lines, with the number of its first line."""
    block: list[str] = []
    for number, line in enumerate([*text.split("\n"), ""], start=1):
        if line.strip():
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def _seconds(parts: Sequence[str | None]) -> float:
    """`("01", "02", "03", "5")` → 3723.5; no hours are none."""
    hours, minutes, seconds, fraction = (part or "0" for part in parts)
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(fraction.ljust(3, "0")) / 1000
