"""Foretells what a run would do with each task that it would look at, the user's own included.

`--dry-run`, `status`, `check`, `explain` and `list -s` show it, so they show the same.

Not here: why a task of the pipeline is stale (`freshness`), the look of what is shown (`commands.asking.status`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from doit.cmd_info import Info
from doit.control import TaskControl
from doit.task import Task as DoitTask

from mediabuild.build import Build
from mediabuild.freshness.verdicts import Verdict
from mediabuild.pipeline.model import Given, Task
from mediabuild.pipeline.paths import meets
from mediabuild.schedule.dodo import AFTER, is_made_later
from mediabuild.schedule.state import is_group, is_remake, pipeline_task

WOULD_RUN = ("stale", "failed", "follows")


def foresee(
    build: Build, task_list: Iterable[DoitTask], records: Any, names: Collection[str], *, always: bool = False
) -> dict[str, Verdict]:
    """What a run of these tasks, and of what they bring, would do: the user's own first, then in canonical order.

    Args:
        records: doit's, for the user's own tasks.
        names: tasks and groups. always: `doit -a`, which runs whatever it looks at.
    """
    tasks = {task.name: task for task in task_list}
    if any(is_own(task) for task in tasks.values()):
        TaskControl(list(tasks.values()))  # it finds out which task's target another one reads
    wanted = brought(names, tasks)
    while True:
        ours = [name for name in wanted if pipeline_task(tasks[name]) is not None]
        if always:
            build.freshness.force(ours)
        plain = build.verdicts(ours)
        found: dict[str, Verdict] = {}
        for name in wanted:
            if name in plain:
                news = {n: found[n] for n in tasks[name].task_dep if n in found and found[n] is not plain.get(n)}
                made = [path for n in news if news[n].state in WOULD_RUN for path in tasks[n].targets]
                found[name] = _following(plain[name], news, _taken(build, build.tasks[name], made))
            elif not tasks[name].has_subtask:
                found[name] = _own_verdict(tasks[name], tasks, records, found, always=always)
        runs = [tasks[name] for name in found if name not in plain and found[name].state in WOULD_RUN]
        more = brought((name for task in runs for name in task.setup_tasks), tasks)
        if set(more) <= set(wanted):
            return {name: found[name] for name in [*(n for n in found if n not in plain), *plain]}
        wanted = list(dict.fromkeys([*more, *wanted]))


def is_own(task: DoitTask) -> bool:
    """Whether it is a task of the user's own."""
    return pipeline_task(task) is None and not is_group(task)


def brought(names: Iterable[str], tasks: Mapping[str, DoitTask]) -> list[str]:
    """The tasks that these names stand for and all that they need, dependencies first; groups opened."""
    found: dict[str, None] = {}
    begun: set[str] = set()
    waiting = [(name, False) for name in reversed(list(names))]
    while waiting:
        name, needs_done = waiting.pop()
        if needs_done:
            found[name] = None
        elif name not in begun and name in tasks and not is_remake(tasks[name]):
            begun.add(name)
            waiting.append((name, True))
            waiting += [(need, False) for need in reversed(_needs(tasks[name]))]
    return list(found)


def _needs(task: DoitTask) -> list[str]:
    after = (task.meta or {}).get(AFTER) or (task.loader.task_dep if is_made_later(task) else None)
    return [*task.task_dep, *([after] if after else [])]


def _following(verdict: Verdict, news: Mapping[str, Verdict], changing: Collection[str]) -> Verdict:
    """A verdict on a task of the pipeline that may need tasks of the user's own.

    Args:
        verdict: as far as the pipeline alone is concerned. news: what is different for the tasks that it needs.
        changing: the inputs that these may change.
    """
    states = {one.state for one in news.values()}
    if "ignored" in states:
        return Verdict("ignored")
    if "blocked" in states:
        return Verdict("blocked", verdict.reasons)
    if states.isdisjoint(WOULD_RUN) or verdict.state not in ("fresh", "stale"):
        return verdict
    left = [r for r in verdict.reasons if not (r.kind == "inputs" and r.name.partition(":")[0] in changing)]
    return verdict if left else replace(verdict, state="follows")


def _taken(build: Build, task: Task, made: Collection[str]) -> set[str]:
    """The inputs of a task that mean one of these paths."""
    given = [(name, r) for name, references in task.inputs.items() for r in references if isinstance(r, Given)]
    return {name for name, reference in given if any(meets(reference, build.pipeline.root, path) for path in made)}


def _own_verdict(
    task: DoitTask, tasks: dict[str, DoitTask], records: Any, earlier: Mapping[str, Verdict], *, always: bool
) -> Verdict:
    """What doit would do with a task of the user's own."""
    needs = {earlier[name].state for name in brought(_needs(task), tasks) if name in earlier}
    if records.status_is_ignore(task) or "ignored" in needs:
        return Verdict("ignored")
    if needs & {"blocked", "failed"}:
        return Verdict("blocked")
    if is_made_later(task):
        return Verdict("follows", message="is made when what it waits for is done")
    would_run = not needs.isdisjoint(WOULD_RUN)
    if not task.actions:  # it only stands for others
        return Verdict("follows" if would_run else "fresh")
    return _by_records(task, tasks, records, would_run=would_run, always=always)


def _by_records(task: DoitTask, tasks: dict[str, DoitTask], records: Any, *, would_run: bool, always: bool) -> Verdict:
    """What doit would do, by what it recorded; `would_run`: something that the task needs would."""
    try:
        task.init_options()
        status = records.get_status(task, tasks, get_log=True)
    except Exception as error:  # whatever the user's own `uptodate` raises
        return Verdict("stale", message=f"{type(error).__name__}: {error}")
    if always and status.status != "error":
        return Verdict("stale", message="doit -a")
    if would_run and status.status != "run":  # what it reads, or lacks, may be made
        return Verdict("follows")
    return Verdict("fresh") if status.status == "up-to-date" else Verdict("stale", message=_said(status))


def _said(status: Any) -> str:
    """Why doit would run a task, on one line."""
    lines = [line.strip(" *-") for line in str(Info.get_reasons(status.reasons)).splitlines() if line.strip()]
    return "; ".join(lines).replace(":;", ":")
