"""Children never outlive the run: as a group, after a grace period, and even when the run itself is killed."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediabuild.errors import Interrupted, StageError
from mediabuild.machine import processes
from mediabuild.machine.processes import Child, Processes

RUN = """
import sys, time
from pathlib import Path
from mediabuild.machine.processes import Processes
child = Processes().start(["sh", "-c", "sleep 60 & echo $! > pids; echo $$ >> pids; sleep 60"], cwd=Path(sys.argv[1]))
time.sleep(60)
"""


@pytest.fixture
def run() -> Iterator[Processes]:
    """The processes of a run; what a failing test leaves is stopped."""
    found = Processes()
    yield found
    for child in list(found._children):
        child.signal(signal.SIGKILL)
        child.wait()
    found.close()


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def numbers_in(file: Path, count: int) -> list[int]:
    """The process ids in a file, when there are as many as wanted."""
    deadline = time.monotonic() + 20
    while not file.exists() or len(file.read_text().split()) < count:
        assert time.monotonic() < deadline, "the child never started"
        time.sleep(0.005)
    return [int(word) for word in file.read_text().split()]


def soon_gone(pids: list[int], seconds: float = 5) -> bool:
    """Whether all of them end in time."""
    deadline = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.005)
    return not any(map(alive, pids))


def shell(run: Processes, folder: Path, script: str) -> Child:
    """A shell that runs a script."""
    return run.start(["sh", "-c", script], cwd=folder)


def test_the_status_says_how_it_ended(run: Processes, tmp_path: Path) -> None:
    """Exit codes as they are, signals negative; its peak memory is known."""
    child = shell(run, tmp_path, "exit 3")
    assert run.finish(child) == 3
    assert child.peak_memory_bytes is not None
    # a child is born with the size of the process that starts it
    own_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    assert 100_000 < child.peak_memory_bytes < own_bytes + 10**9
    assert run.finish(shell(run, tmp_path, "kill -TERM $$")) == -signal.SIGTERM


def test_output_goes_where_it_is_told_and_nothing_comes_in(run: Processes, tmp_path: Path) -> None:
    """Both streams into one file; stdin is empty, so that nothing waits for a terminal."""
    with (tmp_path / "log").open("wb") as log:
        child = run.start(["sh", "-c", "cat; echo out; echo err >&2; pwd"], cwd=tmp_path, output=log)
    assert run.finish(child) == 0
    assert (tmp_path / "log").read_text() == f"out\nerr\n{tmp_path}\n"


def test_a_missing_program_is_named(run: Processes, tmp_path: Path) -> None:
    """As a mistake with something to type."""
    with pytest.raises(StageError) as caught:
        run.start(["no-such-program", "x"], cwd=tmp_path)
    assert caught.value.message.startswith("no-such-program:")
    assert caught.value.hint == "command -v no-such-program"


def test_what_a_child_leaves_behind_goes_with_it(run: Processes, tmp_path: Path) -> None:
    """A background process of a stage that ended well is ended too."""
    child = shell(run, tmp_path, "sleep 60 & echo $! > pids")
    assert run.finish(child) == 0
    assert soon_gone(numbers_in(tmp_path / "pids", 1))


def test_the_whole_group_is_asked_first(run: Processes, tmp_path: Path) -> None:
    """TERM reaches children and grandchildren, and gives them time to tidy up."""
    script = 'trap "echo tidy > tidied; exit 0" TERM; sh -c "sleep 60" & echo $! $$ > pids; wait'
    child = shell(run, tmp_path, script)
    pids = numbers_in(tmp_path / "pids", 2)
    run.stop(child)
    assert run.finish(child) == 0
    assert (tmp_path / "tidied").exists()
    assert soon_gone(pids)


def test_who_ignores_term_is_killed(run: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the grace period and not before, all at once rather than one after the other."""
    monkeypatch.setattr(processes, "GRACE_S", 0.4)
    children = [shell(run, tmp_path, f'trap "" TERM; echo $$ > pids{n}; sleep 60') for n in range(3)]
    for number in range(3):
        numbers_in(tmp_path / f"pids{number}", 1)
    started = time.monotonic()
    run.stop_all()
    assert [run.finish(child) for child in children] == [-signal.SIGKILL] * 3
    assert 0.4 <= time.monotonic() - started < 1.1


def test_after_stopping_nothing_starts(run: Processes, tmp_path: Path) -> None:
    """Stopping twice is safe, and whoever wants to start something hears that the run is over."""
    run.stop_all()
    run.stop_all()
    with pytest.raises(Interrupted):
        shell(run, tmp_path, "touch started")
    assert not (tmp_path / "started").exists()


def test_stopping_from_another_thread_ends_the_wait(run: Processes, tmp_path: Path) -> None:
    """The thread that waits for the child goes on at once."""
    child = shell(run, tmp_path, "sleep 60")
    threading.Timer(0.05, run.stop_all).start()
    started = time.monotonic()
    assert run.finish(child) == -signal.SIGTERM
    assert time.monotonic() - started < 5


def test_a_time_limit_stops_the_child(run: Processes, tmp_path: Path) -> None:
    """It is stopped, and known to have been too slow; one that is quick isn't touched."""
    slow = shell(run, tmp_path, "sleep 60")
    with run.time_limit(slow, 0.05):
        assert run.finish(slow) == -signal.SIGTERM
    assert slow.timed_out
    quick = shell(run, tmp_path, "exit 0")
    with run.time_limit(quick, 60):
        assert run.finish(quick) == 0
    assert not quick.timed_out


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_when_the_run_is_killed_its_children_die(tmp_path: Path, number: signal.Signals) -> None:
    """Nobody is left to stop them but the reaper, which notices."""
    main = subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path)])
    pids = numbers_in(tmp_path / "pids", 2)
    assert all(map(alive, pids))
    os.kill(main.pid, number)
    main.wait()
    assert soon_gone(pids)


def test_the_reaper_goes_with_the_run(tmp_path: Path) -> None:
    """After `close` no process of the run is there, and a finished child's number is nobody's business."""
    run = Processes()
    assert run.finish(shell(run, tmp_path, "exit 0")) == 0
    reaper = run._reaper
    assert reaper is not None
    run.close()
    assert reaper.returncode == 0
    run.close()
