"""Hashes bytes and files: `blake3:HEX` or `sha256:HEX`.

Not here: what needn't be hashed again (`store.digest`).
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import mmap
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import blake3

from mediabuild.machine.signals import STOP

SYNC_FILE_RANGE = 7  # linux/fs.h: wait, write, wait; unlike fdatasync it needs no commit and no flush of the disk
WRITE_OUT_BYTES = 1 << 26
READ_BYTES = 1 << 20  # by reads, never mapped: a file truncated while mapped kills the process


def hash_bytes(content: bytes, algorithm: str) -> str:
    """The digest of bytes in memory."""
    digest = blake3.blake3(content) if algorithm == "blake3" else hashlib.sha256(content)
    return f"{algorithm}:{digest.hexdigest()}"


def hash_file(path: Path, algorithm: str, *, write_out: bool = False) -> str:
    """The digest of a regular file, read once.

    Args:
        write_out: first let go to disk what a program has written through memory (mmap): such a write shows in the
            file's times only if it is the first to a page since then. It costs nothing where nothing waits.

    Raises:
        OSError: it can't be read; also for a pipe, a socket or a device, which would never end.
        Interrupted: the program was asked to stop.
    """
    digest = blake3.blake3() if algorithm == "blake3" else hashlib.sha256()
    # O_NONBLOCK: opening a pipe that nobody writes to would hang
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
        stats = os.fstat(file.fileno())
        if not stat.S_ISREG(stats.st_mode):
            raise OSError(f"not a regular file: {path}")
        if write_out:
            _write_out(file.fileno(), stats.st_size)
        # whole pages of its own, for what is large: a buffer that begins off a cache line halves the speed
        buffer = memoryview(mmap.mmap(-1, READ_BYTES) if stats.st_size >= READ_BYTES else bytearray(stats.st_size + 1))
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
            STOP.check()
    return f"{algorithm}:{digest.hexdigest()}"


def _write_out(descriptor: int, size_bytes: int) -> None:
    """Let the pages of a file go to disk, bit by bit, so that a stop is heard; where the system can't, nothing happens.

    Raises:
        Interrupted: the program was asked to stop.
    """
    call = _sync_file_range()
    if call is None:
        return
    for start in range(0, size_bytes, WRITE_OUT_BYTES):
        call(descriptor, start, WRITE_OUT_BYTES, SYNC_FILE_RANGE)
        STOP.check()


@functools.cache
def _sync_file_range() -> Callable[[int, int, int, int], int] | None:
    call = getattr(ctypes.CDLL(None, use_errno=True), "sync_file_range", None) if sys.platform == "linux" else None
    if call is not None:
        call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return call
