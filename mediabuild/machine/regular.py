"""Opens a file safely: a regular file only, never a link, a pipe or a device; and reads none that is too large.

For files in a folder that may come from a stranger: a link there may lead anywhere, a pipe would never end, and a file
of holes, which is small in an archive, would fill the memory.

Not here: which files these are (`store.places`). Little is imported: the no-op reads this module.
"""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False  # not from typing, which takes a while: the no-op reads this module
if TYPE_CHECKING:
    from typing import IO

# Of a file that is read whole: more than the manifest of a million outputs.
MOST_BYTES = 1 << 29
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


def check_readable(path: str | os.PathLike[str]) -> None:
    """See that what a person named, maybe by a link, can be read whole.

    Raises:
        OSError: it isn't there, it is a pipe, a socket or a device, or it is too large.
    """
    _check_size(os.stat(path), path)


def _check_size(found: os.stat_result, path: str | os.PathLike[str]) -> None:
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):  # a directory says so itself when it is opened
        raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
    if found.st_size > MOST_BYTES:
        raise OSError(errno.EFBIG, "too large to be read whole", os.fspath(path))


def open_file(path: str | os.PathLike[str], mode: str, *, buffering: int = -1) -> IO[bytes]:
    """Open a regular file: `rb`, `wb` or `ab`; raises as `descriptor_of`."""
    descriptor = descriptor_of(path, FLAGS[mode])
    if mode == "wb":
        os.ftruncate(descriptor, 0)  # not before it is known to be a regular file
    return open(descriptor, mode, buffering=buffering)


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """What a regular file holds; raises as `descriptor_of`, and where it is larger than anything that is written."""
    with open_file(path, "rb") as file:
        _check_size(os.fstat(file.fileno()), path)
        return file.read()
