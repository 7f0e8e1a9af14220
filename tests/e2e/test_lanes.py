"""One long recording uses the whole machine: its units are made at once, in lanes, on cores that nobody needs."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Project
from tests.e2e.crash import wait_for_end

PIPELINE = """
[pipeline]
sources   = "media/*.txt"
resources = { cpu = 2 }

[stages.shout]
inputs = { text = "source" }

[stages.other]
command = ["cp", "{inputs.text}", "{outputs.text}"]
inputs  = { text = "source" }
outputs = { text = "other.txt" }
"""
STAGE = '''
import pathlib, threading, time

from mediabuild.stage import Context, NoParams, stage


@stage(version=1, inputs={"text": "lines"}, outputs={"text": "loud.txt"}, lanes=True)
def shout(ctx: Context, params: NoParams) -> None:
    """Shout each line, several at once; a line waits as long as there is a file `hold.LINE`."""
    lines, marks = ctx.input("text").read_text().splitlines(), ctx.project_dir / "marks"

    def make(number):
        (marks / f"begun.{lines[number]}").write_text(threading.current_thread().name)
        while (marks / f"hold.{lines[number]}").exists():
            time.sleep(0.01)
        if lines[number] == "bad":
            raise ValueError("a bad line")
        (marks / f"made.{lines[number]}").touch()
        return f"{lines[number].upper()} {ctx.threads}".encode()

    found = []
    for unit in ctx.each_unit(lines, make):
        found.append(unit.decode())
        ctx.progress(len(found), len(lines))
    ctx.output("text").write_text("\\n".join(found))
'''
LINES = ["a", "b", "c", "d", "e", "f"]
LONG_S = 60


@pytest.fixture
def shouting(project: Project) -> Project:
    """One job of six lines on two cores, not built yet; nothing is held."""
    project.write("pipeline.toml", PIPELINE)
    project.write("stages/shout.py", STAGE)
    project.write("media/x.txt", "\n".join(LINES))
    (project.root / "marks").mkdir()
    return project


def hold(project: Project, *lines: str) -> None:
    """Let the stage wait in these lines."""
    for line in lines:
        project.write(f"marks/hold.{line}", "")


def release(project: Project, *lines: str) -> None:
    """Let the stage go on with these lines."""
    for line in lines:
        (project.root / f"marks/hold.{line}").unlink()


def lines_of(project: Project, what: str) -> set[str]:
    """The lines that are `begun` or `made`."""
    return {path.suffix[1:] for path in (project.root / "marks").glob(f"{what}.*")}


def until(holds: Callable[[], Any]) -> None:
    """Wait for something that comes by itself."""
    end_s = time.monotonic() + LONG_S
    while not holds():
        assert time.monotonic() < end_s, "it never came"
        time.sleep(0.01)


def maker_of(project: Project, line: str) -> str:
    """The thread that began a line; empty while it isn't known."""
    return project.read(f"marks/begun.{line}")


def plain(manifest: Path) -> dict[str, object]:
    """A manifest without times."""
    varying = ("timestamp", "last_checked_ts", "duration_s", "peak_memory_bytes")
    return {key: value for key, value in json.loads(manifest.read_text()).items() if key not in varying}


def test_lanes_change_no_byte_and_no_fact(shouting: Project) -> None:
    """Two lines are in the making at once; outputs and manifest are those of `-n 1`, which makes one after the other.

    Units are shared by any number of lanes, those of the stage's own cores too: each has one library thread.
    """
    hold(shouting, "a", "b")
    run = shouting.start("shout")
    until(lambda: lines_of(shouting, "begun") == {"a", "b"})
    release(shouting, "a", "b")
    run.communicate(timeout=LONG_S)
    folder = shouting.root / "jobs/x/shout"
    made, facts = shouting.read("jobs/x/shout/loud.txt"), plain(folder / "manifest.json")
    assert (run.returncode, made) == (0, "\n".join(f"{line.upper()} 1" for line in LINES))
    for number, arguments in enumerate((("-n", "1"), ())):
        assert shouting.run("shout", "--force", *arguments).status == 0
        assert (shouting.read("jobs/x/shout/loud.txt"), plain(folder / "manifest.json")) == (made, facts)
        makers = {maker_of(shouting, line) for line in LINES}
        assert number or makers == {"MainThread"}
    shouting.write("pipeline.toml", PIPELINE.replace("[stages.other]", "resources = { cpu = 2 }\n[stages.other]"))
    shouting.write("media/x.txt", "\n".join([*LINES, "g"]))
    again = shouting.run("shout", "-n", "1")
    done = next(event for event in again.events if event["event"] == "stage_completed")
    assert (done["units"], done["units_reused"]) == (7, 6)
    assert shouting.read("jobs/x/shout/loud.txt") == f"{made}\nG 1"


def test_a_killed_run_loses_what_was_in_the_making(shouting: Project) -> None:
    """Killed with two lines in the making: the next run makes these and what was never begun."""
    hold(shouting, "c", "d")
    run = shouting.start("shout")
    until(lambda: {"c", "d"} <= lines_of(shouting, "begun"))
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    assert wait_for_end(str(shouting.root)) == []
    assert lines_of(shouting, "made") == {"a", "b"}
    release(shouting, "c", "d")
    again = shouting.run("shout")
    done = next(event for event in again.events if event["event"] == "stage_completed")
    assert (again.status, done["units"], done["units_reused"]) == (0, 6, 2)
    assert shouting.read("jobs/x/shout/loud.txt") == "\n".join(f"{line.upper()} 1" for line in LINES)


def test_a_line_that_fails_is_told_and_the_other_lane_is_kept(shouting: Project) -> None:
    """The stage fails with that line's error; the line that was in the making meanwhile isn't made again."""
    shouting.write("media/x.txt", "a\nbad\nc\nd")
    failed = shouting.run("shout")
    assert failed.status == 1
    assert "ValueError: a bad line" in failed.out
    kept = lines_of(shouting, "made")
    shouting.write("media/x.txt", "a\nb\nc\nd")
    again = shouting.run("shout")
    done = next(event for event in again.events if event["event"] == "stage_completed")
    assert (again.status, done["units_reused"]) == (0, len(kept))
    assert "a" in kept


def test_a_task_that_waits_gets_the_core(shouting: Project) -> None:
    """A lane has the second core, and another run wants one: it gets it after one unit, and the lane goes on later."""
    hold(shouting, *LINES)
    run = shouting.start("shout")
    until(lambda: len(lines_of(shouting, "begun")) == 2)
    until(lambda: all(maker_of(shouting, line) for line in lines_of(shouting, "begun")))
    other = shouting.start("other")
    with (shouting.root / "jobs/.mediabuild/slots/wanted").open("rb") as wanted:
        until(lambda: is_held(wanted.fileno()))  # both lanes are in a unit: nobody else looks at it
    assert not (shouting.root / "jobs/x/other").exists()
    release(shouting, next(line for line in lines_of(shouting, "begun") if maker_of(shouting, line) == "lane"))
    other.communicate(timeout=LONG_S)
    assert other.returncode == 0
    assert (shouting.root / "jobs/x/other/other.txt").exists()
    assert len(lines_of(shouting, "made")) == 1
    until(lambda: len(lines_of(shouting, "begun")) == 3)
    release(shouting, *(path.suffix[1:] for path in (shouting.root / "marks").glob("hold.*")))
    run.communicate(timeout=LONG_S)
    assert run.returncode == 0
    assert shouting.read("jobs/x/shout/loud.txt") == "\n".join(f"{line.upper()} 1" for line in LINES)


def is_held(descriptor: int) -> bool:
    """Whether somebody has locked a file."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False
