"""Words of a transcript that might become terms, for a person to review.

yake finds phrases that stand out. Kept is what occurs twice outside of terms and is a name (never in small letters
elsewhere, and not only at the start of sentences, where "Are" and "But" look like names), a word that the dictionary
lacks, or several words that are a phrase by themselves: with no small word in it, as "made of oak" has one.

Not here: the terms that are reviewed already (`terms`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from mediabuild.media.formats import Transcript
from mediabuild.media.speech.pronunciations import Pronunciations
from mediabuild.media.text.forms import Heard, forms_of, inner_marks
from mediabuild.media.text.function_words import NAME_PARTICLES, clinging, joining
from mediabuild.media.text.sentences import sentence_spans, spoken_words
from mediabuild.media.text.terms import Term, fold

Folded = tuple[str, ...]


def candidates(transcript: Transcript, terms: Iterable[Term], known: Pronunciations, limit: int) -> list[list[Any]]:
    """Rows of candidate, occurrences and an example, the most telling first (yake's order).

    Args:
        known: the dictionary of the transcript's language, empty where there is none. limit: at most so many.
    """
    words = spoken_words(transcript)
    if not words or not limit:
        return []
    import yake

    language = transcript.language.partition("-")[0]
    extractor = yake.KeywordExtractor(lan=language, n=3, top=limit * 10)
    starts = {first for first, _ in sentence_spans(words, transcript.language)}
    small = extractor.stopword_set | clinging(language) | joining(language)
    text = Phrases([Heard.of(word, index in starts) for index, word in enumerate(words)], known, small)
    for form in (form for term in terms for form in forms_of(term)):
        text.cover(form.folded)
    scored = extractor.extract_keywords(" ".join(word.text for word in words))
    found: dict[Folded, list[int]] = {}
    for phrase, _ in sorted(scored, key=lambda pair: (round(float(pair[1]), 9), pair[0])):
        folded = tuple(fold(word) for word in phrase.split())
        places = text.places(folded) if all(folded) else []
        if len(places) >= 2 and text.tells(places, len(folded)):
            found.setdefault(folded, places)
    whole = [folded for folded in found if not _is_part(folded, found)]
    return [[text.name(found[f], len(f)), len(found[f]), text.around(found[f][0], len(f))] for f in whole[:limit]]


def _is_part(folded: Folded, found: dict[Folded, list[int]]) -> bool:
    """Whether a longer candidate is there each time, too: "Barton" in "Barton Cottage"."""
    inside = f" {' '.join(folded)} "
    return any(
        len(other) > len(folded) and inside in f" {' '.join(other)} " and len(places) >= len(found[folded])
        for other, places in found.items()
    )


class Phrases:
    """The words of a transcript, to look phrases up in.

    Args:
        known: the dictionary. small: words that no phrase in small letters holds.
    """

    def __init__(self, heard: list[Heard], known: Pronunciations, small: Iterable[str]) -> None:
        self.heard, self.known = heard, known
        self.small = {fold(word) for word in small}
        self.readings = [{folded for folded, _ in word.endings} for word in heard]
        self.index: dict[str, list[int]] = {}
        for place, readings in enumerate(self.readings):
            for folded in readings:
                self.index.setdefault(folded, []).append(place)

    def places(self, folded: Folded) -> list[int]:
        """Where these words stand, possessive or not, with no punctuation between them."""
        return [
            first
            for first in self.index.get(folded[0], [])
            if first + len(folded) <= len(self.heard)
            and all(word in self.readings[first + i] for i, word in enumerate(folded))
            and not inner_marks(self.heard[first : first + len(folded)]).strip("-'’.")
        ]

    def cover(self, folded: Folded) -> None:
        """Take these words out of the search, wherever they stand."""
        for first in self.places(folded) if folded else []:
            for place in range(first, first + len(folded)):
                self.readings[place] = set()

    def tells(self, places: list[int], size: int) -> bool:
        """Whether the phrase is worth a person's look."""
        inside = [place for place in places if not self.heard[place].at_start]
        phrase = self.heard[places[0] : places[0] + size]
        if size == 1 and phrase[0].folded in self.small:
            return False
        if any(self._is_name(place, size) for place in inside):
            return all(self._is_name(place, size) for place in inside)
        if any(word.folded in self.small for word in phrase):
            return False
        unknown = bool(self.known) and any(word.folded not in self.known for word in phrase)
        return unknown or (size > 1 and bool(inside))

    def _is_name(self, place: int, size: int) -> bool:
        """Whether all words have capitals there, but for those inside a name ("Juan de la Cruz")."""
        words = self.heard[place : place + size]
        inner = [word for word in words[1:-1] if word.core not in NAME_PARTICLES and word.core != "of"]
        return all(word.core[:1].isupper() for word in (words[0], words[-1], *inner))

    def name(self, places: list[int], size: int) -> str:
        """The phrase as it is written away from the start of a sentence, where it is anywhere."""
        place = next((place for place in places if not self.heard[place].at_start), places[0])
        text = " ".join(word.core for word in self.heard[place : place + size])
        return re.sub(r"['’]s?$", "", text)

    def around(self, place: int, size: int) -> str:
        """An example: the phrase with four words on either side."""
        return " ".join(word.text for word in self.heard[max(0, place - 4) : place + size + 4])
