"""What redo's own test suite proves of a redo, proved here; each scenario is written anew, as stages.

Not here: how redo finds its scripts (`default.do`), which has no counterpart.
"""

from __future__ import annotations

import os
import stat

import pytest

from tests.e2e.conftest import Project
from tests.e2e.test_scenarios_of_n2 import COPY, declare, stage


def test_tasks_that_run_at_once_do(project: Project) -> None:
    """Two recordings with `-n 2`: each stage ends only when the other has begun."""
    meet = """
        mkdir -p here; touch "here/$3"; n=0
        until [ "$(ls here | wc -l)" = 2 ] || [ $n -gt 600 ]; do sleep 0.05; n=$((n+1)); done
        ls here | wc -l > "$2"
    """
    table = stage(meet, {"media": "source"}, {"out": "a.txt"})
    table["command"].append("{job}")
    declare(project, pipeline={"resources": {"cpu": 4}}, A=table)
    project.write("media/y.txt", "hello\n")
    assert project.run("-n", "2").status == 0
    assert [project.read(f"jobs/{job}/A/a.txt").strip() for job in "xy"] == ["2", "2"]


def test_reading_makes_nothing_stale(project: Project) -> None:
    """Times of access and of change, other owners of the same content: content decides."""
    declare(project, A=COPY)
    project.run()
    source = project.root / "media/x.txt"
    os.utime(source, (0, source.stat().st_mtime))
    source.read_bytes()
    assert project.run().ran == []
    os.utime(source)
    project.write("jobs/x/A/a.txt.new", "hello\n").rename(project.root / "jobs/x/A/a.txt")
    assert project.run().ran == []


def test_an_empty_output_is_one(project: Project) -> None:
    """It is built once, and its reader sees it empty."""
    declare(
        project,
        A=stage(': > "$2"', {"media": "source"}, {"out": "a.txt"}),
        B=stage('wc -c < "$1" > "$2"', {"a": "A.out"}, {"out": "b.txt"}),
    )
    assert project.run().status == 0
    assert project.read("jobs/x/B/b.txt").strip() == "0"
    assert project.run().ran == []


def test_spaces_and_quotes_in_names(project: Project) -> None:
    """Of folders, recordings and outputs; a run that is told one by its path builds it."""
    declare(
        project, pipeline={"sources": ["media/**/*.txt"]}, A=stage('cp "$1" "$2"', {"m": "source"}, {"o": "a b.txt"})
    )
    project.write('media/two  words/it\'s "x" $(id).txt', "hello\n")
    target = 'jobs/two  words/it\'s "x" $(id)/A/a b.txt'
    assert project.run(target).ran == ['A:two  words/it\'s "x" $(id)']
    assert project.read(target) == "hello\n"


def test_a_target_however_its_path_is_spelt(project: Project) -> None:
    """Relative, absolute, with `..`, through a link to the project: always the same one, built once."""
    declare(project, A=COPY)
    link = project.root.parent / "link"
    link.symlink_to(project.root)
    through_link = Project(link, project.launcher)
    spelt = ["jobs/x/A/a.txt", "./jobs//x/../x/A/a.txt", str(project.root / "jobs/x/A/a.txt")]
    assert project.run(spelt[0]).ran == ["A:x"]
    for target in spelt:
        assert project.run(target).ran == []
        assert through_link.run(target).ran == []
    assert through_link.run(str(link / "jobs/x/A/a.txt")).ran == []


def test_modes_follow_the_umask(project: Project) -> None:
    """A plain output is 644 under 022, though it was written under another name."""
    declare(project, A=COPY)
    earlier = os.umask(0o022)
    try:
        project.command()
    finally:
        os.umask(earlier)
    assert stat.S_IMODE((project.root / "jobs/x/A/a.txt").stat().st_mode) == 0o644


def test_what_fails_keeps_nobody_else_from_being_built(project: Project) -> None:
    """Of seven recordings three fail: four are built, three named, and the next run tries those three."""
    declare(project, A=stage('grep -v fail "$1" > "$2"', {"media": "source"}, {"out": "a.txt"}))
    (project.root / "media/x.txt").unlink()
    for number in range(1, 8):
        project.write(f"media/{number}.txt", "fail\n" if number in (2, 3, 6) else "ok\n")
    run = project.run()
    assert (run.status, sorted(run.tasks("stage_failed"))) == (1, ["A:2", "A:3", "A:6"])
    assert sorted(run.tasks("stage_completed")) == ["A:1", "A:4", "A:5", "A:7"]
    assert sorted(project.run().ran) == ["A:2", "A:3", "A:6"]


def test_a_name_that_stands_for_nothing(project: Project) -> None:
    """A file that isn't there, one that no task makes and that is no recording: a mistake, and nothing is built."""
    declare(project, A=COPY)
    project.write("notes.md", "x")
    for name in ("nothing.txt", "notes.md", "jobs/x/A/b.txt"):
        said = project.run(name)
        assert (said.status, said.ran) == (3, [])
        assert name in said.err
        assert "is no " in said.err or "there is no such file" in said.err


def test_what_failed_is_tried_again_and_what_passed_is_not(project: Project) -> None:
    """A condition that no input tells of decides while the stage runs, and never later."""
    declare(project, A=stage('test ! -e broken && cp "$1" "$2"', {"media": "source"}, {"out": "a.txt"}))
    project.write("broken", "")
    assert [project.run().status for _ in range(2)] == [1, 1]
    (project.root / "broken").unlink()
    assert project.run().ran == ["A:x"]
    project.write("broken", "")
    again = project.run()
    assert (again.status, again.ran) == (0, [])


@pytest.mark.parametrize("script", ['rm -f "$2"', 'echo half > "$2"; rm -f "$2"', 'rm -rf "$(dirname "$2")"'])
def test_a_stage_that_deletes_its_output_fails(project: Project, script: str) -> None:
    """By name; what it made before that day stays, and so does the rest of the project."""
    declare(project, A=COPY)
    project.run()
    declare(project, A=stage(script, {"media": "source"}, {"out": "a.txt"}))
    run = project.run()
    assert (run.status, run.tasks("stage_failed")) == (1, ["A:x"])
    assert "Traceback" not in run.out + run.err
    assert project.read("jobs/x/A/a.txt") == "hello\n"
    assert project.read("media/x.txt") == "hello\n"


def test_a_file_that_may_come_and_go(project: Project) -> None:
    """What was absent and is there now counts as a change, and so does the way back; nothing else does."""
    table = stage('printf "%s" "$2" > "$3"', {"m": "source", "extra": "?./extra.txt"}, {"out": "a.txt"})
    declare(project, A=table)
    assert [project.run().ran for _ in range(2)] == [["A:x"], []]
    extra = project.write("extra.txt", "")
    assert [project.run().ran for _ in range(2)] == [["A:x"], []]
    assert project.read("jobs/x/A/a.txt") == "extra.txt"
    extra.unlink()
    assert project.run().tasks("stage_restored") == ["A:x"]
    assert project.read("jobs/x/A/a.txt") == ""
    assert project.run().tasks("stage_skipped") == ["A:x"]


def test_a_folder_as_an_output(project: Project) -> None:
    """Made anew each time: what the earlier one held and this one doesn't is gone."""
    table = {"inputs": {"media": "source"}, "outputs": {"pages": "pages/"}}
    script = 'mkdir -p "$2"; for word in $(cat "$1"); do echo "$word" > "$2/$word"; done'
    declare(project, A={"command": ["sh", "-c", script, "sh", "{inputs.media}", "{outputs.pages}"], **table})
    project.write("media/x.txt", "one two\n")
    assert project.run().ran == ["A:x"]
    project.write("media/x.txt", "two three\n")
    assert project.run().ran == ["A:x"]
    assert sorted(path.name for path in (project.root / "jobs/x/A/pages").iterdir()) == ["three", "two"]


def test_who_reads_what_did_not_change_is_spared(project: Project) -> None:
    """A stage in the middle runs and writes the same bytes: the rest is left alone, however long the chain."""
    declare(
        project,
        A=stage('head -c 5 "$1" > "$2"', {"media": "source"}, {"out": "a.txt"}),
        B=stage('cp "$1" "$2"', {"a": "A.out"}, {"out": "b.txt"}),
        C=stage('cp "$1" "$2"', {"b": "B.out"}, {"out": "c.txt"}),
    )
    project.run()
    project.write("media/x.txt", "hello, longer\n")
    assert project.run().ran == ["A:x"]
    assert project.run().ran == []


def test_nobody_runs_on_what_failed(project: Project) -> None:
    """Neither next nor at the end of a chain; each is told what failed first."""
    chain = {n: stage('cp "$1" "$2"', {"i": f"{p}.out"}, {"out": "o.txt"}) for p, n in zip("ABC", "BCD", strict=True)}
    declare(project, A=stage("exit 7", {"media": "source"}, {"out": "a.txt"}), **chain)
    run = project.run()
    assert run.ran == ["A:x"]
    blocked = {e["task"]: e.get("blocked_by", []) for e in run.events if e["event"] == "stage_failed"}
    assert blocked == {"A:x": [], "B:x": ["A:x"], "C:x": ["A:x"], "D:x": ["A:x"]}


BECOMES = {"file": 'rm -rf "$2"; cp "$1" "$2"', "folder": 'rm -rf "$2"; mkdir -p "$2"; cp "$1" "$2/in"'}


def test_an_output_may_become_a_folder_and_a_file_again(project: Project) -> None:
    """Under one name, with a reader that takes it as it comes."""
    reader = stage('find "$1" -type f | wc -l > "$2"', {"a": "A.out"}, {"out": "b.txt"})
    for kind in ("file", "folder", "file"):
        path = "thing/" if kind == "folder" else "thing"
        declare(project, A=stage(BECOMES[kind], {"media": "source"}, {"out": path}), B=reader)
        run = project.run()
        assert run.status == 0, run.out
        assert (project.root / "jobs/x/A/thing").is_dir() == (kind == "folder")
        assert project.run().ran == []


@pytest.mark.parametrize("then", ["builds", "fails"])
@pytest.mark.parametrize("update", ["kept", "deleted", "replaced"])
@pytest.mark.parametrize("before", ["never built", "built"])
def test_an_output_that_was_deleted_or_replaced(project: Project, before: str, update: str, then: str) -> None:
    """Whatever lies where an output belongs, built or not: it never counts as built, and nothing of a person's is lost.

    A deleted or replaced output of a stage that can't be made again is told as a failure, once more each time.
    """
    declare(project, A=stage('test ! -e broken && cp "$1" "$2"', {"media": "source"}, {"out": "a.txt"}))
    if before == "built":
        project.run()
    output = project.root / "jobs/x/A/a.txt"
    if update == "deleted":
        output.unlink(missing_ok=True)
    elif update == "replaced":
        project.write("jobs/x/A/a.txt", "a person's\n")
    if then == "fails":
        project.write("broken", "")
    run = project.run()
    fresh = before == "built" and update == "kept"
    assert run.ran == ([] if fresh else ["A:x"])
    assert run.status == (1 if then == "fails" and run.ran else 0)
    if run.status == 0:
        assert output.read_text() == "hello\n"
    texts = [path.read_text() for path in project.root.rglob("*") if path.is_file() and path.suffix == ".txt"]
    assert (update == "replaced") == ("a person's\n" in texts)
    assert project.run().status == run.status


def test_a_cycle_is_named(project: Project) -> None:
    """With the way round; nothing runs."""
    declare(
        project,
        A=stage('cp "$1" "$2"', {"b": "B.out"}, {"out": "a.txt"}),
        B=stage('cp "$1" "$2"', {"a": "A.out"}, {"out": "b.txt"}),
    )
    said = project.run()
    assert said.status == 3
    assert "a cycle:" in said.err


def test_a_link_as_an_output(project: Project) -> None:
    """Inside its folder: an edit of what it points to counts, and so does its end."""
    script = 'mkdir -p "$2"; cp "$1" "$2/a.final"; ln -s a.final "$2/a"'
    declare(
        project,
        A=stage(script, {"media": "source"}, {"out": "both/"}),
        B=stage('cat "$1/a" > "$2"', {"both": "A.out"}, {"out": "b.txt"}),
    )
    assert project.run().status == 0
    assert os.readlink(project.root / "jobs/x/A/both/a") == "a.final"
    assert project.run().ran == []
    for spoil in ("edit", "delete"):
        final = project.root / "jobs/x/A/both/a.final"
        final.unlink()
        if spoil == "edit":
            final.write_text("edited\n")
        run = project.run()
        assert run.status == 0, run.out
        assert project.read("jobs/x/A/both/a") == "hello\n"
        assert project.read("jobs/x/B/b.txt") == "hello\n"
        assert project.run().ran == []


def test_each_stage_has_a_log_of_its_own(project: Project) -> None:
    """What a stage says on stdout and stderr is in its own log, and never in what it makes or in another's log."""
    declare(
        project,
        A=stage('echo A says; echo A warns >&2; cp "$1" "$2"', {"media": "source"}, {"out": "a.txt"}),
        B=stage('echo B says; cp "$1" "$2"', {"a": "A.out"}, {"out": "b.txt"}),
    )
    project.run()
    logs = {path.name: path.read_text() for path in (project.root / "jobs/x/.mediabuild/logs").iterdir()}
    (of_a,) = [text for name, text in logs.items() if name.startswith("A")]
    (of_b,) = [text for name, text in logs.items() if name.startswith("B")]
    assert "A says" in of_a
    assert "A warns" in of_a
    assert "says" not in project.read("jobs/x/B/b.txt")
    assert "A says" not in of_b


def test_a_stage_that_goes_elsewhere(project: Project) -> None:
    """`cd` in a command changes nothing for the next one, nor for the same one in another job."""
    declare(
        project,
        A=stage('cp "$1" "$2"; cd /; pwd', {"m": "source"}, {"o": "a.txt"}),
        B=stage('pwd > "$2"', {"a": "A.o"}, {"o": "b"}),
    )
    project.write("media/y.txt", "hello\n")
    assert project.run().status == 0
    assert {project.read(f"jobs/{job}/B/b") for job in "xy"} == {f"{project.root}\n"}


def test_a_task_that_always_runs(project: Project) -> None:
    """One of the user's own without conditions, each time once; what reads nothing of it is left alone."""
    declare(project, A=COPY)
    project.write("dodo.py", "def task_always():\n    return {'actions': ['echo ran >> always.log']}\n")
    for count in (1, 2, 3):
        run = project.run()
        assert run.ran == (["A:x"] if count == 1 else [])
        assert project.read("always.log").count("ran") == count


def test_what_many_read_is_built_once(project: Project) -> None:
    """A lattice of four by four stages, each reading all of the row before it, with `-n 4`: sixteen runs, not more."""
    rows = {f"s0{n}": stage('echo "$0" >> runs.log; cp "$1" "$2"', {"m": "source"}, {"out": "o"}) for n in range(4)}
    for row in range(1, 4):
        inputs = {f"i{n}": f"s{row - 1}{n}.out" for n in range(4)}
        for n in range(4):
            rows[f"s{row}{n}"] = stage(
                'for last; do :; done; echo ran >> runs.log; cat "$1" "$2" > "$last"', inputs, {"out": "o"}
            )
    declare(project, pipeline={"resources": {"cpu": 4}}, **rows)
    run = project.run("-n", "4")
    assert run.status == 0
    assert sorted(run.ran) == sorted(f"{name}:x" for name in rows)
    assert project.read("runs.log").count("\n") == 16
    assert project.run().ran == []
