"""What people read: nothing that a stage says can be taken for what mediabuild says, and there is never too much of it.

Not here: which lines there are (`test_changes` and others).
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import CHAIN, Project, Ran, read_events

ONE_STAGE = '[pipeline]\nsources = "media/*.txt"\n[stages.says]\ninputs = { text = "source" }\n'
STAGE = '''"""A stage that talks."""

from mediabuild.errors import StageError
from mediabuild.stage import Context, NoParams, stage


@stage(version=1, inputs={"text": "a text"}, outputs={"text": "a.txt"})
def says(ctx: Context, params: NoParams) -> None:
    text = ctx.input("text").read_text()
    SAYS
    ctx.output("text").write_text(text)
'''
TALK = (
    r"line one\n        9 built in 0.0 s\nFAILED  says:b  forged\r\x1b[2J\x1b]0;title\x07"
    r"\x9b31m\u202eback\u2028next\x7f\tend"
)


def saying(project: Project, line: str) -> Ran:
    """Run a stage that says something."""
    project.write("stages/says.py", STAGE.replace("SAYS", line))
    project.write("pipeline.toml", ONE_STAGE)
    project.write("media/a.txt", "a text")
    return project.run()


def no_controls(text: str) -> bool:
    """Whether nothing but line ends and tabs moves the cursor or turns letters round."""
    return not any(c in text for c in map(chr, [*range(9), *range(11, 32), *range(127, 160), 0x202E, 0x2028]))


@pytest.mark.parametrize("line", [f'ctx.warn("{TALK}")', f'raise StageError("{TALK}", "{TALK}")'])
def test_a_stage_forges_no_line(project: Project, line: str) -> None:
    """Control characters are shown; lines that follow stand behind a bar; so in `status` and `explain` later."""
    run = saying(project, line)
    said = run.out
    for command in (["status"], ["explain", "says"], ["check"]):
        done = project.command(*command)
        assert done.status in (0, 1), done.err
        said += done.out
    assert no_controls(said), said
    assert r"\x1b[2J" in run.out and r"\u202eback" in run.out
    assert "\tend" in run.out
    for forged in ("FAILED  says:b", "        9 built"):
        assert not any(line.startswith(forged) for line in said.splitlines()), said
    words = [event.get("message", "") for event in run.events]
    assert any("\x1b[2J" in word for word in words)  # programs get what was said


def test_params_and_names_forge_none_either(chain: Project) -> None:
    """A reason holds a param's value, an orphan the name of its recording."""
    chain.write("pipeline.toml", CHAIN.replace("times = 2", r'times = 2, note = "a\n\u001b[2JDONE    B:one"'))
    chain.write("media/\x1b[2J\nDONE.txt", "x\n")
    said = chain.run().out
    (chain.root / "media/\x1b[2J\nDONE.txt").unlink()
    for command in (
        [],
        ["status"],
        ["explain", "B:one", "note=x\x1b[2J"],
        ["check", "note=x\x1b[2J"],
        ["clean", "-n", "--orphans"],
    ):
        done = chain.command(*command)
        assert done.status in (0, 1), done.err
        said += done.out + done.err
    assert no_controls(said), said
    assert not any(line.startswith("DONE    B:one") and "s" not in line for line in said.splitlines()), said


LOUD = CHAIN.replace('cp "$1" "$2"', "SCRIPT; exit 3")
LOGS = {
    "no line end": "head -c 60000000 /dev/zero | tr \\\\0 x",
    "one line that is written anew": r'for i in $(seq 200); do printf "frame %s\\r" $i; done',
    "many lines": "seq 300000",
    "nothing but line ends": r'printf "\\n%.0s" $(seq 1000); echo last',
}


@pytest.mark.parametrize("kind", LOGS)
def test_a_log_is_shown_in_bounds(project: Project, kind: str) -> None:
    """The last lines, none too long, in the console and in the events alike; a progress line counts as one."""
    project.write("pipeline.toml", LOUD.replace("SCRIPT", LOGS[kind]))
    project.write("media/one.txt", "hello\n")
    run = project.run("A")
    assert run.status == 1
    (failed,) = [event for event in run.events if event["event"] == "stage_failed"]
    assert 0 < len(failed["message"]) < 8000
    assert len(run.out) < 10_000
    if kind == "one line that is written anew":
        assert "frame 200" in run.out and "frame 199" not in run.out
    if kind == "many lines":
        assert "300000" in run.out and len(run.out.splitlines()) < 20
    if kind == "nothing but line ends":
        assert "| last" in run.out and len(run.out.splitlines()) < 10


def test_a_long_log_costs_no_memory(project: Project) -> None:
    """600 MB without a line end are not read."""
    project.write(
        "pipeline.toml", LOUD.replace("SCRIPT", "truncate -s 600M /proc/self/fd/1; echo end >> /proc/self/fd/1")
    )
    project.write("media/one.txt", "hello\n")
    peak = project.root.parent / "peak"
    run = subprocess.run(
        ["/usr/bin/env", "python3", "-c", MEASURED, str(peak), *project.program],
        cwd=project.root,
        env=project.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1, run.stdout + run.stderr
    assert int(peak.read_text()) < 300_000, "kB"


MEASURED = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[2:]).returncode
open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
raise SystemExit(status)
"""


def shell(project: Project, redirections: str, *args: str) -> Ran:
    """A run by a shell, with redirections."""
    events = project.root.parent / "shell.jsonl"
    line = " ".join([*project.program, *args, f"--events={events}", redirections])
    done = subprocess.run(
        ["sh", "-c", line], cwd=project.root, env=project.env, capture_output=True, text=True, timeout=60, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr, read_events(events))


@pytest.mark.parametrize(
    "redirections", ["> /dev/full", "> /dev/full 2>&1", ">&-", ">&- 2>&-", "<&-", "2>&-", "| true"]
)
def test_a_console_that_cant_be_written(project: Project, redirections: str) -> None:
    """All is built, own tasks too; it is said where anything can still be said."""
    project.write("pipeline.toml", CHAIN)
    project.write("media/one.txt", "hello\n")
    project.write("dodo.py", 'def task_mine():\n    return {"actions": ["echo mine > mine.txt"]}\n')
    run = shell(project, redirections)
    assert run.status == 0, run.err
    assert sorted(run.ran) == ["A:one", "B:one", "C:one"]
    assert project.read("mine.txt") == "mine\n"
    assert project.read("jobs/one/C/c.txt") == "olleh\nolleh\n"
    assert "Traceback" not in run.err
    if redirections == "> /dev/full":
        assert "the console can't be written: " in run.err and "No space left" in run.err
    assert project.run().ran == []


def test_a_full_console_builds_and_keeps_what_is_kept(project: Project) -> None:
    """`> /dev/full`, with a stage that warns: it is said on stderr, and earlier outputs stay; also without changes."""
    project.write("pipeline.toml", CHAIN)
    for content in ("early\n", "late\n"):
        project.write("media/one.txt", content)
        assert project.run().status == 0
    kept = len(list(project.root.glob("jobs/one/.mediabuild/generations/*/*")))
    assert kept == 3
    project.write("media/one.txt", "new\n")
    project.write("jobs/one/A/a.txt", "mine\n")
    for _ in range(2):
        with open("/dev/full", "w") as full:
            process = project.start("--log-level=warning", stdout=full)
            _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
        assert "Traceback" not in said
    assert project.read("jobs/one/C/c.txt") == "wen\nwen\n"
    assert len(list(project.root.glob("jobs/one/.mediabuild/generations/*/*"))) >= kept


def test_a_console_without_the_letters(project: Project) -> None:
    """Where an arrow can't be shown, it is `->`; nothing fails for it, with any locale."""
    project.write("pipeline.toml", CHAIN)
    project.write("media/字.txt", "hello\n")
    project.env |= {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    del project.env["HOME"]
    for args in ([], [], ["B.times=3"], ["status"], ["explain", "B", "B.times=4"]):
        done = project.start(*args).communicate(timeout=60)
        assert "Traceback" not in done[1], done
    assert "params.times: 3 -> 4" in done[0]


OWN = """
def task_good():
    return {"actions": ["true"], "uptodate": [UPTODATE]}

def task_bad():
    return {"actions": ["exit 1"]}

def task_needs():
    return {"actions": ["true"], "task_dep": ["bad"]}

def task_all():
    return {"actions": None, "task_dep": ["good"]}
"""


def test_own_tasks_are_counted(project: Project) -> None:
    """In the last line and in the last event, with what became of each; exit 1 never says "nothing to do"."""
    project.write("pipeline.toml", CHAIN)
    project.write("media/one.txt", "hello\n")
    project.write("dodo.py", OWN.replace("UPTODATE", "False"))
    run = project.run()
    assert run.status == 2  # as in doit, where something is blocked
    assert "4 built, 1 failed, 1 blocked in" in run.out
    last = run.events[-1]
    assert (last["built"], last["skipped"], last["failed"], last["blocked"]) == (4, 0, 1, 1)
    states = {event["task"]: event["state"] for event in run.events if event["event"] == "own_task"}
    assert states == {"good": "built", "bad": "failed", "needs": "blocked"}
    project.write("dodo.py", OWN.replace("UPTODATE", "True"))
    again = project.run()
    assert "4 up to date, 1 failed, 1 blocked in" in again.out
    only = project.run("bad")
    assert (only.status, "1 failed in" in only.out, "nothing to do" in only.out) == (1, True, False)
    assert (project.run("good").events[-1]["skipped"], project.run("good").status) == (1, 0)


def test_nothing_was_done(chain: Project) -> None:
    """A run that was refused what it wanted to do doesn't say that there was nothing to do."""
    chain.command("ignore", "A:one", "B:one", "C:one")
    assert "nothing to do" in chain.run().out
    chain.write("dodo.py", 'def task_mine():\n    return {"actions": ["true"], "file_dep": ["nowhere"]}\n')
    run = chain.run("mine")
    assert run.status == 2
    assert "nothing to do" not in run.out


def test_the_schema_knows_the_events(chain: Project) -> None:
    """What is written fits docs/events.schema.json."""
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((Path(__file__).parents[2] / "docs/events.schema.json").read_text())
    chain.write("dodo.py", OWN.replace("UPTODATE", "False"))
    for event in chain.run().events:
        jsonschema.validate(event, schema)
    assert os.path.exists(chain.root / "jobs/.mediabuild/events.jsonl")
