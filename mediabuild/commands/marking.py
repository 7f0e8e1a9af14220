"""`forget`, `ignore` and `reset-dep`: marks beside the manifests, and adopting outputs that are there.

Not here: what the marks mean (`freshness.look`).
"""

from __future__ import annotations

import os

from doit.cmd_forget import Forget as DoitForget
from doit.cmd_ignore import Ignore as DoitIgnore
from doit.cmd_resetdep import ResetDep as DoitResetDep
from doit.exceptions import InvalidCommand
from doit.task import Task as DoitTask

from mediabuild.commands.base import PipelineCommand
from mediabuild.commands.clean import with_dependencies
from mediabuild.errors import MediabuildError
from mediabuild.execution.adoption import adopt
from mediabuild.execution.executor import Executor
from mediabuild.machine.processes import Processes
from mediabuild.schedule.state import pipeline_task
from mediabuild.store import marks


class Forget(PipelineCommand, DoitForget):  # type: ignore[misc]
    """`forget`: a mark that makes the task run once more; manifests stay. Patterns as names."""

    name = "forget"
    doc_purpose = "let a task run again next time; its outputs stay"

    def _execute(self, forget_sub: bool, forget_disable_default: bool, forget_all: bool) -> int:
        args = list(self.sel_tasks or [])
        if not forget_all and not args and forget_disable_default:
            self.outstream.write("no tasks specified, pass task name, --enable-default or --all\n")
            return 0
        tasks = {task.name: task for task in self.task_list}
        chosen = self.named_tasks([] if forget_all else args)
        if forget_sub:
            chosen = with_dependencies(chosen, tasks)
        for task in chosen:
            self.forget(task)
        self.dep_manager.close()
        return 0

    def forget(self, task: DoitTask) -> None:
        """Mark a pipeline task, or drop doit's record of another."""
        ours = pipeline_task(task)
        if ours is None:
            self.dep_manager.remove(task.name)
        else:
            marks.clear(ours, "ignored", "failed")
            if ours.directory.exists():
                marks.put(ours, "forgotten")
        self.outstream.write(f"forgetting {task.name}\n")


class Ignore(PipelineCommand, DoitIgnore):  # type: ignore[misc]
    """`ignore`: a mark; the task and what needs it are left out until `doit forget TASK`."""

    name = "ignore"
    doc_purpose = "leave a task out until it is forgotten"

    def _execute(self, pos_args: list[str]) -> int:
        if not pos_args and not self.build.options.sources:
            raise InvalidCommand("ignore: which task?\n  hint: doit ignore 'separate:*'")
        for task in self.named_tasks(pos_args):
            self.dep_manager.ignore(task)
            self.outstream.write(f"ignoring {task.name}\n")
        self.dep_manager.close()
        return 0


class ResetDep(PipelineCommand, DoitResetDep):  # type: ignore[misc]
    """`reset-dep`: adopts the outputs that are there, edited or not, as the result of the present facts."""

    name = "reset-dep"
    doc_purpose = "adopt the outputs that are there, edited or not, as the present result"
    doc_description = "Adopt the outputs that are there as the result of the present inputs, params and code."

    def _execute(self, pos_args: list[str] | None = None) -> int:
        chosen = self.named_tasks(pos_args or [])
        executor = Executor(self.build.freshness, Processes(), lambda event: None, self.build.job_dirs)
        status = 0
        for task in chosen:
            ours = pipeline_task(task)
            if ours is None:
                continue
            if not self.build.freshness.reasons(ours):
                self.outstream.write(f"skip {task.name}\n")
                continue
            try:
                adopted = adopt(executor, ours)
            except MediabuildError as error:
                self.outstream.write(f"failed {task.name} ({error.message})\n")
                status = 1
                continue
            self.outstream.write(f"processed {task.name} ({', '.join(adopted.outputs)})\n")
            for kept in adopted.kept:
                self.outstream.write(f"kept {os.path.relpath(kept, self.build.pipeline.root)}\n")
        executor.close()
        own = [task.name for task in chosen if pipeline_task(task) is None]
        if own:
            super()._execute(own)
        return status
