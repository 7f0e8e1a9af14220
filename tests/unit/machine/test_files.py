"""Files and folders: modes as the user wants them, trees that go whole, names that fit."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mediabuild.machine import files, listing

NOBODY = 65534


@pytest.fixture(params=[0o022, 0o002, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Those that people have."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_what_is_made_has_the_modes_that_the_umask_leaves(tmp_path: Path, umask: int) -> None:
    """A file that is written whole, also over an earlier one, and a temporary directory."""
    path = tmp_path / "folder" / "file"
    for content in (b"one", b"two"):
        files.write_atomically(path, content)
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    made = files.new_directory(tmp_path / "tmp")
    assert stat.S_IMODE(made.stat().st_mode) == 0o777 & ~umask
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o777 & ~umask


def test_only_old_parts_of_ours_are_swept(tmp_path: Path) -> None:
    """A part that is young, a name that is another's, a folder and what a link leads to stay."""
    path, other = tmp_path / "file", tmp_path / "other"
    other.write_text("precious")
    old, young = tmp_path / ".file.0123abcd.part", tmp_path / ".file.0123abce.part"
    for name in (old, young, tmp_path / ".file.draft.part", tmp_path / ".file.01234567.part.mine"):
        name.touch()
        os.utime(name, (0, 0))
    os.utime(young)
    (tmp_path / ".file.76543210.part").mkdir()
    files.write_atomically(path, b"")
    assert not old.exists()
    assert len(list(tmp_path.iterdir())) == 6


def as_somebody(folder: Path, act: Callable[[], object]) -> None:
    """Do it as a user to whom permissions apply, who owns the folder; an exception fails the test."""
    if os.geteuid() != 0:
        act()
        return
    for path in [folder, *folder.rglob("*")]:
        os.lchown(path, NOBODY, NOBODY)
    child = os.fork()
    if not child:
        code = 1
        try:
            os.setuid(NOBODY)
            act()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.fixture
def open_path(tmp_path: Path) -> Path:
    """A folder that other users can reach."""
    for folder in [tmp_path, *tmp_path.parents]:
        if folder.is_relative_to(tempfile.gettempdir()) and folder != Path(tempfile.gettempdir()):
            folder.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("mode", [0o500, 0o400, 0o100, 0o000])
def test_a_tree_with_folders_that_are_read_only_goes_whole(open_path: Path, mode: int) -> None:
    """Whatever the mode of a folder in it; what a link leads to stays."""
    tree, other = open_path / "tree", open_path / "other"
    (tree / "a" / "b").mkdir(parents=True)
    other.mkdir()
    for folder in (tree, tree / "a", tree / "a" / "b", other):
        (folder / "file").write_text("x")
    (tree / "a" / "link").symlink_to(other)
    for folder in (tree / "a" / "b", tree / "a", tree):
        folder.chmod(mode)
    as_somebody(open_path, lambda: files.remove_tree(tree))
    assert not tree.exists()
    assert (other / "file").exists()


def test_files_go_out_of_folders_that_are_read_only(open_path: Path) -> None:
    """Removed, moved, and the folder itself removed when it is empty."""
    for name in ("removed/file", "moved/file"):
        (open_path / name).parent.mkdir()
        (open_path / name).write_text(name)
        (open_path / name).parent.chmod(0o500)

    def act() -> None:
        files.remove_file(open_path / "removed/file")
        files.move(open_path / "moved/file", open_path / "new/file")
        for folder in ("removed", "moved"):
            files.remove_empty(open_path / folder)

    as_somebody(open_path, act)
    assert [str(p.relative_to(open_path)) for p in sorted(open_path.rglob("*"))] == ["new", "new/file"]


def test_a_link_goes_and_not_what_it_leads_to(tmp_path: Path) -> None:
    """Where a tree was expected."""
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "other")
    files.remove_tree(tmp_path / "link")
    files.remove_tree(tmp_path / "nowhere")
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


@pytest.mark.parametrize("relative", ["l/keep.txt", "a/l/keep.txt", "a/l/b/keep.txt"])
def test_a_path_behind_a_link_is_not_straight(tmp_path: Path, relative: str) -> None:
    """Nor is one behind a link to a folder of the same tree."""
    (tmp_path / "a").mkdir()
    for link in ("l", "a/l"):
        (tmp_path / link).symlink_to(tmp_path / "a")
    assert not files.is_straight(tmp_path, relative)
    assert files.is_straight(tmp_path, "a/l")
    assert files.is_straight(tmp_path, "nowhere/x")


@pytest.mark.parametrize("name", ["x" * 255, "x" * 200 + "." + "y" * 54, "ü" * 127, "x." + "y" * 253])
def test_an_unused_name_fits(tmp_path: Path, name: str) -> None:
    """However long the taken one is."""
    (tmp_path / name).touch()
    for _ in range(3):
        made = files.unused_name(tmp_path / name)
        made.touch()
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("name", [".DS_Store", "._ep01.mp4", "Thumbs.db", "desktop.ini", ".~lock.terms.csv#"])
def test_what_file_managers_leave_never_counts(tmp_path: Path, name: str) -> None:
    """Nor does a folder of such a name."""
    (tmp_path / name).touch()
    (tmp_path / "sub" / name).mkdir(parents=True)
    (tmp_path / "sub" / name / "x").touch()
    assert [label for label, _ in listing.files_below(tmp_path)] == ["sub/"]


def test_a_name_that_is_not_utf8_is_refused_by_name(tmp_path: Path) -> None:
    """In words that can be printed."""
    (tmp_path / "sub").mkdir()
    open(os.fsencode(tmp_path / "sub") + b"/caf\xe9.txt", "w").close()
    with pytest.raises(OSError, match=r"caf\\xe9\.txt is not UTF-8"):
        list(listing.files_below(tmp_path))
