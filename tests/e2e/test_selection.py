"""What a command line selects: ranges, stages, jobs, names, patterns, targets, overrides, and how they meet."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.e2e.conftest import CHAIN, Project

DODO = """
def task_mine():
    return {%s}
"""
MATRIX = (
    CHAIN
    + """
[stages.D]
command = ["sh", "-c", 'echo "$2" | cat "$1" - > "$3"', "D", "{inputs.text}", "{params.language}", "{outputs.text}"]
inputs  = { text = "B.text" }
outputs = { text = "d.txt" }
matrix  = { language = ["de", "es"] }
"""
)


@pytest.fixture
def two(project: Project) -> Project:
    """The chain over two recordings, never built."""
    project.write("pipeline.toml", CHAIN)
    project.write("media/one.txt", "hello\n")
    project.write("media/two.txt", "world\n")
    return project


def ran(project: Project, *args: str) -> list[str]:
    """What a run with these words runs, one after the other; it must succeed."""
    run = project.run(*args, "-n", "1")
    assert run.status == 0, run.out + run.err
    return run.ran


def by_job(tasks: list[str]) -> list[str]:
    """Job by job, each in the order that it ran in: which job comes first is nobody's promise."""
    return sorted(tasks, key=lambda task: task.split(":")[1])


def test_ranges_are_contiguous_and_inclusive(two: Project) -> None:
    """`--from`, `--to`, both, in canonical order over all jobs."""
    assert ran(two, "--to=A") == ["A:one", "A:two"]
    assert ran(two, "--from=B", "--to=B") == ["B:one", "B:two"]
    assert ran(two, "--from=C") == ["C:one", "C:two"]
    assert ran(two) == []


def test_a_range_is_written_with_a_space_too(two: Project) -> None:
    """`--to A`, as well as `--to=A`."""
    assert ran(two, "--to", "A") == ["A:one", "A:two"]


def test_stages_are_run_in_canonical_order_and_win_over_a_range(two: Project) -> None:
    """`--stages B,A` is A, then B; `--from` and `--to` beside it don't count."""
    assert by_job(ran(two, "--stages=B,A", "--from=C", "--to=C")) == ["A:one", "B:one", "A:two", "B:two"]
    assert ran(two, "--stages", "C, A") == ["C:one", "C:two"]


def test_a_range_starts_where_nothing_was_built(two: Project) -> None:
    """It says which stage to add, for each task that misses, and runs nothing: exit 3."""
    for args in (("--from=B",), ("--stages=C",)):
        run = two.run(*args)
        assert (run.status, run.ran) == (3, [])
        assert f"add the stage: {'A' if args == ('--from=B',) else 'B'}" in run.err
        assert "A:two" in run.err or "B:two" in run.err
    assert not (two.root / "jobs").exists() or not list(two.root.glob("jobs/*/?"))


def test_a_range_on_stale_outputs_warns_and_uses_them(two: Project) -> None:
    """The source changed and only B on is asked for: a warning with the reason; A is not run, whatever is stale."""
    two.run()
    two.write("media/one.txt", "changed\n")
    two.write("pipeline.toml", CHAIN.replace("times = 2", "times = 1"))
    run = two.run("--from=B")
    assert run.status == 0
    assert by_job(run.ran) == ["B:one", "C:one", "B:two", "C:two"]
    assert "A:one" in run.err
    assert "stale" in run.err
    assert "media/one.txt" in run.err
    assert two.read("jobs/one/B/b.txt") == "hello\n"
    assert ran(two) == ["A:one", "B:one", "C:one"]


def test_a_range_on_tampered_outputs_is_an_error(two: Project) -> None:
    """An edited upstream output is not what its stage made: nothing runs."""
    two.run()
    two.write("jobs/one/A/a.txt", "mine\n")
    run = two.run("--from=B")
    assert (run.status, run.ran) == (3, [])
    assert "A:one" in run.err
    assert "add the stage: A" in run.err
    assert ran(two, "--from=B", "--job=two") == []


def test_force_runs_what_is_selected_and_nothing_else(two: Project) -> None:
    """`--force` alone: everything; with a range: the range; with names: these, not what they need."""
    two.run()
    assert by_job(ran(two, "--force")) == ["A:one", "B:one", "C:one", "A:two", "B:two", "C:two"]
    assert ran(two, "--force", "--stages=B") == ["B:one", "B:two"]
    assert ran(two, "--force", "C:one") == ["C:one"]
    assert ran(two, "--force", "--job=two", "--to=A") == ["A:two"]
    forced = two.run("--force", "B")
    assert sorted(forced.ran) == ["B:one", "B:two"]
    assert forced.reasons("B:one") == ["forced"]
    assert ran(two) == []


def test_always_runs_names_with_their_dependencies(two: Project) -> None:
    """doit's `-a`: the named tasks and all that they need, and the reason says so."""
    two.run()
    always = two.run("-a", "B:one")
    assert always.ran == ["A:one", "B:one"]
    assert always.reasons("A:one") == ["forced"]
    assert ran(two) == []


def test_jobs(two: Project) -> None:
    """`--job` by name and by pattern, alone, with a range and with names."""
    assert ran(two, "--job=two", "--to=B") == ["A:two", "B:two"]
    assert ran(two, "--job", "t*") == ["C:two"]
    assert ran(two, "--job=one", "A") == ["A:one"]
    assert ran(two, "--job=*") == ["B:one", "C:one"]


def test_names_bring_what_they_need(two: Project) -> None:
    """A task brings its dependencies; a stage's name is all its tasks; two names make one run."""
    assert ran(two, "B:one") == ["A:one", "B:one"]
    assert ran(two, "A") == ["A:two"]
    assert sorted(ran(two, "C:one", "C:two")) == ["B:two", "C:one", "C:two"]


def test_names_meet_ranges(two: Project) -> None:
    """Names and a range: what is in both, and no dependencies."""
    two.run("--to=A")
    assert ran(two, "--from=B", "--to=B", "*:one") == ["B:one"]
    assert ran(two, "--stages=C", "C:one") == ["C:one"]
    nothing = two.run("--stages=A", "C:one")
    assert (nothing.status, nothing.ran) == (3, [])


def test_targets(two: Project) -> None:
    """A file that a task makes stands for it: relative, absolute, with dots."""
    assert ran(two, "jobs/one/B/b.txt") == ["A:one", "B:one"]
    assert ran(two, "./jobs/one/C/c.txt") == ["C:one"]
    assert ran(two, f"{two.root}/jobs/two/B/b.txt") == ["A:two", "B:two"]
    assert ran(two, "jobs/../jobs/two/C/c.txt") == ["C:two"]


def test_patterns(two: Project) -> None:
    """`*:one`, `B:*`, `[AB]:two`: quoted patterns over task names."""
    assert ran(two, "B:*", "--job=two") == ["A:two", "B:two"]
    assert ran(two, "*:one") == ["A:one", "B:one", "C:one"]
    assert ran(two, "[BC]:t?o") == ["C:two"]


def test_names_with_a_slash(project: Project) -> None:
    """Jobs in folders: `'*:season1/ep02'`, their targets, and `--job 'season1/*'`."""
    project.write("pipeline.toml", CHAIN.replace("media/*.txt", "media/**/*.txt"))
    for name in ("season1/ep01", "season1/ep02", "trailer"):
        project.write(f"media/{name}.txt", name + "\n")
    assert ran(project, "*:season1/ep02") == ["A:season1/ep02", "B:season1/ep02", "C:season1/ep02"]
    assert ran(project, "--job=season1/*", "--to=A") == ["A:season1/ep01"]
    assert ran(project, "jobs/season1/ep01/B/b.txt") == ["B:season1/ep01"]


def test_single(two: Project) -> None:
    """doit's `-s`: the task alone, on what is there, whatever is stale above it."""
    two.run()
    two.write("media/one.txt", "changed\n")
    assert ran(two, "-s", "C:one") == []
    two.write("pipeline.toml", CHAIN.replace("times = 2", "times = 1"))
    assert ran(two, "-s", "B:one") == ["B:one"]
    assert two.read("jobs/one/B/b.txt") == "hello\n"


def test_single_never_built(two: Project) -> None:
    """`-s` on a task whose inputs were never made fails with the task to run first."""
    run = two.run("-s", "B:one")
    assert (run.status, run.ran) == (1, [])
    assert "A:one" in run.out


def test_processes(two: Project) -> None:
    """`-n 2` gives the same bytes, each task once, every task after what it needs."""
    run = two.run("-n", "2")
    assert run.status == 0
    assert sorted(run.ran) == ["A:one", "A:two", "B:one", "B:two", "C:one", "C:two"]
    for job in ("one", "two"):
        done = [
            e["task"] for e in run.events if e["event"] in ("stage_running", "stage_completed") and job in e["task"]
        ]
        assert done == [f"{stage}:{job}" for stage in "AABBCC"]
    assert two.read("jobs/two/C/c.txt") == "dlrow\ndlrow\n"
    assert ran(two, "-n4") == []


def test_options_after_names(two: Project) -> None:
    """Options may stand behind the names, long and short, with and without a space."""
    assert ran(two, "A:one", "--force", "-n", "2", "--log-level", "info") == ["A:one"]
    assert ran(two, "*:one", "--to=B") == ["B:one"]
    assert two.command("list", "A", "--all").status == 0
    assert two.command("explain", "A:one", "--json").status == 0
    assert two.command("clean", "A", "--dry-run").status == 0
    assert (two.root / "jobs/one/A/a.txt").exists()


def test_an_override_is_recorded_and_its_going_is_a_reason(two: Project) -> None:
    """`B.times=3`: B and C run; manifest and job.toml say so; the next plain run says that it is gone.

    What it made before is still kept, so it comes back instead of running.
    """
    two.run()
    over = two.run("B.times=3", "--job=one")
    assert over.ran == ["B:one", "C:one"]
    assert over.reasons("B:one") == ["params.times"]
    assert two.read("jobs/one/B/b.txt") == "hello\n" * 3
    manifest = json.loads(two.read("jobs/one/B/manifest.json"))
    assert (manifest["params"], manifest["overrides"]) == ({"times": 3}, {"times": 3})
    resolved = tomllib.loads(two.read("jobs/one/job.toml"))
    assert resolved["stages"]["B"]["overrides"] == {"times": 3}
    assert ran(two, "times=3", "--job=one") == []
    plain = two.run()
    assert plain.ran == []
    assert plain.tasks("stage_restored") == ["B:one", "C:one"]
    assert "override is gone" in plain.out
    assert "overrides" not in tomllib.loads(two.read("jobs/one/job.toml"))["stages"]["B"]


def test_an_override_that_says_what_is_there(two: Project) -> None:
    """`times=2` over 2 changes nothing and runs nothing."""
    two.run()
    assert ran(two, "times=2") == []


def test_an_override_with_a_range(two: Project) -> None:
    """An override of a stage outside the range is only a warning: the stage isn't run for it."""
    two.run()
    run = two.run("times=3", "--stages=C")
    assert (run.status, run.ran) == (0, [])
    assert "B:one" in run.err


def test_values_of_overrides(two: Project) -> None:
    """Texts, numbers, booleans and lists, by the type that the param has."""
    typed = CHAIN.replace("{ times = 2 }", '{ times = 2, name = "a", fast = true, list = ["x"], rate = 1.5 }')
    two.write("pipeline.toml", typed)
    run = two.run("name=3=x", "fast=false", 'list=["y", "z"]', "rate=2", "times=1", "--job=one")
    assert run.status == 0, run.err
    params = json.loads(two.read("jobs/one/B/manifest.json"))["params"]
    assert params == {"times": 1, "name": "3=x", "fast": False, "list": ["y", "z"], "rate": 2.0}


def test_a_matrix(project: Project) -> None:
    """One task for each value, selected by stage, by name and by pattern; a new value runs alone."""
    project.write("pipeline.toml", MATRIX)
    project.write("media/one.txt", "hello\n")
    assert ran(project, "D:one:es") == ["A:one", "B:one", "D:one:es"]
    assert ran(project, "--stages=D") == ["D:one:de"]
    project.write("pipeline.toml", MATRIX.replace('"es"]', '"es", "fr"]'))
    assert ran(project, "D") == ["D:one:fr"]
    assert ran(project, "--force", "*:fr") == ["D:one:fr"]
    assert project.read("jobs/one/D/fr/d.txt").endswith("fr\n")


def test_a_source_of_the_moment(two: Project, tmp_path: Path) -> None:
    """`--source FILE` builds that recording, named after its file; `--job-dir` puts it where one wants."""
    (tmp_path / "other.txt").write_text("other\n")
    assert ran(two, f"--source={tmp_path / 'other.txt'}") == ["A:other", "B:other", "C:other"]
    assert ran(two, "--source", "media/one.txt", f"--job-dir={tmp_path / 'here'}") == ["A:one", "B:one", "C:one"]
    assert (tmp_path / "here/C/c.txt").read_text() == "olleh\nolleh\n"
    assert not (two.root / "jobs/one/A").exists()
    assert ran(two, "--source=media/one.txt", f"--job-dir={tmp_path / 'here'}") == []


def test_job_dir_is_for_one_job(two: Project) -> None:
    """With two recordings it is a mistake, said with what to add."""
    run = two.run("--job-dir=here")
    assert (run.status, run.ran) == (3, [])
    assert "--source" in run.err


def test_users_own_tasks_and_ranges(two: Project) -> None:
    """Without a range the user's own tasks run too; a range leaves them out."""
    two.write("dodo.py", DODO % '"actions": ["echo x >> mine.txt"]')
    assert ran(two, "--to=C") != []
    assert not (two.root / "mine.txt").exists()
    assert ran(two) == []
    assert two.read("mine.txt") == "x\n"
    assert ran(two, "mine") == []
    assert two.read("mine.txt") == "x\nx\n"


def test_a_users_task_may_need_the_pipelines(two: Project) -> None:
    """`task_dep` on a stage's name or task: it is brought up to date first."""
    two.write(
        "dodo.py", 'def task_mine():\n    return {"actions": ["cp jobs/one/C/c.txt mine.txt"], "task_dep": ["C:one"]}\n'
    )
    assert ran(two, "mine") == ["A:one", "B:one", "C:one"]
    assert two.read("mine.txt") == "olleh\nolleh\n"


def test_a_users_task_may_read_the_pipelines_file(two: Project) -> None:
    """`file_dep` on a stage's output: doit makes the stage first, and runs the task when the file changed."""
    two.write(
        "dodo.py",
        'def task_mine():\n    return {"actions": ["echo x >> mine.txt"], "file_dep": ["jobs/one/A/a.txt"]}\n',
    )
    assert ran(two, "mine") == ["A:one"]
    assert ran(two, "mine") == []
    assert two.read("mine.txt") == "x\n"
    two.write("media/one.txt", "changed\n")
    assert ran(two, "mine") == ["A:one"]
    assert two.read("mine.txt") == "x\nx\n"


def test_default_tasks_of_the_users_dodo(two: Project) -> None:
    """`DOIT_CONFIG['default_tasks']` holds for a run without names, as in doit."""
    two.write("dodo.py", 'DOIT_CONFIG = {"default_tasks": ["A:one"]}\n')
    assert ran(two) == ["A:one"]


def test_a_subfolder_finds_its_project(two: Project) -> None:
    """Started below the project: that is built, and nothing is left where it was started."""
    below = Project(two.root / "media/sub")
    below.root.mkdir()
    assert below.command().status == 0
    assert list(below.root.iterdir()) == []
    assert two.run().ran == []


def test_names_that_look_the_same_are_the_same(project: Project) -> None:
    """A Mac writes `é` as two characters, a keyboard as one: names, patterns, targets, `--job`, `[jobs]` fit both."""
    typed, stored = "caf\u00e9", "cafe\u0301"
    project.write("pipeline.toml", CHAIN + f'\n[jobs."{typed}".params.B]\ntimes = 3\n')
    project.write(f"media/{stored}.txt", "hello\n")
    first = project.run(f"B:{typed}")
    assert first.ran == [f"A:{stored}", f"B:{stored}"], first.err
    assert project.read(f"jobs/{stored}/B/b.txt") == "hello\n" * 3
    assert project.run(f"jobs/{typed}/C/c.txt").ran == [f"C:{stored}"]
    for args in ((f"*:{typed}",), ("--job", typed), ("--job", f"{typed}*")):
        again = project.run("--force", *args)
        assert (again.status, len(again.ran)) == (0, 3), again.err
    assert project.command("validate").status == 0


STRANGE = "my talk [take 2] (it's final)"


def test_hints_quote_names(project: Project) -> None:
    """What a hint says to type can be typed as it stands, whatever the recording's name holds."""
    project.write("pipeline.toml", CHAIN + 'deliver = "out/{job}"\n')
    project.write(f"media/{STRANGE}.txt", "hello\n")
    assert project.run().status == 0
    project.write(f"out/{STRANGE}.txt", "mine\n")
    env = {**project.env, "PATH": f"{sys.prefix}/bin:{project.env['PATH']}"}
    typed = project.run().out.partition("corrections/, or: ")[2].splitlines()[0]
    done = subprocess.run(["sh", "-c", typed], cwd=project.root, env=env, capture_output=True, text=True, check=False)
    assert f"processed C:{STRANGE}" in done.stdout, (typed, done.stderr)
    assert project.read(f"out/{STRANGE}.txt") == project.read(f"jobs/{STRANGE}/C/c.txt") == "mine\n"
    (project.root / f"jobs/{STRANGE}/A/a.txt").write_text("edited\n")
    project.write(f"media/{STRANGE}.txt", "changed\n")
    assert f"more: mediabuild explain {shlex.quote(f'A:{STRANGE}')})" in project.run().out


def test_brackets_in_a_pattern_and_in_a_name(project: Project) -> None:
    """A name, or a part of one, wins over what a pattern's brackets stand for; where nothing fits, they are told of."""
    project.write("pipeline.toml", CHAIN)
    for name in (STRANGE, "my talk 2 (it's final)", "my talk t (it's final)"):
        project.write(f"media/{name}.txt", "hello\n")
    assert ran(project, f"*:{STRANGE}") == [f"{stage}:{STRANGE}" for stage in "ABC"]
    for way in (["--job", "my talk [take 2]*"], ["--job", STRANGE], ["*:my talk [take 2]*"]):
        project.command("forget", f"A:{STRANGE}")
        assert ran(project, *way) == [f"A:{STRANGE}"], way
    assert ran(project, "A:my talk [t2] *") == ["A:my talk 2 (it's final)", "A:my talk t (it's final)"]
    refused = project.run("*:my [talk] [take 2] (it's final)")
    assert refused.status != 0
    assert "for a bracket itself: [[]" in refused.out + refused.err
