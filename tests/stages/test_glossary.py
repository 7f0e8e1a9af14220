"""The glossary: what is repaired in a transcript, and what is left alone.

Not here: the tables that it reads and writes (`test_glossary_tables`).
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediabuild.media import formats
from mediabuild.media.formats import Transcript, Word
from mediabuild.media.speech.pronunciations import pronunciations
from mediabuild.media.text.repairs import repair
from mediabuild.media.text.spelling import Speller
from mediabuild.media.text.terms import Term, fold
from tests.stages.glossaries import said, texts

ROOT = Path(__file__).parents[2]


@functools.cache
def dictionary() -> dict[str, list[str]]:
    return pronunciations()


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("I saw Elenor today.", "I saw Elinor today."),  # a word that the dictionary lacks
        ("I saw Eleanor today.", "I saw Elinor today."),  # a name that sounds the same
        ("It is “Elenor’s”, he said.", "It is “Elinor’s”, he said."),  # quotes and possessive stay
        ("He was at north land Park. Yes.", "He was at Norland Park. Yes."),  # three words for two
        ("He was at Norlandpark, then.", "He was at Norland Park, then."),  # one word for two
        ("He was at Norland park.", "He was at Norland Park."),  # capitals
        ("Then Dash would left.", "Then Dashwood left."),  # words that sound the same
        ("We love Mary Ann's house.", "We love Marianne's house."),
        ("To the Black See, then.", "To the Black Sea, then."),
        ("Wice of reason.", "Voice of reason."),  # an alternative, at the start of a sentence
        ("Ellen or is here.", "Elinor is here."),  # an alternative of two words
        ("Type cube control now.", "Type kubectl now."),
        ("Our kubernettes pods.", "Our Kubernetes pods."),
        ("The sauce separation stage.", "The sauce separation stage."),  # words that are words
        ("Then photo synthesis begins.", "Then photosynthesis begins."),  # a plain term, written apart
        ("Then photo-synthesis begins.", "Then photosynthesis begins."),
        ("Fotosynthesis begins.", "Photosynthesis begins."),  # ph and f
        ("We saw Raffael's fotosinthesis.", "We saw Raphael's photosynthesis."),
        ("Push it to git hub, please.", "Push it to GitHub, please."),  # at an inner capital
        ("In see plus plus, then.", "In C++, then."),
        ("In c++, or “C++”.", "In C++, or “C++”."),
        ("Use dot net, or .net.", "Use .NET, or .NET."),
    ],
)
def test_misheard_terms_are_repaired(corrected: Any, heard: str, meant: str) -> None:
    """Each way in which a term comes out wrong, and the punctuation around it kept."""
    assert texts(corrected(said(heard))) == [meant]


@pytest.mark.parametrize(
    "heard",
    [
        "Will will come, if you will.",
        "I ran to Iran; the Dashwoods ran, too.",
        "The black seat is in the black sedan.",
        "A voicing of voices. He avoids invoices.",
        "Norlander and Dashwoodish are words of their own.",
        "Holland, Poland, Maria and Marie stay.",
        "Devon share, Marian the librarian, marinade.",
        "Kubernetes, kubectl and Norland Park, Elinor.",
        "He never says never, and was never sad.",
        "They dash wood into the fire, and dash would do.",
        "It is 50 now, not 50%, and $100, $1000, or 100.",
        "Take vitamin C, vitamin C. C is fine; who takes it? Who does? It does.",
        "We back up the data every day. The net is wide. Net income, then ...net.",
        "The U.S. is with us. Us, too? We use HTTP 11, or 1.1 of it.",
        "He saw faraohs and a photo. Synthesis came later.",
    ],
)
def test_what_was_said_is_left_alone(corrected: Any, heard: str) -> None:
    """However near a term is, a word of the dictionary, another name or a derived word stays."""
    out = corrected(said(heard))
    assert texts(out) == [heard]
    assert json.loads((out / "corrections.json").read_text())["corrections"] == []


def test_readings_without_capitals_are_left_alone(corrected: Any, librivox: Path) -> None:
    """Three readings from a novel keep every word, beside a glossary full of names that are near."""
    readings = [path.read_text().strip() for path in sorted(librivox.glob("*.txt"))]
    names = ["Johnson", "Dashwool", "Leisner", "Muchacho", "Powers", "Youngman", "Unlesse", "Ratherford", "Disposal"]
    near = "term\n" + "\n".join([*names, "Cold Harted", "Hee Was", "Forthem", "Consider It", "Prudence", "Wasnot"])
    out = corrected(said(*readings), near)
    assert texts(out) == readings


@settings(max_examples=25, deadline=None)
@given(words=st.data())
def test_small_words_of_the_dictionary_are_never_one_misheard_term(words: st.DataObject) -> None:
    """Whatever single English word stands between others in small letters, no term replaces it."""
    known = dictionary()
    words_of_it = [word for word in known if word.isalpha()]
    terms = [Term(text, "", "", (), {}) for text in ("Elinor", "Norland", "Willoughby", "Kubernetes", "Demucs")]
    speller = Speller(terms, known, 82.0, 5)
    drawn = words.draw(st.lists(st.sampled_from(words_of_it), min_size=50, max_size=50))
    spaced = [Word(text, 0.0, 0.0) for word in drawn for text in (word + ",", "so,")]
    found = speller.matches(spaced, [False] * len(spaced))
    assert not [match for match in found if match.kind == "near miss"]


ODD = [
    "C",
    "C#",
    "C++",
    "50",
    "50%",
    "$100",
    "100",
    ".NET",
    "NET",
    "vitamin C",
    "cube",
    "cube control",
    "A",
    "A*",
    "&",
    "R&D",
    "R",
    "D",
    "U.S.",
    "us",
    "Yahoo!",
    "x y",
    "y",
    "¿Qué?",
    "que",
    "❤",
    "e-mail",
    "email",
    "3.5",
    "3",
    "Tom™",
    "Tom",
    "Mr.",
    "control",
    "Nordic C",
    "..",
    "“Tom”",
    "news",
    "new",
    "b b",
    "b",
]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_second_pass_changes_nothing(data: st.DataObject) -> None:
    """Whatever the terms are (symbols, digits, alternatives, one inside another) and whatever is said of them."""
    spellings = data.draw(st.lists(st.sampled_from(ODD), min_size=2, max_size=10, unique_by=fold_of))
    terms, left = [], spellings
    while left:
        count = data.draw(st.integers(1, min(3, len(left))))
        (text, *others), left = left[:count], left[count:]
        if fold(text):
            terms.append(Term(text, "", "", tuple(other for other in others if fold(other)), {}))
    said_words = st.sampled_from([word for text in [*spellings, "so", "the"] for word in text.split()])
    marks = st.sampled_from(["", "", ",", ".", "!", "’s", "…", "?!", ".”"])
    text = " ".join(data.draw(st.lists(st.tuples(said_words, marks).map("".join), min_size=1, max_size=12)))
    speller = Speller(terms, dictionary(), 82.0, 5)
    once = said(text)
    repair(once, speller.matches)
    twice = said(*(segment.text for segment in once.segments))
    corrections, _ = repair(twice, speller.matches)
    assert [(one.was, one.now) for one in corrections] == []
    assert twice.segments[0].text == once.segments[0].text


def fold_of(text: str) -> str:
    return " ".join(text.casefold().split())


@pytest.mark.parametrize(
    ("terms", "text", "result", "corrections"),
    [
        ("vitamin C#,", "vitamin C", "vitamin C", []),
        ("Yahoo!,", "I use YaHoo. And Yahoo!", "I use Yahoo. And Yahoo!", [("YaHoo.", "Yahoo.")]),
        ("U.S.,USA", "The USA, or USA.", "The U.S., or U.S.", [("USA,", "U.S.,"), ("USA.", "U.S.")]),
        (
            "Black Sea,\nPostgres,Postgres SQL",
            "It was black. Sea, black, sea. Postgres SQL.",
            "It was black. Sea, black, sea. Postgres.",
            [("Postgres SQL.", "Postgres.")],
        ),
        ("cube,cube control", "The cube control control works.", "The cube works.", [("cube control control", "cube")]),
        (
            "new york,york\nYork Minster,minster",
            "In york minster.",
            "In York Minster.",
            [("york minster.", "York Minster.")],
        ),
    ],
)
def test_repairs_of_repairs(
    corrected: Any, terms: str, text: str, result: str, corrections: list[tuple[str, str]]
) -> None:
    """One correction tells what was there at first and what is there at last."""
    out = corrected(said(text), f"term,alternatives\n{terms}\n")
    assert texts(out) == [result]
    recorded = json.loads((out / "corrections.json").read_text())["corrections"]
    assert [(each["was"], each["now"]) for each in recorded] == corrections


def test_ten_thousand_terms_are_looked_for_in_an_hour_without_trying_each(corrected: Any) -> None:
    """What is tried grows with the names that are heard, not with words times terms."""
    known = [word for word in dictionary() if word.isalpha() and len(word) > 4]
    names = [f"{known[i * 7 % len(known)].title()} {known[i * 13 % len(known)].title()}ex" for i in range(10_000)]
    terms = [Term(name, "", "", (), {}) for name in dict.fromkeys(names)]
    speller = Speller(terms, dictionary(), 82.0, 5)
    tried = 0
    near_miss = speller._near_miss

    def counted(*given: Any) -> float | None:
        nonlocal tried
        tried += 1
        return near_miss(*given)

    speller._near_miss = counted  # type: ignore[method-assign]
    words = [Word(known[i * 31 % len(known)], i, i + 0.5) for i in range(1000)]
    speller.matches(words, [False] * len(words))
    assert tried < 20 * len(words)
    assert (
        not speller.found_near
    )  # nothing but words of the dictionary in small letters: none is compared with all terms


def test_every_word_keeps_valid_times(corrected: Any) -> None:
    """Merged words span what they replace, split ones share it in order, and what is around doesn't move."""
    transcript = said("We met at north land Park and Norlandpark and Dash would too.")
    before = transcript.segments[0].words
    after = formats.read(corrected(transcript) / "transcript.json", Transcript).segments[0].words
    by_text = {word.text: word for word in after}
    assert [word.text for word in after] == [
        "We",
        "met",
        "at",
        "Norland",
        "Park",
        "and",
        "Norland",
        "Park",
        "and",
        "Dashwood",
        "too.",
    ]
    assert (by_text["Dashwood"].start_s, by_text["Dashwood"].end_s) == (before[9].start_s, before[10].end_s)
    assert (after[3].start_s, after[4].end_s) == (before[3].start_s, before[5].end_s)
    assert by_text["too."] == before[-1]
    assert all(word.start_s < word.end_s for word in after)
    assert all(one.end_s <= other.start_s for one, other in pairwise(after))
    assert not after[6].aligned
    assert by_text["Dashwood"].aligned


def test_corrections_say_what_was_there(corrected: Any) -> None:
    """Each repair is recorded with its place in the corrected transcript, its time and how sure it is."""
    out = corrected(said("He was at north land Park.", "So Elenor came, wice and all."))
    words = [w for s in formats.read(out / "transcript.json", Transcript).segments for w in s.words]
    recorded = json.loads((out / "corrections.json").read_text())["corrections"]
    assert [(c["segment"], c["was"], c["now"], c["kind"]) for c in recorded] == [
        (0, "north land Park.", "Norland Park.", "near miss"),
        (1, "Elenor", "Elinor", "near miss"),
        (1, "wice", "voice", "alternative"),
    ]
    assert [words[c["word"]].text for c in recorded] == ["Norland", "Elinor", "voice"]
    assert all(words[c["word"]].start_s == c["start_s"] and 60 < c["score"] <= 100 for c in recorded)


def test_similarity_is_a_param(corrected: Any) -> None:
    """At 100 only a term's own letters and sounds count."""
    assert texts(corrected(said("Our kubernettes pods."), similarity=100)) == ["Our kubernettes pods."]


def test_without_a_dictionary_only_names_are_repaired(corrected: Any) -> None:
    """In Spanish a word in small letters is never taken for a name."""
    heard = "Vino Elenor con la elenora de siempre."
    assert texts(corrected(said(heard, language="es"))) == ["Vino Elinor con la elenora de siempre."]


def test_the_same_inputs_give_the_same_bytes(corrected: Any, tmp_path: Path) -> None:
    """Nothing depends on the order of a set: another hash seed, in another process, gives the same files."""
    lines = ["Are you there, Colonel Brandon? Elenor and Willoughby met at north land Park."] * 3
    expected = corrected(said(*lines))
    script = f"""if True:
        from pathlib import Path
        from mediabuild.stage import Context
        from mediabuild.pipeline.code_of_stages.loading import load_stage
        declared = load_stage(Path({str(ROOT / "stages" / "glossary.py")!r}))
        folder = Path({str(tmp_path)!r})
        sources = {{"transcript": {{"t": folder / "transcript.json"}}, "terms": {{"n": folder / "names.csv"}}}}
        (folder / "other").mkdir()
        declared.run(Context("glossary", "j", folder / "other", sources, declared.outputs), declared.params())
    """
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)
    for path in expected.iterdir():
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()
