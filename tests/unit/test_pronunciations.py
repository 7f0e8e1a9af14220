"""Phones: how words sound that the aligner's dictionary lacks."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediabuild.media.speech.forcing import decoder
from mediabuild.media.speech.pronunciations import IPA, SPELLING, from_ipa, from_letters, installed, pronounced

NEEDS_ESPEAK = pytest.mark.skipif(not installed(), reason="espeak-ng isn't installed")


@pytest.mark.parametrize(
    ("ipa", "phones"),
    [
        ("ˈɑːkæfɚ", "AA K AE F ER"),
        ("d͡ʒˈʌd͡ʒ", "JH AH JH"),
        ("θɹˈuː", "TH R UW"),
        ("ˌekstɾaˌoɾðinˈaɾjo", "EH K S T D AA OW D DH IY N AA D Y OW"),
        ("bɔ̃ʒˈuʁ", "B AO ZH UW R"),
        ("(en)hɛlˈoʊ(fr)", "HH EH L OW"),
        ("", ""),
    ],
)
def test_ipa_is_mapped_to_the_nearest_phones(ipa: str, phones: str) -> None:
    """Stress, length, ties and language switches are left out; nasal vowels are plain ones."""
    assert from_ipa(ipa) == phones


@pytest.mark.parametrize(
    ("word", "phones"),
    [("tree", "T R IY"), ("okafor", "AA K AE F AO R"), ("smythe", "S M IY TH"), ("étage", "EH T AE G"), ("42", "")],
)
def test_letters_are_a_rough_guess(word: str, phones: str) -> None:
    """English spelling, the longest group of letters first."""
    assert from_letters(word) == phones


@given(text=st.text(max_size=20))
def test_any_text_gives_phones_of_the_model(text: str) -> None:
    """Whatever is asked for: phones that pocketsphinx knows, or none."""
    found = {*from_ipa(text).split(), *from_letters(text).split()}
    assert found <= {phone for phones in (*IPA.values(), *SPELLING.values()) for phone in phones.split()}


@NEEDS_ESPEAK
def test_espeak_says_each_word_by_itself() -> None:
    """Names, and words that give no line or two: each keeps its own pronunciation, in two languages."""
    found, by = pronounced(["okafor", "xiomara", "—", "a. b."], "en-GB")
    assert (found["okafor"], found["xiomara"]) == ("AA K AE F ER", "Z IH AH M AA R R AH")
    assert "—" not in found
    assert by is not None and by.startswith("espeak-ng 1.")
    assert pronounced(["guerra"], "es-419")[0] == {"guerra": "G EH R AA"}
    assert pronounced(["guerra"], "xx") == ({}, None)


def test_without_espeak_english_is_spelt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the program is missing, English words have a guess, and other languages nothing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert pronounced(["okafor"]) == ({"okafor": "AA K AE F AO R"}, "letters")
    assert pronounced(["guerra"], "es") == ({}, None)


def test_pocketsphinx_knows_all_phones() -> None:
    """Each phone of both tables is one of the acoustic model's: a word can be made of it."""
    added = decoder()
    for phone in {phone for phones in (*IPA.values(), *SPELLING.values()) for phone in phones.split()}:
        added.add_word(f"word-{phone}", phone, True)
        assert added.lookup_word(f"word-{phone}") == phone
