"""Terms in a transcript put right, and what was there before.

Not here: which words are a term (`spelling`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec

from mediabuild.media import formats
from mediabuild.media.formats import Transcript, Word
from mediabuild.media.text.forms import Heard, Kind
from mediabuild.media.text.sentences import sentence_spans, spoken_words
from mediabuild.media.text.spelling import Match
from mediabuild.media.text.words import text_of

ROUNDS = 5  # a repair may make the words of another term; more rounds than that only terms that turn in circles need

Find = Callable[[list[Word], list[bool]], list[Match]]


class Correction(msgspec.Struct):
    """One repair: `word` counts over the whole corrected transcript."""

    segment: int
    word: int
    start_s: float
    was: str
    now: str
    kind: Kind
    score: float


class Corrections(msgspec.Struct):
    """`corrections.json`: what was changed in the transcript."""

    corrections: list[Correction]
    schema_version: int = formats.SCHEMA_VERSION


@dataclass(frozen=True, eq=False)
class Repair:
    """Words that were there, and by which match they were replaced last."""

    old: tuple[Word, ...]
    kind: Kind
    score: float


@dataclass(frozen=True)
class Spoken:
    """A word as it is now, and the repair that it came from."""

    word: Word
    repair: Repair | None = None


def repair(transcript: Transcript, find: Find) -> tuple[list[Correction], set[str]]:
    """Spell the terms in a transcript as the glossary does, until nothing is left to change.

    Args:
        transcript: changed in place: the segments' words and texts.
        find: the terms in a segment's words; it is told which of them begin a sentence.

    Returns:
        What was changed, and the terms that occur.
    """
    spoken = [[Spoken(word) for word in segment.words] for segment in transcript.segments]
    seen: list[tuple[tuple[str, ...], list[bool]] | None] = [None] * len(spoken)
    occurring: list[set[str]] = [set() for _ in spoken]
    for _ in range(ROUNDS):
        starts = _starts(transcript)
        changed = False
        for at, segment in enumerate(transcript.segments):
            looked_at = (tuple(word.text for word in segment.words), [id(word) in starts for word in segment.words])
            if looked_at == seen[at]:
                continue
            seen[at] = looked_at
            matches = find(segment.words, looked_at[1])
            occurring[at] = {match.form.term.text for match in matches}
            repairs = [match for match in matches if match.kind != "term"]
            if repairs:
                spoken[at] = _repaired(spoken[at], repairs)
                segment.words = [each.word for each in spoken[at]]
                segment.text = text_of(segment.words)
                changed = True
        if not changed:
            break
    return list(_corrections(transcript, spoken)), set().union(*occurring)


def _starts(transcript: Transcript) -> set[int]:
    """The words that begin a sentence, by identity."""
    words = spoken_words(transcript)
    return {id(words[first]) for first, _ in sentence_spans(words, transcript.language)}


def _repaired(spoken: list[Spoken], matches: Sequence[Match]) -> list[Spoken]:
    """A segment's words with these matches, in order and not overlapping, spelt as the glossary spells them."""
    result: list[Spoken] = []
    at = 0
    for match in matches:
        result += spoken[at : match.first]
        at = match.first + match.count
        replaced = spoken[match.first : at]
        old = [each.word for each in replaced]
        texts = match.form.spelt(Heard.of(old[0], False), match.tail)
        touched = [each.repair for each in replaced if each.repair]
        # What an earlier repair left beside these words belongs to the new one, too.
        before = [each for each in result if each.repair in touched]
        after = [each for each in spoken[at:] if each.repair in touched]
        whole = Repair(tuple(_originals([*before, *replaced, *after])), match.kind, match.score)
        result = [Spoken(each.word, whole) if each in before else each for each in result]
        result += [Spoken(word, whole) for word in retimed(texts, old)]
        spoken = [Spoken(each.word, whole) if each in after else each for each in spoken]
    return [*result, *spoken[at:]]


def _originals(spoken: Sequence[Spoken]) -> Iterator[Word]:
    """The words that were there before any repair."""
    told: set[int] = set()
    for each in spoken:
        if each.repair is None:
            yield each.word
        elif id(each.repair) not in told:
            told.add(id(each.repair))
            yield from each.repair.old


def retimed(texts: Sequence[str], old: Sequence[Word]) -> list[Word]:
    """New words in the time of old ones: one by one, else spread over the whole by length."""
    spaces = [True] * (len(texts) - 1) + [old[-1].space_after]
    if len(texts) == len(old):
        return [
            Word(text, word.start_s, word.end_s, word.aligned, space)
            for text, word, space in zip(texts, old, spaces, strict=True)
        ]
    start_s, end_s = old[0].start_s, max(word.end_s for word in old)
    aligned = len(texts) == 1 and all(word.aligned for word in old)
    letters = [0]
    for text in texts:
        letters.append(letters[-1] + len(text))
    bounds = [round(start_s + (end_s - start_s) * n / letters[-1], 3) for n in letters]
    bounds[0], bounds[-1] = start_s, end_s
    return [
        Word(text, *times, aligned, space) for text, times, space in zip(texts, pairwise(bounds), spaces, strict=True)
    ]


def _corrections(transcript: Transcript, spoken: Sequence[Sequence[Spoken]]) -> Iterator[Correction]:
    """Each repair that changed something, in order."""
    place = 0
    for segment, words in zip(transcript.segments, spoken, strict=True):
        told: set[int] = set()
        for each in words:
            if each.repair and id(each.repair) not in told:
                told.add(id(each.repair))
                was = text_of(each.repair.old)
                now = text_of([other.word for other in words if other.repair is each.repair])
                if was != now:
                    start_s = each.repair.old[0].start_s
                    yield Correction(segment.id, place, start_s, was, now, each.repair.kind, each.repair.score)
            place += 1
