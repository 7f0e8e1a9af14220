"""mediabuild with a kill injected before its n-th file-system operation, and forked from one warm process.

Run as a program it is the launcher: it imports mediabuild once, then forks for each request on stdin, so
that a run costs the milliseconds it works and not the interpreter's start. Each run is a real process
with its own pid, which a test may kill.

Not here: what the runs are compared with (`history`, the tests).
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CHANGES = {"os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.link", "os.symlink", "os.chmod", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
LONGEST_S = 900  # then a run that hangs is killed; a busy machine is no reason
STARTED = ("subprocess.Popen", "exchange")  # a child that starts, and the one call that no audit event announces


def changes_files(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether an audit event comes before something that a kill could cut off."""
    if event == "open":
        return bool(arguments[2] & WRITING)
    return event in CHANGES or event in STARTED


def die_before(number: int) -> None:
    """From here on, kill this process before the operation of this number (from 1)."""
    from mediabuild.store import publish

    count = itertools.count(1)
    real_exchange = publish.exchange

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if changes_files(event, arguments) and next(count) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def exchange(one: Path, other: Path) -> bool:
        sys.audit("exchange", str(one), str(other))
        return real_exchange(one, other)

    publish.exchange = exchange
    sys.addaudithook(hook)


def run_here(request: dict[str, Any]) -> None:
    """Become the run that a request asks for: its directory, environment, files for stdout and stderr."""
    signal.alarm(LONGEST_S)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    for name, descriptor in (("out", 1), ("err", 2)):
        target = os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(target, descriptor)
        os.close(target)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = [request["module"].partition(".")[0], *request["args"]]
    if request["kill_at"]:
        die_before(request["kill_at"])
    raise SystemExit(importlib.import_module(request["module"]).main())


def import_engine() -> None:
    """What a run imports, once for all; of `media`, which is for stages, a run imports nothing by itself."""
    import pkgutil

    import mediabuild

    for module in pkgutil.walk_packages(mediabuild.__path__, "mediabuild."):
        if module.name != "mediabuild.__main__" and ".media." not in module.name:
            importlib.import_module(module.name)


def serve() -> None:
    """Fork for each line of stdin; answer with how the run ended."""
    import functools
    import gc
    import importlib.metadata

    # looking through all installed packages for doit's plugins would take most of a run's time
    importlib.metadata.entry_points = functools.cache(importlib.metadata.entry_points)
    for kind in ("COMMAND", "LOADER", "BACKEND", "REPORTER"):
        importlib.metadata.entry_points(group=f"doit.{kind}")
    import_engine()
    gc.freeze()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            answers.close()
            run_here(request)
        if request["kill_after_s"] is not None:
            time.sleep(request["kill_after_s"])
            os.kill(child, signal.SIGKILL)  # not waited for yet, so the number is still its own
        answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")


class Launcher:
    """The test's end of the launcher: one run at a time.

    Args:
        scratch: a directory for what the runs print.
    """

    def __init__(self, scratch: Path) -> None:
        self.out, self.err = scratch / "stdout", scratch / "stderr"
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdin and self.process.stdout
        self._requests, self._answers = self.process.stdin, self.process.stdout

    def run(
        self,
        cwd: Path,
        *args: str,
        env: dict[str, str],
        kill_at: int = 0,
        kill_after_s: float | None = None,
        module: str = "mediabuild.commands.main",
    ) -> int:
        """Run `mediabuild ARGS`; returns its exit status, negative for a signal.

        Args:
            kill_at: it dies before this file-system operation; 0 for never.
            kill_after_s: it is killed this long after its start, unless it has ended.
            module: whose `main` it runs.
        """
        files = {"out": str(self.out), "err": str(self.err)}
        kill = {"kill_at": kill_at, "kill_after_s": kill_after_s, "module": module}
        self._requests.write(json.dumps({"cwd": str(cwd), "args": args, "env": env, **kill, **files}) + "\n")
        self._requests.flush()
        return int(self._answers.readline())

    def close(self) -> None:
        """End the launcher."""
        self._requests.close()
        self._answers.close()
        self.process.wait()


def processes_marked(marker: str) -> list[int]:
    """The processes whose environment or command line holds the marker, zombies left out."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                text = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if marker.encode() in text:
                found.append(int(folder.name))
    return found


def wait_for_end(marker: str) -> list[int]:
    """Wait until no marked process is left; returns those that still are after half a minute.

    What a test leaves asleep sleeps longer than that.
    """
    deadline = time.monotonic() + 30
    while (left := processes_marked(marker)) and time.monotonic() < deadline:
        time.sleep(0.005)
    return left


def end_all(marker: str) -> None:
    """Kill every marked process."""
    for pid in processes_marked(marker):
        with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    serve()
