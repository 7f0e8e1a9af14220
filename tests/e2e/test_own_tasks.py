"""The user's own tasks beside a pipeline: what they start belongs to the run; doit's command line means what it means.

Not here: doit's other commands (`test_doit_commands`).
"""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import CHAIN, Project
from tests.e2e.crash import end_all, wait_for_end
from tests.e2e.waiting import end, marker, sleepers, start_and_wait, wait_until

SLEEPING = {
    "a shell line": '"sleep 60"',
    "a shell line with a child": '"sleep 60 & sleep 60"',
    "a shell line with a daemon": '"setsid -f sleep 60; sleep 60"',
    "a list": '["sleep", "60"]',
    "a command with an environment of its own": 'CmdAction("sleep 60", env={"PATH": os.environ["PATH"], **MARKED})',
    "an interactive command": 'Interactive("sleep 60")',
    "a server": 'LongRunning("sleep 60")',
    "python that waits for a program": '(lambda: subprocess.run(["sleep", "60"]) and None,)',
    "python that is deaf": '(lambda: os.system("sleep 60") and None,)',
}
DODO = """
import os, subprocess
from doit.action import CmdAction
from doit.tools import Interactive, LongRunning

MARKED = {"MEDIABUILD_TEST": os.environ["MEDIABUILD_TEST"]}

def task_mine():
    return {"actions": [ACTION], "verbosity": 2}
"""


@pytest.fixture(autouse=True)
def no_survivors(project: Project) -> Iterator[None]:
    """A test that fails leaves nothing running either."""
    yield
    end_all(marker(project))


def own(project: Project, dodo: str) -> Project:
    """A pipeline with a dodo file beside it."""
    project.write("pipeline.toml", CHAIN)
    project.write("media/one.txt", "hello\n")
    project.write("dodo.py", dodo)
    project.env["MEDIABUILD_TEST"] = marker(project)
    return project


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("action", SLEEPING)
def test_what_an_own_task_started_ends_with_the_run(project: Project, action: str, number: signal.Signals) -> None:
    """INT, TERM and KILL to the run alone, as `kill` does: no waiting for the command's end, and nothing is left."""
    if "deaf" in action and number == signal.SIGINT:
        pytest.skip("the C library lets a program ignore INT meanwhile; a terminal sends it to the child as well")
    own(project, DODO.replace("ACTION", SLEEPING[action]))
    run = start_and_wait(project, "mine")
    wait_until(lambda: len(sleepers(project)) == 1 + ("with a" in action and "environment" not in action))
    run.send_signal(number)
    ran = end(run)
    assert ran.status == (-9 if number == signal.SIGKILL else 130)
    assert "Traceback" not in ran.err
    assert wait_for_end(marker(project)) == []
    assert "mine" not in (project.read(".doit.json") if (project.root / ".doit.json").exists() else "")


def test_an_own_task_that_ends_leaves_its_server_running(project: Project) -> None:
    """As in doit: what it started on purpose stays, whatever becomes of stages."""
    own(project, DODO.replace("ACTION", '"setsid -f sleep 60 >/dev/null 2>&1 </dev/null"'))
    run = project.run()
    assert run.status == 0, run.out + run.err
    assert len(run.ran) == 3
    assert len(sleepers(project)) == 1


def test_a_teardown_is_run_when_the_run_was_stopped(project: Project) -> None:
    """As in doit: what must be undone is undone."""
    dodo = 'def task_mine():\n    return {"actions": ["sleep 60"], "teardown": ["touch undone"]}\n'
    run = start_and_wait(own(project, dodo), "mine")
    run.send_signal(signal.SIGTERM)
    assert end(run).status == 130
    assert (project.root / "undone").exists()
    assert wait_for_end(marker(project)) == []


def test_a_signal_while_a_teardown_runs(project: Project) -> None:
    """It ends with the run too."""
    dodo = 'def task_mine():\n    return {"actions": ["true"], "teardown": ["sleep 60"]}\n'
    run = start_and_wait(own(project, dodo), "mine")
    run.send_signal(signal.SIGTERM)
    assert end(run).status == 130
    assert wait_for_end(marker(project)) == []


EXITS = '''
from doit.action import BaseAction

class Leaving(BaseAction):
    """An action of the user's own that leaves."""
    out = err = result = None
    values = {}
    task = None

    def execute(self, out=None, err=None):
        raise SystemExit(4)

def task_mine():
    return {"actions": [Leaving()]}
'''


def test_an_action_that_leaves_hangs_nobody(project: Project) -> None:
    """`sys.exit` in an action of the user's own class fails its task; the stages are built."""
    run = own(project, EXITS).run()
    assert run.status == 2, run.out + run.err
    assert len(run.ran) == 3
