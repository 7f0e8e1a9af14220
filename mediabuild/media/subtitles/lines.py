"""Where lines are broken: how badly a break after a word tears what belongs together, and the best lines of a cue.

A break costs nothing after a sentence, little after a comma, and much after an article, preposition, auxiliary,
negation or clitic, or inside a name. After the line treatment of Netflix's timed text guides.

Not here: which words are shown at once (`cues`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate, combinations, pairwise, takewhile

from mediabuild.media.subtitles.cue_rules import Rules
from mediabuild.media.subtitles.tokens import Token
from mediabuild.media.text.function_words import NAME_PARTICLES, clinging, joining
from mediabuild.media.text.sentences import OPENING
from mediabuild.media.text.words import columns, end_of_line, is_spaceless

# Costs of a break; a cue costs 1, so 40 is never worth it where there is another way.
CLINGS, TEARS_NAME, PLAIN, JOINS, AFTER_COMMA = 40.0, 30.0, 4.0, 2.0, 1.0
TOO_WIDE = 1000.0
MOSTLY_CAPITALS = 0.7  # with a greater part of capitalised words, a capital tells no name (headlines, German)
_PAUSING = re.compile(r"[,;:—–!?…、，；：؛،!?][^\w\s]*$")
_NAMED = re.compile(r"[^\W\d_][\w'’.-]*$")


class Breaks:
    """What a break after each token of a text would cost, and why.

    Args:
        tokens: of the whole text. language: its tag.
    """

    def __init__(self, tokens: Sequence[Token], language: str) -> None:
        self.clinging, self.joining = clinging(language), joining(language)
        words = [token for token in tokens if token.text[:1].isalpha()]
        capitals = sum(_capital(token.text) for token in words)
        self.names_show = not language.startswith("de") and capitals <= MOSTLY_CAPITALS * len(words)
        self.faults = [self._fault(tokens, at) for at in range(len(tokens))]
        self.costs = [self._cost(tokens, at) for at in range(len(tokens))]

    def _fault(self, tokens: Sequence[Token], at: int) -> str | None:
        """The rule that a break after a token breaks: `line_end`, `name`, or None."""
        token = tokens[at]
        if token.ends or at + 1 == len(tokens):
            return None
        if _small(token.text) in self.clinging and not _PAUSING.search(token.text):
            return "line_end"
        return "name" if self.names_show and self._inside_name(tokens, at) else None

    def _inside_name(self, tokens: Sequence[Token], at: int) -> bool:
        """Whether a name goes on after a token: "Mary | Ann", "Juan | de la Cruz", "J. | Smith"."""
        one, other = tokens[at].text.lstrip(OPENING), tokens[at + 1].text
        initial = len(one) == 2 and one.endswith(".")
        if not _capital(other) or other.startswith(("I'", "I’")) or other.rstrip(",.") == "I":
            before = self._named(tokens, at) and other in NAME_PARTICLES
            rest = takewhile(lambda token: not token.ends, tokens[at + 1 : at + 3])
            return before and any(_capital(tokens[at + 2 + number].text) for number, _ in enumerate(rest))
        if one in NAME_PARTICLES:
            return at > 0 and (self._named(tokens, at - 1) or tokens[at - 1].text in NAME_PARTICLES)
        return (initial and one[0].isupper()) or self._named(tokens, at)

    def _named(self, tokens: Sequence[Token], at: int) -> bool:
        """Whether a token looks like a name that may go on: capitalised, no small word, nothing behind it."""
        text = tokens[at].text.lstrip(OPENING)
        known = _small(text) in self.clinging or _small(text) in self.joining
        return _capital(text) and bool(_NAMED.fullmatch(text)) and not text.endswith(".") and not known and text != "I"

    def _cost(self, tokens: Sequence[Token], at: int) -> float:
        token = tokens[at]
        if token.ends or at + 1 == len(tokens):
            return 0.0
        fault, following = self.faults[at], tokens[at + 1]
        if fault:
            return CLINGS if fault == "line_end" else TEARS_NAME
        if _PAUSING.search(token.text):
            return AFTER_COMMA
        pause_ms = following.start_ms - token.end_ms
        cost = JOINS if following.text.lower() in self.joining else PLAIN
        cost += JOINS if token.text.lower() in self.joining else 0.0
        cost += JOINS if token.text[-1:].isdigit() and not is_spaceless(following.text) else 0.0  # a unit follows
        return max(AFTER_COMMA, cost - pause_ms / 200)


def _small(text: str) -> str:
    """A word as the lists of small words have it; "Mr." is "mr"."""
    return text.lstrip(OPENING).lower().replace("’", "'").rstrip(".")


def _capital(text: str) -> bool:
    return text.lstrip(OPENING)[:1].isupper()


class Layout:
    """A text measured: which words fit into a line, and how a cue of them is best broken.

    Args:
        tokens: of the whole text. rules: of its language.
    """

    def __init__(self, tokens: Sequence[Token], rules: Rules) -> None:
        self.tokens, self.rules = tokens, rules
        breaks = Breaks(tokens, rules.language)
        self.costs, self.faults = breaks.costs, breaks.faults
        self.spaces = [int(token.space_after) for token in tokens]
        self.reached = [0, *accumulate(columns(t.text) + t.space_after for t in tokens)]

    def width(self, first: int, stop: int) -> int:
        """How many columns the tokens `first … stop - 1` take in one line."""
        return self.reached[stop] - self.reached[first] - self.spaces[stop - 1]

    def lines_needed(self, first: int, stop: int) -> int:
        """How many lines there are when each is filled before the next: the fewest there can be."""
        lines, begin = 1, first
        for at in range(first + 1, stop):
            if self.width(begin, at + 1) > self.rules.line_columns:
                lines, begin = lines + 1, at
        return lines

    def best_breaks(self, first: int, stop: int) -> tuple[float, tuple[int, ...]]:
        """The cheapest way to break a cue into as few lines as it needs: its cost, and where its later lines begin."""
        fewest = min(self.lines_needed(first, stop), self.rules.max_lines, stop - first)
        if fewest <= 1:
            return 0.0, ()
        ways = combinations(range(first + 1, stop), fewest - 1)
        return min((self._lines_cost((first, *way, stop)), way) for way in ways)

    def lines(self, first: int, stop: int) -> tuple[str, ...]:
        """A cue's lines; with the space at a line's end that its script would not show otherwise."""
        bounds = [first, *self.best_breaks(first, stop)[1], stop]
        return tuple(self._line(a, b, stop) for a, b in pairwise(bounds))

    def _line(self, first: int, stop: int, cue_stop: int) -> str:
        shown = self.tokens[first:stop]
        text = "".join(token.text + " " * token.space_after for token in shown[:-1]) + shown[-1].text
        following = self.tokens[stop].text if stop < cue_stop else ""
        return text + (end_of_line(text, following, shown[-1].space_after) if following else "")

    def _lines_cost(self, bounds: Sequence[int]) -> float:
        """One line if it fits, else broken where the sense allows, of like length, the lower one longer."""
        lengths = [self.width(a, b) for a, b in pairwise(bounds)]
        cost = sum(TOO_WIDE for length in lengths if length > self.rules.line_columns)
        cost += sum(self.costs[at - 1] for at in bounds[1:-1])
        cost += 6 * (max(lengths) - min(lengths)) / self.rules.line_columns
        return cost + 0.5 * sum(upper > lower for upper, lower in pairwise(lengths))
