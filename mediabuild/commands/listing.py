"""doit's own `list`, `info` and `dumpdb`, mended: names as everywhere, groups as fresh as their tasks.

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
from doit.exceptions import InvalidCommand
from doit.task import Task as DoitTask

from mediabuild.commands.base import PipelineCommand, expand_names
from mediabuild.commands.help import of_command
from mediabuild.machine.natural import in_order
from mediabuild.schedule.state import is_group


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
        names = expand_names(pos_args, tasks, self.build.pipeline.root) if pos_args else []
        if sort == "name":  # as people count; doit would sort letter by letter
            self.task_list = in_order(self.task_list, lambda task: task.name)
            names, sort = in_order(names), "definition"
        result = super()._execute(subtasks, quiet, status, private, list_deps, template, sort, names)
        self.build.digests.save()
        return int(result)

    def _print_task(
        self, template: str, task: DoitTask, status: bool, list_deps: bool, tasks: dict[str, DoitTask]
    ) -> None:
        if not (status and is_group(task)):
            super()._print_task(template, task, status, list_deps, tasks)
            return
        members = [tasks[name] for name in task.task_dep]
        states = [
            "I"
            if self.dep_manager.status_is_ignore(t)
            else self.STATUS_MAP[self.dep_manager.get_status(t, tasks).status]
            for t in members
        ]
        worst = next((s for s in ("E", "R", "I") if s in states), "U")
        self.outstream.write(template.format(name=task.name, doc=task.doc, status=worst))


class Info(PipelineCommand, DoitInfo):  # type: ignore[misc]
    """`info`: targets as names, an unknown one is no traceback."""

    name = "info"
    doc_purpose = "show what doit knows of a task"

    def _execute(self, pos_args: list[str], hide_status: bool = False) -> int:
        tasks = {task.name: task for task in self.task_list}
        names = expand_names(pos_args, tasks, self.build.pipeline.root)
        if len(names) == 1 and is_group(tasks[names[0]]):
            hide_status = True
        return int(super()._execute(names, hide_status) or 0)


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
            state = json.loads(file.read_text(encoding="utf-8"))
            if not isinstance(state, dict):
                raise ValueError("is no record of tasks")
        except FileNotFoundError:
            print(f"{file}: nothing is recorded; the pipeline's record is the manifests: doit status --json")
            return 0
        except (OSError, ValueError, RecursionError) as error:
            raise InvalidCommand(f"{file}: {error}\n  hint: rm {file}") from None
        for key, value in state.items():
            print(f"{key} -> {json.dumps(value, indent=4)}")
        return 0
