"""The project's terms: reading `glossary/*.csv`, and the `terms.csv` that `glossary` hands to `translate`.

A table has a column `term`, one per language named by its tag (`es`), and may have `alternatives`
(other spellings, between `;` or `|`), `gender` (`m`, `f`: of the translation) and `note`.

Not here: finding terms in a transcript (the `glossary` stage).
"""

from __future__ import annotations

import csv
import difflib
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mediabuild.errors import StageError

PLAIN_COLUMNS = ("term", "alternatives", "gender", "note")
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


@dataclass(frozen=True)
class Term:
    """A reviewed term; `where` is `file:line`, `translations` maps a language tag to text."""

    text: str
    where: str
    gender: str
    alternatives: tuple[str, ...]
    translations: Mapping[str, str]


def fold(text: str) -> str:
    """Letters, digits and inner apostrophes, without accents or case: what spellings are compared by."""
    plain = unicodedata.normalize("NFKD", text.replace("’", "'")).casefold()
    return "".join(c for c in plain if c.isalnum() or c == "'").strip("'")


def read_terms(files: Mapping[str, Path]) -> list[Term]:
    """The terms of all files, sorted.

    Raises:
        StageError: a file is no UTF-8 table, has a column that says nothing, or a term twice.
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
    """Write a CSV file: UTF-8, commas, `\\n`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _terms_of(name: str, path: Path) -> Iterator[Term]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise StageError(f"{name}:{line}: not UTF-8", f"iconv -f WINDOWS-1252 -t UTF-8 {name}") from error
    header = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count))
    columns = [_column(name, cell) for cell in next(rows, [])]
    if len(set(columns)) < len(columns):
        raise StageError(f"{name}:1: a column is there twice")
    if "term" not in columns:
        raise StageError(f"{name}:1: no column 'term'", "term,es,alternatives,gender,note")
    line = rows.line_num + 1
    for row in rows:
        where, line = f"{name}:{line}", rows.line_num + 1
        if len(row) > len(columns) and any(cell.strip() for cell in row[len(columns) :]):
            raise StageError(f"{where}: {len(row)} cells under {len(columns)} columns")
        cells = {column: " ".join(cell.split()) for column, cell in zip(columns, row, strict=False)}
        if any(cells.values()):
            yield _term(where, cells)


def _column(name: str, cell: str) -> str:
    """A column's name: one of ours in any case, or a language tag."""
    column = cell.strip()
    if column.lower() in PLAIN_COLUMNS:
        return column.lower()
    near = difflib.get_close_matches(column.lower(), PLAIN_COLUMNS, 1)
    if near or not LANGUAGE.fullmatch(column):
        meant = f"did you mean {near[0]!r}?" if near else "expected term, alternatives, gender, note or a language tag"
        raise StageError(f"{name}:1: unknown column {column!r}; {meant}")
    return column


def _term(where: str, cells: dict[str, str]) -> Term:
    text, gender = cells.get("term", ""), cells.get("gender", "").lower()
    if not fold(text):
        raise StageError(f"{where}: no term")
    if gender not in ("", "m", "f"):
        raise StageError(f"{where}: gender is {gender!r}; expected m, f or nothing")
    alternatives = tuple(part.strip() for part in re.split(r"[;|]", cells.get("alternatives", "")) if fold(part))
    translations = {tag: cell for tag, cell in cells.items() if tag not in PLAIN_COLUMNS and cell}
    return Term(text, where, gender, alternatives, translations)
