"""What is wrong with the subtitles of a language: `subtitles.qc.json`.

Not here: the rules themselves (`cue_rules`, `lines`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec

from mediabuild.media import formats
from mediabuild.media.subtitles.cue_rules import Rules
from mediabuild.media.subtitles.cues import Cue
from mediabuild.media.subtitles.lines import Breaks
from mediabuild.media.subtitles.tokens import Token
from mediabuild.media.text.words import columns, may_break


class Violation(msgspec.Struct):
    """A rule that a cue breaks: `cue` counts from 1, as in the files.

    `line_chars`, `lines`, `min_s`, `max_s`, `chars_per_second`, `end_s` (behind the recording's end), `gap_s` and
    `overlap_s` (to the cue before) are measures. `orphan` (a word alone that is no sentence), `line_end` (a line that
    ends on an article or the like), `name` (a name torn apart) and `break` (a line begins where Unicode allows no
    break) count.
    """

    language: str
    cue: int
    start_s: float
    rule: str
    value: float
    limit: float


class Summary(msgspec.Struct):
    """One language in numbers."""

    language: str
    cues: int
    words: int
    violations: int
    shown_s: float
    mean_chars_per_second: float
    max_chars_per_second: float


class Quality(msgspec.Struct):
    """`subtitles.qc.json`."""

    summary: list[Summary]
    violations: list[Violation]
    schema_version: int = formats.SCHEMA_VERSION


def broken_rules(tokens: Sequence[Token], cues: Sequence[Cue], rules: Rules) -> Iterator[Violation]:
    """Each rule that a cue doesn't keep."""
    faults = Breaks(tokens, rules.language).faults
    before: Cue | None = None
    for number, cue in enumerate(cues, 1):
        time_ms = cue.end_ms - cue.start_ms
        speed = round(1000 * rules.chars(*cue.lines) / time_ms, 2)
        measured = [
            ("line_chars", max(_line_chars(line, rules) for line in cue.lines), rules.max_line_chars, 1),
            ("lines", len(cue.lines), rules.max_lines, 1),
            ("min_s", time_ms / 1000, rules.min_ms / 1000, -1),
            ("max_s", time_ms / 1000, rules.max_ms / 1000, 1),
            ("chars_per_second", speed, rules.chars_per_second, 1),
            ("end_s", cue.end_ms / 1000, rules.end_ms / 1000, 1),
            *_counted(tokens, faults, cue),
        ]
        if before:
            hole_ms = cue.start_ms - before.end_ms
            measured += [
                ("gap_s", max(0, hole_ms) / 1000, rules.gap_ms / 1000, -1),
                ("overlap_s", -hole_ms / 1000, 0, 1),
            ]
        for rule, value, limit, sign in measured:
            if sign * (value - limit) > 0:
                yield Violation(rules.language, number, cue.start_ms / 1000, rule, float(value), float(limit))
        before = cue


def _line_chars(line: str, rules: Rules) -> float:
    return columns(line.rstrip()) / rules.char_columns


def _counted(tokens: Sequence[Token], faults: Sequence[str | None], cue: Cue) -> list[tuple[str, float, float, int]]:
    """Faults of the words that lines begin and end with."""
    ends = [cue.last, *_line_ends(tokens, cue)]
    whole = tokens[cue.first].ends and (cue.first == 0 or tokens[cue.first - 1].ends)
    torn = [upper + lower for upper, lower in pairwise(cue.lines) if not may_break(upper, lower)]
    return [
        ("orphan", int(cue.first == cue.last and not whole), 0, 1),
        ("line_end", sum(faults[at] == "line_end" for at in ends), 0, 1),
        ("name", sum(faults[at] == "name" for at in ends), 0, 1),
        ("break", len(torn), 0, 1),
    ]


def _line_ends(tokens: Sequence[Token], cue: Cue) -> list[int]:
    """The last token of each line but the last."""
    ends, at = [], cue.first - 1
    for line in cue.lines[:-1]:
        left = len("".join(line.split()))
        while left > 0:
            at += 1
            left -= len("".join(tokens[at].text.split()))
        ends.append(at)
    return ends


def summary(tokens: Sequence[Token], cues: Sequence[Cue], violations: int, rules: Rules) -> Summary:
    """One language in numbers; zeros where there are no cues."""
    shown_ms = sum(cue.end_ms - cue.start_ms for cue in cues)
    chars = [rules.chars(*cue.lines) for cue in cues]
    speeds = [1000 * count / (cue.end_ms - cue.start_ms) for count, cue in zip(chars, cues, strict=True)]
    return Summary(
        language=rules.language,
        cues=len(cues),
        words=len(tokens),
        violations=violations,
        shown_s=shown_ms / 1000,
        mean_chars_per_second=round(1000 * sum(chars) / max(1, shown_ms), 2),
        max_chars_per_second=round(max(speeds, default=0.0), 2),
    )
