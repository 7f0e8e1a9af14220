"""Two runs on the same jobs, several stages at once, and locks: no corruption, no deadlock, nothing done twice."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import shutil
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import CHAIN, Project, read_events

ROUNDS = 50 if os.environ.get("MEDIABUILD_LONG") else 3
WAITING = """
[pipeline]
sources = ["media/*.txt"]

[stages.A]
command = ["sh", "-c", 'SCRIPT', "A", "{inputs.media}", "{outputs.text}"]
inputs  = { media = "source" }
outputs = { text = "a.txt" }
""".replace("SCRIPT", "touch started; while [ -e slow ]; do sleep 0.02; done; cp $1 $2")
TRACED = """
[pipeline]
sources = ["media/*.txt"]
resources = { cpu = CAPACITY }

[stages.A]
command = ["sh", "-c", 'SCRIPT', "A", "{inputs.media}", "{outputs.text}", "{job}"]
inputs  = { media = "source" }
outputs = { text = "a.txt" }
resources = { cpu = NEED }
""".replace(
    "SCRIPT",
    # where MOST are to run at once, each waits until they have, for a minute at most
    "echo + >> trace; n=0; until [ -e met ] || [ $n -gt 1200 ]; do n=$((n+1)); "
    "[ $(($(grep -c + trace) - $(grep -c - trace))) -ge MOST ] && : > met || sleep 0.05; done; "
    "sleep 0.1; echo - >> trace; if [ $3 = fails ]; then exit 1; fi; cp $1 $2",
)


@pytest.fixture
def jobs(project: Project) -> Project:
    """The chain over three recordings, not built."""
    project.write("pipeline.toml", CHAIN)
    for name in ("one", "two", "three"):
        project.write(f"media/{name}.txt", f"{name}\n")
    return project


@pytest.fixture
def waiting(project: Project) -> Project:
    """One stage that waits while the file `slow` exists."""
    project.write("pipeline.toml", WAITING)
    project.write("media/one.txt", "hello\n")
    project.write("slow", "")
    return project


def wait_for(path: Path, text: str = "") -> None:
    """Wait until a file is there and holds the text."""
    wait_until(lambda: path.exists() and text in path.read_text(), f"{path.name} never came")


def wait_until(happened: Callable[[], bool], what: str = "it never happened") -> None:
    """Wait, a minute at most."""
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


def has_open(pid: int, file: Path) -> bool:
    """Whether a process has a file open."""
    with contextlib.suppress(OSError):
        return any(os.path.samefile(fd, file) for fd in Path(f"/proc/{pid}/fd").iterdir())
    return False  # one was closed meanwhile: look again


def results(project: Project) -> dict[str, bytes]:
    """Every output, by its path."""
    files = (project.root / "jobs").glob("*/[ABC]/*.txt")
    return {str(file.relative_to(project.root)): file.read_bytes() for file in files}


def test_two_runs_together_do_everything_once(jobs: Project) -> None:
    """Started together, over and over: both succeed, each stage runs in one of them, the bytes are right."""
    assert jobs.run().status == 0
    expected = results(jobs)
    assert len(expected) == 9
    for number in range(ROUNDS):
        shutil.rmtree(jobs.root / "jobs")
        logs = [jobs.root.parent / f"together.{number}.{which}.jsonl" for which in (1, 2)]
        runs = [jobs.start("-n2", events=log) for log in logs]
        said = [run.communicate(timeout=60) for run in runs]
        assert [run.returncode for run in runs] == [0, 0], said
        ran = Counter(e["task"] for log in logs for e in read_events(log) if e["event"] == "stage_running")
        assert set(ran.values()) == {1}, ran
        assert len(ran) == 9
        assert results(jobs) == expected
        assert list(jobs.root.glob("jobs/*/.mediabuild/tmp/*")) == []
    assert jobs.run().ran == []


def test_two_runs_after_an_edit_do_everything_once(jobs: Project) -> None:
    """The same when there is something to replace: neither sees the other's half-exchanged outputs."""
    jobs.run()
    for number in range(ROUNDS):
        jobs.write("media/one.txt", f"edit {number}\n")
        logs = [jobs.root.parent / f"edited.{number}.{which}.jsonl" for which in (1, 2)]
        runs = [jobs.start("-n2", events=log) for log in logs]
        said = [run.communicate(timeout=60) for run in runs]
        assert [run.returncode for run in runs] == [0, 0], said
        ran = Counter(e["task"] for log in logs for e in read_events(log) if e["event"] == "stage_running")
        assert ran == {"A:one": 1, "B:one": 1, "C:one": 1}
        assert jobs.read("jobs/one/C/c.txt") == f"{str(number)[::-1]} tide\n" * 2
    assert jobs.run().ran == []


def test_clean_waits_and_removes_what_is_there_then(chain: Project) -> None:
    """While it waits for a run that is busy with the task, this run publishes other outputs: these go, copies too."""
    stage, other = chain.root / "jobs/one/B", chain.root / "other"
    shutil.copytree(stage, other)
    assert chain.run("times=3").status == 0
    lock = chain.root / "jobs/one/.mediabuild/locks/B.lock"
    with lock.open("rb") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        clean = chain.start("clean", "B:one")
        wait_until(lambda: has_open(clean.pid, lock))
        shutil.rmtree(stage)
        other.rename(stage)
    said, _ = clean.communicate(timeout=60)
    assert (clean.returncode, stage.exists(), "edited" in said) == (0, False, False), said


def test_a_clean_that_was_cut_short_is_gone_on_with(chain: Project) -> None:
    """Killed after the manifest went: the next one removes what else there is, so that nothing comes back."""
    assert chain.run("times=3").status == 0
    (chain.root / "jobs/one/B/manifest.json").unlink()
    (chain.root / "jobs/one/B/b.txt").unlink()
    assert chain.command("clean", "B:one").status == 0
    assert not list(chain.root.glob("jobs/one/.mediabuild/generations/B/*"))
    assert chain.run().ran == ["B:one"]


def test_a_busy_task_names_its_owner(waiting: Project) -> None:
    """A second run waits and says for which process on which host; then there is nothing left for it to do."""
    first = waiting.start()
    wait_for(waiting.root / "started")
    log = waiting.root.parent / "second.jsonl"
    second = waiting.start(events=log)
    wait_for(log, "stage_warning")
    (waiting.root / "slow").unlink()
    first.communicate(timeout=60)
    out, _ = second.communicate(timeout=60)
    assert (first.returncode, second.returncode) == (0, 0)
    assert f"waiting for process {first.pid} on {socket.gethostname()}" in out
    assert "SKIPPED A:one" in " ".join(out.split())
    assert not [e for e in read_events(log) if e["event"] == "stage_running"]


def test_no_wait_exits_2(waiting: Project) -> None:
    """With --no-wait a busy task is an error at once, with its owner; it isn't marked as failed."""
    first = waiting.start()
    wait_for(waiting.root / "started")
    refused = waiting.run("--no-wait")
    assert refused.status == 2
    assert f"process {first.pid} on {socket.gethostname()}" in refused.out
    (waiting.root / "slow").unlink()
    first.communicate(timeout=60)
    assert first.returncode == 0
    assert waiting.command("check").status == 0


def test_a_waiting_run_can_be_interrupted(waiting: Project) -> None:
    """A run that waits for another stops on a signal at once; the other isn't disturbed."""
    first = waiting.start()
    wait_for(waiting.root / "started")
    log = waiting.root.parent / "second.jsonl"
    second = waiting.start(events=log)
    wait_for(log, "stage_warning")
    second.send_signal(signal.SIGTERM)
    second.communicate(timeout=60)
    assert second.returncode == 130
    (waiting.root / "slow").unlink()
    first.communicate(timeout=60)
    assert first.returncode == 0
    assert waiting.read("jobs/one/A/a.txt") == "hello\n"


@pytest.mark.parametrize(
    "text",
    ["", "99999999 elsewhere\n", f"{os.getpid()} {socket.gethostname()}\n", "\xff\0 no"],
    ids=["empty", "elsewhere", "a PID that somebody else has now", "garbage"],
)
def test_a_dead_owners_lock_holds_nobody_up(waiting: Project, text: str) -> None:
    """Only the kernel's lock counts: a file that names a dead process, a reused PID or nothing stops no run."""
    (waiting.root / "slow").unlink()
    lock = waiting.write("jobs/one/.mediabuild/locks/A.lock", text.encode("latin-1"))
    assert waiting.run("--no-wait").ran == ["A:one"]
    assert lock.exists()


@pytest.mark.parametrize(("capacity", "need", "at_once"), [(1, 1, 1), (2, 1, 2), (2, 2, 1), (1, 3, 1), (4, 1, 4)])
def test_slots_are_honoured(project: Project, capacity: int, need: int, at_once: int) -> None:
    """Never more stages at once than their resources allow, and as many as they do; a failure gives its slot back."""
    project.write("pipeline.toml", traced(capacity, need, at_once))
    for name in ("a", "b", "fails", "x", "y", "z"):
        project.write(f"media/{name}.txt", name)
    assert project.run("-n4").status == 1
    assert most_at_once(project) == at_once


BIG = """
[pipeline]
sources = ["media/*.txt"]
resources = { cpu = 2 }

[stages.big]
command = ["sh", "-c", 'echo big >> order; cp "$1" "$2"', "big", "{inputs.text}", "{outputs.text}"]
inputs  = { text = "source" }
outputs = { text = "b.txt" }
resources = { cpu = 2 }

[stages.small]
command = ["sh", "-c", 'echo small >> order; sleep "0.$(wc -c < "$1")"; cp "$1" "$2"', "small",
           "{inputs.text}", "{outputs.text}"]
inputs  = { text = "source" }
outputs = { text = "s.txt" }
"""


def test_a_task_that_needs_all_cores_does_not_starve(project: Project) -> None:
    """While tasks that need one core keep coming, one is always busy: after a few, nothing starts until it can."""
    project.write("pipeline.toml", BIG)
    for number in range(20):  # small tasks end one after the other, never two at once
        project.write(f"media/{number:02}.txt", "x" * (20 + 7 * (number % 3)))
    wanted = ["small:00", "small:01", "big:05", *(f"small:{n:02}" for n in range(2, 20))]
    run = project.run("-n3", *wanted)
    assert run.status == 0, run.out
    order = project.read("order").split()
    assert order.index("big") < 10, order


def test_two_runs_share_the_slots(project: Project) -> None:
    """Two runs together use no more than one machine."""
    project.write("pipeline.toml", traced(1, 1, 1))
    for name in ("a", "b", "c", "d"):
        project.write(f"media/{name}.txt", name)
    runs = [project.start("-n4") for _ in range(2)]
    for run in runs:
        run.communicate(timeout=60)
    assert [run.returncode for run in runs] == [0, 0]
    assert most_at_once(project) == 1


def traced(capacity: int, need: int, most: int) -> str:
    """A pipeline whose stage notes when it begins and ends, for which so many are to run at once."""
    return TRACED.replace("CAPACITY", str(capacity)).replace("NEED", str(need)).replace("MOST", str(most))


def most_at_once(project: Project) -> int:
    """The most stages that the trace shows at the same time."""
    running, most = 0, 0
    for line in project.read("trace").split():
        running += 1 if line == "+" else -1
        most = max(most, running)
    return most


def test_the_order_of_stages_never_shows(jobs: Project) -> None:
    """One thread or four, tables in any order: the same bytes."""
    head, *stages = CHAIN.split("\n\n")
    found = []
    for number in range(4):
        random.Random(number).shuffle(stages)
        jobs.write("pipeline.toml", "\n\n".join([head, *stages]))
        shutil.rmtree(jobs.root / "jobs", ignore_errors=True)
        assert jobs.run(f"-n{1 + 3 * (number % 2)}").status == 0
        found.append(results(jobs))
    assert len(found[0]) == 9
    assert all(other == found[0] for other in found)


BUGGY_STAGE = '''"""A stage with a bug in what runs before it."""

from mediabuild.stage import Context, Lookup, ModelRef, NoParams, stage


def models(params: NoParams, lookup: Lookup) -> dict[str, ModelRef]:
    return {"model": lookup.nothing_of_the_kind}


@stage(version=1, inputs={"media": "any file"}, outputs={"text": "b.txt"}, models=models)
def buggy(ctx: Context, params: NoParams) -> None:
    ctx.output("text").write_text("never")
'''


def test_a_bug_in_one_stage_stops_no_other(jobs: Project) -> None:
    """Promise 8: whatever a stage's own code raises while it is looked at is that task's trouble alone."""
    jobs.write("stages/buggy.py", BUGGY_STAGE)
    jobs.write("pipeline.toml", CHAIN + '\n[stages.buggy]\ninputs = { media = "source" }\n')
    ran = jobs.run("-n2")
    assert ran.status == 1
    assert len(results(jobs)) == 9
    assert set(ran.tasks("stage_failed")) == {"buggy:one", "buggy:two", "buggy:three"}
    assert "AttributeError" in ran.out
    assert "Traceback" not in ran.err
