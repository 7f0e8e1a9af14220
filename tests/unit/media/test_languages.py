"""Tags of languages on their way into containers and out of them."""

from __future__ import annotations

import pytest

from mediabuild.media.languages import from_container, name_of, same_language, to_container


@pytest.mark.parametrize(
    ("code", "tag"),
    [
        ("eng", "en"),
        ("ger", "de"),
        ("deu", "de"),
        ("en-US", "en-US"),
        ("ENG", "en"),
        ("yue", "yue"),
        ("es_419", "es-419"),
    ],
)
def test_a_containers_code_becomes_a_bcp_47_tag(code: str, tag: str) -> None:
    """Both kinds of ISO 639-2, and tags that are BCP 47 already."""
    assert from_container(code) == tag


@pytest.mark.parametrize("code", [None, "", "und", "mul", "zxx"])
def test_a_code_that_names_no_language_is_none(code: str | None) -> None:
    """`und` is not a language, so nothing later may take it for one."""
    assert from_container(code) is None


@pytest.mark.parametrize(
    ("tag", "code"), [("en", "eng"), ("es-419", "spa"), ("de-CH", "deu"), ("fil", "fil"), ("q", "und")]
)
def test_a_tag_becomes_the_code_that_containers_hold(tag: str, code: str) -> None:
    """Regions are dropped, and what has no code is `und`, never a wrong one."""
    assert to_container(tag) == code


def test_every_two_letter_code_comes_back() -> None:
    """The table has no two languages that share a code."""
    from mediabuild.media import languages

    assert len(languages._TO_639_2) == len(languages._TO_639_1) == 183
    assert all(from_container(to_container(tag)) == tag for tag in languages._TO_639_2)


def test_regions_and_kinds_of_code_do_not_separate_a_language() -> None:
    """`spa` and `es-419` are one; two unknown ones are not."""
    assert same_language("spa", "es-419")
    assert not same_language("es", "pt")
    assert not same_language("x1", "x2")


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("en", "English"),
        ("es-419", "Español (Latinoamérica)"),
        ("zh-Hans", "中文 (简体)"),
        ("zh-Hant", "中文 (繁體)"),
        ("pt-BR", "Português (Brasil)"),
        ("pt-PT", "Português (Portugal)"),
        ("grc", "Ancient Greek"),
        ("xx", "xx"),
        ("not a tag", "not a tag"),
    ],
)
def test_a_language_has_a_name_that_tells_it_from_its_relatives(tag: str, name: str) -> None:
    """In itself where it is known, and never an error."""
    assert name_of(tag) == name
