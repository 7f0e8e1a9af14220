"""One run at a time works on a stage of a job: `flock` on a file that is never deleted.

The kernel gives the lock back when its owner dies, however it dies, so nothing is ever unlocked by
hand. The file's text (process id, host) only serves the message; garbage in it is harmless. The
descriptor is not inherited by children.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mediabuild.errors import LockBusy
from mediabuild.machine import regular

POLL_S = 0.05


@contextlib.contextmanager
def locked(
    path: Path, what: str, *, wait: bool = True, waiting: Callable[[str], None] = lambda owner: None
) -> Iterator[None]:
    """Hold a lock.

    Args:
        path: the lock's file; its folder is made.
        what: for the message: the task.
        wait: False raises at once when it is taken.
        waiting: called once with the owner's description when it has to wait; later calls of the
            poll go through it too, so it may raise to stop waiting.

    Raises:
        LockBusy: it is taken and `wait` is False.
        OSError: the file can't be made, or is no regular file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = regular.descriptor_of(path, os.O_RDWR | os.O_CREAT)
    try:
        while not _try(descriptor):
            owner = _owner(descriptor)
            if not wait:
                raise LockBusy(f"{what}: {owner} is busy with it", "try again later, or without --no-wait")
            waiting(owner)
            time.sleep(POLL_S)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)  # gives the lock back


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner(descriptor: int) -> str:
    words = os.pread(descriptor, 200, 0).decode(errors="replace").split()
    if len(words) == 2 and words[0].isdigit():
        return f"process {words[0]} on {words[1]}"
    return "another process"
