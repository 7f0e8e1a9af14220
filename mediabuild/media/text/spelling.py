"""Finding the project's terms among the words that were heard: as they are, under another spelling, or nearly.

A near miss is corrected only where the recogniser can't have meant what it wrote. It knows the words of a dictionary:
one in small letters is what was said, however near a term is, unless the rest of the term stands beside it
("north land Park"), or the words together are a term that is written in small letters ("photo synthesis").

Not here: changing the transcript (`repairs`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mediabuild.media.formats import Word
from mediabuild.media.speech.pronunciations import Pronunciations, sounds
from mediabuild.media.text.forms import Form, Heard, Kind, forms_of, inner_marks
from mediabuild.media.text.likeness import FUNCTION_WORDS, anchors, derived, is_joint, letters, ratio, sounded
from mediabuild.media.text.terms import Term

SURE = 90.0  # the similarity at which even words of the dictionary are taken for a name it lacks
ALIKE = 60.0  # the least similarity of the whole, the words that both share included


@dataclass(frozen=True)
class Match:
    """Words `first … first + count - 1` of a segment are `form`; `tail` follows it (`'s`, `.`)."""

    first: int
    count: int
    form: Form
    kind: Kind
    score: float
    tail: str

    @property
    def order(self) -> tuple[float, ...]:
        """The best match first: the likest, the longest, what is there already, the earliest."""
        as_written = self.kind in ("term", "spelling")
        return (-self.score, -self.count, not as_written, self.kind != "term", -len(self.form.folded), self.first)


class Speller:
    """Knows every form of every term, and finds them in the words of a segment.

    Args:
        terms: the project's. known: the dictionary, empty for a language that has none here.
        similarity: 0 … 100, how near a misheard word must be. min_letters: shorter terms must sound the same.
    """

    def __init__(self, terms: list[Term], known: Pronunciations, similarity: float, min_letters: int) -> None:
        self.known, self.similarity, self.min_letters = known, similarity, min_letters
        self.exact: dict[str, list[Form]] = {}
        self.beside: dict[str, list[Form]] = {}  # by their first and last word
        self.sounding: dict[str, list[Form]] = {}
        self.near: dict[bool, list[Form]] = {False: [], True: []}  # singular, plural
        for form in (form for term in terms for form in forms_of(term)):
            self.exact.setdefault(form.joined, []).append(form)
            if form.kind == "term":
                self._index(form)
        self.choices = {plural: [sounded(form.joined) for form in forms] for plural, forms in self.near.items()}
        self.small_words = {
            word for forms in self.near.values() for form in forms for word in form.folded
        } & FUNCTION_WORDS
        self.longest = max((len(form.folded) for forms in self.exact.values() for form in forms), default=0)
        self.found_near: dict[str, list[Form]] = {}

    def _index(self, form: Form) -> None:
        self.near[form.plural].append(form)
        if len(form.folded) > 1:
            for word in {form.folded[0], form.folded[-1]} - FUNCTION_WORDS:
                self.beside.setdefault(word, []).append(form)
        for sound in sounds(form.folded, self.known):
            self.sounding.setdefault(sound, []).append(form)

    def matches(self, words: list[Word], at_start: list[bool]) -> list[Match]:
        """The terms in a segment, in order, not overlapping; the best wins where two want one word."""
        heard = [Heard.of(word, start) for word, start in zip(words, at_start, strict=True)]
        found: list[Match] = []
        for count in range(1, self.longest + 2 if self.longest else 1):
            for first in range(len(heard) - count + 1):
                window = heard[first : first + count]
                for last, tail in window[-1].endings:
                    folded = (*(word.folded for word in window[:-1]), last)
                    if all(folded):
                        found += self._readings(window, folded, first, tail)
        taken: set[int] = set()
        kept = []
        for match in sorted(found, key=lambda match: match.order):
            span = set(range(match.first, match.first + match.count))
            if not span & taken:
                taken |= span
                kept.append(match)
        return sorted(kept, key=lambda match: match.first)

    def _readings(self, window: list[Heard], folded: tuple[str, ...], first: int, tail: str) -> Iterator[Match]:
        """What a window of words may be: exactly a form, or nearly."""
        joined, marks = "".join(folded), inner_marks(window)
        together = not marks.strip("-.'’") and not any(word.at_start for word in window[1:])
        for form in self.exact.get(joined, []):
            if not (together or marks == form.marks):
                continue  # a term doesn't run on across a comma or a full stop
            if form.kind == "alternative" and form.folded == folded:
                yield Match(first, len(window), form, "alternative", 100.0, tail)
            elif form.kind == "term" and form.folded == folded and self._is_meant(window, form):
                yield Match(first, len(window), form, _kind_of(window, form, tail), 100.0, tail)
        if not together or any(c.isdigit() for c in joined):
            return  # "2019" is no misspelt "2018"
        for form in self._candidates(window, folded, joined):
            score = self._near_miss(window, folded, form)
            if score is not None and form.folded != folded:
                yield Match(first, len(window), form, "near miss", round(score, 1), tail)

    def _candidates(self, window: list[Heard], folded: tuple[str, ...], joined: str) -> list[Form]:
        """The forms that may have been meant: of the same letters, with a word in common, or of like sound."""
        forms = [form for form in self.exact.get(joined, []) if form.kind == "term"]
        for word in {folded[0], folded[-1]}:
            forms += self.beside.get(word, [])
        if not all(self._is_common(word, one) for word, one in zip(window, folded, strict=True)):
            for sound in sounds(folded, self.known):
                forms += self.sounding.get(sound, [])
            # A small word counts where a term has it, too; otherwise it is itself, and the window says nothing new.
            if (FUNCTION_WORDS & set(folded)) <= self.small_words:
                forms += self._alike(joined)
        return list(dict.fromkeys(forms))

    def _alike(self, joined: str) -> list[Form]:
        from rapidfuzz import fuzz, process

        if joined not in self.found_near:
            cutoff = max(ALIKE, self.similarity)
            self.found_near[joined] = [
                self.near[plural][index]
                for plural in ((False, True) if joined.endswith("s") else (False,))
                for _, _, index in process.extract(
                    sounded(joined), self.choices[plural], scorer=fuzz.ratio, score_cutoff=cutoff, limit=None
                )
            ]
        return self.found_near[joined]

    def _is_meant(self, window: list[Heard], form: Form) -> bool:
        """ "will" is not the person Will, nor "it" or "It" the department IT: a word of the dictionary has to be
        written as the term is."""
        if len(window) > 1 or not self._all_known(form.folded):
            return True
        if sum(c.isupper() for c in form.words[0]) > 1:
            return sum(c.isupper() for c in window[0].core) > 1
        return form.words[0][:1].islower() or window[0].core[:1].isupper()

    def _near_miss(self, window: list[Heard], folded: tuple[str, ...], form: Form) -> float | None:
        """How like `form` the window is, 0 … 100, or None where it can't have been meant."""
        left, right = anchors(folded, form.folded)
        heard = folded[left : len(folded) - right]
        meant = form.folded[left : len(form.folded) - right]
        if not heard or not meant or (form.plural and not folded[-1].endswith("s")):
            return None  # a word more or less is no mishearing
        if letters(heard) == letters(meant) and "".join(heard) != "".join(meant):
            return None  # "C" is no misheard "C#"
        anchored = any(word not in FUNCTION_WORDS for word in folded[:left] + folded[len(folded) - right :])
        same = sounded("".join(heard)) == sounded("".join(meant))
        if (FUNCTION_WORDS & set(heard)) - set(meant) and not (same and anchored):
            return None
        score = ratio("".join(heard), "".join(meant))
        words = window[left : len(window) - right]
        return score if self._was_misheard(words, heard, meant, score, anchored, form) else None

    def _was_misheard(
        self,
        words: list[Heard],
        heard: tuple[str, ...],
        meant: tuple[str, ...],
        score: float,
        anchored: bool,
        form: Form,
    ) -> bool:
        """Whether `heard` stands for `meant`; see the module's first words for the principle."""
        common = all(self._is_common(word, one) for word, one in zip(words, heard, strict=True))
        if common and not anchored:
            return is_joint(heard, meant, form)
        if sounded("".join(heard)) == sounded("".join(meant)) or self._sound_alike(heard, meant):
            return True  # "nor land Park", "Mary Ann"
        if len("".join(meant)) < self.min_letters or score < self.similarity or derived(heard, meant):
            return False
        if not self._all_known(heard) and not common:
            return anchored or len(heard) <= len(meant) or score >= SURE
        if common or self._all_known(meant):
            return anchored and len(heard) > len(meant)  # a name broken in pieces: "north land Park"
        return score >= SURE

    def _all_known(self, words: tuple[str, ...]) -> bool:
        return all(word in self.known for word in words)

    def _is_common(self, word: Heard, folded: str) -> bool:
        """A word as the dictionary has it; without a dictionary, every word in small letters is one."""
        small = word.at_start or not word.core[:1].isupper()
        return small and (not self.known or folded in self.known)

    def _sound_alike(self, heard: tuple[str, ...], meant: tuple[str, ...]) -> bool:
        return bool(sounds(heard, self.known) & sounds(meant, self.known))


def _kind_of(window: list[Heard], form: Form, tail: str) -> Kind:
    """`spelling` where a term is there, but with other capitals, accents or hyphens than the glossary's.

    Capitals count only for a term that has some, and only in a word that isn't all capitals.
    """
    was, now = " ".join(word.text for word in window), " ".join(form.spelt(window[0], tail))
    only_capitals = was.casefold() == now.casefold() and (form.term.text.islower() or was.isupper())
    return "term" if was == now or only_capitals else "spelling"
