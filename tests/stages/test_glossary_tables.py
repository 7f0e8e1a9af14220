"""The tables of the glossary: the terms that it reads, those that it hands on, and its candidates."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from mediabuild.errors import StageError
from mediabuild.media import formats
from mediabuild.media.formats import Transcript
from mediabuild.media.text.terms import read_terms
from tests.stages.glossaries import TERMS, said, texts


def rows(out: Path, name: str) -> list[list[str]]:
    with (out / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def test_only_terms_that_occur_are_handed_on(corrected: Any) -> None:
    """`terms.csv` has the terms of this transcript, sorted, with what a translation needs."""
    out = corrected(said("The Dashwoods heard Elenor's voice."))
    assert rows(out, "terms.csv") == [
        ["term", "gender", "es"],
        ["Dashwood", "", "Dashwood"],
        ["Elinor", "", "Elinor"],
        ["voice", "f", "voz"],
    ]


def test_editing_a_term_that_nobody_says_changes_no_byte(corrected: Any) -> None:
    """Another wording, note or language for a term that doesn't occur stops at this stage."""
    transcript = said("The Dashwoods heard Elenor's voice.")
    before = corrected(transcript)
    edited = TERMS.replace("nunca dicho", "jamás dicho").replace("the elder sister", "a sister") + "Fresh,nuevo,,,\n"
    after = corrected(transcript, edited)
    for name in ("terms.csv", "transcript.json", "corrections.json", "candidates.csv"):
        assert (before / name).read_bytes() == (after / name).read_bytes()
    assert (
        corrected(transcript, TERMS.replace(",voz,", ",voces,")).joinpath("terms.csv").read_bytes()
        != (before / "terms.csv").read_bytes()
    )


def test_no_terms_at_all(corrected: Any) -> None:
    """Without a glossary the transcript passes unchanged, byte for byte, and candidates are still proposed."""
    transcript = said("Are you at Barton Cottage?", "Did Barton Cottage burn? Are you sure?")
    out = corrected(transcript, None)
    formats.write(out / "same.json", transcript)
    assert (out / "transcript.json").read_bytes() == (out / "same.json").read_bytes()
    assert rows(out, "terms.csv") == [["term", "gender"]]
    assert [row[:2] for row in rows(out, "candidates.csv")] == [["candidate", "occurrences"], ["Barton Cottage", "2"]]


def test_candidates_are_not_sentence_starters(corrected: Any) -> None:
    """Names that occur twice are proposed; "Are", "But", "Did", terms and their parts are not."""
    text = """Are you there? But Colonel Brandon came. Did he? Are they? But why? Did Willoughby see Colonel Brandon?
        Letters came. Did letters come? Letters for Elinor, Elinor said. Norland Park is far. But Norland Park is ours.
        Then Willoughby left. Are we alone? But the demuxer failed. Did the demuxer stop?"""
    out = corrected(said(*(line.strip() for line in text.split("\n"))))
    proposed = {row[0] for row in rows(out, "candidates.csv")[1:]}
    assert {"Colonel Brandon", "Willoughby", "demuxer"} <= proposed
    assert not proposed & {"Are", "But", "Did", "Letters", "Elinor", "Norland", "Park", "Norland Park", "Colonel"}
    assert len(rows(corrected(said(text), max_candidates=1), "candidates.csv")) == 2


def test_candidates_are_no_fragments(corrected: Any) -> None:
    """A phrase in small letters has no small word in it and doesn't run over a comma; a name may have one."""
    text = """The hull is made of oak planks. We know the hull is made of oak planks, and the Duke of York came.
        The tidal basin is wide, the hull is made of oak. He saw the tidal basin and the Duke of York, in the mud.
        They sailed by the tidal basin, in the mud, for the Duke of York said so."""
    out = corrected(said(*(line.strip() for line in text.split("\n"))))
    proposed = {row[0] for row in rows(out, "candidates.csv")[1:]}
    assert {"oak planks", "tidal basin", "Duke of York"} <= proposed
    assert not [
        each
        for each in proposed
        if {"is", "made", "of", "the", "in"} & set(each.split()) - {"of"}
        or ("of" in each.split() and each != "Duke of York")
    ]


def test_nothing_said(corrected: Any) -> None:
    """A silent recording has an empty transcript, no terms and no candidates."""
    out = corrected(Transcript("en", "assumed", []))
    assert texts(out) == []
    assert len(rows(out, "terms.csv")) == len(rows(out, "candidates.csv")) == 1


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("word,es\nx,y\n", "glossary/names.csv:1: unknown column 'word'"),
        ("es,note\nx,y\n", "glossary/names.csv:1: no column 'term'"),
        ("", "glossary/names.csv:1: no column 'term'"),
        ("term,gendre\nx,m\n", "did you mean 'gender'?"),
        ("term,es,es\nx,y,z\n", "glossary/names.csv:1: a column is there twice"),
        ("term,gender\nx,m\n\ny,q\n", "glossary/names.csv:4: gender is 'q'"),
        (
            "term,es\nNorland,a\nnorland,b\n",
            "glossary/names.csv:3: 'norland' is there already, at glossary/names.csv:2",
        ),
        ("term,alternatives\nMarianne,Mary\nMary,\n", "names.csv:3: 'Mary' is there already, at glossary/names.csv:2"),
        ('term,note\na,"two\nlines"\n,x\n', "glossary/names.csv:4: no term"),
        ("term,es\na,b,c\n", "glossary/names.csv:2: 3 cells under 2 columns"),
        ("term,es\nagua,ágil\nvoice,má\n".encode("latin-1"), "glossary/names.csv:2: not UTF-8"),
    ],
)
def test_mistakes_in_a_table_name_its_line(corrected: Any, table: str | bytes, message: str) -> None:
    """A person who mistypes is told the file and the line."""
    with pytest.raises(StageError) as caught:
        corrected(said("Hello."), table)
    assert message in caught.value.message


def test_tables_from_a_spreadsheet(tmp_path: Path) -> None:
    """A byte order mark, semicolons, CRLF, capitals in the header and empty lines do no harm."""
    path = tmp_path / "names.csv"
    path.write_bytes(
        "\ufeffTerm;es;Alternatives\r\n Norland  Park ;Parque;nor land|north\r\n;;\r\nÜber;él;\r\n".encode()
    )
    terms = read_terms({"names.csv": path})
    assert [(term.text, term.where) for term in terms] == [("Norland Park", "names.csv:2"), ("Über", "names.csv:4")]
    assert terms[0].alternatives == ("nor land", "north")
    assert terms[1].translations == {"es": "él"}
