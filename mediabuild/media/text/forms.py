"""Words of a transcript taken apart, and the forms in which a term may stand among them.

Not here: which words are a term (`spelling`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from mediabuild.media.formats import Word
from mediabuild.media.text.terms import Term, fold, is_symbol

Kind = Literal["term", "spelling", "alternative", "near miss"]


@dataclass
class Heard:
    """A word taken apart: `core`, with its possessive and symbols, between the punctuation of `lead` and `tail`."""

    text: str
    lead: str
    core: str
    tail: str
    at_start: bool  # of a sentence, where a capital says nothing
    folded: str = field(init=False)

    def __post_init__(self) -> None:
        self.folded = fold(self.core)

    @classmethod
    def of(cls, word: Word, at_start: bool) -> Heard:
        """A transcript's word."""
        return cls(word.text, *taken_apart(word.text), at_start)

    @property
    def endings(self) -> list[tuple[str, str]]:
        """(folded core, what follows it): as it is, and with a possessive taken as part of the tail."""
        found = [(self.folded, self.tail)]
        if owner := re.fullmatch(r"(.+)(['’]s?)", self.core):
            found.append((fold(owner[1]), owner[2] + self.tail))
        return found


def taken_apart(text: str) -> tuple[str, str, str]:
    """Punctuation, what is said, punctuation: `"C++,` → `"`, `C++`, `,`; a dot before a letter is a name's (`.NET`)."""
    said = [at for at, character in enumerate(text) if character.isalnum() or is_symbol(character)]
    if not said:
        return text, "", ""
    first, last = said[0], said[-1] + 1
    if text[:first].endswith(".") and not text[:first].endswith("..") and text[first].isalnum():
        first -= 1
    return text[:first], text[first:last], text[last:]


@dataclass(frozen=True, eq=False)
class Form:
    """One way in which a term may be written: its words, folded, and the words that replace them."""

    term: Term
    kind: Kind
    folded: tuple[str, ...]
    words: tuple[str, ...]
    plural: bool

    @property
    def joined(self) -> str:
        return "".join(self.folded)

    def spelt(self, first: Heard, tail: str) -> list[str]:
        """The words as they are shown in place of words that begin with `first` and end with the punctuation `tail`."""
        words = list(self.words)
        lead, said, _ = taken_apart(words[0])
        if said[:1].islower() and words[0].islower() and first.core[:1].isupper():
            words[0] = lead + said[:1].upper() + said[1:]
        words[0] = first.lead.removesuffix(lead) + words[0]
        own = taken_apart(words[-1])[2]
        if own.strip("!?…"):  # the dot of "U.S."; the mark of "Yahoo!" is not for every sentence
            tail = tail.removeprefix(own)
        else:
            words[-1] = words[-1].removesuffix(own)
        words[-1] += tail
        return words

    @property
    def marks(self) -> str:
        """The punctuation between its words: a comma in "Rock, Paper, Scissors"."""
        return inner_marks([Heard(word, *taken_apart(word), False) for word in self.words])


def forms_of(term: Term) -> Iterator[Form]:
    """A term and its alternatives, each also in the plural where it has one."""
    spellings: list[tuple[Kind, str]] = [("term", term.text), *(("alternative", text) for text in term.alternatives)]
    for kind, spelling in spellings:
        for plural in (False, True):
            ending, own_ending = (_plural_ending(text) if plural else "" for text in (spelling, term.text))
            if plural and not (ending and own_ending):
                continue
            folded = tuple(filter(None, (fold(word) for word in (spelling + ending).split())))
            yield Form(term, kind, folded, tuple((term.text + own_ending).split()), plural)


def _plural_ending(text: str) -> str:
    """Of an English noun; nothing for what ends in a digit, a symbol or punctuation."""
    if not text[-1:].isalpha():
        return ""
    return "es" if text.lower().endswith(("s", "x", "z", "ch", "sh")) else "s"


def inner_marks(window: list[Heard]) -> str:
    """The punctuation between the words of a window."""
    return "".join(word.tail + following.lead for word, following in pairwise(window))
