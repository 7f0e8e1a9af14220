"""Turns names and ranges into the ordered list of doit's tasks that a run looks at.

Not here: what names stand for (`commands.base`), running them (`runner`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from doit.control import TaskControl
from doit.task import Task as DoitTask

from mediabuild.build import Build
from mediabuild.schedule.order import in_order
from mediabuild.schedule.state import is_group, is_remake


def alone(names: Iterable[str], tasks: Mapping[str, DoitTask]) -> None:
    """Let these tasks bring no others (`doit -s`); a group stands for its members."""
    for name in names:
        group = tasks.get(name)
        if group is None:  # made while the run goes on
            continue
        for member in [name, *(group.task_dep if group.has_subtask else [])]:
            if not tasks[member].has_subtask:
                tasks[member].task_dep = tasks[member].setup_tasks = []


def within(names: Collection[str], tasks: Mapping[str, DoitTask]) -> None:
    """Let these tasks bring none but each other: a range never runs what it doesn't hold."""
    chosen = {*names, *(f"_{name}" for name in names)}
    for name in chosen & tasks.keys():
        task = tasks[name]
        task.task_dep = [need for need in task.task_dep if need in chosen]
        task.setup_tasks = [need for need in task.setup_tasks if need in chosen]


def failed_last_time(build: Build, selected: Collection[str]) -> list[str]:
    """The selected tasks that failed last time and would run, and those that depend on them."""
    found: set[str] = set()
    for task in build.tasks.values():
        if build.freshness.has_failed(task) or not found.isdisjoint(task.needs):
            found.add(task.name)
    return [name for name in build.tasks if name in found and name in selected]


def control_of(
    task_list: list[DoitTask],
    names: list[str] | None,
    build: Build,
    left_s: Mapping[str, float],
    *,
    auto_delayed_regex: bool,
) -> Any:
    """doit's control of what runs: the user's own tasks first, then the pipeline's, job by job.

    Groups come last, since a group would bring the tasks of all jobs at once.

    Args:
        names: what was asked for; None for everything.
        left_s: task → seconds to the end of the work that waits for it.
    """
    control = TaskControl(task_list, auto_delayed_regex=auto_delayed_regex)
    selected = [name for name in _selected(control, names) if not is_remake(control.tasks[name])]
    groups = [name for name in selected if is_group(control.tasks[name])]
    members = [member for name in groups for member in control.tasks[name].task_dep]
    ours = in_order([*selected, *members], build.tasks, left_s)
    placed = {*ours, *groups}
    control.selected_tasks = [*(name for name in selected if name not in placed), *ours, *groups]
    return control


def _selected(control: TaskControl, names: Iterable[str] | None) -> list[str]:
    """The tasks that names stand for; one by one, so that doit takes none for an argument of the one before it."""
    found: list[str] = []
    for selection in [None] if names is None else [[name] for name in names]:
        control.process(selection)
        found += control.selected_tasks
    return found
