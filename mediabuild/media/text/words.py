"""A text's words and back: where spaces are written, and in Chinese, Japanese and Thai, which write none.

A word is what may stand at the end of a line: between spaces, or a phrase as BudouX finds it, as far as
Unicode's line breaking (UAX #14) allows a break there. `space_after` says what stood behind it, so that
the words put together are the text again.

Not here: where lines really break (`lines`), and the words of a transcript with their times (`formats`).
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

# Han, kana, Thai, Lao, Burmese, Khmer: scripts that write no spaces between words. Korean does.
_HAN = "\u2e80-\u2fdf\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_KANA = "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"
_COMPLEX = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # of South-East Asia, where UAX #14 asks for a dictionary
_FULLWIDTH = "\u3000-\u3004\u3008-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"  # their punctuation
_SPACELESS = re.compile(f"[{_HAN}{_KANA}{_COMPLEX}{_FULLWIDTH}]")
_ENDS_SENTENCE = re.compile("[。．！？!?…｡]+[」』”’）〕】》〉\"')]*")
# Vowels and signs that belong to the letter before, though they aren't combining characters; and those
# that are written before their consonant. Thai, and Lao, whose block has the same order.
_NEVER_FIRST = re.compile("[\u0e2f-\u0e3a\u0e45-\u0e4e\u0eaf-\u0ebd\u0ec6-\u0ecd]")
_NEVER_LAST = re.compile("[\u0e40-\u0e44\u0ec0-\u0ec4]")


class Piece(NamedTuple):
    """A word, and whether a space follows it in the text."""

    text: str
    space_after: bool


def split_words(text: str, language: str) -> list[Piece]:
    """The words of a text, in order; `joined` makes the text again, its white space single spaces.

    Args:
        text: any text; control characters are left out.
        language: its BCP 47 tag, which tells Chinese from Japanese where no kana does.
    """
    clean = "".join(c for c in text if c.isspace() or unicodedata.category(c) != "Cc")
    pieces: list[Piece] = []
    for chunk in clean.split():
        parts = _phrases(chunk, language) if _SPACELESS.search(chunk) else [chunk]
        pieces += [Piece(part, False) for part in parts[:-1]] + [Piece(parts[-1], True)]
    return pieces


def joined(pieces: Iterable[tuple[str, bool]]) -> str:
    """The text of words given as `(text, space_after)`, without a space at its end."""
    return "".join(text + " " * space_after for text, space_after in pieces).removesuffix(" ")


def joined_lines(lines: Iterable[str]) -> str:
    """The text of a cue's lines: a line's end is a space, but beside a script without spaces only where one is there.

    `end_of_line` says where a line keeps its space.
    """
    text = ""
    for line in lines:
        text += " " * bool(text and not is_spaceless(text[-1]) and not is_spaceless(line[:1])) + line
    return " ".join(text.split())


def end_of_line(before: str, after: str, space_after: bool) -> str:
    """What stands between a line's last word and its end, so that `joined_lines` knows whether a space was there."""
    return " " if space_after and (is_spaceless(before[-1:]) or is_spaceless(after[:1])) else ""


def is_spaceless(text: str) -> bool:
    """Whether a text begins with a character of a script without spaces."""
    return bool(_SPACELESS.match(text))


def columns(text: str) -> int:
    """How wide a text is: a letter is 1, a Chinese character or a kana 2, a combining mark nothing."""
    return sum(
        0 if unicodedata.category(c) in ("Mn", "Me", "Cf") else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in text
    )


def cut_to_width(text: str, width: int) -> list[str]:
    """A word of a script without spaces in parts of at most so many columns, cut where Unicode allows it.

    Any other word stays whole, however long: a hyphen or a cut inside would change it.
    """
    if columns(text) <= width or not _SPACELESS.search(text):
        return [text]
    parts = [""]
    for unit in _units(text):
        if parts[-1] and columns(parts[-1] + unit) > width:
            parts.append("")
        parts[-1] += unit
    return parts


def may_break(before: str, after: str) -> bool:
    """Whether Unicode allows a line to end between two texts; at a space it does."""
    if before[-1:].isspace() or not (is_spaceless(before[-1:]) or is_spaceless(after[:1])):
        return True
    units, end = _units(before + after), len(before)
    reached = 0
    for unit in units:
        reached += len(unit)
        if reached >= end:
            break
    return reached == end or before[-1:] in "”’\"'"


def _units(text: str) -> list[str]:
    """The smallest parts of a text that may be torn apart."""
    import unicode_segmentation_rs as segmentation

    units: list[str] = []
    for unit in segmentation.line_break_units(text):
        complex_script = re.match(f"[{_COMPLEX}]", unit)
        parts = segmentation.graphemes(unit, is_extended=True) if complex_script else [unit]
        for number, part in enumerate(parts):
            # Between letters of other scripts a break would show as a space when the lines are put together.
            shows = units and not (is_spaceless(units[-1][-1]) or is_spaceless(part))
            if shows or (number and not _may_part(units[-1], part)):
                units[-1] += part
            else:
                units.append(part)
    return units


def _may_part(before: str, after: str) -> bool:
    """Whether two letters of South-East Asia may stand on two lines."""
    return not (_NEVER_FIRST.match(after) or _NEVER_LAST.match(before[-1]) or unicodedata.category(after[0])[0] == "P")


def _phrases(chunk: str, language: str) -> list[str]:
    """A text without spaces in phrases."""
    ends = {found.end() for found in _ENDS_SENTENCE.finditer(chunk)}
    bounds, at = set(ends), 0
    for phrase in _parser(_model(chunk, language)).parse(chunk):
        at += len(phrase)
        bounds.add(at)
    # Unicode can't know that a curved quote behind a full stop is a closing one.
    legal, at = {end for end in ends if chunk[end - 1] in "”’\"'" and is_spaceless(chunk[end:])}, 0
    for unit in _units(chunk):
        at += len(unit)
        legal.add(at)
    cuts = sorted(bounds & legal - {len(chunk)})
    return [chunk[a:b] for a, b in zip([0, *cuts], [*cuts, len(chunk)], strict=True)]


def _model(chunk: str, language: str) -> str:
    """Which of BudouX's models knows this text: its letters say more than a tag does."""
    if re.search("[\u0e00-\u0e7f]", chunk):
        return "thai"
    if re.search(f"[{_KANA}]", chunk) or language.partition("-")[0] == "ja":
        return "japanese"
    traditional = re.search(r"-(Hant|TW|HK|MO)\b", language)
    return "traditional_chinese" if traditional else "simplified_chinese"


@functools.cache
def _parser(model: str) -> Any:
    import budoux

    return getattr(budoux, f"load_default_{model}_parser")()


def text_of(words: Sequence[Any]) -> str:
    """The text of words that have `text` and `space_after`: those of a transcript, or a cue's tokens."""
    return " ".join(joined((word.text, word.space_after) for word in words).split())
