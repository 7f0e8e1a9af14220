"""doit's commands, over manifests: run, status, explain, check, and doit's own ones mended.

Not here: what they look at (`build`) and how tasks run (`doit_plugin`).
"""

from __future__ import annotations

import contextlib
import fnmatch
import getopt
import os
import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from doit.cmd_base import DoitCmdBase
from doit.cmd_run import Run as DoitRun
from doit.exceptions import InvalidCommand
from doit.task import Stream
from doit.task import Task as DoitTask

from mediabuild.build import Build, Verdict
from mediabuild.doit_plugin import Records, option, pipeline_task
from mediabuild.errors import Interrupted, MediabuildError
from mediabuild.eventlog import EventLog
from mediabuild.executor import Executor
from mediabuild.install import DEFAULT_VENV, install_separator
from mediabuild.names import nearest
from mediabuild.processes import Processes
from mediabuild.report import LEVELS, Report, warn
from mediabuild.runner import PipelineRunner, signals_interrupt
from mediabuild.selection import check_missing
from mediabuild.separator import lacking_demucs, missing_demucs, separator_venv
from mediabuild.slots import Slots

INTERRUPTED = 130


class PipelineCommand(DoitCmdBase):  # type: ignore[misc]
    """What all commands share: options anywhere, names checked, a user's mistake without a traceback."""

    dep_manager: Any

    def parse_execute(self, in_args: list[str]) -> Any:
        """Parse and execute; options may stand behind names."""
        return super().parse_execute(self._options_first(in_args))

    def _options_first(self, args: list[str]) -> list[str]:
        try:
            options, names = getopt.gnu_getopt(args, self.cmdparser.get_short(), self.cmdparser.get_long())
        except getopt.GetoptError:
            return args  # doit says what is wrong with it
        if not names or "--" in args:
            return args
        flat = [part for pair in options for part in self._joined(*pair)]
        return [*flat, *names]

    def _joined(self, name: str, value: str) -> list[str]:
        known, _ = self.cmdparser.get_option(name)
        if known is not None and known.type is bool:
            return [name]
        return [f"{name}={value}"] if name.startswith("--") else [name, value]

    def execute(self, params: Any, args: list[str]) -> Any:
        """Load the pipeline and run the command."""
        if self.dep_manager is None:
            db_class = self._backends.get(params["backend"])
            codec = self.get_codec_cls(params["codec_cls"])
            checker = self.get_checker_cls(params["check_file_uptodate"])
            self.dep_manager = Records(db_class, params["dep_file"], checker_cls=checker, codec_cls=codec)
        try:
            with signals_interrupt():
                return super().execute(params, args)
        except BrokenPipeError:  # `doit list | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except Interrupted:
            sys.stderr.write("interrupted\n")
            return INTERRUPTED
        except MediabuildError as error:
            raise InvalidCommand(str(error)) from None
        except OSError as error:  # a full or read-only disk, no open files left
            where = f"{error.filename}: " if error.filename else ""
            sys.stderr.write(f"ERROR: {where}{error.strerror or error}\n")
            return 2

    @property
    def build(self) -> Build:
        """The pipeline that the loader opened."""
        build = self.loader.build
        assert isinstance(build, Build)
        return build

    def named_tasks(self, args: list[str]) -> list[DoitTask]:
        """doit's tasks that names, patterns and targets stand for, groups opened; all where none are given.

        Raises:
            InvalidCommand: a name that is none; with the nearest one.
        """
        tasks = {task.name: task for task in self.task_list}
        if not args:
            return [task for task in self.task_list if not task.has_subtask]
        found: dict[str, DoitTask] = {}
        for name in expand_names(args, tasks, self.build.pipeline.root):
            group = tasks[name]
            members = (
                [tasks[n] for n in group.task_dep if tasks[n].subtask_of == name] if group.has_subtask else [group]
            )
            found |= {task.name: task for task in members}
        return list(found.values())

    def picked(self, args: list[str]) -> list[str]:
        """The pipeline's tasks that the names and the range select, with what they need unless it is a range."""
        selection, tasks = self.build.options.selection, self.build.tasks
        named = [task.name for task in self.named_tasks(args) if pipeline_task(task)]
        if not selection.is_range:
            named = closure(self.build, named)
        return selection.pick(self.build.pipeline, tasks, named) if tasks else []


def expand_names(args: list[str], tasks: dict[str, DoitTask], root: Path, commands: Iterable[str] = ()) -> list[str]:
    """Task names for names, patterns and targets (relative, absolute, `./`); a misspelt command is told too.

    Raises:
        InvalidCommand: with the nearest name for each that is none of these.
    """
    targets = {target: task.name for task in tasks.values() for target in task.targets}
    found: list[str] = []
    for arg in args:
        if arg in tasks:
            found.append(arg)
            continue
        matches = fnmatch.filter(tasks, arg) if any(c in arg for c in "*?[") else []
        path = os.path.relpath(os.path.abspath(arg), root)
        if matches:
            found += matches
        elif path in targets:
            found.append(targets[path])
        else:
            what = "matches no task" if any(c in arg for c in "*?[") else "is no task, command or target"
            raise InvalidCommand(f"{arg!r} {what}; {nearest(arg, [*tasks, *commands])}\n  hint: doit list --all")
    return list(dict.fromkeys(found))


def closure(build: Build, names: list[str]) -> list[str]:
    """The tasks and all that they need."""
    found: dict[str, None] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = None
            waiting += build.tasks[name].needs
    return list(found)


class Run(PipelineCommand, DoitRun):  # type: ignore[misc]
    """Builds what is stale."""

    name = "run"
    doc_purpose = "build what is stale"
    doc_usage = "[TASK/TARGET/NAME=VALUE ...]"
    execute_tasks = True
    cmd_options = (
        *(known | {"default": "thread"} if known["name"] == "par_type" else known for known in DoitRun.cmd_options),
        option("force", "force", "run the selected stages whatever their manifests say", bool, False),
        option("dry_run", "dry-run", "say what would run and why; run nothing", bool, False),
        option("fail_fast", "fail-fast", "stop at the first failure", bool, False),
        option("no_wait", "no-wait", "fail, exit 2, where another run is busy with a task", bool, False),
        option("events_to", "events", "also write events to FILE (- is stdout)"),
        option("auto_install_demucs", "auto-install-demucs", "install the separator where it is missing", bool, False),
        option("demucs_venv", "demucs-venv", f"the venv that demucs is in, or goes to [default: {DEFAULT_VENV}]"),
        option("log_level", "log-level", f"console lines: {', '.join(LEVELS)}", str, "info"),
    )

    def _execute(
        self,
        outfile: Any,
        verbosity: int | None = None,
        always: bool = False,
        reporter: Any = "console",
        num_process: int = 0,
        par_type: str = "thread",
        single: bool = False,
        auto_delayed_regex: bool = False,
        force_verbosity: bool = False,
        failure_verbosity: int = 0,
        force: bool = False,
        dry_run: bool = False,
        fail_fast: bool = False,
        no_wait: bool = False,
        events_to: str | None = None,
        log_level: str = "info",
        auto_install_demucs: bool = False,
    ) -> int:
        from doit.control import TaskControl

        if log_level not in LEVELS:
            raise InvalidCommand(f"--log-level: {log_level!r} is none of {', '.join(LEVELS)}")
        if par_type != "thread":
            raise InvalidCommand(f"-P {par_type}: stages are processes of their own already\n  hint: doit -n 4")
        if not dry_run:
            self._provide_demucs(install=auto_install_demucs, whatever=force or always)
        names = self._select(single)
        if force:
            self.build.rebuilder.forced = frozenset(self._forced(names))
        if dry_run:
            return print_plan(self.build, self._would_run(names), sys.stdout)
        control = TaskControl(self.task_list, auto_delayed_regex=auto_delayed_regex)
        control.process(names)
        stream = sys.stderr if events_to == "-" else sys.stdout
        if isinstance(outfile, str):
            stream = open(outfile, "w", encoding="utf-8")
        events = EventLog(self.build.state_dir / "events.jsonl", events_to)
        report = Report(
            stream,
            events,
            self.build.pipeline.root,
            level=log_level,
            total=len(self.build.tasks) + len(self.build.left_out_tasks),
            earlier=self.build.earlier_s,
        )
        executor = Executor(self.build.rebuilder, Processes(), report.emit, wait=not no_wait)
        doit_reporter = self.reporters["mediabuild"](stream, {"failure_verbosity": failure_verbosity, "report": report})
        runner = PipelineRunner(
            self.dep_manager,
            doit_reporter,
            not fail_fast,
            always,
            Stream(verbosity, force_verbosity),
            executor=executor,
            report=report,
            slots=Slots(self.build.state_dir / "slots", self.build.capacity),
            threads=num_process or 1,
        )
        left_out = self.build.left_out_tasks
        report.start(version("mediabuild"), len(control.selected_tasks or ()) + len(left_out))
        report.skipped_all(left_out)
        report.spared_s += self.build.left_out_s
        status = 2
        try:
            executor.sweep()
            status = runner.run_all(control.task_dispatcher())
            if runner.interrupted:
                status = INTERRUPTED
                report.line("STOPPED", "interrupted", "error")
        finally:
            executor.close()
            with contextlib.suppress(OSError):  # a full disk: what matters is in the manifests
                self.build.write_summaries(runner.touched)
                if names is None and status in (0, 1):
                    self.build.record_fresh(alone=self.loader.alone)
            report.finish(status)
            events.close()
            if isinstance(outfile, str):
                stream.close()
        return status

    def execute(self, params: Any, args: list[str]) -> Any:
        """Load the pipeline and run."""
        self.loader.demucs_venv = params["demucs_venv"]
        self.loader.narrow = not any(params[name] for name in ("always", "force", "dry_run", "single"))
        return super().execute(params, args)

    def _provide_demucs(self, *, install: bool, whatever: bool) -> None:
        """Where a stage would run and lacks demucs: install it and load the pipeline anew, or refuse."""
        lacking = lacking_demucs(self.build.pipeline)
        if not lacking:
            return
        names = self.picked(list(self.sel_tasks or []))
        states = {} if whatever else self.build.verdicts(names)
        tasks = [self.build.tasks[name] for name in names if whatever or states[name].state not in ("fresh", "ignored")]
        spec = next((task.stage for task in tasks if task.stage.name in lacking), None)
        if spec is None:
            return
        if not install:
            raise missing_demucs(spec, lacking[spec.name])
        install_separator(separator_venv(self.build.pipeline.root, self.loader.demucs_venv))
        self.task_list = self.loader.load_tasks(self, list(self.sel_tasks or []))

    def _select(self, single: bool) -> list[str] | None:
        """Names for doit; a range prunes dependencies to what was selected."""
        selection = self.build.options.selection
        tasks = {task.name: task for task in self.task_list}
        root, commands = self.build.pipeline.root, self.loader.cmd_names
        names = expand_names(list(self.sel_tasks), tasks, root, commands) if self.sel_tasks else None
        if single and names is not None:
            for name in names:
                for member in [name, *(tasks[name].task_dep if tasks[name].has_subtask else [])]:
                    if not tasks[member].has_subtask:
                        tasks[member].task_dep = []
        if selection.is_empty:
            return names
        named = [task.name for task in self.named_tasks(names or []) if pipeline_task(task)]
        if not selection.is_range:
            return selection.pick(self.build.pipeline, self.build.tasks, named)
        picked = selection.pick(self.build.pipeline, self.build.tasks, named)
        for message in check_missing(self.build.rebuilder, self.build.tasks, picked):
            warn(message)
        chosen = set(picked)
        for name in picked:
            tasks[name].task_dep = [need for need in tasks[name].task_dep if need in chosen]
        return picked

    def _forced(self, names: list[str] | None) -> list[str]:
        if self.build.options.selection.is_range or names is None:
            return names if names is not None else list(self.build.tasks)
        return [task.name for task in self.named_tasks(names)]

    def _would_run(self, names: list[str] | None) -> dict[str, Verdict]:
        selected = (
            list(self.build.tasks) if names is None else [t.name for t in self.named_tasks(names) if pipeline_task(t)]
        )
        wanted = selected if self.build.options.selection.is_range else closure(self.build, selected)
        return self.build.verdicts(wanted)


class Status(PipelineCommand):
    """Jobs × stages."""

    name = "status"
    doc_purpose = "show which stages are fresh, stale, failed"
    doc_usage = "[TASK ...]"
    doc_description = None
    cmd_options = (option("as_json", "json", "as JSON", bool, False),)

    def _execute(self, as_json: bool, pos_args: list[str]) -> int:
        verdicts = self.build.verdicts(self.picked(pos_args))
        self.build.digests.save()
        if as_json:
            print(plan_json(self.build, verdicts))
        else:
            print_table(self.build, verdicts)
        return 0


class Explain(PipelineCommand):
    """Every reason of a task."""

    name = "explain"
    doc_purpose = "say why a task would run: every reason, was → now"
    doc_usage = "TASK ..."
    doc_description = None
    cmd_options = (option("as_json", "json", "as JSON", bool, False),)

    def _execute(self, as_json: bool, pos_args: list[str]) -> int:
        if not pos_args:
            raise InvalidCommand("explain: which task?\n  hint: doit list --all")
        named = [task.name for task in self.named_tasks(pos_args) if pipeline_task(task)]
        verdicts = self.build.verdicts(closure(self.build, named))
        self.build.digests.save()
        shown = {name: verdicts[name] for name in verdicts if name in named}
        if as_json:
            print(plan_json(self.build, shown))
            return 0
        for name, verdict in shown.items():
            print(f"{name}: {STATE_WORDS[verdict.state]}{f' ({verdict.message})' if verdict.message else ''}")
            for reason in verdict.reasons:
                print(f"  {reason}")
        return 0


class Check(PipelineCommand):
    """For CI: would anything run?"""

    name = "check"
    doc_purpose = "run nothing; exit 1 and the reasons if anything selected would run"
    doc_usage = "[TASK ...]"
    doc_description = None
    cmd_options = (
        option("as_json", "json", "as JSON", bool, False),
        option(
            "manifests_only", "manifests-only", "the media is not here: compare manifests, params and code", bool, False
        ),
    )

    def _execute(self, as_json: bool, manifests_only: bool, pos_args: list[str]) -> int:
        self.build.rebuilder.media_present = not manifests_only
        verdicts = self.build.verdicts(self.picked(pos_args))
        self.build.digests.save()
        stale = {name: v for name, v in verdicts.items() if v.state not in ("fresh", "ignored")}
        if as_json:
            print(plan_json(self.build, verdicts))
        else:
            print_plan(self.build, verdicts, sys.stdout)
        return 1 if stale else 0


STATE_WORDS = {
    "fresh": "up to date",
    "stale": "would run",
    "follows": "would follow, if what it reads changes",
    "failed": "failed last time, would run",
    "blocked": "blocked by a failure",
    "ignored": "ignored",
}


def print_plan(build: Build, verdicts: dict[str, Verdict], stream: Any) -> int:
    """What would run and why, a line each."""
    for name, verdict in verdicts.items():
        if verdict.state in ("fresh", "ignored"):
            continue
        word = "FOLLOW" if verdict.state in ("follows", "blocked") else "RUN"
        more = f"  (+{len(verdict.reasons) - 1} more)" if len(verdict.reasons) > 1 else ""
        why = "" if word == "FOLLOW" or not verdict.reasons else f"  {verdict.reasons[0]}{more}"
        stream.write(f"{word:<7} {name}{why}\n")
    fresh = sum(verdict.state == "fresh" for verdict in verdicts.values())
    stream.write(f"{fresh} of {len(verdicts)} up to date\n")
    return 0


class TaskStatus(msgspec.Struct):
    """One task in the JSON of `status`, `explain` and `check`."""

    task: str
    stage: str
    job: str
    state: str
    reasons: list[dict[str, Any]]
    message: str = ""
    timestamp: float | None = None
    last_checked_ts: float | None = None
    duration_s: float | None = None
    device: str | None = None


def plan_json(build: Build, verdicts: dict[str, Verdict]) -> str:
    """The JSON of `status`, `explain` and `check`: a list of tasks; docs/status.schema.json."""
    from mediabuild.manifest import find_manifest

    found = []
    for name, verdict in verdicts.items():
        task = build.tasks[name]
        manifest = find_manifest(task.directory)
        facts = (manifest.timestamp, manifest.last_checked_ts, manifest.duration_s, manifest.device) if manifest else ()
        reasons = [msgspec.to_builtins(reason) for reason in verdict.reasons]
        found.append(TaskStatus(name, task.stage.name, task.job, verdict.state, reasons, verdict.message, *facts))
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()


def print_table(build: Build, verdicts: dict[str, Verdict]) -> None:
    """Jobs × stages, with rich; why each stale one is stale below."""
    from rich.console import Console
    from rich.table import Table

    marks = {"fresh": "[green]fresh", "stale": "[yellow]stale", "follows": "[dim]follows", "failed": "[red]failed",
             "blocked": "[red]blocked", "ignored": "[dim]ignored"}  # fmt: skip
    console = Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else 200)
    table = Table("job", *build.pipeline.stages)
    worst = ["fresh", "ignored", "follows", "stale", "blocked", "failed"]
    for job in build.jobs:
        row = []
        for stage in build.pipeline.stages:
            states = [
                v.state for n, v in verdicts.items() if build.tasks[n].job == job and build.tasks[n].stage.name == stage
            ]
            row.append(marks[max(states, key=worst.index)] if states else "")
        if any(row):
            table.add_row(job, *row)
    console.print(table)
    for name, verdict in verdicts.items():
        if verdict.state in ("stale", "failed"):
            said = [verdict.message] if verdict.message else []
            console.print(f"{name}: {'; '.join([*said, *map(str, verdict.reasons)])}", markup=False)
