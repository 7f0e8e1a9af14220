"""Tags of languages on their way into containers and out of them."""

from __future__ import annotations

import pytest

from mediabuild.media.languages import (
    from_container,
    language_of,
    name_of,
    same_language,
    standard,
    tag_for,
    to_container,
)


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
    """Through the three letters of a container, of either kind; no two languages share a code."""
    from langcodes.data_dicts import LANGUAGE_ALPHA3, LANGUAGE_ALPHA3_BIBLIOGRAPHIC

    codes = [code for code in LANGUAGE_ALPHA3 if len(code) == 2 and standard(code) == code]
    assert len(codes) > 180
    assert all(from_container(to_container(code)) == code for code in codes)
    assert all(from_container(LANGUAGE_ALPHA3_BIBLIOGRAPHIC.get(code)) in (code, None) for code in codes)


@pytest.mark.parametrize(
    "code", ["english", "xx", "x1", "q", "e\0n", "en-", "-en", "en--US", "日本", "qaa", "x-foo", "../x"]
)
def test_what_is_no_tag_is_no_language(code: str) -> None:
    """A container may hold any text where a language should be; it becomes part of no file's name."""
    assert from_container(code) is None
    assert to_container(code) == "und"


@pytest.mark.parametrize(
    ("code", "tag"),
    [("ES", "es"), ("zh_tw", "zh-TW"), ("cmn-Hans", "zh-Hans"), ("iw", "he"), ("en-us-x-twain", "en-US")],
)
def test_tags_are_brought_to_their_standard_form(code: str, tag: str) -> None:
    """One spelling a language, so that two files never mean the same one by two names."""
    assert standard(code) == tag


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("Ay, ay, ay, ay, canta y no llores, porque cantando se alegran, cielito lindo, los corazones.", "es"),
        ("Twinkle, twinkle, little star, how I wonder what you are, up above the world so high.", "en"),
        ("今日は天気がとても良いので散歩に行きましょう。", "ja"),
    ],
)
def test_the_language_of_a_text(text: str, tag: str) -> None:
    """Found by its letters alone."""
    found, probability = language_of(text)
    assert found == tag
    assert 0.5 < probability <= 1


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


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Spanish", 'type "es"'), ("español", 'type "es"'), ("Deutsch", 'type "de"'), ("FRENCH", 'type "fr"'),
        ("ESP", ""), ("ES", 'type "es"'), ("pt_BR", 'type "pt-BR"'), ("中文", 'type "zh"'), ("Klingonish", ""),
        (3, ""), ("", ""), ("xx", ""),
        ("sp", 'type "es"'), ("jp", 'type "ja"'), ("gr", 'type "el"'), ("fr", 'type "fr"'),
    ],
)  # fmt: skip
def test_what_to_type_for_a_language(name: object, said: str) -> None:
    """Its name in English or its own, or a tag that is written otherwise."""
    assert tag_for(name) == said
