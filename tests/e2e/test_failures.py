"""What goes wrong on the way: contained, named, never recorded as a success, and right again with the next run."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import CHAIN, Project

PICKY = CHAIN.replace('cp "$1" "$2"', 'grep -q bad "$1" && echo "no good: $1" >&2 && exit 7; cp "$1" "$2"')


def succeed(project: Project) -> None:
    """The next run is good, and the one after it has nothing to do."""
    run = project.run()
    assert run.status == 0, run.out + run.err
    assert project.read("jobs/one/C/c.txt") == "olleh\nolleh\n"
    again = project.run()
    assert (again.status, again.ran) == (0, [])


@pytest.fixture
def three(project: Project) -> Project:
    """Three recordings, the second of them bad for A."""
    project.write("pipeline.toml", PICKY)
    project.write("media/one.txt", "hello\n")
    project.write("media/three.txt", "three\n")
    project.write("media/two.txt", "bad\n")
    return project


def test_one_bad_recording_stops_no_other(three: Project) -> None:
    """The others are built; exit 1; the message, the end of the log and the log's place are told, once."""
    run = three.run()
    assert run.status == 1
    assert run.tasks("stage_failed") == ["A:two", "B:two", "C:two"]
    assert set(run.tasks("stage_completed")) == {f"{s}:{j}" for s in "ABC" for j in ("one", "three")}
    assert "sh failed with exit 7" in run.out
    assert "no good: media/two.txt" in run.out
    assert "jobs/two/.mediabuild/logs/A.log" in run.out
    assert run.events[-1]["event"] == "run_finished"
    last = run.events[-1]
    assert (last["status"], last["built"], last["failed"], last["blocked"]) == (1, 6, 1, 2)
    assert not (three.root / "jobs/two/A").exists()


def test_what_is_blocked_says_by_whom(three: Project) -> None:
    """B and C of the bad recording name what failed in the first place: each in its event, on the console together."""
    run = three.run()
    blocked = {e["task"]: e["blocked_by"] for e in run.events if e["event"] == "stage_failed" and e.get("blocked_by")}
    assert blocked == {"B:two": ["A:two"], "C:two": ["A:two"]}
    said = [line for line in run.out.splitlines() if line.startswith("BLOCKED")]
    assert said == ["BLOCKED B:two, C:two: A:two failed"]


def test_the_next_run_touches_only_what_failed(three: Project) -> None:
    """Not mended: A:two alone is tried again. Mended: A, B and C of it; nothing else either time."""
    three.run()
    again = three.run()
    assert (again.status, again.ran) == (1, ["A:two"])
    three.write("media/two.txt", "good\n")
    mended = three.run()
    assert (mended.status, mended.ran) == (0, ["A:two", "B:two", "C:two"])
    assert three.run().ran == []


def test_fail_fast(three: Project) -> None:
    """`--fail-fast` starts nothing after the first failure."""
    three.write("pipeline.toml", PICKY.replace("grep -q bad", "grep -q ."))
    run = three.run("--fail-fast", "-n", "1")
    assert (run.status, len(run.ran)) == (1, 1)
    assert len(three.run().ran) == 3


def test_one_cause_is_told_once_for_many(three: Project) -> None:
    """At the end the failures are grouped by their cause."""
    three.write("pipeline.toml", PICKY.replace("grep -q bad", "grep -q ."))
    run = three.run()
    assert "3 tasks:" in run.out
    assert any("A:one" in line and "A:two" in line and "A:three" in line for line in run.out.splitlines())


def test_a_failure_leaves_the_earlier_result_alone(chain: Project) -> None:
    """B fails for a new param: its outputs and manifest stay; with the old param all is fresh, nothing runs."""
    before = {path: path.read_bytes() for path in chain.root.glob("jobs/one/[BC]/*")}
    chain.write("pipeline.toml", CHAIN.replace("for i in", "exit 1; for i in").replace("times = 2", "times = 9"))
    assert chain.run().tasks("stage_failed") == ["B:one", "C:one"]
    assert {path: path.read_bytes() for path in chain.root.glob("jobs/one/[BC]/*")} == before
    chain.write("pipeline.toml", CHAIN)
    assert chain.run().ran == []
    assert list((chain.root / "jobs/one/.mediabuild/tmp").iterdir()) == []


def test_a_stage_that_fails_after_writing(project: Project) -> None:
    """A whole output and a bad exit status is a failure; nothing is published."""
    project.write("pipeline.toml", CHAIN.replace('cp "$1" "$2"', 'cp "$1" "$2"; exit 1'))
    project.write("media/one.txt", "hello\n")
    assert project.run().status == 1
    assert not (project.root / "jobs/one/A").exists()
    project.write("pipeline.toml", CHAIN)
    succeed(project)


def test_a_stage_that_is_killed(project: Project) -> None:
    """A program that dies by a signal fails with the signal's number."""
    project.write("pipeline.toml", CHAIN.replace('cp "$1" "$2"', 'echo half > "$2"; kill -KILL $$'))
    project.write("media/one.txt", "hello\n")
    run = project.run()
    assert (run.status, "killed by signal 9" in run.out) == (1, True)
    assert not (project.root / "jobs/one/A").exists()


def test_a_log_of_binary_garbage(project: Project) -> None:
    """What a program prints, ten megabytes and no text at all, doesn't hurt the run; the log has it."""
    noise = 'head -c 10000000 /dev/zero | tr "\\000" "\\377"; exit 1'
    project.write("pipeline.toml", CHAIN.replace('cp "$1" "$2"', noise))
    project.write("media/one.txt", "hello\n")
    run = project.run()
    assert run.status == 1
    assert "Traceback" not in run.err
    assert (project.root / "jobs/one/.mediabuild/logs/A.log").stat().st_size == 10_000_000


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Callable[[], bool]) -> bool:
    """Whether it comes true within a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


HANGING = CHAIN.replace(
    'cp "$1" "$2"',
    'sleep 300 & echo $! > pids; sh -c "sleep 301 & wait" & echo $! >> pids; echo half > "$2"; echo $$ >> pids; wait',
)


def pids(project: Project) -> list[int]:
    """What the hanging stage has started."""
    file = project.root / "pids"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc for processes")
def test_a_hanging_stage_is_stopped(project: Project) -> None:
    """After `timeout_s` the stage, its children and theirs are gone; it failed, and says which key to raise."""
    project.write("pipeline.toml", HANGING.replace("[stages.B]", "timeout_s = 3\n[stages.B]"))
    project.write("media/one.txt", "hello\n")
    run = project.run()
    assert run.status == 1
    assert "took longer than 3 s" in run.out
    assert "timeout_s" in run.out
    assert len(pids(project)) == 3
    assert wait_until(lambda: not any(alive(pid) for pid in pids(project)))
    assert not (project.root / "jobs/one/A").exists()
    project.write("pipeline.toml", CHAIN)
    succeed(project)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc for processes")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_process(project: Project, number: signal.Signals) -> None:
    """INT, TERM, HUP and KILL to the run: everything that a stage started goes, and the next run just works."""
    project.write("pipeline.toml", HANGING)
    project.write("media/one.txt", "hello\n")
    process = project.start()
    assert wait_until(lambda: len(pids(project)) == 3)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == (-9 if number == signal.SIGKILL else 130)
    assert "Traceback" not in err
    assert wait_until(lambda: not any(alive(pid) for pid in pids(project)))
    assert not (project.root / "jobs/one/A").exists()
    if number != signal.SIGKILL:
        assert list((project.root / "jobs/one/.mediabuild/tmp").iterdir()) == []
    project.write("pipeline.toml", CHAIN)
    succeed(project)
    assert list((project.root / "jobs/one/.mediabuild/tmp").iterdir()) == []


def test_like_failures_are_said_once(project: Project) -> None:
    """The same lines but for the names of jobs and files: the others name the first; what differs is said."""
    project.write(
        "pipeline.toml",
        """
[pipeline]
sources = ["media/**/*.txt"]
[stages.A]
command = ["sh", "-c", 'for n in 1 2 3; do echo "line $n of $1 at 0x$$"; done; cat "$1"; exit 4', "A", "{inputs.text}"]
inputs  = { text = "source" }
outputs = { text = "a.txt" }
""",
    )
    for job in ("a", "b", "show/c"):
        project.write(f"media/{job}.txt", "the same\n")
    project.write("media/d.txt", "another\n")
    run = project.run()
    assert run.status == 1
    assert run.out.count("line 2 of") == 2
    assert run.out.count("failed with exit 4, like A:") == 2
    assert "another" in run.out
    assert len({e["message"] for e in run.events if e["event"] == "stage_failed"}) == 4
