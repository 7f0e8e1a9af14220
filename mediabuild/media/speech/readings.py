"""How written words are read aloud: numbers, money, times, dates, abbreviations, initials and symbols.

A written word has several readings: "1905" is "nineteen oh five", "nineteen hundred and five", "one nine zero five".
Which of them was spoken, the sound tells (`forcing`). In languages other than English only numbers have readings.

Not here: what signs stand for (`signs`), and how a word sounds (`pronunciations`).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence

from mediabuild.media.speech.numbers import (
    MOST,
    PATTERN,
    Reading,
    cardinal,
    decade,
    digits,
    fraction,
    in_language,
    in_words,
    joined,
    number,
    ordinal,
    roman,
    two_digits,
    whole_number,
)
from mediabuild.media.speech.signs import (
    ABBREVIATIONS,
    CURRENCIES,
    FRACTIONS,
    MONTHS,
    NUMBERED,
    PREFIXES,
    SCALE_LETTERS,
    SCALES,
    SYMBOLS,
    UNITS,
)

NUMERIC = {*"0123456789", *CURRENCIES}
EDGES = "\"'“”‘’«»‹›„‚()[]{}<>…¿¡*_"


def readings(words: Sequence[str], language: str = "en") -> list[list[Reading]]:
    """The ways in which each word of a text may be read, the likeliest first.

    Args:
        words: as they are written, punctuation included. language: BCP 47 tag.

    Returns:
        For each word its readings: lower-case words without digits (in languages other than English a word with
        digits is also there as it is written). A word of punctuation alone has none.
    """
    code = language.partition("-")[0].lower()
    if code != "en":
        return [_distinct(in_language(_bare(word), code)) for word in words]
    # A text in capitals has no initials.
    shouted = len(words) > 1 and all(word == word.upper() for word in words)
    bare = [_bare(word.lower() if shouted else word) for word in words]
    around = ["", *bare, ""]
    return [_distinct(_english(*around[index : index + 3])) for index in range(len(bare))]


def _distinct(found: Iterable[Reading]) -> list[Reading]:
    return list(itertools.islice(dict.fromkeys(reading for reading in found if reading), MOST))


def _bare(word: str) -> str:
    """A word without the punctuation around it; signs that are read aloud stay."""
    bare = word.strip(EDGES + ",;:!?.-–—")
    before = word[: word.find(bare)][-1:] if bare else ""
    if (bare[:1].isdigit() and before in (".", "'", "’")) or (bare[:1] in NUMERIC and before == "-"):  # .5, '90s, -$5
        bare = before + bare
    return bare.replace("’", "'")


def _english(before: str, word: str, after: str) -> Iterable[Reading]:
    """The readings of a word between two others, all without punctuation around them."""
    if not re.search(r"\w", word):
        return joined(*(_told(SYMBOLS.get(sign, "")) for sign in word)) if word else []
    match = next((rule for rule in ((pattern.fullmatch(word), read) for pattern, read in RULES) if rule[0]), None)
    found = match[1](match[0]) if match and match[0] else _compound(word) or _mixed(word)
    return [*_in_context(before.lower(), after.lower(), word, found), *found]


def _in_context(before: str, after: str, word: str, found: list[Reading]) -> list[Reading]:
    """Readings that hang on a word's neighbours: millions of dollars, dates, numbered chapters."""
    if word in SCALES and before[:1] in CURRENCIES:  # "$4.2 million"
        one, several, _ = CURRENCIES[before[0]]
        return [(word, several), (word, one), (word,)]
    if word[:1] in CURRENCIES and after in SCALES:
        return number(word[1:])
    day = re.fullmatch(r"(\d{1,2})(st|nd|rd|th)?", word)
    if day and {before, after} & {*MONTHS, "jan", "feb", "apr", "aug", "sept", "sep", "oct", "nov", "dec"}:
        dates = [ordinal(day[1]), ("the", *ordinal(day[1]))]
        return [*found, *dates, *((*date, "of") for date in dates)]
    value = roman(word)
    if value and (len(word) > 1 or before in NUMBERED):
        return [cardinal(value), ("the", *ordinal(value))]
    return []


def _told(text: str) -> list[Reading]:
    """`"inc|incorporated"` → `[("inc",), ("incorporated",)]`; nothing said is one way, too."""
    return [tuple(part.split()) for part in text.split("|")]


def _money(sign: str, amount: str, scale: str = "") -> list[Reading]:
    one, several, cents = CURRENCIES[sign]
    units: list[Reading] = [(one,), (several,)] if amount == "1" else [(several,), (one,), ()]
    whole, _, small = amount.replace(",", "").partition(".")
    if scale:
        return joined(number(amount)[:3], [(SCALE_LETTERS[scale.lower()],), (scale.lower(),)], units)
    if len(small) != 2:
        return joined(number(amount)[:3], units)
    coins, wholes = cardinal(small), whole_number(whole or "0", plain="," not in amount)[:3]
    if small == "00":
        return joined(wholes, units)
    if whole in ("", "0"):
        return [(*coins, cents), (*coins, cents.removesuffix("s")), *joined(number(amount), units[:1])]
    tails = [("and", *coins, cents), coins, (*coins, cents), ("and", *coins)]
    return joined(wholes, [(one,)] if whole == "1" else units[:1], tails) + joined(wholes, [two_digits(small)])


def _time(hour: str, minute: str, rest: str) -> list[Reading]:
    hours = [cardinal(hour), *([("oh", *cardinal(hour))] if hour[0] == "0" else [])]
    full: list[Reading] = [(), ("o'clock",), ("hundred",)]
    minutes = full if minute == "00" else [two_digits(minute), cardinal(minute)]
    return joined(hours, minutes, _told(UNITS.get(rest.lower(), "")))


def _date(*parts: str) -> list[Reading]:
    """`3/14/2024`, `2024-03-14`, `14.03.2024`: with the month's name, or number by number."""
    year = next((part for part in parts if len(part) == 4), parts[2])
    first, second = [part for part in parts if part is not year][:2]
    found: list[Reading] = []
    for month, day in ((first, second), (second, first)):
        if 1 <= int(month) <= len(MONTHS) and 1 <= int(day) <= 31:
            name, nth = (MONTHS[int(month) - 1],), ordinal(day)
            days = [(*name, *nth), ("the", *nth, "of", *name), (*nth, *name), (*name, *cardinal(day))]
            found += joined(days, whole_number(year)[:2])
    return found + joined(*(number(part)[:2] for part in parts))


def _signed(sign: str, number_with_unit: str) -> list[Reading]:
    """`-5°C`, `±3%`, `~$20`: what stands before a number, and all that stands behind."""
    return joined(_told(PREFIXES[sign]), list(_english("", number_with_unit, "")))


def _compound(word: str) -> list[Reading]:
    """Parts with hyphens or slashes between them, each read by itself: `mid-1980s`, `$20–$30`, `COVID-19`."""
    parts = re.split(r"([-–/])", word)
    if len(parts) == 1 or not all(parts) or _is_address(word):
        return []
    found: list[Sequence[Reading]] = []
    for index, part in enumerate(parts):
        if index % 2 == 0:
            found.append(_distinct(_english("", part, ""))[:6])
        else:
            numbers = all(any(sign.isdigit() for sign in parts[beside]) for beside in (index - 1, index + 1))
            found.append(_told("|slash" if part == "/" else "|to" if numbers else ""))
    return joined(*found)


def _is_address(word: str) -> bool:
    return "@" in word or bool(re.fullmatch(r"(https?://)?[\w-]+(\.[\w-]+)*\.[a-z]{2,}(/\S*)?", word, re.IGNORECASE))


def _mixed(word: str) -> list[Reading]:
    """Letters, digits and signs in any mixture: `COVID-19`, `L2500`, `info@example.com`, `well-known`, `AT&T`."""
    has_digits = any(character.isdigit() for character in word)
    signs = {"-": "", "–": "", "'": ""} | {sign: f"{told}|" for sign, told in SYMBOLS.items()}
    signs |= (
        {".": "dot", "-": "|dash", "_": "|underscore", ":": "|colon", "/": "|slash"}
        if _is_address(word)
        else {"/": "|slash"}
    )
    parts = []
    for part in re.findall(rf"{PATTERN}|[^\W\d_]+(?:'[^\W\d_]+)*|[^\w\s]|_", word):
        if any(character.isdigit() for character in part):
            parts.append(number(part)[:6])
        else:
            parts.append(_letters(part, has_digits) if part[0].isalpha() else _told(signs.get(part, "")))
    return joined(*parts)


def _letters(part: str, beside_digits: bool = False) -> list[Reading]:
    """A word of letters; initials, and short ones beside digits, are spelt."""
    lower = part.lower()
    spelt, said = _spelt(part), (lower,)
    if lower in ABBREVIATIONS:
        return [*_told(ABBREVIATIONS[lower]), said]
    if len(part) > 1 and ((part.isupper() and len(part) <= 6) or (beside_digits and len(part) <= 3)):
        return [spelt, said]
    several = re.fullmatch(r"([A-Z]{2,6})'?s", part)  # DVDs
    if several:
        return [(*several[1][:-1].lower(), several[1][-1].lower() + "'s"), said]
    humps = re.findall(r"[A-Z]?[^\WA-Z\d_]+|[A-Z]+(?![^\WA-Z\d_])", part)  # YouTube
    return [said] if len(humps) < 2 or "'" in part else [said, tuple(hump.lower() for hump in humps)]


def _initials(word: str) -> list[Reading]:
    """`U.S.A`, `e.g`: letters with full stops."""
    known = ABBREVIATIONS.get(word.lower(), UNITS.get(word.lower(), ""))
    return [*_told(known), _spelt(word)]


def _spelt(word: str) -> Reading:
    return tuple(letter for letter in word.lower() if letter.isalpha())


def _range(low: list[Reading], high: list[Reading]) -> list[Reading]:
    return joined(low, [("to",), (), ("through",), ("minus",)], high)


Rule = Callable[["re.Match[str]"], "list[Reading]"]
_UNIT = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
_SIGN = "[" + "".join(CURRENCIES) + "]"
_PREFIX = "[" + re.escape("".join(PREFIXES)) + "]"
_RULES: list[tuple[str, Rule]] = [
    (rf"({_PREFIX})((?:{_SIGN})?(?:{PATTERN}).*)", lambda m: _signed(m[1], m[2])),
    (rf"(?:US|AU|CA)?({_SIGN})({PATTERN})(k|m|mn|b|bn|tn)?", lambda m: _money(m[1], m[2], m[3] or "")),
    (rf"({PATTERN})({_SIGN})", lambda m: _money(m[2], m[1])),
    (rf"({PATTERN})¢", lambda m: joined(number(m[1]), [("cents",), ("cent",)])),
    (rf"({PATTERN})%", lambda m: joined(number(m[1])[:4], [("percent",)])),
    (rf"({PATTERN})[-–]({PATTERN})%", lambda m: joined(_range(number(m[1])[:2], number(m[2])[:2]), [("percent",)])),
    (r"(\d+)(?:st|nd|rd|th)", lambda m: [ordinal(m[1]), in_words(m[1], "ordinal")]),
    (r"(\d{1,2}):(\d\d)(?::\d\d)?([ap]\.?m)?", lambda m: _time(m[1], m[2], m[3] or "")),
    (r"(\d{1,2}|\d{4})[/.-](\d{1,2})[/.-](\d{4}|\d{1,2})", lambda m: _date(m[1], m[2], m[3])),
    (r"(?:\+?\d{1,3}[-.])?\d{3}[-.]\d{3,4}(?:[-.]\d{4})?", lambda m: [digits(m[0]), digits(m[0], "oh")]),
    (r"'?(\d0|\d\d\d0)'?s", lambda m: decade(m[1])),
    (r"(\d{1,2})/(\d{1,3})", lambda m: fraction("", int(m[1]), max(2, int(m[2])))),
    (rf"(\d*)([{''.join(FRACTIONS)}])", lambda m: fraction(m[1], *FRACTIONS[m[2]])),
    (r"#(\d+)", lambda m: joined([("number",), ("hash",), ()], whole_number(m[1])[:4])),
    (rf"({PATTERN})\+", lambda m: joined(number(m[1])[:3], [("plus",), ("or", "more"), ()])),
    (rf"({PATTERN})", lambda m: number(m[1])),
    (rf"({PATTERN})[-–]({PATTERN})", lambda m: _range(number(m[1])[:4], number(m[2])[:4])),
    (rf"({PATTERN})({_UNIT})", lambda m: joined(number(m[1])[:3], _told(UNITS[m[2].lower()]))),
    (rf"({_UNIT})", lambda m: [(m[1].lower(),), *(_told(UNITS[m[1].lower()]) if len(m[1]) > 1 else []), _spelt(m[1])]),
    (r"(?:[A-Za-z]\.)+[A-Za-z]", lambda m: _initials(m[0])),
]  # fmt: skip
RULES = [(re.compile(pattern, re.IGNORECASE), read) for pattern, read in _RULES]
