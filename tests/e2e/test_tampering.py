"""Outputs that are not what their stage made: found, made again, never built upon; what a person wrote is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import CHAIN, Project, Ran

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


def adopt(project: Project, *names: str) -> Ran:
    """`reset-dep`."""
    return project.command("reset-dep", *names)


def test_reset_dep_adopts_an_edit(chain: Project) -> None:
    """The edited output is what B made, from now on: C follows it, B doesn't run, and `clean` knows it."""
    output(chain, "B").write_text("mine\n")
    adopted = adopt(chain, "B:one")
    assert adopted.status == 0
    assert "B:one" in adopted.out
    second = chain.run()
    assert second.ran == ["C:one"]
    assert contents(chain) == {"A": "hello\n", "B": "mine\n", "C": "enim\n"}
    assert chain.run().ran == []
    assert chain.command("check").status == 0
    assert chain.command("validate").status == 0


def test_reset_dep_adopts_a_file_for_changed_facts(chain: Project) -> None:
    """After a param changed, adopting says that the present outputs are right for it."""
    chain.write("pipeline.toml", CHAIN.replace("times = 2", "times = 9"))
    assert adopt(chain, "B").status == 0
    assert chain.run().ran == []
    assert output(chain, "B").read_text() == "hello\nhello\n"


def test_reset_dep_without_names_takes_all(chain: Project) -> None:
    """Nothing stale is skipped by name, the rest is adopted."""
    output(chain, "C").write_text("mine\n")
    all_of_them = adopt(chain)
    assert all_of_them.status == 0
    assert "skip A:one" in all_of_them.out
    assert "processed C:one" in all_of_them.out
    assert chain.run().ran == []


@pytest.mark.parametrize("what", ["the file", "the directory"])
def test_reset_dep_on_missing_outputs_fails(chain: Project, what: str) -> None:
    """There is nothing to adopt: exit 1, a plain word, and the next run makes it."""
    clean = contents(chain)
    output(chain, "B").unlink()
    if what == "the directory":
        (output(chain, "B").parent / "manifest.json").unlink()
        output(chain, "B").parent.rmdir()
    adopted = adopt(chain, "B:one")
    assert adopted.status == 1
    assert "failed B:one" in adopted.out
    assert "Traceback" not in adopted.err
    assert chain.run().ran == ["B:one"]
    assert contents(chain) == clean


def test_reset_dep_without_a_first_build(project: Project) -> None:
    """On a project that was never built it fails for each task and makes nothing."""
    project.write("pipeline.toml", CHAIN)
    project.write("media/one.txt", "hello\n")
    assert adopt(project).status == 1
    assert not list(project.root.glob("jobs/one/?"))


def test_the_upstream_of_an_adopted_edit_changes(chain: Project) -> None:
    """An adopted edit is no fortress: when B's input changes B runs, and what was adopted is kept beside it."""
    output(chain, "B").write_text("mine\n")
    adopt(chain, "B:one")
    chain.write("media/one.txt", "world\n")
    assert chain.run().ran == ["A:one", "B:one", "C:one"]
    assert contents(chain)["B"] == "world\nworld\n"
    assert edited(chain, "B") == {"b.txt": "mine\n"}


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
