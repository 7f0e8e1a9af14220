"""Turns the pipeline's tasks into doit's tasks.

doit schedules; whether a task is up to date is asked of `freshness`, so a task has `task_dep`, `targets` and one
`uptodate` callable, and never a `file_dep`. docs/DESIGN.md lists what was found out about doit.

Not here: what is loaded and when (`loader`), the run itself (`session`, `runner`).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

from doit.action import BaseAction
from doit.exceptions import TaskFailed
from doit.task import Task as DoitTask

from mediabuild.build import Build
from mediabuild.errors import Interrupted, LockBusy, MediabuildError
from mediabuild.execution.executor import Executor
from mediabuild.execution.outcome import Outcome
from mediabuild.freshness.look import Freshness, Look
from mediabuild.freshness.producers import deleted_outputs
from mediabuild.pipeline.model import Given, Reason, Task
from mediabuild.pipeline.paths import meets
from mediabuild.store.manifest import find_manifest

ELSEWHERE = 'jobs_dir = "…" under [pipeline], a folder that can be written'
HINTS = {errno.ENOSPC: "df -h .", errno.EROFS: ELSEWHERE, errno.EACCES: ELSEWHERE}


class StageAction(BaseAction):  # type: ignore[misc]
    """Runs a pipeline task through the executor that the Runner set up.

    Attributes:
        look: what was seen of the task when doit asked whether it is up to date.
        reasons: why it is to run. wanted_by: of a remake, the task that needs the outputs.
        outcome: what became of it.
    """

    def __init__(self, task: Task, *, remake: bool = False) -> None:
        self.pipeline_task = task
        self.remake = remake
        self.look: Look | None = None
        self.reasons: tuple[Reason, ...] = ()
        self.wanted_by = ""
        self.executor: Executor | None = None
        self.always = False
        self.gpus: tuple[int, ...] = ()
        self.outcome = Outcome()
        self.out = self.err = self.result = None
        self.values: dict[str, Any] = {}

    def execute(self, out: IO[str] | None = None, err: IO[str] | None = None) -> TaskFailed | None:
        """Run it; a failure is returned, as doit wants it, and has no traceback."""
        assert self.executor is not None
        always = self.always and not self.remake
        try:
            self.outcome = self.executor.run(
                self.pipeline_task, self.look, always=always, remake=self.remake, gpus=self.gpus
            )
        except Interrupted:
            return StageFailure("interrupted", "")
        except MediabuildError as error:
            return StageFailure(error.message, error.hint, busy=isinstance(error, LockBusy))
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            return StageFailure(f"{where}{error.strerror or error}", HINTS.get(error.errno or 0, ""))
        return None

    def __str__(self) -> str:
        return f"stage {self.pipeline_task.stage.name}"


class UpToDate:
    """The `uptodate` callable of a task: one look at it. Never raises; `doit info` prints its `repr`."""

    def __init__(self, freshness: Freshness, action: StageAction) -> None:
        self.freshness = freshness
        self.action = action

    def __call__(self) -> bool:
        self.action.look = self.freshness.look(self.action.pipeline_task)
        self.action.reasons = self.action.look.reasons
        return not self.action.reasons

    def __repr__(self) -> str:
        return "; ".join(map(str, self.action.reasons)) or "up to date"


class NothingGone(UpToDate):
    """The `uptodate` callable of the task that makes a temp task's outputs again."""

    def __call__(self) -> bool:
        gone = deleted_outputs(self.action.pipeline_task)
        self.action.reasons = tuple(Reason("outputs", path, now=f"needed by {self.action.wanted_by}") for path in gone)
        return not gone


class StageFailure(TaskFailed):  # type: ignore[misc]
    """A stage's failure: message and hint; `busy` when another run holds it, which is no failure of the stage."""

    def __init__(self, message: str, hint: str, *, busy: bool = False) -> None:
        super().__init__(message)
        self.hint = hint
        self.busy = busy


def action_of(task: DoitTask) -> StageAction:
    """What runs a task of the pipeline."""
    action: StageAction = task.actions[0]
    return action


def make_doit_tasks(build: Build, own: Iterable[DoitTask] = ()) -> Iterator[DoitTask]:
    """A group for each stage, and its tasks; a task waits for those of the user's own whose targets it reads."""
    targets = {target: task.name for task in own for target in task.targets}
    members: dict[str, list[str]] = {name: [] for name in build.pipeline.stages}
    for task in build.tasks.values():
        members[task.stage.name].append(task.name)
    for name, spec in build.pipeline.stages.items():
        doc = spec.declaration.summary if spec.declaration else f"run {spec.command[0]}"
        meta = {"mediabuild_group": name}
        yield DoitTask(name, None, task_dep=members[name], has_subtask=True, doc=doc, meta=meta)
    for task in build.tasks.values():
        action = StageAction(task)
        yield DoitTask(
            task.name,
            [action],
            task_dep=[*task.needs, *_made_by_own(build, task, targets)],
            targets=target_paths(build, task),
            uptodate=[UpToDate(build.freshness, action)],
            subtask_of=task.stage.name,
            doc=f"{task.stage.name} of {'all jobs' if task.stage.collect else task.job}",
            setup=_remakes(build, task),
            meta={"mediabuild": task},
        )
    yield from (_remake(build, task) for task in build.tasks.values() if task.stage.temp)


def _made_by_own(build: Build, task: Task, targets: Mapping[str, str]) -> list[str]:
    """The user's own tasks that make what a task reads; then only a look tells whether its job is fresh.

    Args:
        targets: path → the own task that makes it.
    """
    given = [r for references in task.inputs.values() for r in references if isinstance(r, Given)] if targets else []
    found = [name for path, name in targets.items() for one in given if meets(one, build.pipeline.root, f"{path}/")]
    if found:
        build.freshness.no_longer_known(task)
    return list(dict.fromkeys(found))


def _remakes(build: Build, task: Task) -> list[str]:
    """doit's setup tasks: they run before the task, if it is about to run."""
    return [f"_{need}" for need in task.needs if build.tasks[need].stage.temp]


def _remake(build: Build, task: Task) -> DoitTask:
    action = StageAction(task, remake=True)
    return DoitTask(
        f"_{task.name}",
        [action],
        task_dep=[task.name],
        uptodate=[NothingGone(build.freshness, action)],
        setup=_remakes(build, task),
        doc=f"{task.name} again, for a task that needs its outputs",
        meta={"mediabuild": task, "mediabuild_remake": True},
    )


def target_paths(build: Build, task: Task) -> list[str]:
    """The files that the task makes, relative to here: as declared; globs and directories as recorded."""
    declared = [path for path in task.stage.outputs.values() if "*" not in path]
    many = len(declared) < len(task.stage.outputs) or any(path.endswith("/") for path in declared)
    manifest = find_manifest(task.directory) if many else None
    recorded = [path for path in manifest.output_files() if not path.endswith("/")] if manifest else []
    folder = os.path.relpath(task.directory)
    return [os.path.join(folder, path) for path in dict.fromkeys([*declared, *recorded])]
