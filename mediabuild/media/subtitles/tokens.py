"""Words with the times in which they are spoken, as cues are built from them.

Not here: a translation's (`spreading`), and how they become cues (`cues`). Times are int milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from mediabuild.media.formats import Word
from mediabuild.media.text.sentences import sentence_spans
from mediabuild.media.text.words import columns, cut_to_width


@dataclass(frozen=True)
class Token:
    """A word with its time; `ends` is True for the last of a sentence, `space_after` False where none is written."""

    text: str
    start_ms: int
    end_ms: int
    ends: bool = False
    aligned: bool = True
    space_after: bool = True


def spoken(words: Sequence[Word], language: str) -> list[Token]:
    """The words of a transcript as tokens in order, one each, none before the one before it."""
    ends = {last for _, last in sentence_spans(words, language)}
    tokens: list[Token] = []
    for index, word in enumerate(words):
        earliest_ms = tokens[-1].start_ms if tokens else 0
        start_ms = max(earliest_ms, round(word.start_s * 1000))
        end_ms = max(start_ms, round(word.end_s * 1000))
        text = " ".join(word.text.split())
        tokens.append(Token(text, start_ms, end_ms, index in ends, word.aligned, word.space_after))
    return tokens


def cut_wide(tokens: Sequence[Token], line_columns: int) -> list[Token]:
    """The tokens, those of a script without spaces that are wider than a line cut in parts that share their time."""
    cut: list[Token] = []
    for token in tokens:
        parts = cut_to_width(token.text, line_columns)
        spans = shared([columns(part) for part in parts], token.start_ms, token.end_ms)
        for part, (start_ms, end_ms) in zip(parts, spans, strict=True):
            cut.append(replace(token, text=part, start_ms=start_ms, end_ms=end_ms, ends=False, space_after=False))
        cut[-1] = replace(cut[-1], ends=token.ends, space_after=token.space_after)
    return cut


def shared(widths: Sequence[int], start_ms: int, end_ms: int) -> list[tuple[int, int]]:
    """A stretch of time divided in proportion to widths."""
    reached = [0, *accumulate(widths)]
    total = max(1, reached[-1])
    return [
        (start_ms + (end_ms - start_ms) * a // total, start_ms + (end_ms - start_ms) * b // total)
        for a, b in pairwise(reached)
    ]
