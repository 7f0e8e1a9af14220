"""Regular files and nothing else: links, pipes, devices and folders are refused, and nothing waits."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mediabuild.machine import regular

OTHERS: dict[str, Callable[[Path, Path], object]] = {
    "a link": lambda path, other: path.symlink_to(other),
    "a dangling link": lambda path, other: path.symlink_to(other.with_name("nowhere")),
    "a pipe": lambda path, other: os.mkfifo(path),
    "a folder": lambda path, other: path.mkdir(),
}


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("mode", ["rb", "wb", "ab"])
def test_anything_else_is_refused(tmp_path: Path, kind: str, mode: str) -> None:
    """At once, and what a link leads to stays as it is."""
    other, path = tmp_path / "other", tmp_path / "path"
    other.write_text("precious")
    OTHERS[kind](path, other)
    with pytest.raises(OSError, match=r".+"):
        regular.open_file(path, mode)
    assert other.read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()


def test_regular_files_are_written_anew_or_at_their_end(tmp_path: Path) -> None:
    """As `open` does."""
    path = tmp_path / "path"
    for mode, content in (("wb", b"long text"), ("wb", b"one"), ("ab", b" two")):
        with regular.open_file(path, mode) as file:
            file.write(content)
    assert regular.read_bytes(path) == b"one two"


def test_a_file_of_holes_is_not_read_into_memory(tmp_path: Path) -> None:
    """It is as small as any in an archive."""
    path = tmp_path / "path"
    path.touch()
    os.truncate(path, 1 << 40)
    with pytest.raises(OSError, match="too large to be read whole"):
        regular.read_bytes(path)
