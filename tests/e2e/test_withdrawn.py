"""Tasks that the pipeline has no more: their copies go, their outputs when asked, and nothing that a person wrote."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import CHAIN, Project
from tests.e2e.test_deliveries import WITHDRAWN, copies, write_records_of_before


@pytest.fixture
def withdrawn(project: Project) -> Project:
    """A matrix value went; one of its copies is edited, in the other job."""
    project.write("pipeline.toml", WITHDRAWN)
    for job in ("one", "two"):
        project.write(f"media/{job}.txt", "hello\n")
    assert project.run().status == 0
    project.write("out/two.y.txt", "mine\n")
    project.write("jobs/two/D/y/d.txt", "mine, too\n")
    project.write("pipeline.toml", WITHDRAWN.replace('"x", "y"', '"x"'))
    return project


def test_copies_of_a_withdrawn_task_go_at_the_next_run(withdrawn: Project) -> None:
    """Unedited ones; the edited one is named; the outputs stay until `clean --orphans`."""
    status = withdrawn.command("status").out
    assert "D:one:y: withdrawn" in status
    states = {t["task"]: t["state"] for t in json.loads(withdrawn.command("status", "--json").out)}
    assert (states["D:one:y"], states["D:one:x"]) == ("withdrawn", "fresh")
    assert copies(withdrawn) == ["out/one.x.txt", "out/one.y.txt", "out/two.x.txt", "out/two.y.txt"]
    run = withdrawn.run()
    assert (run.status, run.ran) == (0, [])
    assert copies(withdrawn) == ["out/one.x.txt", "out/two.x.txt", "out/two.y.txt"]
    assert "D:one:y" in run.out
    assert "keeping 'out/two.y.txt'" in run.out
    assert withdrawn.read("jobs/one/D/y/d.txt") == "hello\n"
    assert "withdrawn" in withdrawn.command("status").out
    assert "WARNING" not in withdrawn.run().out
    assert "withdrawn" in withdrawn.command("validate").out


def test_clean_orphans_removes_the_outputs_of_withdrawn_tasks(withdrawn: Project) -> None:
    """And their state; edits stay; nothing of the tasks that are."""
    withdrawn.run()
    dry = withdrawn.command("clean", "--orphans", "--dry-run").out
    assert "D:one:y - removing file 'jobs/one/D/y/d.txt'" in dry
    assert withdrawn.read("jobs/one/D/y/d.txt")
    said = withdrawn.command("clean", "--orphans").out
    assert "keeping 'jobs/two/D/y/d.txt': it was edited" in said
    assert not (withdrawn.root / "jobs/one/D/y").exists()
    assert [str(p) for p in withdrawn.root.rglob("*D@y*")] == []
    assert withdrawn.read("jobs/two/D/y/d.txt") == "mine, too\n"
    assert withdrawn.read("jobs/one/D/x/d.txt") == "hello\n"
    assert withdrawn.run().ran == []
    assert "D:one:y" not in withdrawn.command("status").out


def test_a_value_that_is_left_out_on_the_command_line_is_not_withdrawn(project: Project) -> None:
    """For this run there is none; its copies stay."""
    project.write("pipeline.toml", WITHDRAWN)
    project.write("media/one.txt", "hello\n")
    assert project.run().status == 0
    assert project.run("v=x").status == 0
    assert copies(project) == ["out/one.x.txt", "out/one.y.txt"]


def test_a_stage_that_went_or_was_renamed(project: Project) -> None:
    """The copies of the old one go, those of the new one are made, in whichever order it happens."""
    text = CHAIN + 'deliver = "out/{job}"\n'
    project.write("pipeline.toml", text)
    project.write("media/one.txt", "hello\n")
    assert project.run().status == 0
    project.write("pipeline.toml", text.replace("[stages.C]", "[stages.Z]"))
    run = project.run()
    assert (run.status, run.ran) == (0, ["Z:one"])
    assert copies(project) == ["out/one.txt"]
    assert "C:one: withdrawn" in project.command("status").out
    project.write("pipeline.toml", text.partition("[stages.C]")[0])
    assert project.run().status == 0
    assert copies(project) == []
    project.write("pipeline.toml", text)
    assert project.run().tasks("stage_running") == []
    assert copies(project) == ["out/one.txt"]


def test_a_withdrawn_copy_of_before_stays(withdrawn: Project) -> None:
    """A digest alone, which a stranger may know, is no reason to remove a file; nor was it edited."""
    write_records_of_before(withdrawn)
    said = withdrawn.run().out
    assert "keeping 'out/one.y.txt': it may be yours: an older mediabuild noted no time" in said
    assert "keeping 'out/two.y.txt': it was edited" in said
    assert withdrawn.read("out/one.y.txt") == "hello\n"
