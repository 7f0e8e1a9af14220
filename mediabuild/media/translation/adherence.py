"""Whether a translation keeps to the glossary, and its identifiers: `report.json`.

Counted is what is there, in the final text: a wording that stands in another one counts once, for the longer.

Not here: how terms are forced (`apertium`, `marian`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from mediabuild.media import formats
from mediabuild.media.formats import Sentence
from mediabuild.media.translation.pieces import Forced, Kept, Piece


class Violation(msgspec.Struct):
    """A sentence whose translation lacks a term's wording, or an identifier (`term` and `expected` are it then)."""

    sentence: int
    start_s: float
    term: str
    expected: str
    source: str
    target: str
    kind: Literal["term", "identifier"] = "term"


class Report(msgspec.Struct):
    """`report.json`: how the translation was made, and whether it keeps to the glossary.

    `adherence_percent` is of the terms' occurrences; violations name lost identifiers, too.
    """

    language: str
    engine: str
    sentences: int
    term_occurrences: int
    adherence_percent: float
    violations: list[Violation]
    identifiers: int = 0
    schema_version: int = formats.SCHEMA_VERSION


def verified(
    language: str, engine: str, sentences: Sequence[Sentence], parsed: Sequence[Sequence[Piece]], starts_s: list[float]
) -> Report:
    """Count, in the final text, the wordings that the glossary asks for, and the identifiers.

    Args:
        sentences: with their translations. parsed: their sources in pieces. starts_s: when each begins.
    """
    report = Report(language, engine, len(sentences), 0, 100.0, [])
    for sentence, pieces, start_s in zip(sentences, parsed, starts_s, strict=True):
        report.term_occurrences += sum(isinstance(piece, Forced) for piece in pieces)
        report.identifiers += sum(isinstance(piece, Kept) for piece in pieces)
        for kind, term, expected in _missing(sentence.target, pieces):
            report.violations.append(
                Violation(sentence.id, start_s, term, expected, sentence.source, sentence.target, kind)
            )
    lost = sum(violation.kind == "term" for violation in report.violations)
    if report.term_occurrences:
        report.adherence_percent = round(100 * (1 - lost / report.term_occurrences), 2)
    return report


def _missing(target: str, pieces: Sequence[Piece]) -> Iterator[tuple[Literal["term", "identifier"], str, str]]:
    """What of a sentence isn't in its translation, as often as it should be: the longest is looked for first."""
    kept = Counter(piece.text for piece in pieces if isinstance(piece, Kept))
    for text, count in sorted(kept.items(), key=lambda item: -len(item[0])):
        target, there = _taken(target, re.escape(text), count)
        for _ in range(count - there):
            yield "identifier", text, text
    wanted = Counter((piece.term, piece.target, piece.free) for piece in pieces if isinstance(piece, Forced))
    for (term, expected, free), count in sorted(wanted.items(), key=lambda item: (-len(item[0][1]), item[0])):
        target, there = _taken(target, _bounded(expected, free), count)
        for _ in range(count - there):
            yield "term", term, expected


def _bounded(wording: str, free: bool) -> str:
    """A pattern for a wording as words of their own; with an ending of up to three letters where a plural is free."""
    before = r"(?<!\w)" if wording[:1].isalnum() else ""
    after = r"(?![\w#%&*@+$€£])" if wording[-1:].isalnum() else ""
    return before + re.escape(wording) + (r"\w{0,3}" if free else "") + after


def _taken(target: str, pattern: str, count: int) -> tuple[str, int]:
    """A text without the first `count` places that fit a pattern, and how many there were."""
    return re.subn(pattern, "\0", target, count=count, flags=re.IGNORECASE)
