"""One owner at a time, named while it lives, and gone the moment it dies."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mediabuild.errors import LockBusy
from mediabuild.machine.lock import locked

HOLD = """
import subprocess, sys, time
from pathlib import Path
from mediabuild.machine.lock import locked
with locked(Path(sys.argv[1]), "A:one"):
    child = subprocess.Popen(["sleep", "60"], start_new_session=True, stdout=subprocess.DEVNULL)
    print(child.pid, flush=True)
    time.sleep(60)
"""


class Holder:
    """Another process that holds a lock and has a child that outlives it."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.child = int(self.process.stdout.readline())

    def kill(self) -> None:
        """Kill it; its child stays."""
        self.process.kill()
        self.process.communicate()

    def end(self) -> None:
        """Kill both."""
        self.kill()
        os.kill(self.child, 9)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the lock is; its folder isn't there yet."""
    return tmp_path / "locks/A.lock"


def test_a_live_owner_is_named(path: Path) -> None:
    """With its process id and its host, and the task."""
    holder = Holder(path)
    try:
        with pytest.raises(LockBusy) as caught, locked(path, "A:one", wait=False):
            pass
        assert caught.value.message == f"A:one: process {holder.process.pid} on {socket.gethostname()} is busy with it"
        assert "--no-wait" in caught.value.hint
    finally:
        holder.end()


def test_a_dead_owner_holds_nothing(path: Path) -> None:
    """Killed with 9: the lock is free at once, although a child of the owner lives on."""
    holder = Holder(path)
    holder.kill()
    try:
        with locked(path, "A:one", wait=False):
            assert path.read_text() == f"{os.getpid()} {socket.gethostname()}\n"
        os.kill(holder.child, 0)  # it really lives
    finally:
        os.kill(holder.child, 9)


@pytest.mark.parametrize("text", [b"", b"\xff\x00garbage" * 100, b"1 localhost\n", b"12345678 " + b"x" * 500])
def test_the_text_only_serves_the_message(path: Path, text: bytes) -> None:
    """A lock file that holds anything at all is free when nobody has it locked."""
    path.parent.mkdir(parents=True)
    path.write_bytes(text)
    with locked(path, "A:one", wait=False):
        assert path.read_text() == f"{os.getpid()} {socket.gethostname()}\n"


def test_threads_exclude_each_other(path: Path) -> None:
    """Within one process too: a counter that is read, and written a moment later, loses nothing."""
    total = 0

    def count() -> None:
        nonlocal total
        for _ in range(5):
            with locked(path, "A:one"):
                seen = total
                time.sleep(0.001)
                total = seen + 1

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total == 20


def test_waiting_may_be_given_up(path: Path) -> None:
    """The callback hears for whom it waits, again and again, and may raise; the owner is undisturbed."""
    heard: list[str] = []

    def waiting(owner: str) -> None:
        heard.append(owner)
        if len(heard) == 3:
            raise KeyboardInterrupt

    with locked(path, "A:one"):
        with pytest.raises(KeyboardInterrupt), locked(path, "A:one", waiting=waiting):
            pass
        assert heard == [f"process {os.getpid()} on {socket.gethostname()}"] * 3
        with pytest.raises(LockBusy), locked(path, "A:one", wait=False):
            pass


def test_a_failure_inside_gives_it_back(path: Path) -> None:
    """Whatever ends the block; the file stays, since deleting it could split the lock in two."""
    with pytest.raises(ValueError, match="inside"), locked(path, "A:one"):
        raise ValueError("inside")
    with locked(path, "A:one", wait=False):
        pass
    assert path.exists()
