"""The words of a transcript, and where its sentences end.

sentencex (Wikimedia) knows the ends of sentences in some 300 languages. What it can't know is heard: a long
silence ends a sentence, and a small letter after a full stop, in a text with capitals, goes on with it.

Not here: how a sentence is translated (`translate`) or shown (`subtitles`), which both start from
these spans, so that a translation and its cues always speak of the same words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from mediabuild.errors import StageError
from mediabuild.media.formats import Transcript, Word

Span = tuple[int, int]  # first and last word, both inclusive

CLOSING = "\"'”’»)]}」』）"
OPENING = "\"'“‘«([{¿¡「『（"
# Never the end of a sentence: a name follows (English, Spanish, French, German).
_TITLES = """
mr mrs ms messrs dr st prof rev hon capt col gen lt sgt gov sen rep mme mlle eg ie cf vs
sr sra srta dra d hr fr
"""
TITLES = frozenset(_TITLES.split())
NUMBERED = frozenset(["no", "fig", "vol", "ch", "p", "pp", "núm", "pág", "nr"])  # nor these, before a number
_NO_ABBREVIATIONS = frozenset(["no", "ok", "me", "may", "art", "ill", "miss"])  # also with a capital
PAUSE_S = 3.0  # whoever is silent for this long has ended the sentence, whatever the punctuation says
_PAIRED = OPENING + CLOSING + "<>"
_ALWAYS_ENDS = re.compile(f"[。｡！？؟۔।॥։።፧။។៕][{re.escape(CLOSING)}]*$")  # whatever the language's tag is
_QUOTED = re.compile("[」』]$")
_KANA = re.compile("[\u3041-\u3096]")


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


def sentence_spans(words: Sequence[Word], language: str, *, max_words: int = 60) -> list[Span]:
    """The sentences of a transcript, in order, without gaps: every word is in exactly one.

    Args:
        words: as `spoken_words` returns them.
        language: the transcript's, a BCP 47 tag.
        max_words: a longer sentence (speech without punctuation) is cut at its longest pauses.
    """
    cased = any(word.text[:1].isupper() for word in words)
    spans: list[Span] = []
    first = 0
    for start, stop in _stretches(words):
        found = _found_ends(words[start:stop], language)
        for index in range(start, stop):
            if index == stop - 1 or (index - start in found and _may_end(words[index], words[index + 1], cased)):
                spans += _shortened(words, (first, index), max_words)
                first = index + 1
    return spans


def _stretches(words: Sequence[Word]) -> Iterator[Span]:
    """Words between long silences: from, and up to but without."""
    start = 0
    for index, (word, following) in enumerate(pairwise(words), start=1):
        if following.start_s - word.end_s >= PAUSE_S:
            yield start, index
            start = index
    if words:
        yield start, len(words)


def _found_ends(words: Sequence[Word], language: str) -> set[int]:
    """Which of these words end a sentence for sentencex, or by a mark that ends nothing else.

    It is given the words without quotes and brackets: it looks for no end inside of a pair, and in speech many a pair
    is none ("'Twas good. Then the dogs' bone").
    """
    import sentencex

    text, ends_at = "", {}
    for index, word in enumerate(words):
        bare = word.text.strip(_PAIRED)
        before = word.text.find(bare) if bare else 0
        ends_at[len(text) + before + len(bare)] = index
        text += (" " * before + bare).ljust(len(word.text) + word.space_after).replace("\n", " ")
    found = {index for index, word in enumerate(words) if _ALWAYS_ENDS.search(word.text)}
    if not language.startswith("de"):  # where any noun may follow an abbreviation
        found |= {index for index, (word, next_one) in enumerate(pairwise(words)) if _is_plain(word, next_one)}
    for boundary in sentencex.get_sentence_boundaries(language.partition("-")[0].lower(), text):
        end = len(text[: boundary["end_index"]].rstrip())
        if end in ends_at:
            found.add(ends_at[end])
    return found


def _is_plain(word: Word, following: Word) -> bool:
    """Whether a plain word with a full stop stands before a capital: "He told me. Nobody knew.".

    sentencex knows `me.`, `no.`, `ill.` and a hundred more as abbreviations, which are words in speech.
    """
    bare = word.text.rstrip(CLOSING)
    stem = bare.rstrip(".").lstrip(OPENING)
    small = stem.islower() or stem.lower() in _NO_ABBREVIATIONS
    capital = following.text.lstrip(OPENING)[:1].isupper()
    return bare.endswith(".") and len(stem) > 1 and stem.isalpha() and small and capital


def _may_end(word: Word, following: Word, cased: bool) -> bool:
    """Whether a sentence can end after `word`; in a text without capitals, a small letter says nothing."""
    bare = word.text.rstrip(CLOSING)
    if cased and following.text.lstrip(OPENING)[:1].islower():
        return False
    if _QUOTED.search(word.text) and _KANA.match(following.text):
        return False  # 「行こう。」と言った: who said it follows
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
        clause = 0.3 if re.search(r"[,;:—–、，；：]\W*$", words[index].text) else 0.0  # as good as a pause of 0.3 s
        return words[index + 1].start_s - words[index].end_s + clause

    cut = max(range(first + margin - 1, last - margin + 1), key=pause_s)
    return [*_shortened(words, (first, cut), max_words), *_shortened(words, (cut + 1, last), max_words)]
