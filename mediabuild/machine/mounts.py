"""Tells what the file system of a path can keep: modes, and a time for each change that nobody can set.

Not here: what follows from it (`store.digest`).
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
NO_MODES = re.compile(
    r"(vfat|msdos|exfat|ntfs|ntfs3|fuseblk|cifs|smb3|9p|drvfs|hgfs|vboxsf|fuse\.(exfat|ntfs.*|sshfs|rclone))"
)
NO_CTIME = re.compile(r"(vfat|msdos|exfat|fuse\.(exfat|sshfs|rclone|s3fs|gcsfuse|mount-s3|davfs.*)|davfs)")


def keeps_modes(device: int) -> bool:
    """Whether the executable bit of a file there says anything: on FAT and network disks every file may have it.

    Args:
        device: `st_dev` of the file.
    """
    return NO_MODES.fullmatch(_kinds().get(device, "")) is None


def keeps_ctime(device: int) -> bool:
    """Whether each change of a file there leaves a time behind that no program can set back: exFAT has no such time."""
    return NO_CTIME.fullmatch(_kinds().get(device, "")) is None


@functools.cache
def _kinds() -> dict[int, str]:
    """Device → kind of file system, of all that was mounted when it was first asked; none where nobody can tell."""
    with contextlib.suppress(OSError):
        return kinds_of(MOUNTS.read_text(errors="replace"))
    return {}


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
