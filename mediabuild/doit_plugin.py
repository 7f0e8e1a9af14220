"""Where doit and the pipeline meet: the loader that adds the pipeline's tasks, their records, the Runner.

doit schedules; whether a task is up to date is asked of the `Rebuilder`, so a task has `task_dep`,
`targets` and one `uptodate` callable, and never a `file_dep`. docs/DESIGN.md lists what was probed.

Not here: doit's commands (`commands`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from doit import doit_cmd
from doit.action import BaseAction
from doit.cmd_base import DodoTaskLoader
from doit.dependency import Dependency, JsonDB
from doit.exceptions import InvalidDodoFile, TaskFailed
from doit.task import Task as DoitTask

from mediabuild.build import PIPELINE_NAME, Build, Options
from mediabuild.digest import write_atomically
from mediabuild.errors import Interrupted, LockBusy, MediabuildError
from mediabuild.executor import Executor, Outcome
from mediabuild.manifest import find_manifest
from mediabuild.model import Reason, Task
from mediabuild.rebuilder import ignored_mark
from mediabuild.selection import Selection


def option(name: str, long: str, text: str, kind: type = str, default: Any = None) -> dict[str, Any]:
    """A command line option as doit describes one."""
    return {
        "section": "mediabuild",
        "name": name,
        "short": "",
        "long": long,
        "type": kind,
        "default": default,
        "help": text,
    }


LOADER_OPTIONS = (
    option("from_stage", "from", "first stage of the range"),
    option("to_stage", "to", "last stage of the range, inclusive"),
    option("only_stages", "stages", "just these stages, a,b,c; wins over --from and --to"),
    option("only_job", "job", "only jobs that match this name or pattern"),
    option("want_device", "device", "auto, cpu, cuda, cuda:1 or mps"),
    option("only_source", "source", "this recording instead of the pipeline's sources"),
    option("one_job_dir", "job-dir", "the directory of the one job"),
    option("clip_start", "clip-start", "same as clip_start_s=SECONDS"),
    option("clip_end", "clip-end", "same as clip_end_s=SECONDS"),
)


class StateFile(JsonDB):  # type: ignore[misc]
    """doit's own state, for the user's own tasks: one file, read at the start, replaced whole at the end.

    A damaged file counts as empty. Nothing of the pipeline is in it.
    """

    desc = "a JSON file that is replaced whole"

    def __init__(self, name: str, codec: Any, *, module_name: str | None = None) -> None:
        self._changed = False
        super().__init__(name, codec)

    def _load(self) -> dict[str, Any]:
        try:
            content = self.codec.decode(Path(self.name).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        entries = content.items() if isinstance(content, dict) else ()
        return {task: record for task, record in entries if isinstance(record, dict)}

    def set(self, task_id: str, dependency: str, value: Any) -> None:
        """Store a value."""
        self._changed = True
        super().set(task_id, dependency, value)

    def remove(self, task_id: str) -> None:
        """Forget a task."""
        self._changed = self._changed or task_id in self._db
        super().remove(task_id)

    def remove_all(self) -> None:
        """Forget all tasks."""
        self._changed = True
        super().remove_all()

    def dump(self) -> None:
        """Save, if anything changed."""
        if self._changed:
            write_atomically(Path(self.name), self.codec.encode(self._db).encode())


class Records(Dependency):  # type: ignore[misc]
    """doit's view of what is recorded: for the pipeline's tasks that is marks beside the manifests."""

    def status_is_ignore(self, task: DoitTask) -> bool:
        """Whether the task was marked by `doit ignore`."""
        ours = pipeline_task(task)
        return ignored_mark(ours).exists() if ours else bool(super().status_is_ignore(task))

    def ignore(self, task: DoitTask) -> None:
        """Mark a task."""
        ours = pipeline_task(task)
        if ours:
            set_mark(ignored_mark(ours))
        elif not is_group(task):
            super().ignore(task)

    def save_success(self, task: DoitTask, result_hash: str | None = None) -> None:
        """Record a success; the pipeline's tasks have their manifests."""
        if not (pipeline_task(task) or is_group(task)):
            super().save_success(task, result_hash)

    def remove_success(self, task: DoitTask) -> None:
        """Forget a success: called for each failed or blocked task too, so it never touches a manifest."""
        if not (pipeline_task(task) or is_group(task)):
            super().remove_success(task)


def pipeline_task(task: DoitTask) -> Task | None:
    """The pipeline's task behind doit's, if it is one."""
    return (task.meta or {}).get("mediabuild")


def is_group(task: DoitTask) -> bool:
    """Whether it is the group of a stage's tasks."""
    return bool((task.meta or {}).get("mediabuild_group"))


def set_mark(mark: Path) -> None:
    """Make a mark beside the manifests."""
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()


class UpToDate:
    """The `uptodate` callable of a task: the rebuilder. Never raises; `doit info` prints its `repr`."""

    def __init__(self, build: Build, task: Task) -> None:
        self.build = build
        self.task = task
        self.found: list[Reason] = []

    def __call__(self) -> bool:
        self.found = self.build.rebuilder.reasons(self.task)
        return not self.found

    def __repr__(self) -> str:
        return "; ".join(map(str, self.found)) or "up to date"


class StageAction(BaseAction):  # type: ignore[misc]
    """Runs a pipeline task through the executor that the Runner set up."""

    def __init__(self, task: Task) -> None:
        self.pipeline_task = task
        self.executor: Executor | None = None
        self.always = False
        self.gpus: tuple[int, ...] = ()
        self.outcome = Outcome()
        self.out = self.err = self.result = None
        self.values: dict[str, Any] = {}

    def execute(self, out: IO[str] | None = None, err: IO[str] | None = None) -> TaskFailed | None:
        """Run it; a failure is returned, as doit wants it, and has no traceback."""
        assert self.executor is not None
        try:
            self.outcome = self.executor.run(self.pipeline_task, always=self.always, gpus=self.gpus)
        except Interrupted:
            return StageFailure("interrupted", "")
        except MediabuildError as error:
            return StageFailure(error.message, error.hint, busy=isinstance(error, LockBusy))
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            return StageFailure(f"{where}{error.strerror or error}", "df -h ." if error.errno == 28 else "")
        return None

    def __str__(self) -> str:
        return f"stage {self.pipeline_task.stage.name}"


class StageFailure(TaskFailed):  # type: ignore[misc]
    """A stage's failure: message and hint; `busy` when another run holds it, which is no failure of the stage."""

    def __init__(self, message: str, hint: str, *, busy: bool = False) -> None:
        super().__init__(message)
        self.hint = hint
        self.busy = busy


class PipelineLoader(DodoTaskLoader):  # type: ignore[misc]
    """Loads the user's own tasks from `dodo.py`, if there is one, and adds the pipeline's."""

    cmd_options = (*DodoTaskLoader.cmd_options, *LOADER_OPTIONS)

    def __init__(self) -> None:
        super().__init__()
        self.build: Build | None = None
        self.options = Options()
        self.namespace: dict[str, Any] = {}
        self.demucs_venv: str | None = None  # an option of `run`, set before `setup`
        self.narrow = False  # `run` without anything that names or forces a task

    def setup(self, opt_values: dict[str, Any]) -> None:
        """Read the dodo file and the options that shape the pipeline."""
        dodo = opt_values["dodoFile"]
        if dodo == "dodo.py" and not Path(dodo).exists() and not opt_values["seek_file"] and not opt_values["cwdPath"]:
            self.namespace = {}
        else:
            super().setup(opt_values)
        variables = dict(doit_cmd._CMDLINE_VARS or {})
        for name in ("clip_start", "clip_end"):
            if opt_values[name] is not None:
                variables[f"{name}_s"] = opt_values[name]
        self.options = Options(
            selection=Selection(
                opt_values["from_stage"], opt_values["to_stage"], opt_values["only_stages"], opt_values["only_job"]
            ),
            device=_checked_device(opt_values["want_device"]),
            sources=(opt_values["only_source"],) if opt_values["only_source"] else (),
            job_dir=opt_values["one_job_dir"],
            manifests_only=bool(opt_values.get("manifests_only")),
            variables=variables,
            allow_unknown=any(value is doit_cmd.get_var for value in self.namespace.values()),
            demucs_venv=self.demucs_venv,
        )

    def load_doit_config(self) -> dict[str, Any]:
        """The dodo file's DOIT_CONFIG."""
        config: dict[str, Any] = super().load_doit_config() if self.namespace else {}
        self.narrow = self.narrow and "default_tasks" not in config
        return config

    @property
    def alone(self) -> bool:
        """Whether the dodo file, if there is one, says nothing at all."""
        return all(name.startswith("__") for name in self.namespace)

    def load_tasks(self, cmd: Any, pos_args: list[str]) -> list[DoitTask]:
        """The user's own tasks, then the pipeline's, in canonical order."""
        own = super().load_tasks(cmd, pos_args) if self.namespace else []
        narrow = self.narrow and not own and not pos_args and self.options.selection.is_empty
        try:
            self.build = Build(Path.cwd(), replace(self.options, narrow=narrow), commands=tuple(self.cmd_names))
        except MediabuildError as error:
            raise InvalidDodoFile(str(error)) from None
        clash = {task.name for task in own} & set(self.build.pipeline.stages)
        if clash:
            raise InvalidDodoFile(f"dodo.py: the task {sorted(clash)[0]!r} is also a stage of {PIPELINE_NAME}")
        return [*own, *make_doit_tasks(self.build)]


def _checked_device(device: str | None) -> str | None:
    import re

    from mediabuild.config import DEVICE

    if device is not None and not re.match(DEVICE, device):
        raise InvalidDodoFile(f"--device: {device!r} is none of auto, cpu, cuda, cuda:N, mps")
    return device


def make_doit_tasks(build: Build) -> Iterator[DoitTask]:
    """A group for each stage, and its tasks."""
    members: dict[str, list[str]] = {name: [] for name in build.pipeline.stages}
    for task in build.tasks.values():
        members[task.stage.name].append(task.name)
    for name, spec in build.pipeline.stages.items():
        doc = spec.declaration.summary if spec.declaration else f"run {spec.command[0]}"
        meta = {"mediabuild_group": name}
        yield DoitTask(name, None, task_dep=members[name], has_subtask=True, doc=doc, meta=meta)
    for task in build.tasks.values():
        yield DoitTask(
            task.name,
            [StageAction(task)],
            task_dep=list(task.needs),
            targets=target_paths(build, task),
            uptodate=[UpToDate(build, task)],
            subtask_of=task.stage.name,
            doc=f"{task.stage.name} of {task.job}",
            meta={"mediabuild": task},
        )


def target_paths(build: Build, task: Task) -> list[str]:
    """The files that the task makes, relative to the pipeline: as recorded, else as declared."""
    manifest = find_manifest(task.directory)
    declared = [path for path in task.stage.outputs.values() if "*" not in path]
    recorded = [path for path in manifest.output_files() if not path.endswith("/")] if manifest else []
    folder = os.path.relpath(task.directory, build.pipeline.root)
    return [os.path.join(folder, path) for path in dict.fromkeys([*declared, *recorded])]
