"""Text files of people: whatever the editor made of them is read, or a command to type mends them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mediabuild.errors import StageError
from mediabuild.media.textfiles import read_text

SPANISH = "1\n00:00:01,000 --> 00:00:02,000\n¿Qué pasó en la habitación, señor?\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_marks_and_line_ends_of_any_system_do_no_harm(tmp_path: Path, encoding: str, line_end: str) -> None:
    """Also a mark in the middle, where two files were joined."""
    path = tmp_path / "a.srt"
    path.write_bytes((SPANISH + "\ufeff2\n").replace("\n", line_end).encode(encoding))
    assert read_text(path, "a.srt") == SPANISH + "2\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (SPANISH, "cp1252"),
        ("It’s “fine” – he said…\n", "cp1252"),
        ("agua,ágil\n", "cp1252"),
        ("Straße,ölig\n", "cp1252"),
        ("voice,声\n", "cp932"),
        ("голос\n", "cp1251"),
        ("Привет, как дела? Это хороший день.\n", "cp1251"),
        ("今日は天気がとても良いので散歩に行きましょう。\n", "cp932"),
        ("今天天气很好,我们去散步吧。\n", "gb18030"),
        ("오늘은 날씨가 매우 좋으니 산책하러 갑시다.\n", "cp949"),
        ("Dziękuję bardzo, miło cię widzieć.\n", "cp1250"),
    ],
)
def test_the_hint_for_another_encoding_can_be_typed(tmp_path: Path, text: str, encoding: str) -> None:
    """It names the file where it lies and the encoding that it is in; typed, it makes the file readable."""
    path = tmp_path / "a person's $HOME" / "talk's 100%.srt"
    path.parent.mkdir()
    path.write_bytes(b"plain\n" + text.encode(encoding))
    with pytest.raises(StageError, match=r"^talk:[24]: not UTF-8; as [\w-]+ it reads ") as caught:
        read_text(path, "talk")
    assert text.split("\n", maxsplit=1)[0][:12] in caught.value.message or text.startswith("1")
    subprocess.run(["bash", "-c", caught.value.hint], check=True)
    assert read_text(path, "talk") == "plain\n" + text
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("character", ["\0", "\x1b", "\x07", "\x7f", "\x85", "\x0b"])
def test_control_characters_are_refused_with_their_line(tmp_path: Path, character: str) -> None:
    """A subtitle file that holds one is refused by players; those below a space can be taken out by the hint."""
    path = tmp_path / "a.srt"
    path.write_text(f"one\ntw{character}o\n", encoding="utf-8")
    with pytest.raises(StageError, match=rf"^a\.srt:2: a control character \(U\+{ord(character):04X}\)") as caught:
        read_text(path, "a.srt")
    if character < " ":
        subprocess.run(["bash", "-c", caught.value.hint], check=True)
        assert read_text(path, "a.srt") == "one\ntwo\n"


def test_a_false_mark_is_named(tmp_path: Path) -> None:
    """A file that says UTF-16 and has half a character."""
    path = tmp_path / "a.srt"
    path.write_bytes(b"\xff\xfea")
    with pytest.raises(StageError, match=r"^a\.srt: marked as UTF-16-LE, and isn't"):
        read_text(path, "a.srt")


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    """Without a traceback."""
    with pytest.raises(StageError, match=r"corrections/a.srt: is a folder"):
        read_text(tmp_path, "corrections/a.srt")
