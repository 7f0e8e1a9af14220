"""The words of a transcript, and where its sentences end.

Not here: how a sentence is translated (`translate`) or shown (`subtitles`), which both start from
these spans, so that a translation and its cues always speak of the same words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mediabuild.errors import StageError
from mediabuild.media.formats import Transcript, Word

Span = tuple[int, int]  # first and last word, both inclusive
CLOSING = "\"'”’»)]}"
OPENING = "\"'“‘«([{¿¡"
# Never the end of a sentence: a name follows (English and Spanish).
_TITLES = """
mr mrs ms messrs dr st prof rev hon capt col gen lt sgt gov sen rep mme mlle eg ie cf vs
sr sra srta dra d
"""
TITLES = frozenset(_TITLES.split())
NUMBERED = frozenset(["no", "fig", "vol", "ch", "p", "pp", "núm", "pág"])  # nor these, before a number
PAUSE_S = 3.0  # whoever is silent for this long has ended the sentence, whatever the punctuation says


def spoken_words(transcript: Transcript) -> list[Word]:
    """All words of a transcript, in order; a word's place in this list is its index everywhere.

    Raises:
        StageError: a segment has text but no words: it hasn't been through `align`.
    """
    for segment in transcript.segments:
        if segment.text.strip() and not segment.words:
            raise StageError(
                f"transcript: segment {segment.id} has a text but no word times", 'transcript = "align.transcript"'
            )
    return [word for segment in transcript.segments for word in segment.words]


def sentence_spans(words: Sequence[Word], *, max_words: int = 60) -> list[Span]:
    """The sentences of a transcript, in order, without gaps: every word is in exactly one.

    Args:
        words: as `spoken_words` returns them.
        max_words: a longer sentence (speech without punctuation) is cut at its longest pauses.
    """
    cased = any(word.text[:1].isupper() for word in words)
    spans: list[Span] = []
    first = 0
    for index, word in enumerate(words):
        following = words[index + 1] if index + 1 < len(words) else None
        if following is None or _ends(word, following, cased):
            spans += _shortened(words, (first, index), max_words)
            first = index + 1
    return spans


def _ends(word: Word, following: Word, cased: bool) -> bool:
    """Whether a sentence ends after `word`; in a text without capitals, a small letter says nothing."""
    if following.start_s - word.end_s >= PAUSE_S:
        return True
    bare = word.text.rstrip(CLOSING)
    if not bare.endswith((".", "!", "?", "…", "。", "！", "？")):
        return False
    if cased and following.text.lstrip(OPENING)[:1].islower():
        return False
    if not bare.endswith("."):
        return True
    stem = bare.rstrip(".").lstrip(OPENING)
    initial = len(stem) == 1 and stem.isupper() and stem != "I"
    plain = stem.replace(".", "").lower()
    return not (initial or plain in TITLES or (plain in NUMBERED and following.text[:1].isdigit()))


def _shortened(words: Sequence[Word], span: Span, max_words: int) -> list[Span]:
    """A span, cut at its best pause away from its ends until no part is longer than `max_words`."""
    first, last = span
    length = last - first + 1
    if length <= max_words:
        return [span]
    margin = max(1, length // 5)

    def pause_s(index: int) -> float:
        clause = 0.3 if re.search(r"[,;:—–]\W*$", words[index].text) else 0.0  # as good as a pause of 0.3 s
        return words[index + 1].start_s - words[index].end_s + clause

    cut = max(range(first + margin - 1, last - margin + 1), key=pause_s)
    return [*_shortened(words, (first, cut), max_words), *_shortened(words, (cut + 1, last), max_words)]
