"""Words where no spaces are written: Chinese, Japanese, Thai."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediabuild.media.text.words import columns, cut_to_width, end_of_line, joined, joined_lines, split_words


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("ja", "今日は|天気が|とても|良いので|散歩に|行きましょう。|明日は|「雨」が|降ると|思います。"),
        ("ja", "GitHubを|使って|Python3.11の|コードを|書くのは|楽しいですよ！|本当に？"),
        ("zh", "今天|天气|很|好，|我们|去|散步|吧。|你|觉得|怎么样？"),
        ("zh-TW", "今天|天氣|很|好，|我們|去"),
        ("th", "สวัสดี|ครับ|ผม|ชื่อ|สมชาย|ทำงาน|ที่|กรุงเทพฯ|และ|ต่างๆ"),
        ("ko", "안녕하세요"),
        ("en", "don't"),
    ],
)
def test_phrases_are_found_by_their_script(language: str, words: str) -> None:
    """A full stop, a small kana, a closing quote or a repetition mark never begins a word."""
    assert [piece.text for piece in split_words(words.replace("|", ""), language)] == words.split("|")


@settings(max_examples=300, deadline=None)
@given(
    text=st.text("今日は昨天เก่ก็ฯๆทำ「」、。！a1 .\n", max_size=30), language=st.sampled_from(["ja", "zh", "th", "en"])
)
def test_words_put_together_are_the_text(text: str, language: str) -> None:
    """No space is lost or made, whatever is mixed."""
    assert joined(split_words(text, language)) == " ".join(text.split())


@settings(max_examples=300, deadline=None)
@given(text=st.text("今日はกน้ำ ab", max_size=20), breaks=st.sets(st.integers(1, 20)))
def test_lines_put_together_are_the_text(text: str, breaks: set[int]) -> None:
    """A line keeps the space at its end where the next line's script would not show it."""
    words = split_words(text, "ja")
    lines = [""]
    for at, word in enumerate(words):
        last = at + 1 in breaks or at == len(words) - 1
        following = words[at + 1].text if at + 1 < len(words) else ""
        lines[-1] += word.text
        if not last:
            lines[-1] += " " * word.space_after
        elif following:
            lines[-1] += end_of_line(word.text, following, word.space_after)
            lines.append("")
    assert joined_lines(lines) == " ".join(text.split())


def test_width_is_counted_in_columns() -> None:
    """Two for a Chinese character, none for a Thai vowel above the line; a long Latin word is never cut."""
    assert (columns("abc"), columns("日本"), columns("น้ำ")) == (3, 4, 2)
    assert cut_to_width("コンピューターサイエンス", 10) == ["コンピュー", "ターサイエ", "ンス"]
    assert all(columns(part) <= 9 for part in cut_to_width("วันนี้อากาศดีมากเราไปเดินเล่นกันเถอะ", 9))
    assert cut_to_width("x" * 60, 42) == ["x" * 60]
