"""The project's terms: reading `glossary/*.csv`, and the `terms.csv` that `glossary` hands to `translate`.

A table has a column `term`, one per language named by its tag (`es`), and may have `alternatives`
(other spellings, between `;` or `|`), `gender` (`m`, `f`: of the translation) and `note`.

Not here: finding terms in a transcript (`spelling`).
"""

from __future__ import annotations

import csv
import difflib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mediabuild.errors import StageError
from mediabuild.media.languages import standard
from mediabuild.media.tables import table_rows
from mediabuild.media.textfiles import read_text

PLAIN_COLUMNS = ("term", "alternatives", "gender", "note")
# Marks that nobody says, and notes around what is sung.
_FOLDED_AWAY = str.maketrans({"’": "'", **dict.fromkeys("™®©℠♩♪♫♬")})
_MEANT_DOT, _KEPT_DOT = re.compile(r"(?<=\d)[.,:/-](?=\d)|(?<!\S)\.(?=\w)"), "⋅"


@dataclass(frozen=True)
class Term:
    """A reviewed term; `where` is `file:line`, `translations` maps a language tag to text."""

    text: str
    where: str
    gender: str
    alternatives: tuple[str, ...]
    translations: Mapping[str, str]


def fold(text: str) -> str:
    """What spellings are compared by: no accents, case, hyphens or punctuation.

    Symbols stay ("C#" is not "C"), and so does what makes another number ("3.5" is not "35") or the name ".NET".
    """
    plain = unicodedata.normalize("NFKD", text.translate(_FOLDED_AWAY)).casefold()
    return "".join(c for c in _MEANT_DOT.sub(_KEPT_DOT, plain) if c.isalnum() or c == "'" or is_symbol(c)).strip("'")


def is_symbol(character: str) -> bool:
    """Whether a character is a part of what is said, as in `C++`, `50%`, `$100`, `R&D`, `#1`, though no letter."""
    return character in "#%&*@" or unicodedata.category(character) in ("Sm", "Sc", "So")


def read_terms(files: Mapping[str, Path]) -> list[Term]:
    """The terms of all files, sorted.

    Raises:
        StageError: a file is no table, has a column that says nothing, or a term twice.
    """
    terms = [term for name in sorted(files) for term in _terms_of(name, files[name])]
    spelt: dict[str, Term] = {}
    for term in terms:
        for spelling in (term.text, *term.alternatives):
            other = spelt.setdefault(" ".join(spelling.casefold().split()), term)
            if other is not term:
                raise StageError(f"{term.where}: {spelling!r} is there already, at {other.where}")
    return sorted(terms, key=lambda term: (term.text.casefold(), term.text))


def write_terms(path: Path, terms: Iterable[Term]) -> None:
    """Write what `translate` needs of these terms and nothing else, so that editing a note, or a term
    that nobody says, changes no byte."""
    terms = list(terms)
    languages = sorted({tag for term in terms for tag in term.translations})
    rows = [[term.text, term.gender, *(term.translations.get(tag, "") for tag in languages)] for term in terms]
    write_rows(path, [["term", "gender", *languages], *rows])


def write_rows(path: Path, rows: Iterable[Iterable[Any]]) -> None:
    """Write a CSV file: UTF-8 with the mark that Excel goes by, commas, `\\n`."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _terms_of(name: str, path: Path) -> Iterator[Term]:
    rows = table_rows(name, read_text(path, name))
    first, header = next(rows, (1, []))
    columns = [_column(f"{name}:{first}", cell) for cell in header]
    if len(set(columns)) < len(columns):
        raise StageError(f"{name}:{first}: a column is there twice")
    if "term" not in columns:
        raise StageError(f"{name}:{first}: no column 'term'", "term,es,alternatives,gender,note")
    for line, row in rows:
        where = f"{name}:{line}"
        if len(row) > len(columns) and any(cell.strip() for cell in row[len(columns) :]):
            raise StageError(f"{where}: {len(row)} cells under {len(columns)} columns")
        cells = {column: " ".join(cell.split()) for column, cell in zip(columns, row, strict=False)}
        if any(cells.values()):
            yield _term(where, cells)


def _column(where: str, cell: str) -> str:
    """A column's name: one of ours in any case, or a language tag, brought to its standard form."""
    column = cell.strip()
    if column.lower() in PLAIN_COLUMNS:
        return column.lower()
    near = difflib.get_close_matches(column.lower(), PLAIN_COLUMNS, 1)
    tag = None if near else standard(column)
    if tag is None:
        meant = f"did you mean {near[0]!r}?" if near else "expected term, alternatives, gender, note or a language tag"
        raise StageError(f"{where}: unknown column {column!r}; {meant}")
    return tag


def _term(where: str, cells: dict[str, str]) -> Term:
    text, gender = cells.get("term", ""), cells.get("gender", "").lower()
    if not fold(text):
        raise StageError(f"{where}: no term" + (f", only punctuation: {text!r}" if text else ""))
    if gender not in ("", "m", "f"):
        raise StageError(f"{where}: gender is {gender!r}; expected m, f or nothing")
    alternatives = tuple(part.strip() for part in re.split(r"[;|]", cells.get("alternatives", "")) if fold(part))
    translations = {tag: cell for tag, cell in cells.items() if tag not in PLAIN_COLUMNS and cell}
    return Term(text, where, gender, alternatives, translations)
