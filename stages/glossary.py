"""Correct the project's terms in the transcript, and list words that might become terms.

A near miss is corrected only where the recogniser can't have meant what it wrote. It knows the
words of a dictionary: one in small letters is what was said, however near a term is, unless the rest of the
term stands beside it ("north land Park").
Each correction is recorded, with what was there. A spelling under `alternatives` always counts.

Not here: forcing the terms in a translation (`translate`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from mediabuild.errors import StageError
from mediabuild.media import formats
from mediabuild.media.formats import Transcript, Word
from mediabuild.media.sentences import sentence_spans, spoken_words
from mediabuild.media.terms import Term, fold, read_terms, write_rows, write_terms
from mediabuild.media.words import text_of
from mediabuild.stage import Context, stage

Kind = Literal["term", "spelling", "alternative", "near miss"]
# A small word beside a term is itself, not the term's broken-off beginning ("to Norland", "a Dean").
_FUNCTION_WORDS = """
a an the this that of to in on at by for from with and or but nor so as if not no is are was were be do did has had have
will can may i we you he she it they me us him them my our your his her its their all up out
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
DERIVATION = re.compile(r"(e?rs?|ians?|ish|ing|ed|ly|like|ness|esque)")
SURE = 90.0  # the similarity at which even words of the dictionary are taken for a name it lacks


class GlossaryParams(msgspec.Struct, forbid_unknown_fields=True):
    """How eagerly terms are repaired, and how many new ones are proposed."""

    similarity: Annotated[
        float, msgspec.Meta(ge=0, le=100, description="how near a misheard word must be to a term, in percent")
    ] = 82.0
    min_letters: Annotated[
        int, msgspec.Meta(ge=2, le=40, description="shorter terms are only repaired where they sound the same")
    ] = 5
    max_candidates: Annotated[int, msgspec.Meta(ge=0, le=1000, description="how many new terms to propose")] = 40


@dataclass(frozen=True)
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
        """The best match first: what is there already, then the likest, the longest, the earliest."""
        as_written = self.kind in ("term", "spelling")
        return (-self.score, not as_written, -len(self.form.folded), self.count, self.first)


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


@stage(
    version=2,
    inputs={"transcript": "what was said, with word times"},
    optional={"terms": "CSV files: term, a column per language, alternatives, gender, note"},
    outputs={
        "transcript": "transcript.json",
        "terms": "terms.csv",
        "candidates": "candidates.csv",
        "corrections": "corrections.json",
    },
    tools=("rapidfuzz", "yake", "pocketsphinx"),
)
def glossary(ctx: Context, params: GlossaryParams) -> None:
    """Correct the project's terms in the transcript, and list words that might become terms."""
    terms = read_terms(ctx.inputs("terms"))
    transcript = formats.read(ctx.input("transcript"), Transcript)
    words = spoken_words(transcript)
    dictionary = ctx.model("pronunciations", _pronunciations) if transcript.language.split("-")[0] == "en" else {}
    speller = Speller(terms, dictionary, params)
    starts = {id(words[first]) for first, _ in sentence_spans(words, transcript.language)}
    corrections: list[Correction] = []
    occurring: set[str] = set()
    done = 0
    for segment in transcript.segments:
        matches = speller.matches(segment.words, [id(word) in starts for word in segment.words])
        occurring |= {match.form.term.text for match in matches}
        segment.words, repairs = repaired(segment.words, matches, segment.id, done)
        if repairs:
            segment.text = text_of(segment.words)
        corrections += repairs
        done += len(segment.words)
    formats.write(ctx.output("transcript"), transcript)
    formats.write(ctx.output("corrections"), Corrections(corrections))
    write_terms(ctx.output("terms"), [term for term in terms if term.text in occurring])
    proposed = candidates(transcript, terms, dictionary, params.max_candidates)
    write_rows(ctx.output("candidates"), [["candidate", "occurrences", "example"], *proposed])


# Finding terms among the words


@dataclass
class Token:
    """A word taken apart: `core`, with its possessive, between the punctuation of `lead` and `tail`."""

    text: str
    lead: str
    core: str
    tail: str
    at_start: bool  # of a sentence, where a capital says nothing
    folded: str = field(init=False)

    def __post_init__(self) -> None:
        self.folded = fold(self.core)

    @property
    def endings(self) -> list[tuple[str, str]]:
        """(folded core, what follows it): as it is, and with a possessive taken as part of the tail."""
        found = [(self.folded, self.tail)]
        if owner := re.fullmatch(r"(.+)(['’]s?)", self.core):
            found.append((fold(owner[1]), owner[2] + self.tail))
        return found


def _token(word: Word, at_start: bool) -> Token:
    parts = re.fullmatch(r"([^\w]*)(.*?)([^\w]*)", word.text, re.DOTALL)
    assert parts is not None
    return Token(word.text, parts[1], parts[2], parts[3], at_start)


def _pronunciations() -> dict[str, list[str]]:
    """English words → phones without the vowels that nobody tells apart unstressed; CMUdict, from pocketsphinx."""
    try:
        from pocketsphinx import get_model_path
    except ImportError as error:
        raise StageError("glossary: pocketsphinx is missing", "pip install 'mediabuild[media]'") from error
    found: dict[str, list[str]] = {}
    punctuation = str.maketrans("", "", ".-_")
    for line in Path(get_model_path("en-us/cmudict-en-us.dict")).read_text(encoding="utf-8").splitlines():
        word, phones = line.split(" ", 1)
        spelling = word.partition("(")[0].translate(punctuation).strip("'")  # as `fold` would, but faster
        found.setdefault(spelling, []).append(phones.replace("AH", "IH"))
    return found


class Speller:
    """Knows every form of every term, and finds them in the words of a segment."""

    def __init__(self, terms: list[Term], dictionary: dict[str, list[str]], params: GlossaryParams) -> None:
        self.params = params
        self.dictionary = dictionary
        self.exact: dict[str, list[Form]] = {}
        self.forms: list[Form] = []
        for term in terms:
            for form in _forms(term):
                self.exact.setdefault(form.joined, []).append(form)
                if form.kind == "term":
                    self.forms.append(form)
        self.choices = [form.joined for form in self.forms]
        self.longest = max((len(form.folded) for forms in self.exact.values() for form in forms), default=0)

    def matches(self, words: list[Word], at_start: list[bool]) -> list[Match]:
        """The terms in a segment, in order, not overlapping; the best wins where two want one word."""
        tokens = [_token(word, start) for word, start in zip(words, at_start, strict=True)]
        found: list[Match] = []
        for count in range(1, self.longest + 2 if self.longest else 1):
            for first in range(len(tokens) - count + 1):
                window = tokens[first : first + count]
                for last, tail in window[-1].endings:
                    folded = (*(token.folded for token in window[:-1]), last)
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

    def _readings(self, window: list[Token], folded: tuple[str, ...], first: int, tail: str) -> Iterator[Match]:
        """What a window of words may be: exactly a form, or nearly."""
        from rapidfuzz import fuzz, process

        joined = "".join(folded)
        for form in self.exact.get(joined, []):
            if form.kind == "alternative" and form.folded == folded:
                yield Match(first, len(window), form, "alternative", 100.0, tail)
            elif form.kind == "term" and form.folded == folded and self._is_meant(window, form):
                yield Match(first, len(window), form, _kind_of(window, form, tail), 100.0, tail)
        inner = "".join(token.tail + following.lead for token, following in pairwise(window))
        if inner.strip("-.'’") or any(c.isdigit() for c in joined):
            return  # a term doesn't run on across a comma, and "2019" is no misspelt "2018"
        for _, _, index in process.extract(joined, self.choices, scorer=fuzz.ratio, score_cutoff=60, limit=None):
            form = self.forms[index]
            score = self._near_miss(window, folded, form)
            if score is not None and form.folded != folded:
                yield Match(first, len(window), form, "near miss", round(score, 1), tail)

    def _is_meant(self, window: list[Token], form: Form) -> bool:
        """ "will" is not the person Will: a single word of the dictionary must have the term's capital."""
        if len(window) > 1 or not self._all_known(form.folded):
            return True
        return form.words[0][:1].islower() or window[0].core[:1].isupper()

    def _near_miss(self, window: list[Token], folded: tuple[str, ...], form: Form) -> float | None:
        """How like `form` the window is, 0 … 100, or None where it can't have been meant."""
        from rapidfuzz import fuzz

        left, right = _anchors(folded, form.folded)
        heard = folded[left : len(folded) - right]
        meant = form.folded[left : len(form.folded) - right]
        if not heard or not meant or (form.plural and not folded[-1].endswith("s")):
            return None  # a word more or less is no mishearing
        anchored = any(word not in FUNCTION_WORDS for word in folded[:left] + folded[len(folded) - right :])
        same = "".join(heard) == "".join(meant)
        if (FUNCTION_WORDS & set(heard)) - set(meant) and not (same and anchored):
            return None
        score = float(fuzz.ratio("".join(heard), "".join(meant)))
        tokens = window[left : len(window) - right]
        return score if self._was_misheard(tokens, heard, meant, score, anchored) else None

    def _was_misheard(
        self, tokens: list[Token], heard: tuple[str, ...], meant: tuple[str, ...], score: float, anchored: bool
    ) -> bool:
        """Whether `heard` stands for `meant`; see the module's first words for the principle."""
        common = all(self._is_common(token, word) for token, word in zip(tokens, heard, strict=True))
        if common and not anchored:
            return False
        if "".join(heard) == "".join(meant) or self._sound_alike(heard, meant):
            return True  # "nor land Park", "Mary Ann"
        if len("".join(meant)) < self.params.min_letters or score < self.params.similarity or _derived(heard, meant):
            return False
        if not self._all_known(heard) and not common:
            return anchored or len(heard) <= len(meant) or score >= SURE
        if common or self._all_known(meant):
            return anchored and len(heard) > len(meant)  # a name broken in pieces: "north land Park"
        return score >= SURE

    def _all_known(self, words: tuple[str, ...]) -> bool:
        return all(word in self.dictionary for word in words)

    def _is_common(self, token: Token, folded: str) -> bool:
        """A word as the dictionary has it; without a dictionary, every word in small letters is one."""
        small = token.at_start or not token.core[:1].isupper()
        return small and (not self.dictionary or folded in self.dictionary)

    def _sound_alike(self, heard: tuple[str, ...], meant: tuple[str, ...]) -> bool:
        if not self._all_known(heard) or not self._all_known(meant):
            return False
        return bool(self._sounds(heard) & self._sounds(meant))

    def _sounds(self, words: tuple[str, ...]) -> set[str]:
        sounds = {""}
        for word in words:
            sounds = {f"{sound} {phones}" for sound in sounds for phones in self.dictionary[word]}
        return sounds


def _derived(heard: tuple[str, ...], meant: tuple[str, ...]) -> bool:
    """Whether the word is made from the term, as "Londoner" and "PyTorch" are: a word of its own."""
    before, whole, after = heard[0].partition(meant[0])
    return len(heard) == 1 and bool(whole) and (len(before) > 1 or bool(DERIVATION.fullmatch(after)))


def _forms(term: Term) -> Iterator[Form]:
    """A term and its alternatives, each also in the plural."""
    spellings: list[tuple[Kind, str]] = [("term", term.text), *(("alternative", text) for text in term.alternatives)]
    for kind, spelling in spellings:
        for ending in ("", _plural_ending(spelling)):
            now = term.text + (_plural_ending(term.text) if ending else "")
            folded = tuple(filter(None, (fold(word) for word in (spelling + ending).split())))
            yield Form(term, kind, folded, tuple(now.split()), bool(ending))


def _plural_ending(text: str) -> str:
    return "es" if text.lower().endswith(("s", "x", "z", "ch", "sh")) else "s"


def _anchors(heard: tuple[str, ...], meant: tuple[str, ...]) -> tuple[int, int]:
    """How many words both share at their beginning, and at their end."""
    shorter = min(len(heard), len(meant))
    left = next((i for i in range(shorter) if heard[i] != meant[i]), shorter)
    right = next((i for i in range(shorter - left) if heard[-1 - i] != meant[-1 - i]), shorter - left)
    return left, right


def _kind_of(window: list[Token], form: Form, tail: str) -> Kind:
    """`spelling` where a term is there, but with other capitals, accents or hyphens than the glossary's.

    Capitals count only for a term that has some, and only in a word that isn't all capitals.
    """
    was, now = " ".join(token.text for token in window), " ".join(_spelt(window[0], form, tail))
    only_capitals = was.casefold() == now.casefold() and (form.term.text.islower() or was.isupper())
    return "term" if was == now or only_capitals else "spelling"


def _spelt(first: Token, form: Form, tail: str) -> list[str]:
    """The words of a form as they are shown in place of words that begin with `first`."""
    words = list(form.words)
    if words[0][:1].islower() and first.core[:1].isupper():
        words[0] = words[0][:1].upper() + words[0][1:]
    words[0] = first.lead + words[0]
    words[-1] += tail.removeprefix(".") if words[-1].endswith(".") else tail
    return words


# Repairing


def repaired(
    words: list[Word], matches: list[Match], segment: int, counted: int
) -> tuple[list[Word], list[Correction]]:
    """A segment's words with its matches spelt as the glossary spells them.

    Args:
        words: the segment's words.
        matches: in order, not overlapping.
        segment: its id. counted: words before it in the transcript.
    """
    result: list[Word] = []
    corrections: list[Correction] = []
    at = 0
    for match in (match for match in matches if match.kind != "term"):
        result += words[at : match.first]
        at = match.first + match.count
        old = words[match.first : at]
        texts = _spelt(_token(old[0], False), match.form, match.tail)
        was, now = " ".join(word.text for word in old), " ".join(texts)
        place = counted + len(result)
        corrections.append(Correction(segment, place, old[0].start_s, was, now, match.kind, match.score))
        result += _timed(texts, old)
    return [*result, *words[at:]], corrections


def _timed(texts: list[str], old: list[Word]) -> list[Word]:
    """New words in the time of old ones: one by one, else spread over the whole by length."""
    if len(texts) == len(old):
        return [
            Word(text, word.start_s, word.end_s, word.aligned, word.space_after)
            for text, word in zip(texts, old, strict=True)
        ]
    start_s, end_s = old[0].start_s, max(word.end_s for word in old)
    aligned = len(texts) == 1 and all(word.aligned for word in old)
    letters = [0]
    for text in texts:
        letters.append(letters[-1] + len(text))
    bounds = [round(start_s + (end_s - start_s) * n / letters[-1], 3) for n in letters]
    bounds[0], bounds[-1] = start_s, end_s
    made = [Word(text, *times, aligned) for text, times in zip(texts, pairwise(bounds), strict=True)]
    made[-1].space_after = old[-1].space_after
    return made


# Proposing


def candidates(
    transcript: Transcript, terms: list[Term], dictionary: dict[str, list[str]], limit: int
) -> list[list[Any]]:
    """Rows of candidate, occurrences and an example, the most telling first (yake's order).

    Kept: what occurs twice outside of terms, and is a name (never in small letters elsewhere, and
    not only at the start of sentences, where "Are" and "But" look like names), a word that the
    dictionary lacks, or several words.
    """
    words = spoken_words(transcript)
    if not words or not limit:
        return []
    import yake

    extractor = yake.KeywordExtractor(lan=transcript.language.split("-")[0], n=3, top=limit * 10)
    starts = {first for first, _ in sentence_spans(words, transcript.language)}
    text = Phrases([_token(word, index in starts) for index, word in enumerate(words)])
    for form in (form for term in terms for form in _forms(term)):
        text.cover(form.folded)
    scored = extractor.extract_keywords(" ".join(word.text for word in words))
    found: dict[tuple[str, ...], list[int]] = {}
    for phrase, _ in sorted(scored, key=lambda pair: (round(float(pair[1]), 9), pair[0])):
        folded = tuple(fold(word) for word in phrase.split())
        places = text.places(folded)
        stop = len(folded) == 1 and phrase.lower() in extractor.stopword_set
        if len(places) >= 2 and not stop and text.tells(places, len(folded), dictionary):
            found.setdefault(folded, places)
    whole = [folded for folded in found if not _is_part(folded, found)]
    return [[text.name(found[f], len(f)), len(found[f]), text.around(found[f][0], len(f))] for f in whole[:limit]]


def _is_part(folded: tuple[str, ...], found: dict[tuple[str, ...], list[int]]) -> bool:
    """Whether a longer candidate is there each time, too: "Barton" in "Barton Cottage"."""
    inside = f" {' '.join(folded)} "
    return any(
        len(other) > len(folded) and inside in f" {' '.join(other)} " and len(places) >= len(found[folded])
        for other, places in found.items()
    )


class Phrases:
    """The words of a transcript, to look phrases up in."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.readings = [{folded for folded, _ in token.endings} for token in tokens]
        self.index: dict[str, list[int]] = {}
        for place, readings in enumerate(self.readings):
            for folded in readings:
                self.index.setdefault(folded, []).append(place)

    def places(self, folded: tuple[str, ...]) -> list[int]:
        """Where these words stand, possessive or not."""
        return [
            first
            for first in self.index.get(folded[0], [])
            if first + len(folded) <= len(self.tokens)
            and all(word in self.readings[first + i] for i, word in enumerate(folded))
        ]

    def cover(self, folded: tuple[str, ...]) -> None:
        """Take these words out of the search, wherever they stand."""
        for first in self.places(folded):
            for place in range(first, first + len(folded)):
                self.readings[place] = set()

    def tells(self, places: list[int], size: int, dictionary: dict[str, list[str]]) -> bool:
        """Whether the phrase is worth a person's look."""
        inside = [self.tokens[place] for place in places if not self.tokens[place].at_start]
        capitals = [token.core[:1].isupper() for token in inside]
        if any(capitals):
            return all(capitals)
        unknown = bool(dictionary) and self.tokens[places[0]].folded not in dictionary
        return unknown or (size > 1 and bool(inside))

    def name(self, places: list[int], size: int) -> str:
        """The phrase as it is written away from the start of a sentence, where it is anywhere."""
        place = next((place for place in places if not self.tokens[place].at_start), places[0])
        text = " ".join(token.core for token in self.tokens[place : place + size])
        return re.sub(r"['’]s?$", "", text)

    def around(self, place: int, size: int) -> str:
        """An example: the phrase with four words on either side."""
        return " ".join(token.text for token in self.tokens[max(0, place - 4) : place + size + 4])
