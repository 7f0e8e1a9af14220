"""A sentence in pieces before it is translated: plain text, the project's terms, and identifiers.

Not here: what an engine does with them (`apertium`, `marian`), and whether they came back (`adherence`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mediabuild.media.languages import same_language
from mediabuild.media.text.forms import Form, Heard, forms_of, inner_marks, taken_apart
from mediabuild.media.text.identifiers import identifiers
from mediabuild.media.text.terms import Term
from mediabuild.media.translation.spanish import pluralised


@dataclass(frozen=True)
class Forced:
    """An occurrence of a term: the wording that its translation must have, and its gender.

    `possessive` is True where `'s` and more follow. `free` where a plural is left to the engine, whose language's
    plurals aren't known here: then `source` is translated as it stands.
    """

    term: str
    source: str
    target: str
    gender: str
    plural: bool = False
    possessive: bool = False
    free: bool = False


@dataclass(frozen=True)
class Kept:
    """An identifier, which stays as it is."""

    text: str


Piece = str | Forced | Kept


class Wordings:
    """The terms that have a translation into a language, to be found in sentences.

    Args:
        terms: the project's. language: the target's tag; for `es-419` the column of that name counts, or else `es`.
    """

    def __init__(self, terms: Sequence[Term], language: str) -> None:
        self.spanish = same_language(language, "es")
        self.forms: dict[tuple[str, ...], tuple[Form, str]] = {}
        for term in terms:
            wording = term.translations.get(language) or term.translations.get(language.partition("-")[0], "")
            for form in (form for form in forms_of(term) if wording and form.kind == "term"):
                self.forms.setdefault(form.folded, (form, wording))
        self.texts = {form.term.text.casefold() for form, _ in self.forms.values()}
        self.longest = max(map(len, self.forms), default=0)

    def pieces(self, source: str) -> list[Piece]:
        """A sentence in pieces, which put together are it again; the longest of two terms wins, identifiers first.

        A term is found in the plural, too, and a term in small letters with a capital; the person Will is not found
        in "will".
        """
        parts: list[Piece] = []
        done = 0
        for start, end in identifiers(source):
            if source[start:end].casefold() in self.texts:
                continue  # the glossary says more: "GitHub"
            parts += [*self._terms(source[done:start]), Kept(source[start:end])]
            done = end
        return [*parts, *self._terms(source[done:])]

    def _terms(self, text: str) -> Iterator[Piece]:
        """A text without identifiers in pieces."""
        spans = list(_words(text))
        heard = [Heard(text[a:b], *taken_apart(text[a:b]), False) for a, b in spans]
        done = at = 0
        while at < len(heard):
            found = self._at(heard, at)
            if found is None:
                at += 1
                continue
            forced, count, tail = found
            start, end = spans[at][0] + len(heard[at].lead), spans[at + count - 1][1] - len(tail)
            forced = Forced(**{**vars(forced), "source": text[start:end]})
            if forced.possessive and end + len(tail) < len(text.rstrip()) and tail in ("'s", "’s", "'", "’"):
                end += len(tail)
            else:
                forced = Forced(**{**vars(forced), "possessive": False})
            if start > done:
                yield text[done:start]
            yield forced
            done, at = end, at + count
        if done < len(text):
            yield text[done:]

    def _at(self, heard: Sequence[Heard], at: int) -> tuple[Forced, int, str] | None:
        """The longest term that begins with a word, how many words it has, and what follows it in the last."""
        for count in range(min(self.longest, len(heard) - at), 0, -1):
            window = list(heard[at : at + count])
            for last, tail in window[-1].endings:
                form, wording = self.forms.get((*(word.folded for word in window[:-1]), last), (None, ""))
                if form is None or not self._is_meant(window, form):
                    continue
                free = form.plural and not self.spanish
                target = pluralised(wording) if form.plural and self.spanish else wording
                owner = tail != window[-1].tail
                term = form.term
                return Forced(term.text, "", target, term.gender, form.plural, owner, free), count, tail
        return None

    @staticmethod
    def _is_meant(window: list[Heard], form: Form) -> bool:
        marks = inner_marks(window)
        if marks.strip("-.'’") and marks != form.marks:
            return False
        capital = form.term.text.lstrip("\"'“‘«([{¿¡.")[:1].isupper()
        return not capital or not window[0].core.lstrip(".")[:1].islower()


def _words(text: str) -> Iterator[tuple[int, int]]:
    """Where the words of a text begin and end, in order."""
    start = None
    for at, character in enumerate(text + " "):
        if character.isspace():
            if start is not None:
                yield start, at
            start = None
        elif start is None:
            start = at


def plain(piece: Piece) -> str:
    """A piece as it stands in the sentence."""
    if isinstance(piece, str):
        return piece
    return piece.text if isinstance(piece, Kept) else piece.source + ("'s" if piece.possessive else "")
