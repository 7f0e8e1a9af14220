"""Delivered copies that are gone or were edited: made again, kept, or adopted as the output."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import CHAIN, Project
from tests.e2e.test_adoption import adopt
from tests.e2e.test_tampering import contents, edited, output

DELIVERING = CHAIN + 'deliver = "out/{job}"\n'


@pytest.fixture
def delivering(project: Project) -> Project:
    """The chain, with C delivered to `out/one.txt`."""
    project.write("pipeline.toml", DELIVERING)
    project.write("media/one.txt", "hello\n")
    assert project.run().status == 0
    return project


def test_a_delivered_copy_that_is_gone_is_copied_again(delivering: Project) -> None:
    """No stage runs for a copy."""
    (delivering.root / "out/one.txt").unlink()
    second = delivering.run()
    assert (second.status, second.ran) == (0, [])
    assert second.tasks("stage_delivered") == ["C:one"]
    assert delivering.read("out/one.txt") == delivering.read("jobs/one/C/c.txt")
    assert delivering.run().skipped == ["A:one", "B:one", "C:one"]


def test_a_delivered_copy_that_was_edited_is_kept(delivering: Project) -> None:
    """The edit is moved beside and named, no stage runs, and `check` had seen it."""
    delivering.write("out/one.txt", "mine\n")
    assert delivering.command("check").status == 1
    second = delivering.run()
    assert (second.status, second.ran) == (0, [])
    assert delivering.read("out/one.edited.txt") == "mine\n"
    assert "out/one.edited.txt" in second.out
    assert delivering.read("out/one.txt") == delivering.read("jobs/one/C/c.txt")
    assert delivering.command("check").status == 0


def test_a_stale_delivered_copy_is_replaced(delivering: Project) -> None:
    """A copy of the earlier output is nobody's edit: it is replaced and not kept."""
    delivering.write("media/one.txt", "world\n")
    assert delivering.run().status == 0
    assert delivering.read("out/one.txt") == "dlrow\ndlrow\n"
    assert sorted(p.name for p in (delivering.root / "out").iterdir()) == ["one.txt"]


def test_a_file_in_the_place_of_a_first_delivery_is_kept(project: Project) -> None:
    """What lies in `out/` before the first run is somebody's file."""
    project.write("pipeline.toml", DELIVERING)
    project.write("media/one.txt", "hello\n")
    project.write("out/one.txt", "mine\n")
    assert project.run().status == 0
    assert project.read("out/one.edited.txt") == "mine\n"


@pytest.mark.parametrize("when", ["at once", "after a run, put back"])
def test_reset_dep_adopts_an_edited_copy(delivering: Project, when: str) -> None:
    """The copy is the output from now on, and what the next run's hint says to type does just that."""
    delivering.write("out/one.txt", "mine\n")
    if when == "at once":
        assert adopt(delivering, "C:one").status == 0
    else:
        run = delivering.run()
        hint = "mv out/one.edited.txt out/one.txt && mediabuild reset-dep C:one"
        assert hint in run.out
        (delivering.root / "out/one.edited.txt").replace(delivering.root / "out/one.txt")
        assert adopt(delivering, "C:one").status == 0
    assert delivering.read("out/one.txt") == delivering.read("jobs/one/C/c.txt") == "mine\n"
    assert [p.name for p in (delivering.root / "out").iterdir()] == ["one.txt"]
    assert (delivering.run().ran, delivering.command("check").status) == ([], 0)
    assert delivering.command("validate").status == 0
    delivering.write("media/one.txt", "world\n")  # made again: what a person wrote is kept, and named, once
    again = delivering.run()
    assert delivering.read("out/one.txt") == "dlrow\ndlrow\n"
    assert edited(delivering, "C") == {"c.txt": "mine\n"}
    assert [p.name for p in (delivering.root / "out").iterdir()] == ["one.txt"]
    assert "mv jobs/one/C.edited/c.txt jobs/one/C/c.txt && mediabuild reset-dep C:one" in again.out


def test_reset_dep_on_an_edited_copy_of_what_others_read(project: Project) -> None:
    """The stage behind is stale by content, and follows the copy."""
    project.write("pipeline.toml", CHAIN.replace("[stages.C]", 'deliver = "out/{job}"\n[stages.C]'))
    project.write("media/one.txt", "hello\n")
    assert project.run().status == 0
    project.write("out/one.txt", "mine\n")
    assert adopt(project, "B:one").status == 0
    assert project.run().ran == ["C:one"]
    assert contents(project) == {"A": "hello\n", "B": "mine\n", "C": "enim\n"}


def test_reset_dep_refuses_two_edits_that_differ(delivering: Project) -> None:
    """Both are named and stay as they are; once they are the same, they are adopted."""
    output(delivering, "C").write_text("this\n")
    delivering.write("out/one.txt", "that\n")
    refused = adopt(delivering, "C:one")
    assert refused.status == 1
    assert "failed C:one (out/one.txt and jobs/one/C/c.txt were both edited" in refused.out
    assert (output(delivering, "C").read_text(), delivering.read("out/one.txt")) == ("this\n", "that\n")
    delivering.write("out/one.txt", "this\n")
    assert adopt(delivering, "C:one").status == 0
    assert (output(delivering, "C").read_text(), delivering.read("out/one.txt")) == ("this\n", "this\n")
    assert delivering.run().ran == []


def test_reset_dep_on_a_copy_keeps_what_was_adopted_before(delivering: Project) -> None:
    """A second edit takes the first one's place; the first is kept beside, and named."""
    for text in ("first\n", "second\n"):
        delivering.write("out/one.txt", text)
        adopted = adopt(delivering, "C:one")
    assert "kept jobs/one/C.edited/c.txt" in adopted.out
    assert edited(delivering, "C") == {"c.txt": "first\n"}
    assert delivering.read("jobs/one/C/c.txt") == "second\n"


def test_reset_dep_refuses_a_link_in_a_copys_place(delivering: Project) -> None:
    """It is named, and neither it nor what it leads to is touched."""
    copy = delivering.root / "out/one.txt"
    copy.unlink()
    delivering.write("mine.txt", "mine\n")
    copy.symlink_to("../mine.txt")
    refused = adopt(delivering, "C:one")
    assert (refused.status, "out/one.txt: is no regular file" in refused.out) == (1, True)
    assert copy.is_symlink()
    assert output(delivering, "C").read_text() == "olleh\nolleh\n"
