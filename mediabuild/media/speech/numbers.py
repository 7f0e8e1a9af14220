"""Numbers as they are said, English ones in several ways each: tuples of lower-case words.

The words come from num2words; what it can't do is put together here: "nineteen oh five", "two fifty", "oh seven".

Not here: what stands around a number, money, times and dates (`readings`).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

Reading = tuple[str, ...]

MOST = 32  # readings of one word; each costs time, and the likeliest come first
PATTERN = r"\d[\d,]*(?:\.\d+)?|\.\d+"
ROMAN = re.compile(r"(?=[IVXLC])(XC|XL|L?X{0,3})(IX|IV|V?I{0,3})")
VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}


def joined(*parts: Sequence[Reading]) -> list[Reading]:
    """All ways to read one part after the other, the likeliest of each first."""
    ways = itertools.islice(itertools.product(*parts), 4 * MOST)
    return [tuple(itertools.chain.from_iterable(way)) for way in ways]


def in_words(number: str | int, to: str = "cardinal", language: str = "en") -> Reading:
    """A number as num2words says it, without its commas and hyphens; nothing where it can't.

    Args:
        to: `cardinal`, `ordinal` or `year`. language: ISO 639-1 code.
    """
    from num2words import num2words

    try:
        said = num2words(int(number), to=to, lang=language)
    except (NotImplementedError, OverflowError, ValueError, TypeError, LookupError):
        return ()
    return tuple(re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)*", said.lower()))


def cardinal(number: str | int) -> Reading:
    """`250` → two hundred fifty."""
    return tuple(word for word in in_words(number) if word != "and")


def ordinal(number: str | int) -> Reading:
    """`21` → twenty first."""
    return tuple(word for word in in_words(number, "ordinal") if word != "and")


def digits(text: str, zero: str = "zero") -> Reading:
    """`205` → two zero five."""
    return tuple(zero if digit == "0" else in_words(digit)[0] for digit in text if digit.isdigit())


def number(text: str) -> list[Reading]:
    """A number without a sign: `1,250`, `3.14`, `.5`, `1905`, `007`."""
    whole, _, decimals = text.replace(",", "").partition(".")
    if not decimals:
        return whole_number(whole, plain="," not in text)
    heads = [*(whole_number(whole)[:2] if whole else []), *([()] if whole in ("", "0") else [])]
    tails = [digits(decimals), digits(decimals, "oh"), *([cardinal(decimals)] if len(decimals) > 1 else [])]
    return joined(heads, [("point",)], tails)


def whole_number(text: str, plain: bool = True) -> list[Reading]:
    """A whole number; `plain` is one without commas, which may be a year, a house number, a telephone number."""
    leading_zero = text.startswith("0") and text != "0"
    found = [] if leading_zero else [cardinal(text), in_words(text)]
    if plain and len(text) == 4 and not leading_zero:
        years = [in_words(text, "year"), pairs(text)]
        found = [*years, *found] if "1100" <= text < "2100" else [*found, *years]
    if plain and len(text) == 3 and not leading_zero:
        found += [(*cardinal(text[0]), *two_digits(text[1:]))]
    if plain and (len(text) > 2 or leading_zero):
        found += [digits(text), digits(text, "oh")]
    return found + ([("oh",)] if text == "0" else [])


def pairs(text: str) -> Reading:
    """Four digits two by two: `2500` → twenty five hundred, `2501` → twenty five oh one."""
    return (*cardinal(text[:2]), *two_digits(text[2:]))


def two_digits(text: str) -> Reading:
    """Two digits after others: `04` → oh four, `00` → hundred."""
    if text == "00":
        return ("hundred",)
    return ("oh", *cardinal(text[1])) if text[0] == "0" else cardinal(text)


def decade(text: str) -> list[Reading]:
    """`1980` or `80` → nineteen eighties, eighties."""
    found = [pairs(text), cardinal(text)] if len(text) == 4 else [cardinal(text)]
    return [(*way[:-1], re.sub("y$", "ie", way[-1]) + "s") for way in found]


def fraction(whole: str, top: int, bottom: int) -> list[Reading]:
    """`1`, 1, 2 (one and a half); `whole` may be empty."""
    below = ordinal(bottom)
    one, several = {2: ("half", "halves"), 4: ("quarter", "quarters")}.get(bottom, (below[-1], below[-1] + "s"))
    name = (*below[:-1], one if top == 1 else several)
    found = [(*cardinal(top), *name), *([("a", *name), name] if top == 1 else [])]
    found += [(*cardinal(top), *below[:-1], below[-1] + "s")] if bottom == 4 else []
    found += [(*cardinal(top), *between, *cardinal(bottom)) for between in ((), ("over",), ("slash",), ("out", "of"))]
    return joined([(*cardinal(whole), "and")], found) if whole else found


def roman(word: str) -> int:
    """The value of a Roman numeral below 100, 0 where the word is none."""
    if not word or not ROMAN.fullmatch(word):
        return 0
    values = [VALUES[letter] for letter in word]
    return sum(-one if one < other else one for one, other in itertools.pairwise([*values, 0]))


def in_language(word: str, language: str) -> list[Reading]:
    """A word of any language as it is; its numbers in words where num2words knows the language."""
    lower = word.lower()
    if not re.search(r"\d", word):
        return [tuple(re.findall(r"[^\W_]+(?:['’][^\W_]+)*", lower))]
    parts = re.findall(r"\d+|[^\W\d_]+", re.sub(r"(?<=\d)[.,](?=\d{3}\b)", "", lower))
    said = (
        [in_words(part, kind, language) if part.isdigit() else (part,) for part in parts]
        for kind in ("cardinal", "year")
    )
    return [*(tuple(itertools.chain.from_iterable(way)) for way in said if all(way)), (lower,)]
