"""The real program in a real temporary directory: write, run, expect.

A project here is made of command stages that cost milliseconds; what ran is read from the events.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.crash import LONGEST_S, Launcher

# without the programs of the tests' own venv, and no demucs that is somewhere else: what runs must not depend on how
# pytest was called
PATHS = [part for part in os.environ["PATH"].split(os.pathsep) if part != f"{sys.prefix}/bin"]
PATH = os.pathsep.join([str(Path(__file__).with_name("programs")), *PATHS])
PROGRAM = [sys.executable, "-m", "mediabuild.commands.main"]
DOIT = [str(Path(sys.executable).with_name("doit"))]
FORKED = ((PROGRAM, "mediabuild.commands.main"), (DOIT, "doit.__main__"))
CHAIN = """
[pipeline]
sources = ["media/*.txt"]

[stages.A]
command = ["sh", "-c", 'cp "$1" "$2"', "A", "{inputs.media}", "{outputs.text}"]
inputs  = { media = "source" }
outputs = { text = "a.txt" }

[stages.B]
command = [
    "sh", "-c", 'for i in $(seq "$3"); do cat "$1"; done > "$2"',
    "B", "{inputs.text}", "{outputs.text}", "{params.times}"]
inputs  = { text = "A.text" }
outputs = { text = "b.txt" }
params  = { times = 2 }

[stages.C]
command = ["sh", "-c", 'rev "$1" > "$2"', "C", "{inputs.text}", "{outputs.text}"]
inputs  = { text = "B.text" }
outputs = { text = "c.txt" }
"""


@dataclass
class Ran:
    """What a run did."""

    status: int
    out: str
    err: str
    events: list[dict[str, Any]] = field(default_factory=list)

    def tasks(self, event: str) -> list[str]:
        """The tasks of all events of a kind, in order."""
        return [e["task"] for e in self.events if e["event"] == event]

    @property
    def ran(self) -> list[str]:
        """The tasks whose program was started."""
        return self.tasks("stage_running")

    @property
    def skipped(self) -> list[str]:
        """The tasks that were up to date."""
        return self.tasks("stage_skipped")

    def reasons(self, task: str) -> list[str]:
        """Why a task ran: `kind.name`."""
        found = [e["reasons"] for e in self.events if e["event"] == "stage_cache_miss" and e["task"] == task]
        return [f"{r['kind']}.{r['name']}".rstrip(".") for r in (found[-1] if found else [])]


class Project:
    """A directory with a pipeline.

    `run` is `mediabuild …`, forked from a warm process; `start` is the same from scratch, without waiting for it.
    """

    def __init__(self, root: Path, launcher: Launcher | None = None) -> None:
        self.root = root
        self.launcher = launcher
        self.env = {**os.environ, "NO_COLOR": "1", "PATH": PATH, "MARK": str(root)}  # its processes, found by it
        self.program = PROGRAM
        self._runs = 0

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file, making its folders."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def read(self, name: str) -> str:
        """A file's text."""
        return (self.root / name).read_text()

    def start(self, *args: str, events: Path | None = None, **options: Any) -> subprocess.Popen[str]:
        """Start `mediabuild ARGS`, with stdout and stderr piped."""
        command = [*self.program, *args]
        if events is not None:
            command.append(f"--events={events}")
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": self.env}
        return subprocess.Popen(command, cwd=self.root, stdin=subprocess.DEVNULL, **{**pipes, **options})

    def command(self, *args: str) -> Ran:
        """`mediabuild ARGS` for a command that is no run: status and output."""
        return self._ended(*args)

    def run(self, *args: str) -> Ran:
        """Build; status, output and events."""
        self._runs += 1
        events = self.root.parent / f"events.{self._runs}.jsonl"
        ran = self._ended(*args, f"--events={events}")
        return replace(ran, events=read_events(events))

    def _ended(self, *args: str) -> Ran:
        for program, module in FORKED:
            if self.launcher is not None and self.program == program:
                status = self.launcher.run(self.root, *args, env=self.env, module=module)
                return Ran(status, self.launcher.out.read_text(), self.launcher.err.read_text())
        process = self.start(*args)
        out, err = process.communicate(timeout=LONGEST_S)
        return Ran(process.returncode, out, err)


def read_events(file: Path) -> list[dict[str, Any]]:
    """The events of a file that was whole lines until its writer ended."""
    lines = file.read_text().split("\n") if file.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


@pytest.fixture(scope="session", autouse=True)
def signals_as_usual() -> None:
    """Runs that the tests start hear INT and HUP, whoever started the tests (`nohup`, a shell's `&`)."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def project(tmp_path: Path, launcher: Launcher) -> Project:
    """An empty project."""
    root = tmp_path / "project"
    root.mkdir()
    return Project(root, launcher)


@pytest.fixture
def chain(project: Project) -> Project:
    """A → B → C over `media/one.txt`, built once."""
    project.write("pipeline.toml", CHAIN)
    project.write("media/one.txt", "hello\n")
    assert project.run().status == 0
    return project


@pytest.fixture(scope="session")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """The process that forks runs."""
    found = Launcher(tmp_path_factory.mktemp("launcher"))
    yield found
    found.close()
