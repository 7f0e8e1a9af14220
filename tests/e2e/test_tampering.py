"""Outputs that are not what their stage made: found, made again, never built upon; what a person wrote is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import CHAIN, Project

OUTPUTS = {"A": "a.txt", "B": "b.txt", "C": "c.txt"}


def output(project: Project, stage: str) -> Path:
    """A stage's output of the job `one`."""
    return project.root / "jobs/one" / stage / OUTPUTS[stage]


def edited(project: Project, stage: str) -> dict[str, str]:
    """What is kept beside a stage's directory."""
    folder = project.root / "jobs/one" / f"{stage}.edited"
    return {path.name: path.read_text() for path in sorted(folder.glob("*"))}


def contents(project: Project) -> dict[str, str]:
    """All outputs."""
    return {stage: output(project, stage).read_text() for stage in OUTPUTS}


@pytest.mark.parametrize("stage", OUTPUTS)
def test_an_edited_output_is_made_again_and_the_edit_is_kept(chain: Project, stage: str) -> None:
    """The stage alone runs, nothing is built on the edit, and the console names the kept file and both ways out."""
    clean = contents(chain)
    output(chain, stage).write_text("mine\n")
    second = chain.run()
    assert second.ran == [f"{stage}:one"]
    assert second.reasons(f"{stage}:one") == [f"outputs.{OUTPUTS[stage]}"]
    assert contents(chain) == clean
    assert edited(chain, stage) == {OUTPUTS[stage]: "mine\n"}
    assert f"jobs/one/{stage}.edited/{OUTPUTS[stage]}" in second.out
    assert "corrections/" in second.out
    assert f"mediabuild reset-dep {stage}:one" in second.out
    assert chain.run().ran == []


@pytest.mark.parametrize("stage", OUTPUTS)
def test_a_truncated_output_is_made_again(chain: Project, stage: str) -> None:
    """Cut short, and cut to nothing."""
    clean = contents(chain)
    for length in (2, 0):
        with output(chain, stage).open("r+") as file:
            file.truncate(length)
        assert chain.run().ran == [f"{stage}:one"]
        assert contents(chain) == clean


@pytest.mark.parametrize("stage", OUTPUTS)
def test_a_deleted_output_is_made_again(chain: Project, stage: str) -> None:
    """The file is gone, then its whole directory; the stage runs alone, and nothing is kept beside it."""
    clean = contents(chain)
    output(chain, stage).unlink()
    second = chain.run()
    assert second.ran == [f"{stage}:one"]
    assert second.reasons(f"{stage}:one") == [f"outputs.{OUTPUTS[stage]}"]
    for file in output(chain, stage).parent.iterdir():
        file.unlink()
    output(chain, stage).parent.rmdir()
    assert chain.run().ran == [f"{stage}:one"]
    assert contents(chain) == clean
    assert edited(chain, stage) == {}


def test_everything_is_edited_at_once(chain: Project) -> None:
    """Each stage is made again, from its upstream's remade output; each edit is kept."""
    clean = contents(chain)
    for stage in OUTPUTS:
        output(chain, stage).write_text(f"mine {stage}\n")
    assert chain.run().ran == ["A:one", "B:one", "C:one"]
    assert contents(chain) == clean
    assert [edited(chain, stage) for stage in OUTPUTS] == [{OUTPUTS[s]: f"mine {s}\n"} for s in OUTPUTS]


@pytest.mark.parametrize("damage", ["mine\n", None])
def test_a_stage_never_runs_on_bad_bytes(chain: Project, damage: str | None) -> None:
    """B's output edited or gone, and only C asked for: refused by name, C's output untouched, not recorded."""
    clean = output(chain, "C").read_text()
    if damage is None:
        output(chain, "B").unlink()
    else:
        output(chain, "B").write_text(damage)
    ranged = chain.run("--stages", "C")
    assert (ranged.status, ranged.ran) == (3, [])
    assert "add the stage: B" in ranged.err
    single = chain.run("-s", "C:one")
    assert (single.status, single.ran) == (1, [])
    assert single.tasks("stage_failed") == ["C:one"]
    assert "B:one" in single.out
    forced = chain.run("--force", "--stages", "C")
    assert (forced.status, forced.ran) == (3, [])
    assert output(chain, "C").read_text() == clean
    assert chain.run().status == 0
    assert output(chain, "C").read_text() == clean


def test_edits_of_the_same_name_are_all_kept(chain: Project) -> None:
    """Two edits, one after the other: the first isn't overwritten by the second."""
    for text in ("first\n", "second\n", "third\n"):
        output(chain, "B").write_text(text)
        chain.run()
    assert sorted(edited(chain, "B").values()) == ["first\n", "second\n", "third\n"]


def test_an_edit_that_equals_the_new_output_is_no_loss(chain: Project) -> None:
    """The edit is what the stage makes now: nothing needs to be kept."""
    chain.write("media/one.txt", "world\n")
    output(chain, "A").write_text("world\n")
    assert chain.run().status == 0
    assert edited(chain, "A") == {}


def test_a_persons_own_file_in_a_stages_directory_is_kept(chain: Project) -> None:
    """A file that no manifest names makes nothing stale, and is moved out before the stage replaces its directory."""
    chain.write("jobs/one/B/notes/todo.txt", "remember\n")
    assert chain.run().ran == []
    chain.write("media/one.txt", "world\n")
    second = chain.run()
    assert second.status == 0
    assert chain.read("jobs/one/B.edited/notes/todo.txt") == "remember\n"
    assert "jobs/one/B.edited/notes/todo.txt" in second.out


def test_an_edit_without_its_manifest_is_kept(chain: Project) -> None:
    """The manifest is deleted too: what nobody vouches for is kept, what is made again the same isn't."""
    output(chain, "B").write_text("mine\n")
    for stage in OUTPUTS:
        (output(chain, stage).parent / "manifest.json").unlink()
    assert chain.run().ran == ["A:one", "B:one", "C:one"]
    assert [edited(chain, stage) for stage in OUTPUTS] == [{}, {"b.txt": "mine\n"}, {}]


def test_an_edit_is_kept_when_the_upstream_changes_too(chain: Project) -> None:
    """B would run anyway: the edit of its output still is kept and named."""
    output(chain, "B").write_text("mine\n")
    chain.write("media/one.txt", "world\n")
    second = chain.run()
    assert second.ran == ["A:one", "B:one", "C:one"]
    assert edited(chain, "B") == {"b.txt": "mine\n"}
    assert "jobs/one/B.edited/b.txt" in second.out


def test_a_failing_stage_leaves_an_edit_where_it_is(chain: Project) -> None:
    """The edit is moved only when something takes its place."""
    output(chain, "B").write_text("mine\n")
    chain.write("pipeline.toml", CHAIN.replace("for i in", "false; exit 1; for i in"))
    failed = chain.run()
    assert (failed.status, failed.tasks("stage_failed")) == (1, ["B:one", "C:one"])
    assert output(chain, "B").read_text() == "mine\n"
    assert edited(chain, "B") == {}


def test_an_output_that_became_a_directory(chain: Project) -> None:
    """A directory in an output's place is no output; what is in it is kept."""
    output(chain, "B").unlink()
    chain.write("jobs/one/B/b.txt/inner.txt", "mine\n")
    second = chain.run()
    assert second.ran == ["B:one"]
    assert output(chain, "B").read_text() == "hello\nhello\n"
    assert chain.read("jobs/one/B.edited/b.txt/inner.txt") == "mine\n"


def test_an_output_that_became_a_link(chain: Project) -> None:
    """A link with other content behind it is stale; the link is kept, and the file behind it untouched."""
    target = chain.write("elsewhere.txt", "theirs\n")
    output(chain, "B").unlink()
    output(chain, "B").symlink_to(target)
    assert chain.run().ran == ["B:one"]
    assert target.read_text() == "theirs\n"
    assert not output(chain, "B").is_symlink()


@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_stages_directory_that_is_none(chain: Project, kind: str) -> None:
    """A link or a file in the place of a stage's directory is refused by name and left alone."""
    folder = output(chain, "B").parent
    folder.rename(chain.root / "moved")
    if kind == "link":
        folder.symlink_to(chain.root / "moved")
    else:
        folder.write_text("mine\n")
    chain.write("media/one.txt", "world\n")
    second = chain.run()
    assert second.status == 1
    assert "Traceback" not in second.err
    assert "must be a directory" in second.out
    assert "B:one" in second.tasks("stage_failed")
    assert folder.is_symlink() if kind == "link" else folder.read_text() == "mine\n"
    assert (chain.root / "moved/b.txt").read_text() == "hello\nhello\n"
