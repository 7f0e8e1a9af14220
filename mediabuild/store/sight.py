"""What a stage is about to see, by its stats, and whether it was ever otherwise while the stage ran.

Equal digests before and after don't tell that a file was the same in between: it may have changed and changed back.
Stats do: a write, a rename or a replacement leaves another ctime or inode behind, in the file, in the folder that holds
it, or in a folder or link on the way to it.

What a stage moved away is found again by its inode, or by its size and time where it went to another disk.

Not here: the digests (`digest`), when two looks are compared (`freshness.meanwhile`). A stage's own interpreter imports
this module: it needs only the standard library.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping

from mediabuild.store.stats import ABSENT, Stats, keeps_ctime, of

Sight = dict[str, Stats]  # path → stats; of a folder on the way, a path that ends with "/", see `moved`
ON_THE_WAY = "/"
ROOT = "/" + ON_THE_WAY
Identity = tuple[int, int, int, int, int]  # kind, device, inode, size in bytes, mtime_ns; a link's own
TIMES_DIFFER_NS = 2_100_000_000  # by less than that, where a file system keeps even seconds


def sight(paths: Iterable[str | os.PathLike[str]], folders: Iterable[str | os.PathLike[str]] = ()) -> Sight:
    """The stats of files, of directories with all that they hold, of links on the way, and of the folders above.

    Args:
        paths: absolute; what isn't there counts too.
        folders: of these the entries count, and not what they hold.
    """
    found: Sight = {}
    for path in (os.path.normpath(path) for path in paths):
        _add_way(path, found)
        _add(path, found, frozenset())
    found |= {os.path.normpath(folder): _stats(os.path.normpath(folder)) for folder in folders}
    return found


def moved(before: Sight, after: Sight) -> Iterator[str]:
    """The paths at which something changed between two looks, or came or went; sorted.

    Others may write into a folder on the way, which changes both its times. Where only its ctime is another, and the
    folder that holds it was written, it was renamed itself: what lies below may have been something else for a while.
    Where that one is as it was, only its mode was changed.
    """
    for path in sorted(before.keys() | after.keys()):
        was, now = before.get(path, ABSENT), after.get(path, ABSENT)
        if path.endswith(ON_THE_WAY):
            holder = os.path.dirname(path[: -len(ON_THE_WAY)]) + ON_THE_WAY
            written = before.get(holder, ABSENT)[1] != after.get(holder, ABSENT)[1] or holder not in before
            renamed = was[2] != now[2] and was[1] == now[1] and written
            if was[3] != now[3] or (renamed and path != ROOT):
                yield path.rstrip(ON_THE_WAY)
        elif was != now:
            yield path


def _add(path: str, found: Sight, above: frozenset[str]) -> None:
    """A file, or a directory with all that it holds; links are followed, loops cut."""
    if os.path.islink(path):
        _add_link(path, found)
    found[path] = _stats(path)
    if not os.path.isdir(path):
        return
    real = os.path.realpath(path)
    if real in above:
        return
    with contextlib.suppress(OSError), os.scandir(path) as entries:
        for entry in entries:
            if entry.is_symlink() or entry.is_dir():
                _add(entry.path, found, above | {real})
            else:
                found[entry.path] = of(entry.stat())


def _add_link(path: str, found: Sight) -> None:
    """A link: itself, and the way to where it leads."""
    with contextlib.suppress(OSError):
        found[f"{path} → {os.readlink(path)}"] = of(os.lstat(path))
    _add_way(os.path.realpath(path), found)


def _add_way(path: str, found: Sight) -> None:
    """The folders above a path, and links among them."""
    folder = os.path.dirname(path)
    while folder + ON_THE_WAY not in found:
        status = _lstat(folder)
        if status is None:
            found[folder + ON_THE_WAY] = ABSENT
        else:
            found[folder + ON_THE_WAY] = of(status)
            if stat.S_ISLNK(status.st_mode):
                _add_link(folder, found)
        folder = os.path.dirname(folder)


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _stats(path: str) -> Stats:
    try:
        return of(os.stat(path))
    except OSError:
        return ABSENT


def identities(paths: Iterable[str | os.PathLike[str]], *, follow: bool = True) -> dict[str, Identity]:
    """Path → identity, of files and directories and of all that they hold.

    Args:
        follow: also of what links among them lead to.
    """
    found: dict[str, Identity] = {}
    waiting = [os.path.normpath(path) for path in paths]
    while waiting:
        path = waiting.pop()
        status = _lstat(path)
        if status is None or path in found:
            continue
        kind = stat.S_IFMT(status.st_mode)
        found[path] = (kind, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if kind == stat.S_IFLNK and follow:
            waiting.append(os.path.realpath(path))
        elif kind == stat.S_IFDIR:
            with contextlib.suppress(OSError), os.scandir(path) as entries:
                waiting += [entry.path for entry in entries]
    return found


def found_again(known: Identity, among: Mapping[str, Identity], *, held: bool, gone: bool) -> str | None:
    """The path at which an entry is now; None where it is at none.

    Args:
        held: nobody else can have got its inode since; else size and time must be the same, too.
        gone: it may have gone to another disk, where it is a copy.
    """
    kind, device, _, size, mtime = known
    for path, identity in among.items():
        if identity == known or (held and identity[:3] == known[:3]):
            return path
    for path, identity in among.items() if gone else ():
        same = (identity[0], identity[3]) == (kind, size) and kind == stat.S_IFREG
        if same and (identity[1] != device or not keeps_ctime(device)) and abs(identity[4] - mtime) < TIMES_DIFFER_NS:
            return path
    return None
