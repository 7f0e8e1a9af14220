"""`collect = true`: one task over all jobs that succeeded."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Project

SHELF = """
[pipeline]
sources = ["media/**/*.txt"]

[stages.count]
command = ["sh", "-c", 'grep -q bad "$1" && exit 1; wc -w < "$1" > "$2"', "count", "{inputs.media}", "{outputs.n}"]
inputs  = { media = "source" }
outputs = { n = "n.txt" }

[stages.total]
collect = true
command = ["sh", "-c", 'o=$1; shift; cat "$@" > "$o"', "total", "{outputs.all}", "{inputs.counts}"]
inputs  = { counts = "count.n" }
outputs = { all = "all.txt" }
deliver = "out/total"

[stages.share]
command = ["sh", "-c", 'cat "$1" "$2" > "$3"', "share", "{inputs.mine}", "{inputs.total}", "{outputs.text}"]
inputs  = { mine = "count.n", total = "total.all" }
outputs = { text = "share.txt" }
"""


@pytest.fixture
def shelf(project: Project) -> Project:
    """Three jobs, one in a folder, built once."""
    project.write("pipeline.toml", SHELF)
    for name, text in (("a", "x"), ("b", "x y"), ("sub/c", "x y z")):
        project.write(f"media/{name}.txt", text + "\n")
    assert project.run("-n", "2").status == 0
    return project


def test_one_task_over_all_jobs(shelf: Project) -> None:
    """It takes one file of each job, is recorded so, is delivered, and feeds back into each job; then all is fresh."""
    assert shelf.read("jobs/.all/total/all.txt").split() == ["1", "2", "3"]
    assert shelf.read("out/total.txt") == shelf.read("jobs/.all/total/all.txt")
    assert shelf.read("jobs/sub/c/share/share.txt").split() == ["3", "1", "2", "3"]
    inputs = json.loads(shelf.read("jobs/.all/total/manifest.json"))["inputs"]["counts"]
    assert list(inputs) == ["a/count/n.txt", "b/count/n.txt", "sub/c/count/n.txt"]
    again = shelf.run()
    assert (again.status, again.ran, len(again.skipped)) == (0, [], 7)
    assert shelf.command("check").status == 0
    assert shelf.command("validate").status == 0


def test_it_runs_when_the_set_of_jobs_or_a_content_changes_and_is_cut_off_early(shelf: Project) -> None:
    """A job comes, changes, goes: the task over all jobs runs; where its result is the same, no job follows."""
    shelf.write("media/b.txt", "other words\n")
    assert shelf.run().ran == ["count:b"]
    shelf.write("media/d.txt", "one\n")
    assert sorted(shelf.run().ran) == ["count:d", "share:a", "share:b", "share:d", "share:sub/c", "total:.all"]
    (shelf.root / "media/d.txt").unlink()
    gone = shelf.run()
    assert sorted(gone.tasks("stage_restored")) == ["share:a", "share:b", "share:sub/c", "total:.all"]
    assert gone.ran == []
    shelf.write("media/d.txt", "one\n")
    assert "total:.all" in shelf.run().tasks("stage_restored")


def test_a_job_that_fails_is_left_out_and_named(shelf: Project) -> None:
    """The others are collected; the failed one comes back when it is mended, even without a run of its own."""
    before = shelf.read("media/b.txt")
    shelf.write("media/b.txt", "bad\n")
    run = shelf.run("-n", "2")
    assert run.status == 1
    assert run.tasks("stage_failed") == ["count:b", "share:b"]
    assert shelf.read("jobs/.all/total/all.txt").split() == ["1", "3"]
    assert "total:.all  without b: failed" in run.out
    assert sorted(run.tasks("stage_completed")) == ["share:a", "share:sub/c", "total:.all"]
    again = shelf.run()
    assert (again.status, again.ran) == (1, ["count:b"])
    shelf.write("media/b.txt", before)
    mended = shelf.run()
    assert (mended.status, mended.ran) == (0, [])
    assert shelf.read("jobs/.all/total/all.txt").split() == ["1", "2", "3"]
    assert shelf.run().tasks("stage_cache_miss") == []


def test_nothing_to_collect_blocks_it(project: Project) -> None:
    """Every job failed: the task over all jobs is blocked, and runs when one succeeds."""
    project.write("pipeline.toml", SHELF)
    project.write("media/a.txt", "bad\n")
    project.write("media/b.txt", "bad\n")
    assert set(project.run().tasks("stage_failed")) >= {"count:a", "count:b", "total:.all"}
    project.write("media/b.txt", "good\n")
    assert project.run().tasks("stage_completed") == ["count:b", "total:.all", "share:b"]


def test_the_jobs_option_brings_no_other_job(shelf: Project) -> None:
    """`--job` builds the job, and the task over all jobs on what the others have now; named, it is run."""
    for name in ("a", "b"):
        shelf.write(f"media/{name}.txt", f"five words in this {name} now\n")
    assert shelf.run("--job", "a").ran == ["count:a", "total:.all", "share:a"]
    assert shelf.read("jobs/.all/total/all.txt").split() == ["6", "2", "3"]
    assert shelf.run("--job=a", "count").ran == []
    assert shelf.run("total").ran == ["count:b", "total:.all"]
    assert shelf.run("--job=sub/*", "--stages=count").ran == []


def test_one_recording_by_itself_uses_what_was_collected(shelf: Project) -> None:
    """With `--source` the task over all jobs neither runs nor changes; what was never collected is an error."""
    shelf.write("else/e.txt", "a b c d\n")
    assert shelf.run("--source", "else/e.txt", "--job-dir", "jobs-e").ran == ["count:e", "share:e"]
    assert shelf.read("jobs-e/share/share.txt").split() == ["4", "1", "2", "3"]
    assert shelf.run().ran == []
    (shelf.root / "jobs/.all/total/manifest.json").unlink()
    lone = shelf.run("--source", "else/e.txt", "--job-dir", "jobs-e")
    assert lone.status == 1
    assert "hint: mediabuild total:.all" in lone.out


def test_asking_knows_it(shelf: Project) -> None:
    """`status`, `explain`, `list`, `graph`, `check`, a range and `clean` know the task by its name."""
    shelf.write("media/a.txt", "now there are more\n")
    assert shelf.command("check").status == 1
    states = {task["task"]: task["state"] for task in json.loads(shelf.command("status", "--json").out)}
    assert states["total:.all"] == "follows"
    assert "would follow" in shelf.command("explain", "total").out
    assert "total:.all" in shelf.command("list", "--all").out
    assert "total (all jobs)" in shelf.command("graph").out
    assert shelf.run("--from=total").ran == []
    assert shelf.command("clean", "total").status == 0
    assert not (shelf.root / "jobs/.all/total").exists()
    assert not (shelf.root / "out/total.txt").exists()
    assert set(shelf.run().ran) >= {"count:a", "total:.all"}


def test_collect_reads_collect_and_matrices(project: Project) -> None:
    """Values are collected one by one or together, and a collection of collections is made after them."""
    words = 'o=$1; shift; cat "$@" > "$o"'
    project.write(
        "pipeline.toml",
        f"""
[pipeline]
sources = ["media/*.txt"]

[stages.say]
command = ["sh", "-c", 'echo "$1 $(cat "$2")" > "$3"', "say", "{{params.v}}", "{{inputs.media}}", "{{outputs.o}}"]
inputs  = {{ media = "source" }}
outputs = {{ o = "o" }}
matrix  = {{ v = ["x", "y"] }}

[stages.each]
collect = true
command = ["sh", "-c", '{words}', "each", "{{outputs.o}}", "{{inputs.i}}"]
inputs  = {{ i = "say.o" }}
outputs = {{ o = "o" }}
matrix  = {{ v = ["x", "y"] }}

[stages.both]
collect = true
command = ["sh", "-c", '{words}', "both", "{{outputs.o}}", "{{inputs.i}}", "{{inputs.j}}"]
inputs  = {{ i = "say.o", j = "each.o" }}
outputs = {{ o = "o" }}
""",
    )
    for name in "ab":
        project.write(f"media/{name}.txt", name)
    assert project.run().status == 0
    assert project.read("jobs/.all/each/y/o") == "y a\ny b\n"
    assert project.read("jobs/.all/both/o") == "x a\ny a\nx b\ny b\nx a\nx b\ny a\ny b\n"
    assert project.run().ran == []


@pytest.mark.parametrize(("reads", "matrix"), [("count.n", 'v = ["x", "z"]'), ("count.n:z", "")])
def test_a_value_that_no_job_has_is_refused(project: Project, reads: str, matrix: str) -> None:
    """As for a stage of each job: nothing is collected of nothing."""
    text = SHELF.replace('"n.txt" }', '"n.txt" }\nmatrix = { v = ["x", "y"] }', 1).partition("[stages.share]")[0]
    text = text.replace('deliver = "out/total"', f"matrix = {{ {matrix} }}" if matrix else "")
    project.write("pipeline.toml", text.replace('"count.n"', f'"{reads}"'))
    project.write("media/a.txt", "x\n")
    run = project.run()
    assert run.status == 3
    assert "count has no 'z'" in run.err


def test_a_job_that_made_no_file_is_collected(project: Project) -> None:
    """It gives none, though another job failed; where all failed, nothing is left to collect."""
    pages = """command = ["sh", "-c", 'grep -q bad "$1" && exit 1; exit 0', "count", "{inputs.media}"]\n"""
    project.write("pipeline.toml", "".join([
        SHELF.partition("command")[0], pages, 'inputs  = { media = "source" }\noutputs = { n = "*.txt" }\n',
        SHELF[SHELF.index("[stages.total]") : SHELF.index("[stages.share]")],
    ]))  # fmt: skip
    project.write("media/a.txt", "no pages\n")
    project.write("media/b.txt", "bad\n")
    run = project.run()
    assert (run.status, run.tasks("stage_failed")) == (1, ["count:b"]), run.out
    assert project.read("jobs/.all/total/all.txt") == ""
    assert project.run().tasks("stage_completed") == []


@pytest.mark.parametrize(
    ("was", "becomes", "what"),
    [
        ('counts = "count.n"', 'counts = "source"', "no source of its own"),
        ('"{outputs.all}"', '"{outputs.all}", "{job}"', "of no single job"),
        ('"out/total"', '"out/{job}"', "of no single job"),
        ('media = "source"', 'media = "share.text"', "a cycle"),
        ("[stages.share]", "[jobs.a.params.total]\nx = 1\n[stages.share]", "of no single job"),
    ],
)
def test_what_cant_be_collected_is_refused(project: Project, was: str, becomes: str, what: str) -> None:
    """What belongs to one job can't stand in a stage over all; a stage can't feed on what collects it."""
    project.write("pipeline.toml", SHELF.replace(was, becomes))
    project.write("media/a.txt", "x\n")
    run = project.run()
    assert run.status == 3
    assert what in run.err


def test_one_more_recording_among_many(project: Project) -> None:
    """It runs its own stages and what sees a difference: not the stages of the others, where the sum stays the same."""
    project.write("pipeline.toml", SHELF.replace('cat "$@" > "$o"', 'sort -u "$@" > "$o"'))
    for number in range(30):
        project.write(f"media/{number:02}.txt", "x " * (number % 3 + 1) + "\n")
    assert project.run("-n", "2").status == 0
    project.write("media/30.txt", "y\n")
    run = project.run("-n", "2")
    assert run.ran == ["count:30", "total:.all", "share:30"]
    assert len(run.skipped) == 60
    project.write("media/31.txt", "y z z z\n")
    assert len(project.run("-n", "2").ran) == 1 + 1 + 32
    (project.root / "media/05.txt").unlink()
    assert project.run().ran == ["total:.all"]


def test_the_last_stage_that_collects_is_withdrawn(shelf: Project) -> None:
    """Its copy goes at the next run, its outputs with `clean --orphans`: also where no stage collects any more."""
    shelf.write("pipeline.toml", SHELF.partition("[stages.total]")[0])
    run = shelf.run()
    assert (run.status, run.ran) == (0, [])
    assert not (shelf.root / "out/total.txt").exists()
    assert "total:.all: withdrawn" in shelf.command("status").out
    assert shelf.command("clean", "--orphans").status == 0
    assert not (shelf.root / "jobs/.all/total").exists()
    assert "withdrawn" not in shelf.command("status").out


OTHER = """
[stages.other]
collect = true
command = ["cp", "{inputs.n}", "{outputs.o}"]
inputs  = { n = "count.n" }
outputs = { o = "o.txt" }
"""


@pytest.mark.parametrize("others", ["", OTHER])
def test_a_stage_that_collects_no_more_delivers_the_same_copy(project: Project, others: str) -> None:
    """What it delivered for all jobs is no person's edit, and in nobody's way, when it delivers it for one."""
    pipeline = SHELF.partition("[stages.share]")[0] + others
    project.write("pipeline.toml", pipeline)
    project.write("media/a.txt", "x y\n")
    assert project.run().status == 0 and project.read("out/total.txt").split() == ["2"]
    changed = pipeline.replace("[stages.total]\ncollect = true", "[stages.total]")
    project.write("pipeline.toml", changed.replace('cat "$@" > "$o"', 'sed s/2/two/ "$@" > "$o"'))
    run = project.run()
    assert run.status == 0, run.out
    assert project.read("out/total.txt") == "two\n"
    assert [path.name for path in (project.root / "out").iterdir()] == ["total.txt"]
