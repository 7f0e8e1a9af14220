"""The worker of a heavy task starts while what the task waits for still runs: its packages are imported by then."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import Project
from tests.e2e.crash import wait_for_end

PIPELINE = """
[pipeline]
sources   = ["media/*.txt"]
resources = { cpu = 2, memory_gb = 2 }

[stages.first]
command = ["sh", "-c", '''
for i in $(seq TIMES); do [ -e imported ] && [ ! -e hold ] && break; sleep 0.05; done
if [ -e imported ]; then echo early; else echo late; fi > "$1"''', "first", "{outputs.text}", "{inputs.text}"]
inputs  = { text = "source" }
outputs = { text = "first.txt" }

[stages.second]
inputs = { text = "first.text" }
"""
LONG_S = 60
LONG, SHORT = "1200", "10"  # how long the first stage waits for the import: a minute where it is to come
FULL = 'outputs = { text = "first.txt" }\nresources = { memory_gb = 2 }\n'
STAGE = '''
import os, sys

from mediabuild.stage import Context, NoParams, stage


@stage(version=1, inputs={"text": ""}, outputs={"text": "text.txt"}, heavy=True, memory_gb=1.0,
       imports=("slow_package",))
def second(ctx: Context, params: NoParams) -> None:
    """Note whether its package was there, in which process, and with how many threads for libraries."""
    was_there = "slow_package" in sys.modules
    import slow_package

    ctx.output("text").write_text(f"{was_there} {os.getpid()} {os.environ['OMP_NUM_THREADS']}")
'''
PACKAGE = """
import os, pathlib
pathlib.Path(os.environ["MARK"], "imported").write_text(str(os.getpid()))
"""


@pytest.fixture
def heavy(project: Project, tmp_path: Path) -> Project:
    """A command and a heavy stage after it, whose package tells that it is imported."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "slow_package.py").write_text(PACKAGE)
    project.env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(folder), project.env.get("PYTHONPATH"))))
    project.write("pipeline.toml", PIPELINE.replace("TIMES", LONG))
    project.write("stages/second.py", STAGE)
    project.write("media/a.txt", "a")
    return project


def test_it_imports_meanwhile_and_gets_the_task(heavy: Project) -> None:
    """The first stage ends when the second one's package is imported, by the very process that then runs it.

    A run that is killed meanwhile leaves no worker.
    """
    heavy.write("hold", "")
    run = heavy.start()
    end_s = time.monotonic() + LONG_S
    while not (heavy.root / "imported").exists():
        assert time.monotonic() < end_s, "it never came"
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    assert wait_for_end(str(heavy.root)) == []
    for name in ("hold", "imported"):
        (heavy.root / name).unlink()
    assert heavy.run().status == 0
    assert heavy.read("jobs/a/first/first.txt") == "early\n"
    assert heavy.read("jobs/a/second/text.txt") == f"True {heavy.read('imported')} 1"


@pytest.mark.parametrize(
    "why", ["one at a time", "no memory is left", "only the first is wanted", "the second is built"]
)
def test_it_waits_for_its_turn(heavy: Project, why: str) -> None:
    """Nothing is imported early where nobody would be sure to need it, nor beyond what the run may take."""
    pipeline = PIPELINE.replace("TIMES", SHORT)
    if why == "no memory is left":
        pipeline = pipeline.replace('outputs = { text = "first.txt" }\n', FULL)
    if why == "the second is built":
        assert heavy.run().status == 0
        (heavy.root / "imported").unlink()
        heavy.write("media/a.txt", "b")
    heavy.write("pipeline.toml", pipeline)
    arguments = {"one at a time": ["-n", "1"], "only the first is wanted": ["first"]}.get(why, [])
    assert heavy.run(*arguments).status == 0
    assert heavy.read("jobs/a/first/first.txt") == "late\n"
