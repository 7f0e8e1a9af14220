"""A stage that waits while a file says so, in a run that is started, signalled and looked for afterwards.

The file is `slow`, which is no input of the stage. All processes of a test carry its directory in their environment,
so those that outlive a run can be counted.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.conftest import Project, Ran
from tests.e2e.crash import processes_marked, wait_for_end

CLONE = Path(__file__).parents[2]


PIPELINE = """
[pipeline]
sources = ["media/*.txt"]

[stages.A]
command = ["sh", "-c", 'cp "$1" "$2"', "A", "{inputs.media}", "{outputs.text}"]
inputs  = { media = "source" }
outputs = { text = "a.txt" }

[stages.B]
SLOW
inputs  = { text = "A.text" }
"""


WAITS = 'echo part > "$2"; if [ -e slow ]; then sleep 60 & sleep 60; fi; cat "$1" "$1" > "$2"'


COMMAND = """command = ["sh", "-c", '%s', "B", "{inputs.text}", "{outputs.text}"]
outputs = { text = "b.txt" }"""


PYTHON = 'uses = "waits"'


STAGE = '''"""Waits while a file says so, with a child of its own."""

import os
import subprocess
import sys
import sys
import time
from pathlib import Path

from mediabuild.stage import Context, NoParams, stage


@stage(version=1, inputs={"text": "any file"}, outputs={"text": "b.txt"})
def waits(ctx: Context, params: NoParams) -> None:
    print("about to wait", flush=True)
    os.write(1, b"\\xff\\x00 no text\\n")
    print('{"kind":"done","fields":{"returned":null}}', flush=True)
    for name in ("slow", f"slow-{ctx.job}"):
        if Path(name).exists():
            subprocess.Popen(["sleep", "60"])
            time.sleep(60)
    ctx.output("text").write_bytes(ctx.input("text").read_bytes() * 2)
'''


def prepare(project: Project, stage: str) -> Project:
    """Write the project; `slow` exists."""
    project.write("pipeline.toml", PIPELINE.replace("SLOW", stage))
    project.write("media/one.txt", "hello\n")
    project.write("slow", "")
    project.env["MEDIABUILD_TEST"] = marker(project)
    return project


def marker(project: Project) -> str:
    """What all processes of the test carry in their environment."""
    return str(project.root)


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until something holds; fail when it doesn't within a minute."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def start_and_wait(project: Project, *args: str, ignored: tuple[signal.Signals, ...] = ()) -> subprocess.Popen[str]:
    """Start a run in a process group of its own, as a terminal does; return when B waits."""

    def as_in_a_terminal() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)

    run = project.start(*args, process_group=0, preexec_fn=as_in_a_terminal)
    wait_until(lambda: sleepers(project))
    return run


def sleepers(project: Project) -> list[int]:
    """The test's processes that wait."""
    return [pid for pid in processes_marked(marker(project)) if command_line(pid).startswith("sleep ")]


def command_line(pid: int) -> str:
    """A process's arguments; nothing when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def leads_a_session(pid: int) -> bool:
    """Whether a process has a session of its own; not when it has ended."""
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


def end_sleepers(project: Project, run: subprocess.Popen[str]) -> None:
    """What B waits for ends, so that it goes on: both of them, when both are there."""
    wait_until(lambda: len(sleepers(project)) == 2)
    assert run.poll() is None
    for pid in sleepers(project):
        os.kill(pid, signal.SIGKILL)


def end(run: subprocess.Popen[str]) -> Ran:
    """Wait for a run that was told to stop."""
    out, err = run.communicate(timeout=30)
    return Ran(run.returncode, out, err)


def nothing_is_left(project: Project) -> None:
    """No process, no temporary directory, nothing of B."""
    assert wait_for_end(marker(project)) == []
    assert list((project.root / "jobs/one/.mediabuild/tmp").iterdir()) == []
    assert not (project.root / "jobs/one/B").exists()


def next_run_works(project: Project) -> None:
    """At once, with nothing unlocked or deleted by hand; what was finished isn't repeated."""
    (project.root / "slow").unlink()
    again = project.run()
    assert again.status == 0, again.out + again.err
    assert again.ran == ["B:one"]
    assert project.read("jobs/one/B/b.txt") == "hello\nhello\n"
    assert list((project.root / "jobs/one/.mediabuild/tmp").iterdir()) == []
