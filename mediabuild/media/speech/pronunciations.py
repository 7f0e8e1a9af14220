"""How words sound, in the phones of the aligner's acoustic model, ARPABET.

English words are in CMUdict, from pocketsphinx's package. What it lacks, and other languages, espeak-ng says, where
it is installed. It is a program of its own, so its licence (GPL) is no matter of this project's. Without it English
words are spelt out letter by letter: a rough guess, which is enough to find the words around it.

Not here: which words are spoken (`readings`), and when (the `align` stage).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from mediabuild.errors import StageError

Pronunciations = dict[str, list[str]]

PROGRAM = "espeak-ng"
LETTERS = "letters"
WAIT_S = 60
# A letter alone is called by its name; as words other letters sound like their names.
ONE_LETTER = {("fr", "y"): "IY"}

# The nearest of the 39 phones of CMUdict for each sound of the International Phonetic Alphabet.
_IPA = """
aɪ AY|aʊ AW|eɪ EY|oʊ OW|əʊ OW|ɔɪ OY|tʃ CH|dʒ JH|tɕ CH|dʑ JH|tʂ CH|dʐ JH|ɡ G|
p P|b B|t T|d D|k K|g G|m M|n N|ŋ NG|f F|v V|θ TH|ð DH|s S|z Z|ʃ SH|ʒ ZH|h HH|l L|ɹ R|r R|j Y|w W|
ɾ D|x HH|ç HH|χ HH|ħ HH|ɦ HH|ʁ R|ʀ R|ɽ R|ɻ R|ɣ G|β V|ʋ V|ɸ F|ʎ L Y|ɲ N Y|ɳ N|ɱ M|ɴ NG|c K|q K|ɟ G|ɢ G|
ɕ SH|ʂ SH|ɧ SH|ʑ ZH|ʐ ZH|ʈ T|ɖ D|ɫ L|ɬ L|ɭ L|ʝ Y|ɥ Y|ɰ W|ʍ W|
i IY|ɪ IH|ɨ IH|ᵻ IH|y UW|ʏ UH|e EH|ɛ EH|æ AE|a AA|ɑ AA|ɒ AA|ɐ AH|ɔ AO|o OW|ø UH|œ AH|ɵ UH|ɘ UH|ɞ AH|ʌ AH|ə AH|
ɚ ER|ɜ ER|ɝ ER|ɤ UH|u UW|ʊ UH|ʉ UW|ɯ UW
"""
# What English letters usually stand for; the longest that fits is taken.
_LETTERS = """
tion SH AH N|sion ZH AH N|ough AO|augh AO|igh AY|tch CH|sch SH|dge JH|ch CH|sh SH|th TH|ph F|wh W|ck K|gh|ng NG|qu K W|
ee IY|ea IY|oo UW|ou AW|ow OW|oi OY|oy OY|ai EY|ay EY|au AO|aw AO|ei EY|ey IY|ie IY|ew UW|oa OW|ue UW|
er ER|ir ER|ur ER|ar AA R|or AO R|ce S|ci S IH|cy S IY|ge JH EH|gi JH IH|
a AE|b B|c K|d D|e EH|f F|g G|h HH|i IH|j JH|k K|l L|m M|n N|o AA|p P|q K|r R|s S|t T|u AH|v V|w W|x K S|y IY|z Z
"""


def _table(text: str) -> dict[str, str]:
    pairs = (entry.strip().partition(" ") for entry in text.split("|"))
    return {sound: phones for sound, _, phones in pairs}


IPA, SPELLING = _table(_IPA), _table(_LETTERS)


def pronunciations() -> Pronunciations:
    """Words, folded → phones, without the vowels that nobody tells apart unstressed.

    Raises:
        StageError: pocketsphinx isn't installed.
    """
    try:
        from pocketsphinx import get_model_path
    except ImportError as error:
        raise StageError("glossary: pocketsphinx is missing", "pip install 'mediabuild[media]'") from error
    found: Pronunciations = {}
    punctuation = str.maketrans("", "", ".-_")
    for line in Path(get_model_path("en-us/cmudict-en-us.dict")).read_text(encoding="utf-8").splitlines():
        word, phones = line.split(" ", 1)
        spelling = word.partition("(")[0].translate(punctuation).strip("'")  # as `fold` would, but faster
        found.setdefault(spelling, []).append(phones.replace("AH", "IH"))
    return found


def sounds(words: tuple[str, ...], known: Pronunciations) -> set[str]:
    """All ways in which words can be spoken one after the other; none where one isn't known."""
    found = {""}
    for word in words:
        found = {f"{sound} {phones}" for sound in found for phones in known.get(word, ())}
    return found


def pronounced(words: Iterable[str], language: str = "en") -> tuple[dict[str, str], str | None]:
    """The pronunciations of words, as ARPABET phones between spaces: `"okafor"` → `"AA K AE F ER"`.

    Args:
        words: in lower case. language: BCP 47 tag.

    Returns:
        Word → phones, without the words that have none; and by what they were found: `espeak-ng 1.51`, `letters`, or
        None where nothing here knows the language.
    """
    ordered = sorted(set(words))
    if not ordered:
        return {}, None
    english = language.partition("-")[0].lower() == "en"
    version = _version()
    for voice in ["en-us"] if english else dict.fromkeys((language.lower(), language.partition("-")[0].lower())):
        said = _said(ordered, voice) if version else None
        if said is not None:
            found = {word: from_ipa(ipa) for word, ipa in zip(ordered, said, strict=True)}
            found |= {word: phones for (code, word), phones in ONE_LETTER.items() if code == voice and word in found}
            return {word: phones for word, phones in found.items() if phones}, f"{PROGRAM} {version}"
    if not english:
        return {}, None
    return {word: phones for word in ordered if (phones := from_letters(word))}, LETTERS


def from_ipa(ipa: str) -> str:
    """IPA as espeak-ng writes it → ARPABET; stress, length and diacritics are left out."""
    plain = unicodedata.normalize("NFD", re.sub(r"\([a-z-]*\)", "", ipa))  # "(en)…(fr)": it switched its language
    return _phones("".join(sound for sound in plain if sound in _SOUNDS), IPA)


def from_letters(word: str) -> str:
    """An English word by its letters."""
    plain = "".join(letter for letter in unicodedata.normalize("NFD", word.lower()) if "a" <= letter <= "z")
    plain = re.sub(r"(.)\1+", lambda run: run[0][:2] if run[1] in "eo" else run[1], plain)
    return _phones(re.sub(r"(?<=[a-z][^aeiouy])e$", "", plain), SPELLING)


_SOUNDS = {sound for sounds in IPA for sound in sounds}


def _phones(text: str, table: dict[str, str]) -> str:
    """Each part of a text through a table, the longest part first."""
    longest = max(map(len, table))
    phones, at = [], 0
    while at < len(text):
        part = next(text[at : at + size] for size in range(longest, 0, -1) if text[at : at + size] in table)
        phones.append(table[part])
        at += len(part)
    return " ".join(filter(None, phones))


def installed() -> bool:
    """Whether espeak-ng is."""
    return shutil.which(PROGRAM) is not None


def _version() -> str | None:
    """espeak-ng's version, None where it isn't installed."""
    if not installed():
        return None
    told = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=False, timeout=WAIT_S)
    number = re.search(r"\d+(\.\d+)+", told.stdout)
    return number[0] if number else None


def _said(words: Sequence[str], voice: str) -> list[str] | None:
    """Each word in IPA; None where there is no such voice."""
    lines = _asked(words, voice)
    if lines is not None and len(lines) != len(words):  # a word that gave no line, or two
        lines = [" ".join(_asked([word], voice) or []) for word in words]
    return lines


def _asked(words: Sequence[str], voice: str) -> list[str] | None:
    """What espeak-ng writes for words in paragraphs of their own, without empty lines."""
    command = [PROGRAM, "-q", "--ipa", "-b", "1", "-v", voice, "--stdin"]
    said = "\n\n".join(words) + "\n\n"
    done = subprocess.run(
        command, input=said, capture_output=True, encoding="utf-8", errors="replace", check=False, timeout=WAIT_S
    )
    return [line for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else None
