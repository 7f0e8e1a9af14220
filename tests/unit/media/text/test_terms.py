"""The project's terms as people keep them: any spreadsheet's CSV is read, and a mistake is named with its line."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from mediabuild.errors import StageError
from mediabuild.media.text.terms import Term, fold, read_terms, write_terms


def read(tmp_path: Path, raw: str | bytes) -> list[Term]:
    path = tmp_path / "names.csv"
    path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    return read_terms({"glossary/names.csv": path})


@pytest.mark.parametrize(
    "raw",
    [
        "sep=;\r\nterm;es\r\nvoice;voz\r\n",
        "\ufeffsep=;\nterm;es\nvoice;voz\n",
        "sep=\t\nterm\tes\nvoice\tvoz\n",
        "Term,ES\nvoice,voz\n",
        "TERM,spa\rvoice,voz\r",
        "term,es\nvoice,voz\n".encode("utf-16"),
        '"term","es"\n"voice","voz"\n',
    ],
)
def test_tables_of_any_spreadsheet(tmp_path: Path, raw: str | bytes) -> None:
    """Excel's first line, its mark, its UTF-16, capitals and three-letter tags in the header, an old Mac's lines."""
    (term,) = read(tmp_path, raw)
    assert (term.text, dict(term.translations)) == ("voice", {"es": "voz"})


def test_lines_are_counted_behind_excels_first_one(tmp_path: Path) -> None:
    """A message names the line that an editor shows."""
    with pytest.raises(StageError, match=r"^glossary/names\.csv:4: gender is 'q'"):
        read(tmp_path, "sep=;\nterm;gender\nx;m\ny;q\n")


def test_one_language_by_two_names_is_there_twice(tmp_path: Path) -> None:
    """`es` and `ES` are one column's name."""
    with pytest.raises(StageError, match=r"names\.csv:1: a column is there twice"):
        read(tmp_path, "term,es,ES\nx,y,z\n")


def test_a_long_note_is_a_note(tmp_path: Path) -> None:
    """A cell longer than the csv module's own limit; the limit of others stays as it was."""
    before = csv.field_size_limit()
    (term,) = read(tmp_path, f'term,es,note\nvoice,voz,"{"long note " * 30_000}"\n')
    assert term.translations == {"es": "voz"}
    assert csv.field_size_limit() == before


def test_a_quote_that_is_not_closed_is_named(tmp_path: Path) -> None:
    """It would swallow the rest of the file into one cell."""
    with pytest.raises(StageError, match=r"^glossary/names\.csv:3: no CSV: "):
        read(tmp_path, 'term,es\nvoice,voz\n"stage,etapa\nhouse,casa\n')


def test_terms_of_symbols_are_terms(tmp_path: Path) -> None:
    """What is made of symbols alone can be a term; punctuation alone can't."""
    assert [term.text for term in read(tmp_path, "term\nC++\n❤\n50%\n&\n")] == ["&", "50%", "C++", "❤"]
    with pytest.raises(StageError, match=r"names\.csv:2: no term, only punctuation: '\.\.\.'"):
        read(tmp_path, "term\n...\n")


def test_what_is_written_opens_in_excel_and_is_read_again(tmp_path: Path) -> None:
    """`terms.csv` begins with the mark without which Excel shows `cafÃ©`."""
    path = tmp_path / "terms.csv"
    write_terms(path, [Term("café", "", "m", (), {"es": "cafetería, la"})])
    assert path.read_bytes().startswith(b"\xef\xbb\xbfterm,gender,es\n")
    (term,) = read_terms({"terms.csv": path})
    assert (term.text, term.gender, dict(term.translations)) == ("café", "m", {"es": "cafetería, la"})


@pytest.mark.parametrize(
    ("one", "other"),
    [("C", "C#"), ("C", "C++"), ("50", "50%"), ("100", "$100"), ("35", "3.5"), ("1012", "10-12"), ("net", ".NET")],
)
def test_symbols_tell_words_apart(one: str, other: str) -> None:
    """And numbers, by what stands between their digits."""
    assert fold(one) != fold(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("San José", "san jose"),
        ("e-mail", "email"),
        ("it’s", "IT'S"),
        ("“Tom”,", "Tom"),
        ("♪Oh", "oh"),
        ("Tom™", "tom"),
    ],
)
def test_capitals_accents_and_punctuation_do_not(one: str, other: str) -> None:
    """Nor what nobody says."""
    assert fold(one) == fold(other)
