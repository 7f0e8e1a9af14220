"""The rules that cues keep: how long, how wide, how fast, by language and by the picture they are shown over.

Figures are those of Netflix's timed text style guides. A character is what the guide of its language counts: in
Chinese, Japanese and Korean a full-width one, and half of one for a Latin letter.

Not here: how cues are cut (`cues`) and what they are checked for (`quality`). Times are int milliseconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import msgspec

from mediabuild.media.formats import Probe
from mediabuild.media.subtitles.canvas import Canvas
from mediabuild.media.text.words import columns, joined_lines

# Characters a second that adults read comfortably, and characters in a line.
CHARS_PER_SECOND = {"ar": 20, "en": 20, "hi": 22, "ja": 4, "ko": 12, "zh": 9}
OTHER_CHARS_PER_SECOND = 17
LINE_CHARS = {"ja": 13, "ko": 16, "th": 35, "zh": 16}
OTHER_LINE_CHARS = 42
FULL_WIDTH = frozenset(["ja", "ko", "zh"])  # a character of theirs takes two columns
GAP_MS = 83  # two frames at 24 a second, where the recording's own rate is unknown or varies
FEWEST_FRAMES = 20  # a second: a gap is in no recording longer than it would be at this rate
FLICKER_MS = 500  # a shorter hole between two cues is closed, down to the gap


class CueParams(msgspec.Struct, forbid_unknown_fields=True):
    """The rules that cues keep."""

    max_line_chars: (
        Annotated[
            int,
            msgspec.Meta(ge=10, le=100, description="characters in a line, instead of what language and picture allow"),
        ]
        | None
    ) = None
    max_lines: Annotated[int, msgspec.Meta(ge=1, le=3, description="lines in a cue")] = 2
    min_s: Annotated[float, msgspec.Meta(ge=0.1, le=5, description="a cue is shown at least this long")] = 0.833
    max_s: Annotated[float, msgspec.Meta(ge=1, le=30, description="a cue is shown at most this long")] = 7.0
    chars_per_second: (
        Annotated[int, msgspec.Meta(ge=4, le=60, description="reading speed, instead of the language's own")] | None
    ) = None
    gap_frames: Annotated[int, msgspec.Meta(ge=0, le=24, description="frames between two cues")] = 2
    max_pause_s: Annotated[
        float, msgspec.Meta(ge=0.2, le=10, description="a longer pause ends a cue, so that none is shown in silence")
    ] = 1.0
    max_shift_s: Annotated[
        float,
        msgspec.Meta(ge=0, le=2, description="a cue may come this much before or after its words, to be read in time"),
    ] = 0.5


@dataclass(frozen=True)
class Rules:
    """The params for one language, in milliseconds; `end_ms` is the recording's, infinite if unknown."""

    language: str
    max_line_chars: int
    max_lines: int
    min_ms: int
    max_ms: int
    chars_per_second: int
    gap_ms: int
    max_pause_ms: int
    max_shift_ms: int = 0
    end_ms: float = math.inf

    @cached_property
    def char_columns(self) -> int:
        """How many columns a character takes."""
        return 2 if self.language.partition("-")[0] in FULL_WIDTH else 1

    @cached_property
    def line_columns(self) -> int:
        """How many columns a line may have."""
        return self.max_line_chars * self.char_columns

    def chars(self, *lines: str) -> float:
        """How many characters the language's guide counts in these lines; a line's end counts as the space it is."""
        return columns(joined_lines(lines)) / self.char_columns

    def read_ms(self, chars: float) -> int:
        """How long so many characters have to be shown."""
        return max(self.min_ms, math.ceil(1000 * chars / self.chars_per_second))


def rules_for(language: str, params: CueParams, probe: Probe | None) -> Rules:
    """The rules for a language, with the recording's own frames, end and shape."""
    video = probe.video[0] if probe and probe.video else None
    steady = video.frame_rate if video and not video.variable_frame_rate else None
    gap_ms = 1000 * params.gap_frames / max(steady, FEWEST_FRAMES) if steady else GAP_MS * params.gap_frames / 2
    base = language.partition("-")[0]
    limit = LINE_CHARS.get(base, OTHER_LINE_CHARS)
    fitting = Canvas.of(probe).line_columns // (2 if base in FULL_WIDTH else 1)
    return Rules(
        language=language,
        max_line_chars=params.max_line_chars or min(limit, fitting),
        max_lines=params.max_lines,
        min_ms=round(params.min_s * 1000),
        max_ms=round(params.max_s * 1000),
        chars_per_second=params.chars_per_second or CHARS_PER_SECOND.get(base, OTHER_CHARS_PER_SECOND),
        gap_ms=math.ceil(round(gap_ms, 3)),
        max_pause_ms=round(params.max_pause_s * 1000),
        max_shift_ms=round(params.max_shift_s * 1000),
        end_ms=int((probe.clip_end_s - probe.clip_start_s) * 1000) if probe else math.inf,
    )
