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
from mediabuild.machine import kin, processes
from mediabuild.machine.child import Child
from mediabuild.machine.processes import Processes

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
    deadline = time.monotonic() + 60
    while not file.exists() or len(file.read_text().split()) < count:
        assert time.monotonic() < deadline, "the child never started"
        time.sleep(0.005)
    return [int(word) for word in file.read_text().split()]


def soon_gone(pids: list[int]) -> bool:
    """Whether all of them end, long before those that sleep would."""
    deadline = time.monotonic() + 30
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
    monkeypatch.setattr(processes, "GRACE_S", grace_s := 1.5)
    children = [shell(run, tmp_path, f'trap "" TERM; echo $$ > pids{n}; sleep 60') for n in range(3)]
    for number in range(3):
        numbers_in(tmp_path / f"pids{number}", 1)
    started = time.monotonic()
    run.stop_all()
    assert [run.finish(child) for child in children] == [-signal.SIGKILL] * 3
    assert grace_s <= time.monotonic() - started < 3 * grace_s


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
    assert run.finish(child) == -signal.SIGTERM


def test_a_time_limit_stops_the_child(run: Processes, tmp_path: Path) -> None:
    """It is stopped, and has been too slow; one that is quick isn't touched."""
    slow = shell(run, tmp_path, "sleep 60")
    with pytest.raises(StageError, match=r"took longer than 0\.05 s"), run.time_limit(slow, 0.05):
        assert run.finish(slow) == -signal.SIGTERM
    quick = shell(run, tmp_path, "exit 0")
    with run.time_limit(quick, 1e300):
        assert run.finish(quick) == 0


def test_who_goes_on_at_its_limit_was_too_slow_and_is_dead_when_the_block_ends(
    run: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TERM that is caught is no way out, and the KILL doesn't come later, when the child may work for another."""
    monkeypatch.setattr(processes, "GRACE_S", 60)  # the block ends first
    child = shell(run, tmp_path, 'trap "touch caught" TERM; echo $$ > pids; while true; do sleep 0.01; done')
    numbers_in(tmp_path / "pids", 1)
    with pytest.raises(StageError, match="took longer"), run.time_limit(child, 0.3):
        while not (tmp_path / "caught").exists():
            time.sleep(0.005)
    assert child.ended()
    assert run.finish(child) == -signal.SIGKILL


PAUSED = """
import sys
from pathlib import Path
from mediabuild.machine.processes import Processes
run = Processes()
child = run.start(["sh", "-c", "sleep 0.3; touch done; sleep 0.1"], cwd=Path(sys.argv[1]))
with run.time_limit(child, 2):
    print("started", flush=True)
    print(run.finish(child))
run.close()
"""


def test_the_time_in_which_the_run_was_stopped_does_not_count(tmp_path: Path) -> None:
    """Ctrl-Z for longer than the limit, or a paused container: what has finished meanwhile has finished."""
    with subprocess.Popen([sys.executable, "-c", PAUSED, str(tmp_path)], stdout=subprocess.PIPE, text=True) as main:
        assert main.stdout is not None
        assert main.stdout.readline() == "started\n"
        main.send_signal(signal.SIGSTOP)
        while not (tmp_path / "done").exists():
            time.sleep(0.01)
        time.sleep(2.2)
        main.send_signal(signal.SIGCONT)
        assert main.stdout.read() == "0\n"


def test_who_is_stopped_hears_that_it_is_to_end(run: Processes, tmp_path: Path) -> None:
    """A child that Ctrl-Z stopped is woken up, and tidies up."""
    child = shell(run, tmp_path, 'trap "touch tidied; exit 0" TERM; echo $$ > pids; while true; do sleep 0.01; done')
    (pid,) = numbers_in(tmp_path / "pids", 1)
    os.kill(pid, signal.SIGSTOP)
    run.stop(child)
    assert run.finish(child) == 0
    assert (tmp_path / "tidied").exists()


@pytest.mark.parametrize("how", ["end_rest", "signal", "stop", "stop_all"])
def test_a_number_that_was_given_anew_is_left_alone(run: Processes, tmp_path: Path, how: str) -> None:
    """When a child was collected its number is free: a stranger that got it since is neither asked nor killed."""
    child = shell(run, tmp_path, "true")
    child.wait()
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        child.group = stranger.pid
        if how == "end_rest":
            child.end_rest()
        elif how == "signal":
            child.signal(signal.SIGTERM)
        elif how == "stop":
            run.stop(child)
        else:
            run.stop_all()
        left_alone = stranger.poll() is None
        stranger.kill()
    assert left_alone


LEAVING = {
    "a session of its own": "setsid sleep 60 & echo $! > pids",
    "a daemon": "setsid -f sh -c 'echo $$ > pids; exec sleep 60'",
    "a daemon with a child": "setsid -f sh -c 'sleep 60 & echo $! $$ > pids; exec sleep 60'",
    "a daemon of nohup": "(nohup setsid sh -c 'echo $$ > pids; exec sleep 60' >/dev/null 2>&1 &)",
    "without an environment": "env -i setsid sleep 60 & echo $! > pids",
}


@pytest.mark.skipif(not kin.HAS_PROC, reason="asks /proc who left")
@pytest.mark.parametrize("how", LEAVING)
def test_who_left_the_group_is_stopped_too(run: Processes, tmp_path: Path, how: str) -> None:
    """Wherever it went: when the child is told to stop, and when all are."""
    for number, stop in enumerate((run.stop, lambda _: run.stop_all())):
        folder = tmp_path / str(number)
        folder.mkdir()
        child = shell(run, folder, f"{LEAVING[how]}; sleep 60")
        pids = numbers_in(folder / "pids", 1)
        stop(child)
        assert run.finish(child) == -signal.SIGTERM
        assert soon_gone(pids)


@pytest.mark.skipif(not kin.HAS_PROC, reason="asks /proc who left")
@pytest.mark.parametrize("how", [how for how in LEAVING if how != "without an environment"])
def test_who_left_the_group_goes_when_the_child_ends(run: Processes, tmp_path: Path, how: str) -> None:
    """A stage that ended well leaves nothing either; nobody else's processes are touched."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as other:
        child = shell(run, tmp_path, f"{LEAVING[how]}; while [ ! -e pids ]; do sleep 0.01; done")
        assert run.finish(child) == 0
        assert soon_gone(numbers_in(tmp_path / "pids", 1))
        assert other.poll() is None
        other.kill()


@pytest.mark.skipif(not kin.HAS_PROC, reason="asks /proc who left")
@pytest.mark.parametrize("how", LEAVING)
def test_who_left_the_group_goes_when_the_run_is_killed(tmp_path: Path, how: str) -> None:
    """The reaper finds them too."""
    code = RUN.replace("sleep 60 & echo $! > pids; echo $$ >> pids; sleep 60", f"{LEAVING[how]}; sleep 60")
    main = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    pids = numbers_in(tmp_path / "pids", 1)
    main.kill()
    main.wait()
    assert soon_gone(pids)


@pytest.mark.skipif(not Path("/bin/ps").exists(), reason="asks ps")
def test_the_table_of_processes_without_proc(monkeypatch: pytest.MonkeyPatch, run: Processes, tmp_path: Path) -> None:
    """Where there is no /proc, `ps` tells of parents and groups: who left the group is found by its parent."""
    monkeypatch.setattr(kin, "HAS_PROC", False)
    child = shell(run, tmp_path, "setsid sleep 60 & echo $! > pids; sleep 60")
    pids = numbers_in(tmp_path / "pids", 1)
    assert kin.kin((), {child.group})[0] == child.group
    assert {child.group, *pids} <= {*kin.kin((), {child.group})}
    run.stop(child)
    assert run.finish(child) == -signal.SIGTERM
    assert soon_gone(pids)


def test_numbers_that_went_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """Process numbers begin anew one day: who has a lower number may be younger."""
    monkeypatch.setattr(kin, "_all_pids", lambda: [1, 5, 4_194_000, 4_194_100, os.getpid()])
    assert 4_194_100 in kin.born_after(4_194_000)
    assert 5 in kin.born_after(4_194_000)


@pytest.mark.skipif(not kin.HAS_PROC, reason="asks /proc")
def test_who_is_just_becoming_another_program_is_known(tmp_path: Path) -> None:
    """For a moment the kernel shows no environment of such a process: it is waited for, or it would be lost."""
    again = tmp_path / "again"
    again.write_text('#!/bin/sh\nexec "$0"\n')
    again.chmod(0o755)
    process = subprocess.Popen([again], env={kin.MARK: "mine"}, cwd=tmp_path)
    try:
        found = [kin.marks_of(process.pid) for _ in range(1000)]
    finally:
        process.kill()
        process.wait()
    assert found == [["mine"]] * 1000


def test_what_others_start_under_a_mark_goes_with_the_run(run: Processes, tmp_path: Path) -> None:
    """A command of doit's own is no child of ours: it is known by what is in its environment."""
    with run.marked() as mark:
        script = "sleep 60 & echo $! $$ > pids; sleep 60"
        other = subprocess.Popen(["sh", "-c", script], cwd=tmp_path, env={**os.environ, kin.MARK: mark})
        pids = numbers_in(tmp_path / "pids", 2)
        run.stop_all()
        assert other.wait(60) == -signal.SIGTERM
        assert soon_gone(pids)
    with pytest.raises(Interrupted), run.marked():
        pass


def test_a_watched_child_takes_along_who_holds_its_pipes(run: Processes, tmp_path: Path) -> None:
    """Whoever reads a pipe to the child hears when it dies, though a child of it lives in another session."""
    reading, writing = os.pipe()
    script = (
        "import os, time\npid = os.fork()\nif not pid:\n    os.setsid()\n    time.sleep(60)\nos.kill(os.getpid(), 9)"
    )
    child = run.start([sys.executable, "-c", script], cwd=tmp_path, pass_fds=(writing,))
    os.close(writing)
    run.watch(child)
    with open(reading, "rb") as pipe:
        assert pipe.read() == b""
    assert run.finish(child) == -signal.SIGKILL


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
