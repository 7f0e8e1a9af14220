"""A project on exFAT, which has neither a ctime nor modes nor links: no stat is trusted there, and content decides."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import CHAIN, Project


def succeeds(*command: str) -> bool:
    """Whether a program is there and does its work."""
    found = shutil.which(command[0]) is not None
    return found and subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def stick(project: Project, tmp_path: Path) -> Iterator[Project]:
    """The project's folder is on an exFAT stick."""
    image, where = tmp_path / "image", tmp_path / "stick"
    where.mkdir()
    with open(image, "wb") as file:
        file.truncate(16 << 20)
    free = subprocess.run(["losetup", "-f"], capture_output=True, text=True, check=False).stdout.strip()
    if not (free and succeeds("mkfs.exfat", str(image)) and succeeds("losetup", free, str(image))):
        pytest.skip("no exFAT can be made here: exfatprogs, losetup, root")
    try:
        if not (succeeds("mount", "-t", "exfat", free, str(where)) or succeeds("mount.exfat-fuse", free, str(where))):
            pytest.skip("no exFAT can be mounted here: exfat-fuse, root")
        project.root, root = where, project.root
        yield project
        project.root = root
        subprocess.run(["umount", "-l", str(where)], check=True)
    finally:
        subprocess.run(["losetup", "-d", free], check=True)


def test_an_edit_that_leaves_the_same_stats_is_found(stick: Project) -> None:
    """Equal length, and the time set back: in a recording, and in an output."""
    stick.write("pipeline.toml", CHAIN)
    file = stick.write("media/one.txt", "hello\n")
    first = stick.run()
    assert (first.status, len(first.ran)) == (0, 3), first.out
    assert (stick.run().ran, stick.command("check").status) == ([], 0)
    times = file.stat()
    stick.write("media/one.txt", "HELLO\n")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert stick.command("check").status == 1
    assert stick.run().ran == ["A:one", "B:one", "C:one"]
    output = stick.root / "jobs/one/B/b.txt"
    times = output.stat()
    output.write_bytes(output.read_bytes().lower())
    os.utime(output, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert stick.run().ran == ["B:one"]
    assert stick.read("jobs/one/C/c.txt") == "OLLEH\n" * 2
    assert stick.run().ran == []


def test_what_is_made_there_is_fresh_elsewhere_and_back(stick: Project, tmp_path: Path) -> None:
    """All files are executables there, and on the way back."""
    stick.write("pipeline.toml", CHAIN)
    stick.write("media/one.txt", "hello\n")
    assert stick.run().status == 0
    assert os.access(stick.root / "jobs/one/A/a.txt", os.X_OK)
    shutil.copytree(stick.root, tmp_path / "back")
    there, stick.root = stick.root, tmp_path / "back"
    assert os.access(stick.root / "jobs/one/A/a.txt", os.X_OK)
    try:
        assert (stick.run().ran, stick.command("check").status) == ([], 0)
        assert stick.run("times=3").ran == ["B:one", "C:one"]
        assert stick.run().tasks("stage_restored") == ["B:one", "C:one"]
        assert stick.run().ran == []
    finally:
        stick.root = there
