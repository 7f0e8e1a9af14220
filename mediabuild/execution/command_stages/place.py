"""Where a command starts and what it finds there: the project's folder, or an empty one with links to its inputs.

In a folder of its own, inputs are links that are called after themselves: `media.mp4`; what may be several files is
`frames/0001.jpg` and so on, in order, however many there are; a directory is `frames`. The project's files that the
command names are there under their own names, and `out` is the directory of its outputs. So no job's name is in any
path.

Not here: which files of the project a command names (`pipeline.code_of_stages.files`).
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mediabuild.machine.files import remove_tree
from mediabuild.pipeline.command_stages.running import OUT
from mediabuild.pipeline.model import Task
from mediabuild.pipeline.references import single_inputs
from mediabuild.store import places

SUFFIX = re.compile(r"\.[A-Za-z0-9]+\Z")
WIDTH = 4

Inputs = Mapping[str, Sequence[Path]]  # input name → its files, in order


@dataclass(frozen=True)
class Place:
    """Where a command starts.

    Args:
        folder: there. inputs: as it is given them. out: the directory of its outputs, as it is given it.
    """

    folder: Path
    inputs: Inputs
    out: Path


@contextlib.contextmanager
def isolated(task: Task, inputs: Inputs, out: Path, programs: Mapping[str, Path], root: Path) -> Iterator[Place]:
    """A folder of its own for a command; it goes with all that the command left there.

    Args:
        out: the directory of its outputs. programs: the files of the project that it names. root: the project.
    """
    folder = places.make_temporary(task)
    try:
        (folder / OUT).symlink_to(out)
        one = single_inputs(task) | {task.stage.running.each}
        links = {name: list(_link(folder, name, files, alone=name in one)) for name, files in inputs.items()}
        for file in programs.values():
            _link_program(folder, file, root)
        yield Place(folder, links, folder / OUT)
    finally:
        with contextlib.suppress(OSError):
            remove_tree(folder)


def _link(folder: Path, name: str, files: Sequence[Path], *, alone: bool) -> Iterator[Path]:
    """Links to an input's files. `alone`: it is one by what it is; what may be several is numbered always."""
    if alone and len(files) == 1:
        link = folder / f"{name}{_suffix(files[0])}"
        link.symlink_to(files[0])
        yield link
        return
    width = max(WIDTH, len(str(len(files))))
    for number, file in enumerate(files, start=1):
        link = folder / name / f"{number:0{width}}{_suffix(file)}"
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(file)
        yield link


def _suffix(file: Path) -> str:
    """What says of which kind a file is; nothing for a directory, or where it could be anything."""
    return file.suffix.lower() if SUFFIX.match(file.suffix) and not file.is_dir() else ""


def _link_program(folder: Path, file: Path, root: Path) -> None:
    """A file of the project, under its name there; an input of that name is what counts."""
    relative = os.path.relpath(file, root)
    link = folder / relative
    above = [folder / parent for parent in Path(relative).parents]
    if relative.startswith("../") or os.path.lexists(link) or any(path.is_symlink() for path in above):
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(file)
