"""Opens a file safely: a regular file only, never a link, a pipe or a device.

For files in a folder that may come from a stranger: a link there may lead anywhere, and a pipe would never end.

Not here: which files these are (`store.places`). Little is imported: the no-op reads this module.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import IO

FLAGS = {"rb": os.O_RDONLY, "wb": os.O_WRONLY | os.O_CREAT, "ab": os.O_WRONLY | os.O_CREAT | os.O_APPEND}


def descriptor_of(path: str | os.PathLike[str], flags: int, mode: int = 0o666) -> int:
    """A descriptor of a regular file; it isn't inherited.

    Args:
        flags: as of `os.open`.

    Raises:
        OSError: it can't be opened, or it is a link, a pipe, a device or a directory.
    """
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
    return descriptor


def check_no_pipe(path: str | os.PathLike[str]) -> None:
    """See that what a person named, maybe by a link, can be read to an end.

    Raises:
        OSError: it isn't there, or it is a pipe, a socket or a device.
    """
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # a directory says so itself when it is opened
        raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))


def open_file(path: str | os.PathLike[str], mode: str, *, buffering: int = -1) -> IO[bytes]:
    """Open a regular file: `rb`, `wb` or `ab`; raises as `descriptor_of`."""
    descriptor = descriptor_of(path, FLAGS[mode])
    if mode == "wb":
        os.ftruncate(descriptor, 0)  # not before it is known to be a regular file
    return open(descriptor, mode, buffering=buffering)


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """What a regular file holds; raises as `descriptor_of`."""
    with open_file(path, "rb") as file:
        return file.read()
