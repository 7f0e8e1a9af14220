"""A translation's words in the time in which its sentences are spoken.

Not here: the words that were spoken (`tokens`), and cues (`cues`). Times are int milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

from mediabuild.errors import StageError
from mediabuild.media.formats import Sentence
from mediabuild.media.subtitles.lines import Breaks
from mediabuild.media.subtitles.tokens import Token, shared
from mediabuild.media.text.words import Piece, columns, split_words

# How far from its share of the time a translation may be divided at a pause, as a part of the sentence.
DIVIDED_WITHIN = 0.2


def spread(sentences: Sequence[Sentence], originals: Sequence[Token], language: str, max_pause_ms: int) -> list[Token]:
    """A translation's words, each with its share of the time in which its sentence is spoken.

    Long pauses get no share: a word belongs to one side of a pause or the other, divided where the sense allows it.

    Args:
        sentences: the translation's. originals: the transcript's words, as `spoken` returns them.
        language: the translation's. max_pause_ms: a pause from here on is a long one.

    Raises:
        StageError: a sentence has no words in the transcript.
    """
    tokens: list[Token] = []
    for sentence in sentences:
        pieces = split_words(sentence.target, language)
        if not pieces:
            continue
        said = originals[sentence.first_word : sentence.last_word + 1]
        if not said:
            raise StageError(
                f"subtitles: sentence {sentence.id} of a translation has no words in the transcript",
                'transcript = "glossary.transcript"',
            )
        times = _times(pieces, _talk(said, max_pause_ms), language)
        shown = [Token(p.text, *time, False, False, p.space_after) for p, time in zip(pieces, times, strict=True)]
        tokens += [*shown[:-1], replace(shown[-1], ends=True)]
    return tokens


def _talk(said: Sequence[Token], max_pause_ms: int) -> list[tuple[int, int]]:
    """The stretches `(start_ms, end_ms)` of a sentence between its long pauses."""
    stretches = [(said[0].start_ms, said[0].end_ms)]
    for token in said[1:]:
        start_ms, end_ms = stretches[-1]
        if token.start_ms - end_ms >= max_pause_ms:
            stretches.append((token.start_ms, token.end_ms))
        else:
            stretches[-1] = (start_ms, max(end_ms, token.end_ms))
    return stretches


def _times(pieces: Sequence[Piece], stretches: Sequence[tuple[int, int]], language: str) -> list[tuple[int, int]]:
    """Times in `stretches` for words in order; each lies within one stretch."""
    widths = [columns(piece.text) + piece.space_after for piece in pieces]
    bounds = _divided(pieces, widths, [end - start for start, end in stretches], language)
    times: list[tuple[int, int]] = []
    for (first, last), (start_ms, end_ms) in zip(pairwise(bounds), stretches, strict=True):
        times += shared(widths[first:last], start_ms, end_ms)
    return times


def _divided(pieces: Sequence[Piece], widths: Sequence[int], times_ms: Sequence[int], language: str) -> list[int]:
    """Where the words of each stretch begin, and the end: near its share of the time, where the sense allows it."""
    if len(times_ms) == 1:
        return [0, len(pieces)]
    reached = [0, *accumulate(widths)]
    total, total_ms = reached[-1], max(1, sum(times_ms))
    costs = Breaks([Token(piece.text, 0, 0) for piece in pieces], language).costs
    bounds, passed_ms = [0], 0
    for time_ms in times_ms[:-1]:
        passed_ms += time_ms
        target = total * passed_ms / total_ms

        def worse(at: int, target: float = target) -> tuple[float, float]:
            away = abs(reached[at] - target) / total
            lonely = 10.0 * (1 in (at - bounds[-1], len(pieces) - at))
            sense = costs[at - 1] if 0 < at < len(pieces) else 0.0
            return sense + lonely + 25 * away + 1000 * (away > DIVIDED_WITHIN), away

        bounds.append(min(range(bounds[-1], len(pieces) + 1), key=worse))
    return [*bounds, len(pieces)]
