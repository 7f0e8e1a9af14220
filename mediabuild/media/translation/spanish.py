"""Spanish where an engine leaves it broken: plurals, agreement with a term, marks that open a sentence.

Not here: when a term is in the plural (`pieces`), and which engine translates.
"""

from __future__ import annotations

import re

PREPOSITIONS = ("a", "con", "de", "del", "en", "para", "por", "sin")
_ACCENTS = str.maketrans("áéíóú", "aeiou")
_ACCENTED = str.maketrans("aeiou", "áéíóú")
_VOWELS = re.compile("[aeoáéíóú]|[iu](?![aeoáéíóú])")  # as many as syllables, nearly


def pluralised(wording: str) -> str:
    """A noun phrase in the plural, up to its preposition: `mapa de bits` → `mapas de bits`.

    A name stays as it is (`los Dashwood`), and so does what has digits, symbols or inner capitals: `impresora 3D` →
    `impresoras 3D`, `CPU`, `50`.
    """
    if wording[:1].isupper():
        return wording
    words = wording.split()
    end = next((i for i, word in enumerate(words) if word in PREPOSITIONS), len(words))
    return " ".join(_plural_word(word) if i < end else word for i, word in enumerate(words))


def _plural_word(word: str) -> str:
    if not (word.isalpha() and word.islower()):
        return word
    if re.search("[áéíóú][ns]$", word):  # habitación, inglés; país keeps its accent, which parts two vowels
        return (word if re.search("[aeo][íú][ns]$", word) else word.translate(_ACCENTS)) + "es"
    if word[-1] in "aeiouáéó":
        return word + "s"
    if word.endswith("z"):
        return word[:-1] + "ces"
    syllables = list(_VOWELS.finditer(word))
    if word.endswith("s"):  # meses, but los lunes
        return word + "es" if len(syllables) == 1 else word
    if word.endswith("en") and len(syllables) > 1 and not re.search("[áéíóú]", word):  # imagen → imágenes
        at = syllables[-2].start()
        word = word[:at] + word[at].translate(_ACCENTED) + word[at + 1 :]
    return word + "es"


def opened(text: str) -> str:
    """A sentence that ends with a question or exclamation mark, opened with the other one, too."""
    for closing, opening in ("?¿", "!¡"):
        if text.rstrip("\"'”’»)").endswith(closing) and opening not in text:
            text = re.sub(r"^([\"'“‘«(\s—-]*)", rf"\1{opening}", text, count=1)
    return text


# Masculine, feminine, masculine plural, feminine plural.
DETERMINERS = (
    ("el", "la", "los", "las"),
    ("un", "una", "unos", "unas"),
    ("este", "esta", "estos", "estas"),
    ("ese", "esa", "esos", "esas"),
    ("aquel", "aquella", "aquellos", "aquellas"),
    ("algún", "alguna", "algunos", "algunas"),
    ("ningún", "ninguna", "ningunos", "ningunas"),
    ("nuestro", "nuestra", "nuestros", "nuestras"),
)
NEUTER = {"lo": "el", "esto": "este", "eso": "ese", "aquello": "aquel"}  # pronouns, wherever no noun was seen
BEFORE_STRESSED_A = ("el", "un", "algún", "ningún")  # el agua, un alma


def agreeing(text: str, term: str, noun: str, *, feminine: bool, plural: bool) -> str:
    """Make the words before a term agree with it: `un viejo voz` → `una vieja voz`, `del` → `de la`.

    An engine that doesn't know the term takes it for a masculine, so that is what there is to mend.

    Args:
        text: the translation. term: a pattern for the term in it, with its markup.
        noun: its wording.
    """
    column = 2 * plural + feminine
    ahead = rf"(?= {term})"

    def agree(match: re.Match[str]) -> str:
        was, adjective = match[1], match[2] or ""
        known = NEUTER.get(was.lower(), was.lower())
        row = next(row for row in DETERMINERS if known in row)
        now = row[column]
        if adjective:
            adjective = re.sub("os?$", ("o", "a", "os", "as")[column], adjective)
        elif column == 1 and row[0] in BEFORE_STRESSED_A and starts_with_stressed_a(noun):
            now = row[0]
        return (now.capitalize() if was[:1].isupper() else now) + adjective

    listed = "|".join([*NEUTER, *(word for row in DETERMINERS for word in row)])
    text = re.sub(rf"\b([Dd]e|[Aa])l{ahead}", r"\1 el", text)
    text = re.sub(rf"\b({listed})\b( \w+os?)?{ahead}", agree, text, flags=re.IGNORECASE)
    return re.sub(rf"\b([Dd]e|[Aa]) el{ahead}", r"\1l", text)


def starts_with_stressed_a(noun: str) -> bool:
    """Whether a noun begins with a stressed a: `agua`, `hacha`, `área`; not `abeja`, `acción`."""
    word = noun.split(maxsplit=1)[0]
    if re.match(r"h?á", word):
        return True
    if not re.match(r"h?a", word) or re.search("[áéíóú]", word):
        return False
    syllables = re.findall(r"[iu]?[aeo][iuy]?|[iu]+", word)
    return len(syllables) == 2 and word[-1] in "aeiouns"
