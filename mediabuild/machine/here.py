"""Where a command was typed: a project is found from its subfolders, and paths that are typed mean what is there.

And the other way round: how the commands and paths of a hint are to be typed there.

Not here: what the arguments are (`commands`). Only the standard library is imported, and little of it: the no-op
reads this module.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # not from typing, which takes a while: the no-op reads this module
if TYPE_CHECKING:
    from collections.abc import Sequence

PIPELINE = "pipeline.toml"
ELSEWHERE = ("-d", "--dir", "-f", "--file", "-k", "--seek-file")  # doit's options that say where the project is

_typed_in: list[str] = []  # the folder, where the program left it for the project's


def project_of(folder: str) -> str:
    """The nearest folder with a `pipeline.toml`, from a folder upwards; empty where there is none."""
    folder = os.path.abspath(folder)
    while not os.path.isfile(os.path.join(folder, PIPELINE)):
        above = os.path.dirname(folder)
        if above == folder:
            return ""
        folder = above
    return folder


def enter_project(arguments: Sequence[str]) -> bool:
    """Go to the project that the present folder lies in; False where it lies in none."""
    if os.path.isfile(PIPELINE) or any(word.startswith(ELSEWHERE) for word in arguments):
        return True
    try:
        root = project_of(os.getcwd())
    except OSError:  # the folder itself is gone
        return True
    if root:
        enter(root)
    return bool(root)


def enter(folder: str) -> None:
    """Go to a folder; what was typed keeps its meaning."""
    if not _typed_in:
        _typed_in.append(os.getcwd())
    os.chdir(folder)


def meant(path: str) -> str:
    """A path as it was typed, seen from the present folder; `~` is home."""
    path = os.path.expanduser(path)
    if not _typed_in or os.path.isabs(path):
        return path
    return os.path.relpath(os.path.join(_typed_in[0], path))


def seen(path: str | os.PathLike[str]) -> str:
    """A path as it is to be typed: seen from the folder where the command was."""
    return os.path.relpath(path, _typed_in[0] if _typed_in else None)


def quoted(*words: str | os.PathLike[str]) -> str:
    """Words as a shell takes them, whatever names hold."""
    import shlex  # only here: the no-op reads this module

    return shlex.join(os.fspath(word) for word in words)


def command(*words: str) -> str:
    """A command of the program for a hint: hints are written for `doit`, the console names what was typed."""
    return quoted("doit", *words)
