"""Readings: written words as people say them, the likeliest first."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediabuild.media.speech.numbers import MOST
from mediabuild.media.speech.readings import readings


def said(text: str, language: str = "en") -> list[list[str]]:
    """The readings of each word of a text, as plain texts."""
    return [[" ".join(way) for way in ways] for ways in readings(text.split(), language)]


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("$4.2 million,", "four point two / million dollars"),
        ("$37.50", "thirty seven dollars and fifty cents"),
        ("$37.50", "thirty seven fifty"),
        ("$1", "one dollar"),
        ("€20", "twenty euros"),
        ("£5.99!", "five pounds ninety nine"),
        ("$0.99", "ninety nine cents"),
        ("$5k", "five thousand dollars"),
        ("20¢", "twenty cents"),
        ("12%", "twelve percent"),
        ("8.5%", "eight point five percent"),
        ("10–15%", "ten to fifteen percent"),
        ("1905", "nineteen oh five"),
        ("1905", "one thousand nine hundred and five"),
        ("2019.", "twenty nineteen"),
        ("2001", "two thousand one"),
        ("2,500", "two thousand five hundred"),
        ("2500", "twenty five hundred"),
        ("204", "two oh four"),
        ("007", "oh oh seven"),
        ("1980s", "nineteen eighties"),
        ("'90s", "nineties"),
        ("21st", "twenty first"),
        ("3.14", "three point one four"),
        (".5", "point five"),
        ("-5", "minus five"),
        ("-5°C", "minus five degrees celsius"),
        ("−5%", "minus five percent"),
        ("-$20", "minus twenty dollars"),
        ("±3%", "plus or minus three percent"),
        ("~10kg", "about ten kilograms"),
        ("$20–$30", "twenty dollars to thirty dollars"),
        ("10%-20%", "ten percent to twenty percent"),
        ("mid-1980s", "mid nineteen eighties"),
        ("2nd-floor", "second floor"),
        ("30-year-old", "thirty year old"),
        ("9/11", "nine eleven"),
        ("5:30-6:00", "five thirty to six o'clock"),
        ("and/or", "and or"),
        ("1/2", "one half"),
        ("2/3", "two thirds"),
        ("1½", "one and a half"),
        ("10:30", "ten thirty"),
        ("5:05", "five oh five"),
        ("10:00", "ten o'clock"),
        ("7:30pm", "seven thirty p m"),
        ("March 14,", "march / fourteenth"),
        ("14 March", "the fourteenth of / march"),
        ("2024-03-14", "march fourteenth twenty twenty four"),
        ("3/14/2024", "the fourteenth of march twenty twenty four"),
        ("1914–1918", "nineteen fourteen to nineteen eighteen"),
        ("555-0199", "five five five oh one nine nine"),
        ("3-1", "three to one"),
        ("24/7", "twenty four seven"),
        ("#5", "number five"),
        ("5kg", "five kilograms"),
        ("180°C", "one hundred eighty degrees celsius"),
        ("100 km/h", "one hundred / kilometers per hour"),
        ("Dr. Smith's", "doctor / smith's"),
        ("St. Louis", "saint / louis"),
        ("e.g.", "for example"),
        ("U.S.A.", "u s a"),
        ("FBI", "f b i"),
        ("NATO", "nato"),
        ("DVDs", "d v d's"),
        ("9 a.m.", "nine / a m"),
        ("I am", "i / am"),
        ("Chapter IV", "chapter / four"),
        ("Henry VIII", "henry / the eighth"),
        ("COVID-19", "covid nineteen"),
        ("L2500", "l twenty five hundred"),
        ("mp3", "m p three"),
        ("AT&T", "a t and t"),
        ("YouTube", "you tube"),
        ("www.example.com", "w w w dot example dot com"),
        ("info@example.com", "info at example dot com"),
        ("well-known", "well known"),
        ("“Hello,”", "hello"),
        ("rock’n’roll", "rock'n'roll"),
        ("R & D", "r / and / d"),
        ("word — word", "word /  / word"),
    ],
)
def test_what_is_written_is_read_aloud(written: str, spoken: str) -> None:
    """Each word has the reading that people would use; `/` stands between words."""
    ways = said(written)
    wanted = [part.strip() for part in spoken.split("/")] if len(ways) > 1 else [spoken]
    assert len(ways) == len(wanted)
    assert all(way in found or not (way or found) for way, found in zip(wanted, ways, strict=True))


def test_a_text_in_capitals_has_no_initials() -> None:
    """Only where capitals tell something are they spelt."""
    assert said("HE BEGAN TO RUN") == [["he"], ["began"], ["to"], ["run"]]


@pytest.mark.parametrize(
    ("language", "written", "spoken"),
    [
        ("es-419", "1998", "mil novecientos noventa y ocho"),
        ("es", "1.250", "mil doscientos cincuenta"),
        ("fr", "21", "vingt et un"),
        ("de", "1998", "neunzehnhundertachtundneunzig"),
        ("es", "¿Cuántos?", "cuántos"),
        ("eu", "50%", "50%"),
    ],
)
def test_other_languages_say_their_numbers(language: str, written: str, spoken: str) -> None:
    """num2words' words where it knows the language; otherwise the word as it is."""
    assert spoken in said(written, language)[0]


TOKENS = st.text(st.sampled_from("aAzZmMsIVXk019 .,:;-–—'’\"$€%&#@/°½+=?!()é"), min_size=1, max_size=12)


@given(text=TOKENS, language=st.sampled_from(["en", "es", "xx"]))
def test_any_text_has_readings_of_plain_words(text: str, language: str) -> None:
    """Whatever is written: no failure, few readings, and in English they are lower-case words alone."""
    words = text.split()
    found = readings(words, language)
    assert len(found) == len(words)
    for ways in found:
        assert len(ways) <= MOST
        assert all(ways)
        if language == "en":
            assert all(
                re.fullmatch(r"[^\W\d_]+(?:'[^\W\d_]+)*", word) and word == word.lower() for way in ways for word in way
            )
