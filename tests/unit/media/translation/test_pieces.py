"""A sentence taken apart: which of the project's terms stand in it, and what is an identifier."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediabuild.media.formats import Sentence
from mediabuild.media.text.identifiers import identifiers
from mediabuild.media.text.terms import Term
from mediabuild.media.translation.adherence import verified
from mediabuild.media.translation.pieces import Forced, Kept, Wordings, plain


def wordings(language: str = "es", **words: str) -> Wordings:
    """Terms and their translations into Spanish; `_` is a space."""
    return Wordings([Term(t.replace("_", " "), "", "f", (), {"es": w}) for t, w in words.items()], language)


def forced(found: Wordings, text: str) -> list[tuple[str, str]]:
    return [(piece.term, piece.target) for piece in found.pieces(text) if isinstance(piece, Forced)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The voice of Will, the voices; he will.", [("voice", "voz"), ("Will", "Will"), ("voice", "voces")]),
        ("A round table, two round tables.", [("round table", "mesa redonda"), ("round table", "mesas redondas")]),
        ("Voice, table. “Voice's” end.", [("voice", "voz"), ("table", "mesa"), ("voice", "voz")]),
        ("A round, table; invoice, voiced.", [("table", "mesa")]),
    ],
)
def test_terms_are_found_as_words(text: str, expected: list[tuple[str, str]]) -> None:
    """In the plural, with a capital, the longest first; not inside words, over commas, or without their capital."""
    assert forced(wordings(voice="voz", Will="Will", table="mesa", round_table="mesa redonda"), text) == expected


def test_symbols_and_digits_belong_to_a_term() -> None:
    """What is more or less than the term is something else."""
    terms = [Term(text, "", "", (), {"es": text}) for text in ("C", "C#", "50%", "$100", ".NET", "3D")]
    found = Wordings(terms, "es")
    text = "C, C#, C++, 50, 50%, $100, 100, .NET, NET, 3D, 3."
    assert [term for term, _ in forced(found, text)] == ["C", "C#", "50%", "$100", ".NET", "3D"]


@settings(max_examples=300, deadline=None)
@given(
    text=st.lists(
        st.sampled_from(
            [
                "voice",
                "Voice's",
                "voices,",
                "round table",
                "C#",
                " ",
                "  ",
                "/a/b.c",
                "(x_y)",
                "“voice”",
                "'s",
                ".",
                "Will's",
                "it",
            ]
        ),
        max_size=12,
    ).map("".join)
)
def test_pieces_put_together_are_the_sentence(text: str) -> None:
    """Nothing is lost between them."""
    found = wordings(voice="voz", Will="Will", round_table="mesa redonda")
    assert "".join(plain(piece) for piece in found.pieces(text.replace("’", "'"))).replace("'s", "'").replace(
        "'", ""
    ) == (text.replace("'s", "'").replace("'", ""))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("See http://a.b/c_(d)?x=1#y, and www.foo.org/.", ["http://a.b/c_(d)?x=1#y", "www.foo.org/"]),
        ("“See foo.txt.” (at a.b@c.de) <p>no</p>", ["foo.txt", "a.b@c.de"]),
        ("Version v2.1.0-beta, 192.168.0.1:8080 and a1b2c3d.", ["v2.1.0-beta", "192.168.0.1:8080", "a1b2c3d"]),
        ("The {name}'s {{value}} and ${X:-1} is %d.", ["{name}", "{{value}}", "${X:-1}", "%d"]),
        ("Use x86_64, H.264 and GPT-4.", ["x86_64", "H.264", "GPT-4"]),
        ("It ended at 5 p.m., e.g., etc. The U.S. army (i.e. us) came at 10:30 for $3.50.", []),
        ("Mr. Smith's well-known 3D and 50s, the 1st; he/she, and/or, 24/7, TCP/IP, 100%.", []),
    ],
)
def test_identifiers_and_what_looks_like_one(text: str, expected: list[str]) -> None:
    """Addresses end before the sentence's punctuation; abbreviations, numbers and ordinary slashes are words."""
    assert [text[a:b] for a, b in identifiers(text)] == expected


def report(text: str, target: str, found: Wordings) -> tuple[float, list[tuple[str, str, str]]]:
    sentence = Sentence(3, text, target, 10, 14)
    made = verified("es", "test", [sentence], [found.pieces(text)], [4.2])
    assert all((violation.sentence, violation.start_s) == (3, 4.2) for violation in made.violations)
    return made.adherence_percent, [(v.kind, v.term, v.expected) for v in made.violations]


def test_adherence_counts_what_is_there() -> None:
    """In the final text: a wording inside a longer one, or shared by two terms, is there once."""
    found = wordings(voice="voz", loud_voice="voz alta", home="casa", house="casa", car="C#")
    assert report("The voice met the voice.", "La voz encontró la otra.", found) == (50.0, [("term", "voice", "voz")])
    assert report("A voice, a loud voice.", "Una voz alta.", found) == (50.0, [("term", "voice", "voz")])
    assert report("A home is no house.", "Una casa no es.", found) == (50.0, [("term", "house", "casa")])
    assert report("The car.", "El C#.", found) == (100.0, [])
    assert report("The car.", "El C.", found) == (0.0, [("term", "car", "C#")])


def test_a_plural_that_nobody_forces_counts_too() -> None:
    """Into a language whose plurals aren't known, the engine makes them; the wording has to be there all the same."""
    terms = [Term("stage", "", "f", (), {"fr": "étape"})]
    found = Wordings(terms, "fr")
    assert "".join(plain(piece) for piece in found.pieces("Two stages.")) == "Two stages."
    assert report("Two stages.", "Deux étapes.", found) == (100.0, [])
    assert report("Two stages.", "Deux scènes.", found) == (0.0, [("term", "stage", "étape")])


def test_a_lost_identifier_is_a_violation() -> None:
    """Which leaves the adherence to the glossary alone."""
    found = wordings(voice="voz")
    assert found.pieces("Open /etc/hosts now.")[1] == Kept("/etc/hosts")
    lost = [("identifier", "/etc/hosts", "/etc/hosts")]
    assert report("Open /etc/hosts now.", "Abre /etc/anfitriones ahora.", found) == (100.0, lost)
