"""The user's own tasks, from `dodo.py`: its DOIT_CONFIG, arguments, tasks that are made later, lines on the console.

Not here: reading the file (`loader`), what these tasks start (`own`), what is recorded of them (`state`).
"""

from __future__ import annotations

import contextlib
import getopt
import itertools
import os
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from doit.cmdparse import CmdOption, CmdParseError, TaskParse
from doit.exceptions import InvalidCommand, InvalidDodoFile, InvalidTask
from doit.loader import generate_tasks
from doit.reporter import ConsoleReporter
from doit.task import Task as DoitTask

from mediabuild.errors import MediabuildError
from mediabuild.schedule.state import is_group, pipeline_task

AFTER = "mediabuild_after"  # in a task's meta: the task that it is made after


def checked_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """A DOIT_CONFIG that says nothing impossible.

    Raises:
        InvalidDodoFile: it says how to run, and that can't be.
    """
    if config.get("par_type", "thread") != "thread":
        raise InvalidDodoFile(f"DOIT_CONFIG: par_type: {config['par_type']!r}: {ONLY_THREADS}")
    formatting = config.get("action_string_formatting", "old")
    if formatting not in ("old", "new", "both"):
        raise InvalidDodoFile(f"DOIT_CONFIG: action_string_formatting: {formatting!r} is none of old, new, both")
    return config


ONLY_THREADS = "stages are processes of their own already\n  hint: doit -n 4"


@contextlib.contextmanager
def blaming(file: str) -> Iterator[None]:
    """What the user's own code raises while it is loaded is told as such, from its own first line on.

    Raises:
        InvalidDodoFile: it raised something.
    """
    try:
        yield
    except (InvalidCommand, InvalidDodoFile, InvalidTask, CmdParseError, MediabuildError):
        raise
    except Exception as error:
        name = os.path.basename(file)
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
        own = list(itertools.dropwhile(lambda frame: os.path.basename(frame.filename) != name, frames))
        lines = [*traceback.format_list(own), *traceback.format_exception_only(error)]
        raise InvalidDodoFile(f"{name}: can't be loaded\n{''.join(lines).rstrip()}") from None


def arguments_of(task: DoitTask, words: Sequence[str]) -> int:
    """How many of the words behind a task's name are its own: the options it knows, and all if it takes arguments."""
    if task.pos_arg is not None:
        return len(words)
    return _options_of((*task.params, *task.creator_params), words)


def _options_of(params: Iterable[Mapping[str, Any]], words: Sequence[str]) -> int:
    parser = TaskParse([CmdOption(one) for one in params])
    count = 0
    for end in range(1, len(words) + 1):
        try:
            _, rest = getopt.getopt(words[:end], parser.get_short(), parser.get_long())
        except getopt.GetoptError:
            continue  # a value may follow
        if rest:
            break
        count = end
    return count


def words_for_creators(namespace: Mapping[str, Any], words: Sequence[str]) -> list[str]:
    """The words that functions with `@task_params` may read: the tasks' names, each with options that it knows."""
    creators = {
        name.removeprefix("task_"): getattr(getattr(ref, "create_doit_tasks", ref), "_task_creator_params", None)
        for name, ref in namespace.items()
    }
    found: list[str] = []
    for place, word in enumerate(words):
        params = creators.get(word)
        if params:
            found += [word, *words[place + 1 :][: _options_of(params, words[place + 1 :])]]
    return found


def take_arguments(words: Sequence[str], task_list: Iterable[DoitTask]) -> list[str]:
    """The names among words; what follows one of the user's own tasks, and is its own, is given to it.

    Raises:
        CmdParseError: a value that the task's option can't have.
    """
    tasks = {task.name: task for task in task_list}
    names, rest = [], list(words)
    while rest:
        name, *rest = rest
        names.append(name)
        task = tasks.get(name)
        if task is None or not (task.params or task.creator_params or task.pos_arg is not None):
            continue
        rest = list(task.init_options(rest) or [])
        if task.pos_arg is not None and task.pos_arg_val is None:
            task.pos_arg_val, rest = rest, []
    return names


def is_made_later(task: DoitTask) -> bool:
    """Whether it stands for tasks that are made when another task is done (doit's `create_after`)."""
    return getattr(task.loader, "creator", None) is not None


def made_now(task_list: Iterable[DoitTask]) -> list[DoitTask]:
    """The tasks, with those that would be made later made now, as doit's `list` does; those that can't be stay.

    A creator may read what is not there before the task that it waits for ran.
    """
    found: list[DoitTask] = []
    asked = set()
    for task in task_list:
        if not is_made_later(task):
            found.append(task)
            continue
        creator = task.loader.creator
        if creator in asked:  # it makes tasks of several names
            continue
        asked.add(creator)
        try:
            base = task.loader.basename or task.name
            made = list(generate_tasks(base, creator(**(task.loader.kwargs or {})), creator.__doc__))
        except Exception:  # whatever the user's own code raises
            made = [task]
        for one in made:
            one.meta = {**(one.meta or {}), AFTER: task.loader.task_dep}
        found += made
    return found


def may_make(name: str, tasks: Mapping[str, DoitTask], *, any_target: bool) -> bool:
    """Whether a task that is made later may make a task or a target of this name.

    Args:
        any_target: even where it doesn't say which targets (`--auto-delayed-regex`).
    """
    later = [task for task in tasks.values() if is_made_later(task)]
    family = name.partition(":")[0]
    patterns = [task.loader.target_regex or ("" if any_target else None) for task in later]
    return any(task.name == family for task in later) or any(p is not None and re.match(p, name) for p in patterns)


class Reporter(ConsoleReporter):  # type: ignore[misc]
    """doit's own lines, for the user's own tasks; the pipeline's say it with events."""

    desc = "console lines and events of the pipeline"

    def execute_task(self, task: Any) -> None:
        """A task starts; the pipeline's were announced with their reasons."""
        if pipeline_task(task) is None:
            super().execute_task(task)

    def skip_uptodate(self, task: Any) -> None:
        """A task is up to date."""
        if pipeline_task(task) is None:
            super().skip_uptodate(task)

    def skip_ignore(self, task: Any) -> None:
        """A task is ignored."""
        if pipeline_task(task) is None and not is_group(task):
            super().skip_ignore(task)
