"""doit's own `list`, `info`, `dumpdb` and `strace`, mended: names as everywhere, groups as fresh as their tasks.

What each mends is in its docstring; docs/DESIGN.md tells how doit behaves without.

Not here: commands that doit doesn't have (`status`, `inspection`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from doit.cmd_dumpdb import DumpDB as DoitDumpDB
from doit.cmd_info import Info as DoitInfo
from doit.cmd_list import List as DoitList
from doit.cmd_run import Run as DoitRun
from doit.cmd_strace import Strace as DoitStrace
from doit.cmd_strace import find_deps
from doit.exceptions import InvalidCommand
from doit.task import Task as DoitTask

from mediabuild.commands.asking.stage_help import of_stage
from mediabuild.commands.base import PipelineCommand
from mediabuild.commands.help import of_command
from mediabuild.commands.words import expand_names
from mediabuild.machine.here import command, quoted
from mediabuild.machine.natural import in_order
from mediabuild.machine.regular import check_readable
from mediabuild.schedule.state import is_group, pipeline_task

# (R)un, (F)ollows: runs if what it reads changes, (B)locked by a failure, (I)gnored, (U)p to date
LETTERS = {"fresh": "U", "ignored": "I", "stale": "R", "failed": "R", "follows": "F", "blocked": "B"}


class List(PipelineCommand, DoitList):  # type: ignore[misc]
    """`list`: patterns and targets as names; with `-s` a group is as fresh as its tasks."""

    name = "list"
    doc_purpose = "list the tasks; with -s, whether they are up to date"
    task_list: list[DoitTask]

    def _execute(
        self,
        subtasks: bool = False,
        quiet: bool = True,
        status: bool = False,
        private: bool = False,
        list_deps: bool = False,
        template: str | None = None,
        sort: str = "name",
        pos_args: list[str] | None = None,
    ) -> int:
        tasks = {task.name: task for task in self.task_list}
        names = expand_names(pos_args, tasks, asked=self.name, of_file=self.build.tasks_of_file) if pos_args else []
        self.sel_tasks = names or None  # not the default tasks: they are what a run begins with
        self.plan = self.foreseen(self.select()) if status else {}
        if not self.build.options.selection.is_empty:
            names = self._keep({task.name for task in self.named_tasks(names)}, names)
        if sort == "name":  # as people count; doit would sort letter by letter
            self.task_list = in_order(self.task_list, lambda task: task.name)
            names, sort = in_order(names), "definition"
        return int(super()._execute(subtasks, quiet, status, private, list_deps, template, sort, names))

    def _keep(self, chosen: set[str], names: list[str]) -> list[str]:
        """List nothing else than these tasks, and their stages; those of the names that are left."""
        for task in self.task_list:
            if task.has_subtask:
                task.task_dep = [name for name in task.task_dep if name in chosen]
        self.task_list = [t for t in self.task_list if t.name in chosen or (t.has_subtask and t.task_dep)]
        left = {task.name for task in self.task_list}
        return [name for name in names if name in left]

    def _print_task(
        self, template: str, task: DoitTask, status: bool, list_deps: bool, tasks: dict[str, DoitTask]
    ) -> None:
        if not status:
            super()._print_task(template, task, status, list_deps, tasks)
            return
        members = [name for name in task.task_dep if tasks[name].subtask_of == task.name] if task.has_subtask else []
        letters = [LETTERS[self.plan[name].state] for name in members or [task.name] if name in self.plan]
        worst = next((letter for letter in "RBFI" if letter in letters), "U")
        self.outstream.write(template.format(name=task.name, doc=task.doc, status=worst))
        for dep in sorted(task.file_dep) if list_deps else ():
            self.outstream.write(f" -  {dep}\n")


class Info(PipelineCommand, DoitInfo):  # type: ignore[misc]
    """`info`: targets as names, an unknown one is no traceback; of a stage also what it takes; nothing internal."""

    name = "info"
    doc_purpose = "show a stage's params and tasks, or what a task waits for and makes"

    def _execute(self, pos_args: list[str], hide_status: bool = False) -> int:
        tasks = {task.name: task for task in self.task_list}
        names = expand_names(pos_args, tasks, asked=self.name, of_file=self.build.tasks_of_file)
        task = tasks[names[0]] if len(names) == 1 else None
        if task is not None and is_group(task):
            members = "".join(f"  {name}\n" for name in task.task_dep)
            self.outstream.write(f"{of_stage(self.build.pipeline.stages[task.name])}\n\ntasks:\n{members}")
            return 0
        if task is not None and pipeline_task(task):
            return self._of_task(task, tasks, hide_status=hide_status)
        return int(super()._execute(names, hide_status) or 0)

    def _of_task(self, task: DoitTask, tasks: dict[str, DoitTask], *, hide_status: bool) -> int:
        """A task of the pipeline: whether it would run and why, what it waits for, what it makes; 1 if it would run."""
        lines, status = ["", task.name, "", task.doc], "up-to-date"
        if not hide_status:
            found = self.dep_manager.get_status(task, tasks, get_log=True)
            status = found.status
            reasons = [] if status == "up-to-date" else [self.get_reasons(found.reasons)]
            lines += ["", f"{'status':<11}: {status}", *reasons]
        for title, names in (("task_dep", task.task_dep), ("targets", task.targets)):
            lines += ["", f"{title:<11}: ", *(f" - {name}" for name in names)] if names else []
        self.outstream.write("\n".join(lines).replace(" (args=[], kwargs={})", "") + "\n")
        return 0 if status == "up-to-date" else 1


class DumpDB(DoitDumpDB):  # type: ignore[misc]
    """`dumpdb`: what is recorded: doit's state of the user's own tasks. Manifests are the pipeline's record."""

    name = "dumpdb"
    doc_purpose = "show doit's record of your own tasks"

    def parse_execute(self, in_args: list[str]) -> Any:
        """Parse and execute; `--help` as everywhere."""
        if "-h" in in_args or "--help" in in_args:
            print(of_command(self))
            return 0
        return super().parse_execute(in_args)

    def execute(self, opt_values: Any, pos_args: list[str]) -> int:
        """Print the state file."""
        file = Path(opt_values["dep_file"])
        try:
            check_readable(file)
            state = json.loads(file.read_text(encoding="utf-8"))
            if not isinstance(state, dict):
                raise ValueError("is no record of tasks")
        except FileNotFoundError:
            print(f"{file}: nothing is recorded; the pipeline's record is the manifests: doit status --json")
            return 0
        except (OSError, ValueError, RecursionError) as error:
            raise InvalidCommand(f"{file}: {error}\n  hint: {quoted('rm', file)}") from None
        for key, value in state.items():
            print(f"{key} -> {json.dumps(value, indent=4)}")
        return 0


class Strace(PipelineCommand, DoitStrace):  # type: ignore[misc]
    """`strace`: for one of the user's own tasks; doit's runner knows no stages, so none may have to run."""

    name = "strace"
    doc_purpose = "show which files a task of dodo.py reads and writes"

    def _execute(self, show_all: bool, keep_trace: bool) -> int:
        tasks = {task.name: task for task in self.task_list}
        self.sel_tasks = expand_names(self.sel_tasks or [], tasks, asked=self.name)
        if len(self.sel_tasks) != 1:
            raise InvalidCommand("strace: takes the name of one task\n  hint: doit strace TASK")
        (name,) = self.sel_tasks
        by_hand = f"strace -f -e trace=file -o {self.TRACE_OUT} mediabuild --force {quoted(name)}"
        if pipeline_task(tasks[name]) or is_group(tasks[name]):
            raise InvalidCommand(f"strace: {name!r} is no task of dodo.py, but of the pipeline\n  hint: {by_hand}")
        plan = self.foreseen([name])
        stages = [need for need in plan if need in self.build.tasks and plan[need].state not in ("fresh", "ignored")]
        if stages:
            raise InvalidCommand(f"strace: {name} needs {stages[0]}, which isn't up to date\n  hint: {command(name)}")
        trace = Path(self.TRACE_OUT)
        trace.unlink(missing_ok=True)
        self.wrap_strace(tasks[name])
        report = (find_deps, [self.outstream, self.TRACE_OUT, show_all])
        self.task_list.append(DoitTask("strace_report", [report], verbosity=2, task_dep=[name], uptodate=[False]))
        self.sel_tasks = ["strace_report"]
        try:
            return int(DoitRun._execute(self, self.outstream))
        finally:
            if not keep_trace:
                trace.unlink(missing_ok=True)
