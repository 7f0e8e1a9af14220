"""A jobs directory in a lower layer of overlayfs, as in a container's image: its folders can't be renamed there."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Project
from tests.e2e.test_modes_and_links import MADE, MAKE, TREE, entries


@pytest.fixture
def layered(project: Project, tmp_path: Path) -> Iterator[Project]:
    """A and B, built twice, and then put below a layer that can be written."""
    project.write("pipeline.toml", TREE)
    project.write("make.sh", MAKE)
    project.write("media/a.txt", "a\n")
    assert project.run("A.word=two").status == 0
    assert project.run().status == 0
    for name in ("upper", "work", "merged"):
        (tmp_path / name).mkdir()
    options = f"lowerdir={project.root},upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    mount = ["mount", "-t", "overlay", "overlay", "-o", options, str(tmp_path / "merged")]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("overlayfs can't be mounted here")
    lower, project.root = project.root, tmp_path / "merged"
    try:
        yield project
    finally:
        subprocess.run(["umount", "-l", str(tmp_path / "merged")], check=True)
        project.root = lower


def test_everything_goes_on(layered: Project) -> None:
    """Fresh; rebuilt; earlier outputs come back, from below and from above; what is damaged is mended."""
    assert layered.run().ran == []
    back = layered.run("A.word=two")
    assert (back.status, back.tasks("stage_restored")) == (0, ["A:a", "B:a"]), back.out
    assert layered.read("jobs/a/B/b.txt") == "ran\ntwo\nlink\n"
    assert entries(layered.root / "jobs/a/A") == MADE
    built = layered.run("A.word=three")
    assert (built.status, built.ran) == (0, ["A:a", "B:a"]), built.out
    again = layered.run()
    assert (again.status, again.tasks("stage_restored")) == (0, ["A:a", "B:a"]), again.out
    assert layered.read("jobs/a/B/b.txt") == "ran\none\nlink\n"
    assert entries(layered.root / "jobs/a/A") == MADE
    assert layered.run().ran == []
    assert layered.command("validate").status == 0


def test_what_is_edited_and_what_is_missing(layered: Project) -> None:
    """In the lower layer, too, an edit is kept, and a failed stage leaves all as it was."""
    layered.write("jobs/a/A/tree/file", "edited\n")
    mended = layered.run()
    assert (mended.status, mended.ran) == (0, ["A:a"]), mended.out
    assert entries(layered.root / "jobs/a/A") == MADE
    assert layered.read("jobs/a/A.edited/tree/file") == "edited\n"
    layered.write("make.sh", "exit 1\n")
    failed = layered.run()
    assert (failed.status, failed.ran) == (1, ["A:a"])
    assert entries(layered.root / "jobs/a/A") == MADE
    layered.write("make.sh", MAKE)
    assert layered.run().ran == []
    assert list((layered.root / "jobs/a/.mediabuild/swap").iterdir()) == []
