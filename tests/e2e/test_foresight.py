"""What `--dry-run`, `status`, `check`, `explain` and `list -s` show is what the run then does, own tasks included.

Not here: the pipeline's tasks alone (`test_foretold`), names and ranges (`test_selection`).
"""

from __future__ import annotations

import json
import shutil

import pytest

from tests.e2e.conftest import CHAIN, PROGRAM, Project
from tests.e2e.crash import Launcher

DODO = """
from doit import create_after

def task_page():
    return {"actions": ["cat jobs/one/C/c.txt > page.txt"], "file_dep": ["jobs/one/C/c.txt"], "targets": ["page.txt"],
            "setup": ["room"]}

def task_room():
    return {"actions": ["touch room.txt"], "uptodate": [True], "targets": ["room.txt"]}

def task_book():
    return {"actions": ["cp page.txt book.txt"], "file_dep": ["page.txt"], "targets": ["book.txt"]}

def task_all():
    return {"actions": None, "task_dep": ["book"]}

@create_after(executed="book")
def task_copies():
    for word in sorted(set(open("book.txt").read().split())):
        yield {"name": word, "actions": ["touch " + word]}
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, launcher: Launcher) -> Project:
    """Two recordings and tasks of the user's own that read what a stage makes; built, then one recording changed."""
    project = Project(tmp_path_factory.mktemp("foresight") / "project", launcher)
    project.write("pipeline.toml", CHAIN)
    project.write("media/one.txt", "hello\n")
    project.write("media/two.txt", "world\n")
    project.write("dodo.py", DODO)
    first = project.run()
    assert first.status == 0, first.out + first.err
    project.write("media/one.txt", "other\n")
    (project.root / "book.txt").unlink()
    (project.root / "room.txt").unlink()
    return project


@pytest.fixture
def stale(template: Project, project: Project) -> Project:
    """A copy of it."""
    assert project.program == PROGRAM
    shutil.copytree(template.root, project.root, dirs_exist_ok=True)
    return project


def foretold(said: str) -> tuple[set[str], set[str]]:
    """The tasks that would run, and those that would follow, by the lines of `--dry-run` and `check`."""
    words = [line.split() for line in said.splitlines()]
    return {w[1] for w in words if w[0] == "RUN"}, {w[1] for w in words if w[0] == "FOLLOW"}


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("-a",),
        ("-s", "page"),
        ("-s", "B:two", "A:one"),
        ("all",),
        ("*:one",),
        ("page.txt", "A:two"),
        ("--from", "B", "--to", "B"),
        ("--job", "two"),
        ("--force", "C:two"),
    ],
)
def test_a_run_does_what_was_foretold(stale: Project, args: tuple[str, ...]) -> None:
    """For names, targets, patterns, ranges and doit's `-a` and `-s`; tasks of the user's own and what they set up."""
    asked = stale.command(*args, "--dry-run")
    assert asked.status == 0, asked.out + asked.err
    would_run, would_follow = foretold(asked.out)
    run = stale.run(*args)
    assert run.status == 0, run.out + run.err
    ran = {*run.ran, *(e["task"] for e in run.events if e["event"] == "own_task" and e["state"] == "built")}
    later = {name for name in ran if name.startswith("copies:")}  # they are made while the run goes on
    assert would_run <= ran
    assert ran - later <= would_run | would_follow
    assert bool(later) <= ("copies" in would_follow or bool(later & would_run))


def test_all_that_foretell_say_the_same(stale: Project) -> None:
    """`status`, `check`, `explain` and `list -s`, of everything and of one task of the user's own."""
    would_run, would_follow = foretold(stale.command("--dry-run").out)
    assert {"A:one", "B:one", "C:one", "book", "room"} <= would_run | would_follow
    assert "page" in would_follow
    check = stale.command("check")
    assert (check.status, foretold(check.out)) == (1, (would_run, would_follow))
    states = {task["task"]: task["state"] for task in json.loads(stale.command("status", "--json").out)}
    assert {name for name, state in states.items() if state in ("stale", "failed")} == would_run
    assert {name for name, state in states.items() if state == "follows"} == would_follow
    letters = {line.split()[1]: line.split()[0] for line in stale.command("list", "-s", "--all").out.splitlines()}
    assert {name for name in states if letters[name] == "R"} == would_run
    assert {name for name in states if letters[name] == "F"} == would_follow
    assert "page: would follow" in stale.command("explain", "page").out
    assert "book: would run" in stale.command("explain", "book").out
    assert "room.txt" in stale.command("explain", "room").out
    for name in ("room", "A:two"):
        assert foretold(stale.command("check", name).out) == foretold(stale.command("--dry-run", name).out)
    assert stale.command("check", "A:two").status == 0


def test_what_is_out_of_the_selection_is_not_listed(stale: Project) -> None:
    """`list`, `explain` and `status` keep to `--job` and to ranges; so do commands that change or delete something."""
    listed = stale.command("list", "-s", "-q", "--all", "--job", "two").out.split()
    assert listed == ["U", "A", "U", "A:two", "U", "B", "U", "B:two", "U", "C", "U", "C:two"]
    assert "B:one: up to date" in stale.command("explain", "B", "--job", "one", "--from", "B").out
    assert "B:two" not in stale.command("explain", "B", "--job", "one").out
    assert stale.command("clean", "--job", "two").status == 0
    assert not (stale.root / "jobs/two/A/a.txt").exists()
    assert (stale.root / "jobs/one/A/a.txt").exists()
    assert (stale.root / "page.txt").exists()
    assert stale.command("ignore", "A", "--job", "two").status == 0
    states = {task["task"]: task["state"] for task in json.loads(stale.command("status", "--json").out)}
    assert (states["A:two"], states["A:one"]) == ("ignored", "stale")


def test_foretelling_changes_nothing(stale: Project) -> None:
    """Neither a record nor a file."""
    before = {path: path.read_bytes() for path in stale.root.rglob("*") if path.is_file() and "hashes" not in path.name}
    for args in (("--dry-run",), ("status",), ("check",), ("list", "-s"), ("explain", "page")):
        stale.command(*args)
    changed = {path for path, content in before.items() if path.read_bytes() != content}
    assert not {path for path in changed if ".mediabuild" not in path.parts}


def test_trouble_in_a_condition_of_the_users_is_told(project: Project) -> None:
    """An `uptodate` that raises, a cycle among own tasks: no traceback from what only looks, and no endless loop."""
    project.write("pipeline.toml", CHAIN)
    project.write("media/one.txt", "hello\n")
    project.write("dodo.py", "def task_odd():\n    return {'actions': ['true'], 'uptodate': [lambda: 1 / 0]}\n")
    asked = project.command("--dry-run")
    assert asked.status == 0
    assert "ZeroDivisionError" in asked.out
    round_trip = "def task_a():\n    return {'actions': ['true'], 'task_dep': ['b']}\n"
    project.write("dodo.py", round_trip + round_trip.replace("task_a", "task_b").replace("'b'", "'a'"))
    assert project.command("status").status == 0


MADE = """
def task_make():
    return {"actions": ["sleep 0.3; cp seed made/notes.md"], "file_dep": ["seed"], "targets": ["made/notes.md"]}
"""


@pytest.mark.parametrize("path", ["./made/notes.md", "./made/**/n*", "./made", "?./made/notes.md"])
def test_what_an_own_task_makes_is_made_before_who_reads_it(project: Project, path: str) -> None:
    """By its path, a glob, its folder: whatever `-n`, also where only the reader is named; and so it is foretold."""
    project.write("pipeline.toml", CHAIN.replace('{ text = "B.text" }', f'{{ text = "B.text", notes = "{path}" }}'))
    project.write("media/one.txt", "hello\n")
    project.write("dodo.py", MADE)
    project.write("made/readme", "")
    for count, args in enumerate((("-n", "4"), ("C:one",), ("-n", "1", "C"))):
        project.write("seed", f"{count}\n")
        would_run, would_follow = foretold(project.command(*args, "--dry-run").out)
        assert "make" in would_run
        assert "C:one" in would_run | would_follow
        run = project.run(*args)
        assert (run.status, run.ran[-1]) == (0, "C:one"), run.out + run.err
        assert project.run().ran == []
    assert project.command("check").status == 0
    (project.root / "made/notes.md").unlink()
    would_run, would_follow = foretold(project.command("--dry-run").out)
    assert (would_run, would_follow) == ({"make"}, {"C:one"})
    assert project.command("validate").status == 0
    assert project.run().ran == []
    project.write("dodo.py", MADE.replace("cp seed", "false; cp none"))
    project.write("seed", "again\n")
    failed = project.run()
    assert failed.tasks("stage_failed") == ["C:one"]
    assert "make" in failed.out
