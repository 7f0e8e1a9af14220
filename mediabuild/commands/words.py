"""What the words of a command line stand for: names, patterns, targets, and the arguments of the user's own tasks.

Not here: options (`options`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from doit.exceptions import InvalidCommand

from mediabuild.machine.here import command, meant, seen
from mediabuild.machine.visible import same_text
from mediabuild.schedule.dodo import arguments_of
from mediabuild.schedule.state import is_remake, pipeline_task

if TYPE_CHECKING:
    from doit.task import Task as DoitTask


CALLED_OTHERWISE = {  # by other programs
    "version": "--version",
    **dict.fromkeys(("build", "make", "all", "repro"), "run"),
    **dict.fromkeys(("why", "reason", "diff"), "explain TASK"),
    **dict.fromkeys(("rm", "remove", "delete"), "clean"),
    **dict.fromkeys(("plan", "dry-run", "dryrun"), "--dry-run"),
    **dict.fromkeys(("force", "rebuild"), "--force"),
    **dict.fromkeys(("ls", "tasks"), "list --all"),
    **dict.fromkeys(("dag", "dot"), "graph"),
}
BRACKETS = "[ab] in a pattern is one letter, a or b; for a bracket itself: [[]"


def arrange(
    words: list[str], own: Iterable[DoitTask], leading_options: Callable[[list[str]], tuple[list[str], list[str]]]
) -> tuple[list[str], list[str]]:
    """The names, and the command's options, which may stand behind names.

    What follows one of the user's own tasks and is an option of that task stays behind it; of a task that takes
    arguments, all that follows does.

    Args:
        leading_options: the command's options that words begin with, and the rest of them.
    """
    tasks = {task.name: task for task in own}
    names: list[str] = []
    options: list[str] = []
    rest = words
    while rest:
        if rest[0] == "--":
            return [*names, *rest[1:]], options
        if rest[0].startswith("-") and rest[0] != "-":
            found, rest = leading_options(rest)
            options += found
            continue
        task = tasks.get(rest[0])
        count = 1 + (arguments_of(task, rest[1:]) if task is not None else 0)
        names, rest = [*names, *rest[:count]], rest[count:]
    return names, options


def expand_names(
    args: Iterable[str],
    tasks: Mapping[str, DoitTask],
    commands: Iterable[str] = (),
    *,
    asked: str = "run",
    later: Callable[[str], bool] | None = None,
    of_file: Callable[[str], list[str]] = lambda path: [],
) -> list[str]:
    """Task names for names, patterns and files (relative, absolute, `./`); a misspelt command is told too.

    Names that look the same are the same, however their accents are encoded.

    Args:
        asked: the command whose words these are.
        of_file: the tasks that a file stands for which is no target, by its path below the project.
        later: which other names stay as they are, since tasks of these names may be made while the run goes on.

    Raises:
        InvalidCommand: with the nearest name for each that is none of these.
    """
    from mediabuild.pipeline.mistakes import missing_file
    from mediabuild.pipeline.paths import fitting_names

    names = {same_text(name): name for name in tasks}
    targets = {same_text(target): task.name for task in tasks.values() for target in task.targets}
    found: list[str] = []
    for arg in args:
        if arg in tasks:
            found.append(arg)
            continue
        is_pattern, text = any(c in arg for c in "*?["), same_text(arg)
        matches = [names[name] for name in fitting_names(names, text)] if is_pattern else []
        matches = [name for name in matches if not is_remake(tasks[name])]
        path = os.path.relpath(meant(text))
        if text in names:
            found.append(names[text])
        elif matches:
            found += matches
        elif path in targets or text in targets:
            found.append(targets.get(path) or targets[text])
        elif made := of_file(path):
            found += made
        elif later is not None and later(arg):
            found.append(arg)
        elif os.path.isfile(meant(arg)):
            what = "is no recording of this project, and nothing that it makes"
            raise InvalidCommand(f"{arg!r} {what}\n  hint: {command('--source', arg)}")
        elif not is_pattern and ":" not in arg and _is_file_name(arg):
            what, hint = missing_file(arg, _files_read(tasks.values()))
            raise InvalidCommand(f"{what}\n  hint: {hint}")
        else:
            raise InvalidCommand(_unknown(arg, tasks, list(commands), asked))
    return list(dict.fromkeys(found))


def _unknown(word: str, tasks: Mapping[str, DoitTask], commands: Collection[str], asked: str) -> str:
    """What is said of a word that is nothing here: what it means elsewhere, the job that it names, the nearest name."""
    from mediabuild.pipeline.mistakes import nearest

    if word in CALLED_OTHERWISE:
        return f"{word!r} is no task or command; did you mean {CALLED_OTHERWISE[word]!r}?\n  hint: doit --help"
    if any(made.job == word for made in map(pipeline_task, tasks.values()) if made):
        before = [asked] if asked != "run" else []
        return f"{word!r} is a job; --job names one\n  hint: {command(*before, '--job', word)}"
    if word in commands:
        return f"{word!r} is a command, which stands before everything else\n  hint: doit {word} --help"
    is_pattern = any(sign in word for sign in "*?[")
    said = f"{word!r} matches no task" if is_pattern else f"{word!r} is no task, command or target"
    near = nearest(word, [*tasks, *commands])
    more = f"; {near}" if near.startswith("did you") else ""
    more += f"; {BRACKETS}" if is_pattern and "[" in word else ""
    return f"{said}{more}\n  hint: doit list --all"


def _is_file_name(word: str) -> bool:
    """Whether it looks like a path, or ends as recordings do."""
    from mediabuild.commands.recordings import recording_suffixes

    return os.sep in word or os.path.splitext(word)[1].lower() in recording_suffixes()


def _files_read(tasks: Iterable[DoitTask]) -> list[str]:
    """The files that the pipeline's tasks read and don't make, as they would be typed: recordings, lists of terms."""
    from mediabuild.pipeline.model import Given

    ours = [task for task in map(pipeline_task, tasks) if task]
    given = [ref for task in ours for refs in task.inputs.values() for ref in refs if isinstance(ref, Given)]
    paths = {os.path.normpath(ref.pattern) for ref in given if not ref.globs}
    return sorted(seen(path) for path in paths if os.path.exists(path))
