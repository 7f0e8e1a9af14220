"""Copying a file: sharing its blocks where the file system can, else byte by byte.

A shared copy costs no space until one of the two changes, and a change of one is never seen in the other,
as it would be with a hard link.

Not here: whether a copy is what it should be (`digest`).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import sys
from pathlib import Path

from mediabuild.machine.signals import STOP

BLOCK_BYTES = 1 << 23
FICLONE = 0x40049409  # linux/fs.h


def copy(source: Path, target: Path) -> None:
    """Copy a regular file's content to a path where nothing is.

    Raises:
        OSError: it can't be read or written. Interrupted: the program was asked to stop. A part of the target may be
            there.
    """
    if not _clone(source, target):
        with open(source, "rb", buffering=0) as reading, open(target, "wb", buffering=0) as writing:
            while block := reading.read(BLOCK_BYTES):
                STOP.check()
                writing.write(block)


def _clone(source: Path, target: Path) -> bool:
    if sys.platform == "darwin":
        clonefile = getattr(ctypes.CDLL(None, use_errno=True), "clonefile", None)
        return clonefile is not None and clonefile(os.fsencode(source), os.fsencode(target), 0) == 0
    with open(source, "rb") as reading, open(target, "xb") as writing:
        try:
            fcntl.ioctl(writing, FICLONE, reading.fileno())
        except OSError:  # another file system, or one that can't
            return False
    return True
