"""Where doit and the pipeline meet: the loader that adds the pipeline's tasks, their records, the Runner.

doit schedules; whether a task is up to date is asked of the `Rebuilder`, so a task has `task_dep`,
`targets` and one `uptodate` callable, and never a `file_dep`. docs/DESIGN.md lists what was probed.

Not here: doit's commands (`commands`).
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from doit import doit_cmd
from doit.action import BaseAction, PythonAction
from doit.cmd_base import DodoTaskLoader
from doit.dependency import Dependency, JsonDB
from doit.exceptions import BaseFail, InvalidDodoFile, TaskFailed, UnmetDependency
from doit.runner import FAILURE, Runner
from doit.task import Task as DoitTask

from mediabuild.build import PIPELINE_NAME, Build, Options, failed_mark
from mediabuild.digest import write_atomically
from mediabuild.errors import Interrupted, MediabuildError
from mediabuild.executor import Executor, Outcome
from mediabuild.manifest import find_manifest
from mediabuild.model import Reason, Task
from mediabuild.rebuilder import forgotten_mark, ignored_mark
from mediabuild.report import Report
from mediabuild.selection import Selection

LOOK_AHEAD = 16  # ready tasks held back to find one that fits the free slots


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
        self.outcome = Outcome()
        self.out = self.err = self.result = None
        self.values: dict[str, Any] = {}

    def execute(self, out: IO[str] | None = None, err: IO[str] | None = None) -> TaskFailed | None:
        """Run it; a failure is returned, as doit wants it, and has no traceback."""
        assert self.executor is not None
        try:
            self.outcome = self.executor.run(self.pipeline_task, always=self.always)
        except Interrupted:
            return StageFailure("interrupted", "")
        except MediabuildError as error:
            return StageFailure(error.message, error.hint)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            return StageFailure(f"{where}{error.strerror or error}", "df -h ." if error.errno == 28 else "")
        return None

    def __str__(self) -> str:
        return f"stage {self.pipeline_task.stage.name}"


class StageFailure(TaskFailed):  # type: ignore[misc]
    """A stage's failure: message and hint."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class PipelineLoader(DodoTaskLoader):  # type: ignore[misc]
    """Loads the user's own tasks from `dodo.py`, if there is one, and adds the pipeline's."""

    cmd_options = (*DodoTaskLoader.cmd_options, *LOADER_OPTIONS)

    def __init__(self) -> None:
        super().__init__()
        self.build: Build | None = None
        self.options = Options()
        self.namespace: dict[str, Any] = {}

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
            variables=variables,
            allow_unknown=any(value is doit_cmd.get_var for value in self.namespace.values()),
        )

    def load_doit_config(self) -> dict[str, Any]:
        """The dodo file's DOIT_CONFIG."""
        return super().load_doit_config() if self.namespace else {}

    def load_tasks(self, cmd: Any, pos_args: list[str]) -> list[DoitTask]:
        """The user's own tasks, then the pipeline's, in canonical order."""
        own = super().load_tasks(cmd, pos_args) if self.namespace else []
        try:
            self.build = Build(Path.cwd(), self.options, commands=tuple(self.cmd_names))
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


class PipelineRunner(Runner):  # type: ignore[misc]
    """doit's Runner with threads that run stages, slots that they must fit into, and signals.

    The user's own tasks run one at a time in the main thread, since doit's Python actions swap
    `sys.stdout`, which threads share.
    """

    def __init__(self, *args: Any, build: Build, executor: Executor, report: Report, threads: int) -> None:
        super().__init__(*args)
        self.build = build
        self.executor = executor
        self.report = report
        self.threads = max(1, threads)
        self.touched: set[str] = set()
        self.final_result: int
        self.interrupted = False

    def run_tasks(self, task_dispatcher: Any) -> None:
        """Pull ready tasks from doit, start what fits, report back what is done; until nothing is left."""
        jobs: queue.Queue[Any] = queue.Queue()
        done: queue.Queue[tuple[Any, BaseFail | None]] = queue.Queue()
        crew = [threading.Thread(target=self._work, args=(jobs, done), daemon=True) for _ in range(self.threads)]
        started = 0
        ready: deque[Any] = deque()
        running: list[Any] = []
        inbox: deque[Any] = deque([None])
        try:
            while True:
                self._pull(task_dispatcher, inbox, ready, len(running))
                while ready and len(running) < self.threads and (node := self._fitting(ready, running)) is not None:
                    ready.remove(node)
                    if self._in_main_thread(node.task):
                        self.process_task_result(node, self.execute_task(node.task))
                        inbox.append(node)
                        continue
                    running.append(node)
                    if started < len(running):
                        crew[started].start()
                        started += 1
                    jobs.put(node)
                if inbox and len(ready) < LOOK_AHEAD:
                    continue
                if not running:
                    break
                node, failure = done.get()
                running.remove(node)
                self.process_task_result(node, failure)
                inbox.append(node)
        except (Interrupted, KeyboardInterrupt):
            self.interrupted = True
            self.executor.processes.stop_all()
        finally:
            for _ in range(started):
                jobs.put(None)
            for thread in crew[:started]:
                thread.join()

    def _pull(self, dispatcher: Any, inbox: deque[Any], ready: deque[Any], running: int) -> None:
        """Hand finished nodes back to doit and collect the ready ones, until it says hold on."""
        while inbox and not self._stop_running and len(ready) < LOOK_AHEAD:
            try:
                node = dispatcher.generator.send(inbox.popleft())
            except StopIteration:
                inbox.clear()
                return
            if node == "hold on":
                continue
            if self.select_task(node, dispatcher.tasks):
                ready.append(node)
                inbox.append(None)  # there may be more
            else:
                inbox.append(node)
        if self._stop_running:
            inbox.clear()
            ready.clear()

    def _fitting(self, ready: deque[Any], running: list[Any]) -> Any | None:
        """The first ready task whose resources are free."""
        return next((node for node in ready if self._fits(node, running)), None)

    def _fits(self, node: Any, running: list[Any]) -> bool:
        if not running:
            return True
        capacity = self.build.capacity
        for kind in ("cpu", "gpu", "memory_gb"):
            needs = [getattr(task.stage.resources, kind) for n in (*running, node) if (task := pipeline_task(n.task))]
            if sum(needs) > capacity[kind]:
                return False
        return True

    def _in_main_thread(self, task: DoitTask) -> bool:
        return pipeline_task(task) is None and any(isinstance(action, PythonAction) for action in task.actions)

    def _work(self, jobs: queue.Queue[Any], done: queue.Queue[tuple[Any, BaseFail | None]]) -> None:
        while (node := jobs.get()) is not None:
            done.put((node, self.execute_task(node.task)))

    def select_task(self, node: Any, tasks_dict: Any) -> bool:
        """Whether the task is to run; in a fresh one's manifest it is noted that it was looked at."""
        chosen = bool(super().select_task(node, tasks_dict))
        task = pipeline_task(node.task)
        if task is not None and node.run_status == "up-to-date":
            self.executor.refresh(task)
        return chosen

    def execute_task(self, task: DoitTask) -> BaseFail | None:
        """Run a task's actions, on whichever thread."""
        ours = pipeline_task(task)
        if ours is None:
            return super().execute_task(task)
        self.report.stale(ours, task.uptodate[0][0].found)
        action = task.actions[0]
        action.executor, action.always = self.executor, self.always_execute
        return action.execute()

    def process_task_result(self, node: Any, base_fail: BaseFail | None) -> None:
        """Note what became of a task, for the console, the events and the next run."""
        super().process_task_result(node, base_fail)
        task = pipeline_task(node.task)
        if task is not None and base_fail is None:
            outcome = node.task.actions[0].outcome
            if outcome.built:
                self.touched.add(task.job)
            with contextlib.suppress(OSError):
                failed_mark(task).unlink(missing_ok=True)
            self.report.finished(task, outcome)

    def _handle_task_error(self, node: Any, base_fail: BaseFail) -> None:
        task = pipeline_task(node.task)
        if is_group(node.task):
            node.run_status = "failure"  # its tasks have said why
            return
        if task is None:
            super()._handle_task_error(node, base_fail)
            return
        node.run_status = "failure"
        self.final_result = max(self.final_result, FAILURE)
        if isinstance(base_fail, UnmetDependency):
            self.report.blocked(task, [bad.task.name for bad in node.bad_deps])
            return
        if self.executor.processes.stopping.is_set():
            return
        with contextlib.suppress(OSError):
            set_mark(failed_mark(task))
            failed_mark(task).write_text(base_fail.message.splitlines()[0])
        log = task.state_dir / "logs" / f"{task.key}.log"
        self.report.failed(task, base_fail.message, getattr(base_fail, "hint", ""), str(log) if log.exists() else "")
        if not self.continue_:
            self._stop_running = True


@contextlib.contextmanager
def signals_interrupt() -> Iterator[None]:
    """INT, TERM and HUP raise `Interrupted` in the main thread, once; a second one is ignored while cleaning up."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    seen = False

    def interrupt(number: int, frame: Any) -> None:
        nonlocal seen
        if not seen:
            seen = True
            raise Interrupted("interrupted")

    earlier = {n: signal.getsignal(n) for n in numbers}
    for n in numbers:
        if earlier[n] is not signal.SIG_IGN:  # nohup means it
            signal.signal(n, interrupt)
    try:
        yield
    finally:
        for n in numbers:
            signal.signal(n, earlier[n])


__all__ = ["PipelineLoader", "PipelineRunner", "Records", "StateFile", "forgotten_mark", "signals_interrupt"]
