"""Globs match what Python's own match, but for links to folders and for other encodings of letters."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import pytest

from mediabuild.machine.listing import as_stored, files_below, matches

FILES = [
    "a.txt", "a/b.txt", "a/b/c.txt", "a/b/c.md", "a/.hidden/d.txt", ".hidden/e.txt", "a/.f.txt", "z/[x]/g.txt",
    "z/{y}/h.txt", "z/line\nend/i.txt", "a/b.txt.d/j.txt",
]  # fmt: skip
PATTERNS = [
    "*", "**", "**/*", "**/*.txt", "*/*.txt", "a/**/*.txt", "a/**", "a/**/", "**/b/*", "**/**/c.*", "a/**/b/**/*.md",
    ".hidden/**/*.txt", "**/.f*", "**/.hidden/*", "z/[[]x]/*", "z/[x]/*", "z/**/h.txt", "nothing/**/*", "**b/*",
]  # fmt: skip


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Files in folders, some hidden, some with wildcards in their names."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize("pattern", PATTERNS)
def test_as_python_matches(tree: Path, pattern: str) -> None:
    """The same paths, below a root and absolute; folders with and without a slash are the same."""
    expected = {os.path.normpath(path) for path in glob.glob(pattern, root_dir=tree, recursive=True) if path}
    found = {os.path.normpath(path) for path in matches(pattern, tree)}
    assert found - {"."} == expected - {"."}
    absolute = {os.path.normpath(path) for path in matches(f"{tree}/{pattern}", Path("/"))}
    assert absolute - {str(tree)} == {str(tree / path) for path in expected - {"."}}


def test_each_folder_once(tree: Path) -> None:
    """By its own path, else by the shortest one through links; a link that leads nowhere leads nowhere."""
    (tree / "outside").mkdir()
    (tree / "outside/k.txt").write_text("k")
    (tree / "in").mkdir()
    for link, target in (("in/1", "../outside"), ("in/10", "../outside"), ("in/up", ".."), ("in/gone", "no")):
        (tree / link).symlink_to(target)
    assert matches("in/**/k.txt", tree) == ["in/1/k.txt"]
    assert matches("**/k.txt", tree) == ["outside/k.txt"]


def test_names_as_they_are_stored(tmp_path: Path) -> None:
    """A folder and a file, each encoded in its own way; what isn't there stays as it was typed."""
    typed, stored = "caf\u00e9", "cafe\u0301"
    (tmp_path / stored).mkdir()
    (tmp_path / stored / f"{typed}.md").write_text("x")
    assert as_stored(f"{typed}/{stored}.md", tmp_path) == f"{stored}/{typed}.md"
    assert as_stored(f"{typed}/new-{stored}.md", tmp_path) == f"{stored}/new-{stored}.md"
    assert as_stored(str(tmp_path / typed / "x"), Path("/")) == str(tmp_path / stored / "x")
    assert as_stored(f"no/{typed}", tmp_path) == f"no/{typed}"
    assert matches(f"*/{stored}*", tmp_path) == [f"{stored}/{typed}.md"]


def test_folders_that_link_to_each_other_come_to_an_end(tmp_path: Path) -> None:
    """Three are walked through in every order; with twelve, which would take for ever, that is an error."""
    for count, top in ((3, tmp_path / "few"), (12, tmp_path / "many")):
        for one in range(count):
            (top / f"{one}").mkdir(parents=True)
            (top / f"{one}/file").touch()
            for other in set(range(count)) - {one}:
                (top / f"{one}/{other}").symlink_to(f"../{other}")
    assert "0/1/2/file" in dict(files_below(tmp_path / "few"))
    with pytest.raises(OSError, match="link to each other"):
        list(files_below(tmp_path / "many"))
