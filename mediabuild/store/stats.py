"""Compares the stats of files, and knows when equal stats don't prove equal content.

Not here: digests (`digest`).
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

CLOCK_REALTIME_COARSE = 5  # of Linux, what times of files are read from; Python has no name for it
CLOCK_TICK_S = time.clock_getres(CLOCK_REALTIME_COARSE) if sys.platform == "linux" else 0.01
TRIES = 5  # the process may be interrupted at the wrong moment
COARSE_TICK_S = 2.1  # FAT and some network file systems keep even seconds
Stats = tuple[int, int, int, int]  # size in bytes, mtime_ns, ctime_ns, inode
ABSENT: Stats = (-1, -1, -1, -1)  # of what is not there


def stats_of(path: Path) -> Stats:
    """What the cache compares; follows links."""
    s = path.stat()
    return s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino


def tick_s(stats: Stats) -> float:
    """How long two changes of a file can share one ctime on its file system, in seconds."""
    return COARSE_TICK_S if stats[2] % 1_000_000_000 == 0 else 2 * CLOCK_TICK_S


def fine_device(folder: Path) -> int | None:
    """The device of a folder, if each change there that follows a look has a ctime of its own; tried out.

    So it is on Linux from 6.13 on with ext4, XFS, Btrfs and tmpfs ("multigrain timestamps"): three changes
    with a look after each have three times, in less time than the clock takes to tick.

    Raises:
        OSError: nothing can be written there.
    """
    import tempfile  # only here: the no-op reads this module

    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(TRIES):
            started, times = time.monotonic(), set()
            for _ in range(3):
                file.write(b"x")
                times.add(os.fstat(file.fileno()).st_ctime_ns)
            if len(times) == 3 and time.monotonic() - started < CLOCK_TICK_S:
                return os.fstat(file.fileno()).st_dev
    return None


def is_still(stats: Stats, since: float | None = None) -> bool:
    """Whether a change from now on (or from a moment in the past, in seconds since 1970) must show in the ctime."""
    return (since or time.time()) - stats[2] / 1e9 > tick_s(stats)


def stats_or_absent(path: Path) -> Stats:
    """A path's stats, `ABSENT` where nothing is."""
    try:
        return stats_of(path)
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
