"""What two texts differ in, and which rules of subtitles some cues break.

Words are compared after the same steps on both sides: Unicode NFKC; lower case; numbers, money, percentages and some
abbreviations as words ("$4.2 million" → four point two million dollars); every character that is no letter or
apostrophe becomes a space (so "cold-hearted" is two words); "and" doesn't count ("two hundred and ten"). Nothing else:
a compound that is written in two words is two errors.

Not here: where texts and cues come from (`accuracy.py`, `sample.py`).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

import jiwer
from num2words import num2words

from mediabuild.media.text.function_words import clinging

WRITTEN_OUT = {"mr": "mister", "mrs": "missus", "dr": "doctor", "st": "saint", "ok": "okay", "gray": "grey"}
WRITTEN_OUT |= {"favour": "favor", "neighbourhood": "neighborhood", "tyre": "tire"}
MAX_CHARS_PER_SECOND = 20
MAX_LINE_CHARS = 42

# start_s, end_s, text with "\n" between its lines
Cue = tuple[float, float, str]


def words(text: str) -> list[str]:
    """The words of a text as they are compared; see the module's docstring."""
    text = unicodedata.normalize("NFKC", text).lower().replace("’", "'").replace("per cent", "percent")
    scale = "(?: (?:thousand|million|billion))?"
    for sign, unit in (("$", "dollars"), ("£", "pounds"), ("€", "euros")):
        text = re.sub(rf"{re.escape(sign)}(\d[\d,.]*\d|\d)({scale})", rf"\1\2 {unit}", text)
    text = re.sub(r"(\d):(\d\d)", r"\1 \2", text.replace("%", " percent"))
    text = re.sub(r"\d(?:[\d,]*\d)?(?:\.\d+)?(?:st|nd|rd|th)?", lambda match: f" {_in_words(match[0])} ", text)
    found = [word.strip("'") for word in re.sub(r"[^\w']|_", " ", text).split()]
    return [WRITTEN_OUT.get(word, word) for word in found if word not in ("", "and")]


def _in_words(number: str) -> str:
    plain = number.replace(",", "")
    if plain[-1].isalpha():
        return str(num2words(int(plain[:-2]), to="ordinal"))
    if re.fullmatch(r"(1[1-9]|20)\d\d", number):
        return str(num2words(int(plain), to="year"))
    return str(num2words(float(plain) if "." in plain else int(plain)))


def word_errors(reference: str, heard: str) -> tuple[int, int]:
    """How many words were misheard, left out or invented, and how many there are."""
    said, understood = words(reference), words(heard)
    if not understood:
        return len(said), len(said)
    output = jiwer.process_words(" ".join(said), " ".join(understood))
    return output.substitutions + output.deletions + output.insertions, len(said)


def broken_rules(cues: Iterable[Cue]) -> Counter[str]:
    """How many cues there are (`cues`), and how many of them break each rule."""
    found: Counter[str] = Counter()
    small = clinging("en")
    sentence_goes_on = False
    for start_s, end_s, text in cues:
        lines = text.split("\n")
        plain = text.replace("\n", " ")
        ends = {line.rsplit(" ", 1)[-1].lower() for line in lines}  # with their punctuation: "in." is no small word
        whole = plain[-1:] in ".?!" and not sentence_goes_on
        found["cues"] += 1
        found["faster than 20 characters a second"] += len(plain) > MAX_CHARS_PER_SECOND * (end_s - start_s)
        found["a line over 42 characters"] += max(map(len, lines)) > MAX_LINE_CHARS
        found["a line ends on a small word"] += bool(ends & small)
        found["one word that is no sentence"] += " " not in plain and not whole
        sentence_goes_on = plain[-1:] not in ".?!"
    return found
