"""Signals and kills, of the run, of its children and of its workers: nothing stays behind, the next run just works.

A stage waits while the file `slow` exists, which is no input of it. All processes of a test carry its directory in
their environment, so those that outlive a run can be counted.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Project
from tests.e2e.crash import end_all, processes_marked, wait_for_end
from tests.e2e.waiting import (
    CLONE,
    COMMAND,
    PYTHON,
    STAGE,
    WAITS,
    command_line,
    end,
    end_sleepers,
    leads_a_session,
    marker,
    next_run_works,
    nothing_is_left,
    prepare,
    sleepers,
    start_and_wait,
    wait_until,
)


@pytest.fixture
def slow(project: Project) -> Project:
    """A project whose B is a command that waits."""
    return prepare(project, COMMAND % WAITS)


@pytest.fixture
def slow_python(project: Project) -> Project:
    """A project whose B is a Python stage that waits."""
    project.write("stages/waits.py", STAGE)
    return prepare(project, PYTHON)


@pytest.fixture(autouse=True)
def no_survivors(project: Project) -> Iterator[None]:
    """A test that fails leaves nothing running either."""
    yield
    end_all(marker(project))


@pytest.mark.parametrize("stage", ["slow", "slow_python"])
@pytest.mark.parametrize("to", ["the run", "its group"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_run_and_all_below(
    request: pytest.FixtureRequest, number: signal.Signals, to: str, stage: str
) -> None:
    """INT, TERM and HUP: exit 130, children and grandchildren gone, the temporary directory too."""
    project = request.getfixturevalue(stage)
    run = start_and_wait(project)
    (os.kill if to == "the run" else os.killpg)(run.pid, number)
    ran = end(run)
    assert ran.status == 130
    assert "Traceback" not in ran.err
    nothing_is_left(project)
    next_run_works(project)


def test_a_stage_that_ignores_term_is_killed(project: Project) -> None:
    """After the grace period comes KILL; a second and a third signal meanwhile change nothing."""
    prepare(project, COMMAND % f'trap "" TERM INT; {WAITS}')
    run = start_and_wait(project)
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
        run.send_signal(number)
        time.sleep(0.2)
    assert run.poll() is None
    ran = end(run)
    assert ran.status == 130
    assert "Traceback" not in ran.err
    nothing_is_left(project)
    next_run_works(project)


@pytest.mark.parametrize("stage", ["slow", "slow_python"])
def test_kill_9_leaves_no_orphan(request: pytest.FixtureRequest, stage: str) -> None:
    """When the run itself is killed its children die soon, workers and their own children too."""
    project = request.getfixturevalue(stage)
    run = start_and_wait(project)
    run.kill()
    end(run)
    assert wait_for_end(marker(project)) == []
    next_run_works(project)


@pytest.mark.parametrize("stage", ["slow", "slow_python"])
def test_after_kill_9_the_next_run_works_at_once(request: pytest.FixtureRequest, stage: str) -> None:
    """The next run doesn't wait for the orphans to die."""
    project = request.getfixturevalue(stage)
    run = start_and_wait(project)
    run.kill()
    next_run_works(project)
    end(run)
    assert wait_for_end(marker(project)) == []


def test_a_dead_worker_fails_its_stage_only(slow_python: Project) -> None:
    """KILL to the worker: the stage fails with its log's tail, the next one gets a new worker."""
    (slow_python.root / "slow").rename(slow_python.root / "slow-one")
    slow_python.write("media/two.txt", "more\n")
    run = start_and_wait(slow_python, "-n", "1")
    (worker,) = [
        pid for pid in processes_marked(marker(slow_python)) if "mediabuild.execution.worker" in command_line(pid)
    ]
    os.kill(worker, signal.SIGKILL)
    ran = end(run)
    assert ran.status == 1
    assert "FAILED B:one" in " ".join(ran.out.split())
    assert "about to wait" in ran.out
    assert "killed by signal 9" in ran.out
    assert slow_python.read("jobs/two/B/b.txt") == "more\nmore\n"
    assert wait_for_end(marker(slow_python)) == []


LEAVES = {"in its group": "sleep 60", "in a session of its own": "setsid sleep 60", "as a daemon": "setsid -f sleep 60"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("stage", ["a command", "a Python stage"])
@pytest.mark.parametrize("how", [how for how in LEAVES if "group" not in how])
def test_who_left_the_stages_session_ends_with_the_run(
    project: Project, how: str, stage: str, number: signal.Signals
) -> None:
    """Ctrl-C and KILL to the run: whatever a stage started goes, wherever it went."""
    if stage == "a command":
        prepare(project, COMMAND % WAITS.replace("sleep 60 &", f"{LEAVES[how]} & sleep 0.1;"))
    else:
        project.write("stages/waits.py", STAGE.replace('["sleep", "60"]', str(LEAVES[how].split())))
        prepare(project, PYTHON)
    run = start_and_wait(project)
    wait_until(lambda: any(leads_a_session(pid) for pid in sleepers(project)))
    run.send_signal(number)
    end(run)
    assert wait_for_end(marker(project)) == []
    next_run_works(project)


FORKS = """
        pid = os.fork()
        if not pid:
            HOW
            time.sleep(600)
        os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("how", ["pass", "os.setsid()", "os.setsid(); os.fork() and os._exit(0)"])
def test_a_worker_that_dies_while_a_child_of_its_lives(project: Project, how: str) -> None:
    """The child holds the worker's pipes open, which hangs nobody: the stage fails, and the next one has a worker."""
    project.write(
        "stages/waits.py",
        STAGE.replace("import time", "import os, time").replace(
            '\n    for name in ("slow"',
            f'\n    if ctx.job == "one":{FORKS.replace("HOW", how)}\n    for name in ("slow-"',
        ),
    )
    prepare(project, PYTHON)
    project.write("media/two.txt", "more\n")
    (project.root / "slow").unlink()
    run = project.run()
    assert run.status == 1
    assert "killed by signal 9" in run.out
    assert run.tasks("stage_failed") == ["B:one"]
    assert project.read("jobs/two/B/b.txt") == "more\nmore\n"
    assert wait_for_end(marker(project)) == []


CATCHES = """
    if ctx.job == "one":
        signal.signal(signal.SIGTERM, lambda *_: open("caught", "w").close())
        while not Path("caught").exists():
            time.sleep(0.01)
"""


def test_a_stage_that_catches_term_at_its_limit_was_too_slow(project: Project) -> None:
    """It isn't done, whatever it says then; the task that follows isn't hit by the KILL that was meant for it."""
    stage = STAGE.replace("import time", "import signal, time").replace(
        '\n    for name in ("slow"', f'{CATCHES}\n    for name in ("slow-"'
    )
    project.write("stages/waits.py", stage)
    prepare(project, PYTHON + "\ntimeout_s = 3")
    project.write("media/two.txt", "more\n")
    (project.root / "slow").unlink()
    run = project.run()
    assert run.tasks("stage_failed") == ["B:one"], run.out
    assert "took longer than 3 s" in run.out
    assert not (project.root / "jobs/one/B").exists()
    assert project.read("jobs/two/B/b.txt") == "more\nmore\n"


def test_a_stages_own_prints_confuse_nothing(slow_python: Project) -> None:
    """Bytes that are no text and lines that look like replies go to the log; the stage succeeds."""
    (slow_python.root / "slow").unlink()
    assert slow_python.run().status == 0
    log = (slow_python.root / "jobs/one/.mediabuild/logs/B.log").read_bytes()
    assert b"\xff\x00 no text" in log
    assert b'"kind":"done"' in log
    assert slow_python.read("jobs/one/B/b.txt") == "hello\nhello\n"


def test_a_killed_command_fails_its_stage(slow: Project) -> None:
    """A signal to the child alone is that stage's failure: exit 1, and the message says which signal."""
    run = start_and_wait(slow)
    shells = [pid for pid in processes_marked(marker(slow)) if command_line(pid).startswith("sh ")]
    (shell,) = [pid for pid in shells if os.getpgid(pid) == pid]  # not its child that is about to become `sleep`
    os.kill(shell, signal.SIGTERM)
    ran = end(run)
    assert ran.status == 1
    assert "signal 15" in ran.out
    nothing_is_left(slow)
    next_run_works(slow)


def test_nohup_is_respected(slow: Project) -> None:
    """A run that was started with HUP ignored goes on when the terminal goes."""
    run = start_and_wait(slow, ignored=(signal.SIGHUP,))
    run.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    end_sleepers(slow, run)
    assert end(run).status == 0
    assert slow.read("jobs/one/B/b.txt") == "hello\nhello\n"


@pytest.mark.parametrize("module", ["mediabuild", "mediabuild.commands.main"])
def test_an_interrupt_that_was_ignored_at_the_start_stays_ignored(slow: Project, module: str) -> None:
    """`mediabuild &` in a script: the shell lets it ignore INT, so Ctrl-C for the script isn't meant for it."""
    slow.program = [sys.executable, "-m", module]
    run = start_and_wait(slow, ignored=(signal.SIGINT,))
    run.send_signal(signal.SIGINT)
    time.sleep(0.2)
    end_sleepers(slow, run)
    assert end(run).status == 0


@pytest.mark.parametrize("module", ["mediabuild", "mediabuild.commands.main", "doit"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_twenty_signals_are_one(slow: Project, number: signal.Signals, module: str) -> None:
    """Impatience changes nothing: exit 130, not a word of Python's, nothing left."""
    slow.program = [sys.executable, "-m", module]
    if module == "doit":
        shutil.copy(CLONE / "pyproject.toml", slow.root)
    run = start_and_wait(slow)
    while run.poll() is None:
        run.send_signal(number)
        time.sleep(0.01)
    ran = end(run)
    assert ran.status == 130
    assert "Traceback" not in ran.err
    nothing_is_left(slow)


HUGE = """
[pipeline]
sources = ["media/*.txt"]

[stages.A]
command = ["sh", "-c", 'if [ -e slow ]; then truncate -s 4T "$2"; else cp "$1" "$2"; fi', "A",
           "{inputs.media}", "{outputs.text}"]
inputs  = { media = "source"INPUT }
outputs = { text = "a.txt" }

[stages.B]
command = ["cp", "{inputs.text}", "{outputs.text}"]
inputs  = { text = "A.text" }
outputs = { text = "b.txt" }
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("where", ["an input", "an output", "asking", "many"])
def test_a_signal_while_a_large_file_is_hashed(project: Project, where: str, number: signal.Signals) -> None:
    """Nobody waits for its end: of a sparse file of 4 TB that would take an hour."""
    prepare(project, "")
    files = [project.root / f"large/{n}" for n in range(3 if where == "many" else where != "an output")]
    project.write("pipeline.toml", HUGE.replace("INPUT", ', large = "./large/*"' if files else ""))
    for file in files:
        project.write(f"large/{file.name}", "small\n")
    if files:
        (project.root / "slow").unlink()
        assert project.run().status == 0
    for file in files:
        with file.open("r+b") as large:
            large.truncate(4 << 40)
    run = project.start(*["check"] * (where == "asking"))
    wait_until(lambda: reads_much(run.pid))
    run.send_signal(number)
    ran = end(run)
    assert ran.status == 130
    assert "Traceback" not in ran.err
    (project.root / "slow").unlink(missing_ok=True)
    for file in files:
        file.unlink()
        project.write("large/small", "small\n")
    assert project.run().status == 0


def reads_much(pid: int) -> bool:
    """Whether a process has read far more than a program and its libraries."""
    words = Path(f"/proc/{pid}/io").read_text().split()
    return int(words[words.index("rchar:") + 1]) > 1 << 28


def test_stages_that_run_at_once_all_stop(slow: Project) -> None:
    """With several threads every stage's children go, and no new stage starts."""
    for name in ("two", "three", "four"):
        slow.write(f"media/{name}.txt", name)
    slow.write("pipeline.toml", (slow.root / "pipeline.toml").read_text() + "\n[pipeline.resources]\ncpu = 4\n")
    run = start_and_wait(slow, "-n4")
    run.send_signal(signal.SIGINT)
    assert end(run).status == 130
    assert wait_for_end(marker(slow)) == []
    assert list(slow.root.glob("jobs/*/.mediabuild/tmp/*")) == []


def test_an_interrupt_while_it_loads_leaves_no_traceback(project: Project) -> None:
    """Ctrl-C before there is anything to stop: exit 130, and not a word."""
    command = [sys.executable, "-X", "importtime", "-m", "mediabuild", "status"]
    small = 4096  # what it says fills the pipe long before it has loaded all, so it can't run ahead of who reads
    with subprocess.Popen(
        command, cwd=project.root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, pipesize=small, text=True
    ) as run:
        assert run.stderr is not None
        said = ""
        for line in run.stderr:
            said += line
            if "tomllib" in line:
                run.send_signal(signal.SIGINT)
                break
        said += run.stderr.read()
        assert run.wait(60) == 130
    assert "Traceback" not in said and "KeyboardInterrupt" not in said
