"""doit's own commands do what their help says, reconciled with the manifests.

Each test runs twice: by `mediabuild`, and by the real `doit` with the project's `[tool.doit]` and a
`dodo.py` that has tasks of its own.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import tomli_w

from tests.e2e.conftest import CHAIN, Project

CLONE = Path(__file__).parents[2]
DODO = '''
def task_mine():
    """a task of the user's"""
    copy = {"actions": ["cp media/one.txt mine.txt"], "file_dep": ["media/one.txt"], "targets": ["mine.txt"]}
    return {**copy, "clean": True}
'''
PRINTING = """
def say():
    print("said by python")

def task_mine():
    return {"actions": [say], "verbosity": 2}
"""
TASKS = ["A:one", "A:two", "B:one", "B:two", "C:one", "C:two"]


@pytest.fixture(scope="module", params=["mediabuild", "doit"])
def template(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The chain over two recordings beside a task of the user's, all built; for tests to copy."""
    project = Project(tmp_path_factory.mktemp(request.param) / "project")
    if request.param == "doit":
        config = tomllib.loads((CLONE / "pyproject.toml").read_text())["tool"]["doit"]
        project.write("pyproject.toml", tomli_w.dumps({"tool": {"doit": config}}))
        project.program = [str(Path(sys.executable).with_name("doit"))]
    project.write("dodo.py", DODO)
    project.write("pipeline.toml", CHAIN)
    project.write("media/one.txt", "hello\n")
    project.write("media/two.txt", "world\n")
    first = project.run()
    assert first.status == 0, first.out + first.err
    assert sorted(first.ran) == TASKS
    return project


@pytest.fixture
def built(template: Project, project: Project) -> Project:
    """A copy of the built project: fresh, as every copy is."""
    shutil.copytree(template.root, project.root, dirs_exist_ok=True)
    project.program = template.program
    return project


def said(project: Project, *args: str, status: int = 0) -> str:
    """What a command prints; it must end with this status and without a traceback."""
    done = project.command(*args)
    assert done.status == status, done.out + done.err
    assert "Traceback" not in done.err
    return done.out


def made(project: Project) -> list[str]:
    """All outputs and manifests, and what the user's task made."""
    files = [*project.root.glob("jobs/*/?/*"), *project.root.glob("mine.txt")]
    return sorted(str(path.relative_to(project.root)) for path in files)


def test_run_is_the_command_that_needs_no_name(built: Project) -> None:
    """`run`, with and without its name: nothing to do the second time, the user's own task included."""
    for args in ((), ("run",)):
        again = built.run(*args)
        assert (again.status, again.ran) == (0, [])
        assert sorted(again.skipped) == TASKS
        assert "-- mine" in again.out


def test_list(built: Project) -> None:
    """Stages and the user's tasks; `--all` every task; a name, a pattern and a target choose."""
    assert [line.split()[0] for line in said(built, "list").splitlines()] == ["A", "B", "C", "mine"]
    assert {line.split()[0] for line in said(built, "list", "--all").splitlines()} == {"A", "B", "C", "mine", *TASKS}
    assert "A:one" in said(built, "list", "A:one")
    assert [line.split()[0] for line in said(built, "list", "*:two").splitlines()] == ["A:two", "B:two", "C:two"]
    assert "B:one" in said(built, "list", "jobs/one/B/b.txt")
    assert said(built, "list", "-q", "--all").split() == sorted(["A", "B", "C", "mine", *TASKS])


def states(project: Project, *args: str) -> dict[str, str]:
    """Name → letter, as `list -s` prints it."""
    return {line.split()[1]: line.split()[0] for line in said(project, "list", "-s", *args).splitlines()}


def test_list_shows_the_state(built: Project) -> None:
    """`-s`: U, R, I, for a stage that of its tasks; a fresh project shows no R, a touched file neither."""
    assert set(states(built, "--all").values()) == {"U"}
    built.write("media/two.txt", "changed\n")
    found = states(built, "--all")
    assert (found["A:one"], found["A:two"], found["A"]) == ("U", "R", "R")
    built.command("ignore", "C:one")
    assert states(built, "--all")["C:one"] == "I"
    (built.root / "mine.txt").unlink()
    assert states(built)["mine"] == "R"


def test_info(built: Project) -> None:
    """State and reasons of a task, by name, by target; a stage lists its tasks; exit 1 says that it would run."""
    fresh = said(built, "info", "B:one")
    assert "up-to-date" in fresh
    assert "jobs/one/B/b.txt" in fresh
    assert "B:one" in said(built, "info", "./jobs/one/B/b.txt")
    assert "A:one" in said(built, "info", "A")
    built.write("pipeline.toml", CHAIN.replace("times = 2", "times = 5"))
    stale = said(built, "info", "B:one", status=1)
    assert "params.times: 2 → 5" in stale
    assert "a task of the user's" in said(built, "info", "mine")


def test_clean_removes_what_the_stages_made_and_nothing_else(built: Project) -> None:
    """Outputs and manifests go; sources, a person's files and edited outputs stay and are named."""
    built.write("jobs/one/A/notes.txt", "mine\n")
    built.write("jobs/two/C/c.txt", "edited\n")
    said_so = said(built, "clean")
    assert made(built) == ["jobs/one/A/notes.txt", "jobs/two/C/c.txt"]
    assert "jobs/two/C/c.txt" in said_so
    assert built.read("media/one.txt") == "hello\n"
    assert not (built.root / "jobs/one/B").exists()
    again = built.run()
    assert sorted(again.ran) == TASKS
    assert built.read("jobs/two/C.edited/c.txt") == "edited\n"


def test_clean_dry_run_deletes_nothing(built: Project) -> None:
    """`--dry-run`, `-n`, before and behind the names: what would go is said, and all of it stays."""
    before = made(built)
    for args in (
        ("--dry-run",),
        ("-n",),
        ("-n", "A"),
        ("A:one", "--dry-run"),
        ("--dry-run", "--clean-all"),
        ("-n", "-c"),
    ):
        out = said(built, "clean", *args)
        assert "jobs/one/A/a.txt" in out
        assert made(built) == before
    assert built.run().ran == []


def test_clean_chooses_by_names_patterns_and_targets(built: Project) -> None:
    """A stage, a task, a pattern, a file: these go and no others."""
    said(built, "clean", "C")
    assert not list(built.root.glob("jobs/*/C"))
    said(built, "clean", "*:two")
    assert not list(built.root.glob("jobs/two/?"))
    said(built, "clean", str(built.root / "jobs/one/B/b.txt"))
    assert made(built) == ["jobs/one/A/a.txt", "jobs/one/A/manifest.json", "mine.txt"]
    said(built, "clean", "mine")
    assert not (built.root / "mine.txt").exists()


def test_clean_with_dependencies_and_forget(built: Project) -> None:
    """`-c` takes what the task needs along; `--forget` leaves nothing behind that a run would trip over."""
    said(built, "clean", "-c", "C:one")
    assert not list(built.root.glob("jobs/one/?"))
    assert list(built.root.glob("jobs/two/?"))
    said(built, "clean", "--forget", "mine")
    assert sorted(built.run().ran) == ["A:one", "B:one", "C:one"]


def test_clean_keeps_an_adopted_output(built: Project) -> None:
    """What a person wrote and `reset-dep` adopted is no stage's to remove."""
    built.write("jobs/one/B/b.txt", "mine\n")
    said(built, "reset-dep", "B:one")
    assert "jobs/one/B/b.txt" in said(built, "clean")
    assert made(built) == ["jobs/one/B/b.txt"]


def test_forget_runs_once_more_and_touches_no_file(built: Project) -> None:
    """The task runs at the next run, since it was forgotten; the manifest stays, and what follows is spared."""
    before = made(built)
    assert "A:one" in said(built, "forget", "A:one")
    assert made(built) == before
    assert built.command("check").status == 1
    run = built.run()
    assert run.ran == ["A:one"]
    assert run.reasons("A:one") == ["forced"]
    assert "forgotten" in run.out
    assert built.run().ran == []


def test_forget_by_pattern_stage_and_all(built: Project) -> None:
    """`'*:one'`, a stage, `--all`, with what they need (`-s`); a user's task too."""
    said(built, "forget", "*:one")
    assert sorted(built.run().ran) == ["A:one", "B:one", "C:one"]
    said(built, "forget", "B")
    assert sorted(built.run().ran) == ["B:one", "B:two"]
    said(built, "forget", "-s", "B:two")
    assert sorted(built.run().ran) == ["A:two", "B:two"]
    said(built, "forget", "--all")
    run = built.run()
    assert sorted(run.ran) == TASKS
    assert ".  mine" in run.out


def test_forgetting_survives_a_failure(built: Project) -> None:
    """A forgotten task that fails is still forgotten; once it succeeded it is not."""
    said(built, "forget", "B:one")
    broken = CHAIN.replace("for i in", "exit 3; for i in")
    built.write("pipeline.toml", broken)
    assert built.run("B:one").status == 1
    built.write("pipeline.toml", CHAIN)
    assert built.run("B:one").ran == ["B:one"]
    assert built.run().ran == []


def test_ignore_leaves_a_task_and_what_needs_it_out(built: Project) -> None:
    """Ignored tasks and their followers don't run, `check` holds, until `forget` ends it."""
    built.write("media/one.txt", "changed\n")
    assert "B:one" in said(built, "ignore", "B:one")
    run = built.run()
    assert (run.status, run.ran) == (0, ["A:one"])
    assert "IGNORED" in run.out
    assert built.read("jobs/one/C/c.txt") == "olleh\nolleh\n"
    assert built.command("check").status == 0
    assert built.run().ran == []
    said(built, "forget", "B:one")
    assert built.run().ran == ["B:one", "C:one"]


def test_ignore_by_pattern_and_the_users_task(built: Project) -> None:
    """Patterns; marks lie beside the manifests and not in anything derived; without a name it asks for one."""
    said(built, "ignore", "*:one", "mine")
    (built.root / "jobs/.mediabuild/stats.cache").unlink()
    for job in ("one", "two"):
        built.write(f"media/{job}.txt", "changed\n")
    assert sorted(built.run().ran) == ["A:two", "B:two", "C:two"]
    assert built.read("mine.txt") == "hello\n"
    nothing = built.command("ignore")
    assert (nothing.status, "which task?" in nothing.err) == (3, True)


def test_reset_dep(built: Project) -> None:
    """Adopts by name, stage and pattern; the user's own tasks as doit does it; a missing output fails."""
    built.write("jobs/one/B/b.txt", "mine\n")
    built.write("media/two.txt", "changed\n")
    assert "processed B:one" in said(built, "reset-dep", "B:one")
    assert "processed A:two" in said(built, "reset-dep", "*:two", "mine")
    run = built.run()
    assert (run.status, run.ran) == (0, ["C:one"])
    (built.root / "jobs/two/C/c.txt").unlink()
    assert "failed C:two" in said(built, "reset-dep", "C", status=1)


def test_dumpdb(built: Project) -> None:
    """The user's tasks are in doit's file, the pipeline's aren't; without the file it says where to look."""
    out = said(built, "dumpdb")
    assert "mine" in out
    assert "A:one" not in out
    assert set(json.loads(built.read(".doit.json"))) == {"mine"}
    (built.root / ".doit.json").unlink()
    assert "status --json" in said(built, "dumpdb")


COMPLETED = """
eval "$(PROGRAM tabcompletion)"
mediabuild() { PROGRAM "$@"; }
complete_line() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mediabuild; (IFS="|"; echo "${COMPREPLY[*]}"); }
complete_line mediabuild st
complete_line mediabuild ini
complete_line mediabuild status --js
complete_line mediabuild --dry
complete_line mediabuild --job ''
complete_line mediabuild --from ''
complete_line mediabuild explain A:t
complete_line mediabuild media/o
"""


def test_tab_completion(built: Project) -> None:
    """Commands with `init`, their options, stages, jobs whose names hold spaces, tasks, files; in bash and zsh."""
    built.write("media/two words.txt", "x\n")
    script = said(built, "tabcompletion")
    shell = COMPLETED.replace("PROGRAM", " ".join(map(shlex.quote, built.program)))
    done = subprocess.run(
        ["bash", "-c", shell], cwd=built.root, env=built.env, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[:4] == ["status|strace", "init", "--json", "--dry-run"]
    assert lines[4:] == ["one|two|two words", "A|B|C|mine", "A:two|A:two words", "media/one.txt"]
    assert said(built, "tabcompletion", "-s", "zsh") == script
    if shutil.which("zsh"):
        assert subprocess.run(["zsh", "-n"], input=script, text=True, check=False).returncode == 0


def test_help(built: Project) -> None:
    """`help` lists every command, `help COMMAND` its options; nothing runs."""
    commands = said(built, "help")
    for word in ("status", "explain", "check", "validate", "graph", "clean", "forget", "reset-dep"):
        assert word in commands
    assert "--manifests-only" in said(built, "help", "check")
    run = said(built, "help", "run")
    for name in ("--from", "--to", "--stages", "--job", "--force", "--dry-run", "--events", "--no-wait", "--fail-fast"):
        assert name in run
    assert "--always-execute" in run


def test_a_failing_task_of_the_users(built: Project) -> None:
    """It fails the run as in doit, and stops no stage; the pipeline's manifests are untouched."""
    built.write("dodo.py", 'def task_mine():\n    return {"actions": ["exit 3"]}\n')
    built.write("media/one.txt", "changed\n")
    run = built.run()
    assert run.status == 1
    assert sorted(run.ran) == ["A:one", "B:one", "C:one"]
    check = built.command("check")
    assert check.status == 1
    assert [line.split()[1] for line in check.out.splitlines() if line.startswith("RUN")] == ["mine"]


def test_users_python_tasks_print_beside_threads(built: Project) -> None:
    """A Python task's print goes where it belongs, though stages run on threads."""
    built.write("dodo.py", PRINTING)
    built.command("forget", "--all")
    run = built.run("-n", "3")
    assert run.status == 0
    assert "said by python" in run.out
    assert sorted(run.ran) == TASKS


def test_output_to_a_file(built: Project) -> None:
    """`-o FILE`: what the console would say, in the file."""
    run = built.run("-o", "said.txt")
    assert run.status == 0
    assert run.out == ""
    assert "A:one" in built.read("said.txt")


def test_no_db_file_is_held_open(built: Project) -> None:
    """Nothing of the pipeline is in doit's file: it can be deleted at any time."""
    (built.root / ".doit.json").unlink()
    assert built.run().ran == []
