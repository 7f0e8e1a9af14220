"""`mediabuild talk.mp4` where no project is: recordings are built beside themselves, with the built-in pipeline.

Each folder is built by itself. What is made for people lies beside the recordings, all else in `.mediabuild/` there.

Not here: the built-in pipeline for it (`pipeline.document`), recordings of a project (`base.expand_names`).
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from mediabuild.errors import PipelineError
from mediabuild.machine.here import PIPELINE, enter, meant, project_of, quoted
from mediabuild.pipeline.document import ALONE_DIR, document_alone
from mediabuild.pipeline.mistakes import missing_file
from mediabuild.pipeline.paths import expand_braces
from mediabuild.pipeline.sources import SET_ASIDE
from mediabuild.reporting.console import name_recordings, typed
from mediabuild.schedule.loader import SEPARATOR

Program = Callable[[list[str]], int]


def without_project(arguments: list[str], program: Program, commands: Collection[str]) -> int:
    """Build the recordings among the arguments, each folder by itself; with none, what the program says of that.

    Args:
        program: runs arguments in the present folder, and returns its exit status.
        commands: their names; the recordings stand behind one.
    """
    try:
        files = set(_recordings(arguments))
        recordings = _meant_by(files)
    except PipelineError as error:
        sys.stderr.write(f"ERROR: {error}\n")
        return 3
    rest = [word for word in arguments if word not in files and _source(word) not in files]
    if "--source" in rest:
        rest.remove("--source")
    folders: dict[str, list[str]] = {}
    for file in sorted(recordings):
        folders.setdefault(os.path.dirname(os.path.abspath(file)), []).append(file)
    if not folders:
        return program(arguments)
    if len(folders) == 1:
        ((folder, named),) = folders.items()
        first = [rest.pop(0)] if rest and rest[0] in commands else []
        return _build(folder, named, first, rest, program)
    return max(_in_a_process(folder, named, rest) for folder, named in folders.items())


def _build(folder: str, files: list[str], first: list[str], rest: list[str], program: Program) -> int:
    """Build the recordings of one folder; in a project they are its own."""
    root = project_of(folder)
    there = [os.path.abspath(file) for file in files]
    enter(root or folder)
    if root:
        return program([*first, *rest, *map(meant, files)])
    name_recordings(files)
    return program([*first, f"--source={SEPARATOR.join(there)}", *rest])


def _in_a_process(folder: str, files: list[str], rest: list[str]) -> int:
    names = [os.path.basename(file) for file in files]
    print(f"{folder}:", flush=True)
    return subprocess.run([sys.executable, "-m", "mediabuild", *rest, *names], cwd=folder, check=False).returncode


def _recordings(arguments: list[str]) -> Iterator[str]:
    """The words that are recordings; doubtful ones are mistakes.

    Raises:
        PipelineError: a word looks like a recording and isn't there, or is a file that is none.
    """
    suffixes = recording_suffixes()
    for before, word in zip(["", *arguments], arguments, strict=False):
        path = _source(word)
        named = path != word or before == "--source"
        if not named and (word.startswith("-") or "=" in word or _is_value(before)):
            continue
        looks = os.path.splitext(path)[1].lower() in suffixes
        if os.path.isfile(path) and (looks or named or _made_of(path)):
            yield path
        elif os.path.isdir(path) and os.sep in path:
            raise PipelineError(f"{path}: is a folder", f"mediabuild {quoted(path.rstrip('/'))}/*")
        elif os.path.isfile(path):
            known = ", ".join(sorted(suffix[1:] for suffix in suffixes))
            raise PipelineError(f"{path}: is no recording ({known})", "mediabuild -h")
        elif looks or named:
            folder = os.path.dirname(path)
            others = [name for name in _names(folder or ".") if os.path.splitext(name)[1].lower() in suffixes]
            what, hint = missing_file(path, [os.path.join(folder, name) for name in others])
            raise PipelineError(what, typed(hint))


def recording_suffixes() -> set[str]:
    """How the names of recordings end, in small letters, with the dot."""
    return {os.path.splitext(choice)[1] for choice in expand_braces(document_alone()["pipeline"]["sources"][0])}


def _meant_by(files: Collection[str]) -> set[str]:
    """The recordings that files stand for: what was made of one, lies beside it and stands for it.

    Raises:
        PipelineError: none is there any more.
    """
    made = {file: _made_of(file) for file in files}
    there = {made[file] or file for file in files if os.path.isfile(made[file] or file)}
    if files and not there:
        file = min(files)
        raise PipelineError(f"{file}: was made of {made[file]}, which is gone", quoted("mv", file, "another-name"))
    return there


def _made_of(file: str) -> str:
    """The recording beside a file that we made it of; empty where it is none of ours."""
    folder, name = os.path.split(file)
    recording = _copies(os.path.abspath(folder)).get(SET_ASIDE.sub("", name), "")
    return os.path.join(folder, recording) if recording else ""


@functools.cache
def _copies(folder: str) -> dict[str, str]:
    """What was made beside the recordings of a folder that is no project → the recording that it was made of."""
    if not os.path.isdir(os.path.join(folder, ALONE_DIR)) or project_of(folder):
        return {}
    from mediabuild.freshness.orphans import recordings_of_copies
    from mediabuild.pipeline.config import load_pipeline

    return recordings_of_copies(load_pipeline(Path(folder, PIPELINE), alone=True))


def _source(word: str) -> str:
    """The recording of `--source=FILE`; any other word as it is."""
    return word.removeprefix("--source=")


def _is_value(option: str) -> bool:
    """Whether the word behind an option belongs to it: files are looked for among the others."""
    return option in ("--events", "--job-dir", "-o", "--output-file", "--language", "--device", "--job", "--log-level")


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
