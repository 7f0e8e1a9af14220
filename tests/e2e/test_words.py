"""What is said is what happened: on any console, of any width, whatever is stopped, replaced or wired anew.

Not here: that reasons are right (`test_changes`, `test_foretold`), odd consoles of a run (`test_console`).
"""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import termios
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import CHAIN, Project
from tests.e2e.test_disks import not_everywhere, unprivileged

OWN = '''"""A stage."""
from mediabuild.stage import Context, NoParams, stage

@stage(version=1, inputs={"text": "a text"}, outputs={"text": "b.txt"})
def B(ctx: Context, params: NoParams) -> None:
    ctx.warn("says the same of each", "what to type")
    ctx.output("text").write_bytes(ctx.input("text").read_bytes())
'''
NAME = "a long [name] of a [red]recording one with more words in it than a narrow terminal has room for"


def on_a_terminal(project: Project, columns: int, *args: str) -> str:
    """What a command writes on a terminal of this width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = project.start(*args, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        said += part
    os.close(ours)
    assert process.wait(60) == 0, said
    return said.decode().replace("\r\n", "\n")


def test_an_input_that_is_wired_to_something_else(chain: Project) -> None:
    """Not a file that was removed and another that was added; nor, where that isn't built yet, only that."""
    chain.write("pipeline.toml", CHAIN.replace("B.text", "A.text"))
    assert "RUN     C:one  inputs.text: B/b.txt → A/a.txt\n" in chain.run().out
    more = CHAIN[CHAIN.index("[stages.B]") : CHAIN.index("[stages.C]")].replace("stages.B", "stages.D")
    chain.write("pipeline.toml", CHAIN.replace("B.text", "D.text") + more)
    assert chain.command("explain", "C").out == "C:one: would run\n  inputs.text: A/a.txt → D (not built yet)\n"


def test_a_stage_that_is_replaced(chain: Project) -> None:
    """A command by a file of the project, and back."""
    chain.write("stages/B.py", OWN)
    start = CHAIN.index("[stages.B]\n") + len("[stages.B]\n")
    inputs = 'inputs = { text = "A.text" }\n\n'
    chain.write("pipeline.toml", CHAIN[:start] + inputs + CHAIN[CHAIN.index("[stages.C]") :])
    assert "stage: a command → the project's own file" in chain.run().out
    chain.write("stages/B.py", OWN + "# edited\n")
    assert "B:one  stage.file changed" in chain.run().out


def test_the_last_line_of_a_run_that_was_stopped(project: Project) -> None:
    """What was built, and how many it left; the same again goes on."""
    slow = CHAIN.replace('rev "$1"', 'touch STARTED; sleep 30; rev "$1"')
    project.write("pipeline.toml", slow.replace("STARTED", f"{project.root}/started"))
    for name in ("one", "two"):
        project.write(f"media/{name}.txt", "x\n")
    process = project.start("-n1")
    deadline = time.monotonic() + 60
    while not (project.root / "started").exists() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "\n        2 built, 4 not done in " in out, out
    assert '"left":4' in project.read("jobs/.mediabuild/events.jsonl")
    project.write("pipeline.toml", CHAIN)
    assert "4 built, 2 up to date in" in project.run().out


def test_status_on_a_narrow_terminal(project: Project) -> None:
    """60 columns: each job's name is whole, brackets are no markup, and all stages are there."""
    project.write("pipeline.toml", CHAIN)
    for name in (NAME, "one"):
        project.write(f"media/{name}.txt", "x\n")
    assert project.run("--job=one").status == 0
    said = on_a_terminal(project, 60, "status").splitlines()
    assert NAME in said
    assert "  stale   A, B, C" in said
    assert any(line.startswith("one  fresh") for line in said)
    assert f"A:{NAME}: not built yet" in said
    wide = project.command("status").out
    assert f"│ {NAME} │ stale" in wide
    assert "│ one" in wide
    chain_only = on_a_terminal(project, 60, "status", "--job=one")
    assert "│ one │ fresh" in chain_only


def test_a_warning_that_is_true_of_many_is_said_once(project: Project) -> None:
    """With its hint; at the end, of which others it is true. The events have them all."""
    project.write("pipeline.toml", '[pipeline]\nsources = "media/*.txt"\n[stages.B]\ninputs = { text = "source" }\n')
    project.write("stages/B.py", OWN)
    for name in ("one", "three", "two"):
        project.write(f"media/{name}.txt", f"{name}\n")
    run = project.run("-n1")
    lines = [line for line in run.out.splitlines() if line.startswith("WARNING")]
    assert lines == ["WARNING B:one  says the same of each", "WARNING B:three, B:two: says the same of each"]
    assert run.out.count("hint: what to type") == 1
    assert [e["hint"] for e in run.events if e["event"] == "stage_warning"] == ["what to type"] * 3


@pytest.mark.parametrize("locale", ["C"])
def test_any_locale(project: Project, locale: str, tmp_path: Path) -> None:
    """No command fails because a console or a locale has no arrow; nor without a HOME, or a user with a name."""
    project.env |= {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    del project.env["HOME"]
    project.write("pipeline.toml", CHAIN)
    project.write("media/字é.txt", "x\n")
    for line in (
        "",
        "status",
        "B.times=3 --dry-run",
        "explain B B.times=4",
        "list -s",
        "doctor",
        "check",
    ):
        args = line.split()
        process = project.start(*args)
        out, err = process.communicate(timeout=60)
        assert "Traceback" not in err, (args, err)
        assert "UnicodeEncodeError" not in out + err, args


@not_everywhere
def test_a_folder_that_may_not_be_written(project: Project) -> None:
    """Each command says so in a line; what only looks, works."""
    project.write("pipeline.toml", CHAIN)
    project.write("media/one.txt", "x\n")
    project.root.chmod(0o555)
    for args, status in (([], 1), (["init"], 2), (["status"], 0), (["check"], 1), (["doctor"], 0), (["list"], 0)):
        process = project.start(*args, preexec_fn=unprivileged)
        out, err = process.communicate(timeout=60)
        assert process.returncode == status, (args, out, err)
        assert "Traceback" not in err
        if not args:
            assert "Permission denied" in out and "hint: jobs_dir = " in out
        if args == ["init"]:
            assert err.splitlines() == [f"ERROR: init: {project.root}/pipeline.schema.json: Permission denied"]
    project.root.chmod(0o755)
