"""Cues as files: SubRip, WebVTT, ASS, plain text, and words as JSON.

Not here: how text is kept from being taken for markup (`markup`), and reading such files (`subtitle_reading`).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mediabuild.media import formats
from mediabuild.media.subtitles.canvas import FONT_PX, Canvas
from mediabuild.media.subtitles.cues import Cue
from mediabuild.media.subtitles.markup import ass_text, srt_text, vtt_text
from mediabuild.media.subtitles.tokens import Token

# An SRT file of no bytes is refused by most players and converters; one with a cue without text is read by all.
EMPTY_SRT = "1\n00:00:00,000 --> 00:00:00,001\n\n"


class ShownWord(msgspec.Struct):
    """A word, when it is spoken, and the cue that shows it; `space_after` as in the transcript."""

    text: str
    start_s: float
    end_s: float
    aligned: bool
    cue: int
    space_after: bool = True


class Words(msgspec.Struct):
    """`subtitles.LANGUAGE.words.json`; the times of a translation's words are spread, never aligned."""

    language: str
    words: list[ShownWord]
    schema_version: int = formats.SCHEMA_VERSION


def rendered(language: str, tokens: Sequence[Token], cues: Sequence[Cue], canvas: Canvas) -> dict[str, str]:
    """The text of each file, by suffix; all of them valid when there are no cues."""
    srt = "".join(f"{number}\n{srt_times(cue)}\n{srt_text(cue.lines)}\n\n" for number, cue in enumerate(cues, 1))
    return {
        "srt": srt or EMPTY_SRT,
        "vtt": "WEBVTT\n" + "".join(f"\n{vtt_times(cue)}\n{vtt_text(cue.lines)}\n" for cue in cues),
        "ass": ass_header(canvas)
        + "".join(f"Dialogue: 0,{ass_times(cue)},Default,,0,0,0,,{ass_text(cue.lines)}\n" for cue in cues),
        "txt": "".join(token.text + ("\n" if token.ends else " " * token.space_after) for token in tokens),
        "words.json": words_json(language, tokens, cues),
    }


def ass_header(canvas: Canvas) -> str:
    """An ASS script up to its first cue, for a picture of this shape; a line that is too wide is wrapped, not cut."""
    margins = f"{canvas.side_px},{canvas.side_px},{canvas.bottom_px}"
    return f"""\
[Script Info]
ScriptType: v4.00+
PlayResX: {canvas.width_px}
PlayResY: {canvas.height_px}
WrapStyle: 0
ScaledBorderAndShadow: yes

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,DejaVu Sans,{FONT_PX},&H00FFFFFF,&H000000FF,&H00000000,&H80000000,0,0,0,0,100,100,0,0,1,3,1,2,{margins},1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def _clock(time_ms: int, point: str) -> str:
    seconds, ms = divmod(time_ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{ms:03}"


def srt_times(cue: Cue) -> str:
    """`00:00:01,000 --> 00:00:02,500`"""
    return f"{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}"


def vtt_times(cue: Cue) -> str:
    """`00:00:01.000 --> 00:00:02.500`"""
    return f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}"


def ass_times(cue: Cue) -> str:
    """`0:00:01.00,0:00:02.50`: hundredths, rounded down, so that the order and the gaps stay."""
    return ",".join(_clock(time_ms, ".").removeprefix("0")[:-1] for time_ms in (cue.start_ms, cue.end_ms))


def words_json(language: str, tokens: Sequence[Token], cues: Sequence[Cue]) -> str:
    """Every word with its time and its cue."""
    cue_of = {index: number for number, cue in enumerate(cues, 1) for index in range(cue.first, cue.last + 1)}
    words = [
        ShownWord(t.text, t.start_ms / 1000, t.end_ms / 1000, t.aligned, cue_of[index], t.space_after)
        for index, t in enumerate(tokens)
    ]
    return msgspec.json.format(msgspec.json.encode(Words(language, words)), indent=2).decode() + "\n"
