"""Compares the stats of files, and knows when they prove nothing: within a tick of the clock, on some file systems.

Not here: digests (`digest`).
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
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
MOUNTS = "/proc/self/mountinfo"
NO_MODES = re.compile(
    r"(vfat|msdos|exfat|ntfs|ntfs3|fuseblk|cifs|smb3|9p|drvfs|hgfs|vboxsf|fuse\.(exfat|ntfs.*|sshfs|rclone))"
)
NO_CTIME = re.compile(r"vfat|msdos|exfat|hfs|affs|hpfs|adfs|minix|davfs|fuse|fuseblk|fuse\..*")
PASSED_ON = re.compile(r"fuse\.(fuse-overlayfs|mergerfs|gocryptfs|encfs|bindfs|unionfs.*|glusterfs|ceph.*|juicefs)")
NEVER_STILL = 1 << 62  # stands for a ctime in ns where there is none, or none that can be trusted


def stats_of(path: Path) -> Stats:
    """What the cache compares; follows links."""
    return of(path.stat())


def of(status: os.stat_result) -> Stats:
    """The same of what `stat` said; without ctime and inode where these mean nothing."""
    if keeps_ctime(status.st_dev):
        return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
    return status.st_size, status.st_mtime_ns, NEVER_STILL, 0


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


@functools.cache
def keeps_modes(device: int) -> bool:
    """Whether the executable bit of a file there says anything: on FAT and network disks every file may have it.

    Args:
        device: `st_dev` of the file.
    """
    return NO_MODES.fullmatch(_kind(device)) is None


@functools.cache
def keeps_ctime(device: int) -> bool:
    """Whether each change of a file there leaves a time behind that no program can set back.

    FAT and exFAT have no such time, and of most file systems in user space nobody knows; nor are their inodes lasting.
    """
    kind = _kind(device)
    return NO_CTIME.fullmatch(kind) is None or PASSED_ON.fullmatch(kind) is not None


def _kind(device: int) -> str:
    """The kind of a mounted file system; empty where nobody can tell (macOS)."""
    with contextlib.suppress(OSError), open(MOUNTS, errors="replace") as mounts:
        return kinds_of(mounts.read()).get(device, "")
    return ""


def kinds_of(mounts: str) -> dict[int, str]:
    """Device → kind of file system, as /proc/self/mountinfo has them (proc_pid_mountinfo(5))."""
    found = {}
    for line in mounts.splitlines():
        before, dash, after = line.partition(" - ")
        fields = before.split()
        if dash and len(fields) > 2 and after:
            major, _, minor = fields[2].partition(":")
            found[os.makedev(int(major), int(minor))] = after.split()[0]
    return found
