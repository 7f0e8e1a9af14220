"""doit's own commands, mended: names as everywhere, records beside the manifests, nothing that surprises.

What each mends is in its docstring; docs/DESIGN.md tells how doit behaves without.

Not here: commands that doit doesn't have (`commands`, `inspection`).
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from doit.cmd_clean import Clean as DoitClean
from doit.cmd_dumpdb import DumpDB as DoitDumpDB
from doit.cmd_forget import Forget as DoitForget
from doit.cmd_ignore import Ignore as DoitIgnore
from doit.cmd_info import Info as DoitInfo
from doit.cmd_list import List as DoitList
from doit.cmd_resetdep import ResetDep as DoitResetDep
from doit.exceptions import InvalidCommand
from doit.task import Task as DoitTask

from mediabuild import generations
from mediabuild.command import PipelineCommand, expand_names
from mediabuild.doit_loader import option
from mediabuild.doit_plugin import set_mark
from mediabuild.doit_state import is_group, is_remake, pipeline_task
from mediabuild.errors import MediabuildError
from mediabuild.executor import Executor
from mediabuild.manifest import Manifest, find_manifest
from mediabuild.model import MANIFEST_NAME, Task
from mediabuild.orphans import Removal, unseen
from mediabuild.processes import Processes
from mediabuild.rebuilder import deliveries, failed_mark, forgotten_mark, ignored_mark


class List(PipelineCommand, DoitList):  # type: ignore[misc]
    """`list`: patterns and targets as names; with `-s` a group is as fresh as its tasks."""

    name = "list"

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

    def _execute(self, pos_args: list[str], hide_status: bool = False) -> int:
        tasks = {task.name: task for task in self.task_list}
        names = expand_names(pos_args, tasks, self.build.pipeline.root)
        if len(names) == 1 and is_group(tasks[names[0]]):
            hide_status = True
        return int(super()._execute(names, hide_status) or 0)


class Forget(PipelineCommand, DoitForget):  # type: ignore[misc]
    """`forget`: a mark that makes the task run once more; manifests stay. Patterns as names."""

    name = "forget"

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
            ignored_mark(ours).unlink(missing_ok=True)
            failed_mark(ours).unlink(missing_ok=True)
            if ours.directory.exists():
                set_mark(forgotten_mark(ours))
        self.outstream.write(f"forgetting {task.name}\n")


class Ignore(PipelineCommand, DoitIgnore):  # type: ignore[misc]
    """`ignore`: a mark; the task and what needs it are left out until `doit forget TASK`."""

    name = "ignore"

    def _execute(self, pos_args: list[str]) -> int:
        if not pos_args:
            raise InvalidCommand("ignore: which task?\n  hint: doit ignore 'separate:*'")
        for task in self.named_tasks(pos_args):
            self.dep_manager.ignore(task)
            self.outstream.write(f"ignoring {task.name}\n")
        self.dep_manager.close()
        return 0


class ResetDep(PipelineCommand, DoitResetDep):  # type: ignore[misc]
    """`reset-dep`: adopts the outputs that are there, edited or not, as the result of the present facts."""

    name = "reset-dep"
    doc_description = "Adopt the outputs that are there as the result of the present inputs, params and code."

    def _execute(self, pos_args: list[str] | None = None) -> int:
        chosen = self.named_tasks(pos_args or [])
        executor = Executor(self.build.rebuilder, Processes(), lambda event: None, self.build.job_dirs)
        status = 0
        for task in chosen:
            ours = pipeline_task(task)
            if ours is None:
                continue
            if not self.build.rebuilder.reasons(ours):
                self.outstream.write(f"skip {task.name}\n")
                continue
            try:
                adopted = executor.adopt(ours)
            except MediabuildError as error:
                self.outstream.write(f"failed {task.name} ({error.message})\n")
                status = 1
                continue
            failed_mark(ours).unlink(missing_ok=True)
            self.outstream.write(f"processed {task.name} ({', '.join(adopted)})\n")
        executor.close()
        own = [task.name for task in chosen if pipeline_task(task) is None]
        if own:
            super()._execute(own)
        return status


class Clean(PipelineCommand, DoitClean):  # type: ignore[misc]
    """`clean`: removes what the stage made and only that; an edited output stays. `--dry-run` removes nothing."""

    name = "clean"
    cmd_options = (
        *DoitClean.cmd_options,
        option("orphans", "orphans", "remove jobs whose recording is gone, and nothing else", bool, False),
    )

    def _execute(
        self,
        dryrun: bool,
        cleandep: bool,
        cleanall: bool,
        cleanforget: bool,
        orphans: bool = False,
        pos_args: list[str] | None = None,
    ) -> int:
        if orphans:
            return self._clean_orphans(dryrun, pos_args or [])
        tasks = {task.name: task for task in self.task_list}
        chosen = self.named_tasks([] if cleanall else (pos_args or []))
        if cleandep:
            chosen = with_dependencies(chosen, tasks)
        executor = Executor(self.build.rebuilder, Processes(), lambda event: None, self.build.job_dirs)
        for task in reversed(chosen):
            ours = pipeline_task(task)
            if ours is None:
                task.clean(self.outstream, dryrun)
                if cleanforget and not dryrun:
                    self.dep_manager.remove(task.name)
            else:
                self._clean(ours, dryrun, executor)
        self.dep_manager.close()
        return 0

    def _clean_orphans(self, dryrun: bool, pos_args: list[str]) -> int:
        build = self.build
        if pos_args or not build.options.selection.is_empty or build.options.one_job:
            raise InvalidCommand("clean --orphans: takes no names and no selection\n  hint: doit clean --orphans")
        for pattern in unseen(build.pipeline):
            self.outstream.write(f"sources: nothing matches {pattern}; its recordings may be out of sight, not gone\n")
        taken: set[str] = set()
        for task in build.tasks.values():
            manifest = find_manifest(task.directory)
            taken |= deliveries(build.pipeline, task, manifest).keys() if manifest else set()
        removal = Removal(
            build.pipeline, build.digests, taken, lambda line: self.outstream.write(line + "\n"), dry=dryrun
        )
        found = build.orphans()
        for orphan in found:
            removal.remove(orphan)
        self.outstream.write(f"{len(found)} orphaned jobs{'' if dryrun or not found else ', removed'}\n")
        return 0

    def _clean(self, task: Task, dryrun: bool, executor: Executor) -> None:
        manifest = find_manifest(task.directory)
        if manifest is None:
            if not dryrun and generations.units_file(task).exists():  # of a first run that was cut short
                with executor.holding(task):
                    generations.forget(task)
            return
        with contextlib.nullcontext() if dryrun else executor.holding(task):
            for file in self._made(task, manifest):
                shown = os.path.relpath(file, self.build.pipeline.root)
                self.outstream.write(f"{task.name} - removing file '{shown}'\n")
                if not dryrun:
                    file.unlink(missing_ok=True)
            if dryrun:
                return
            generations.forget(task)
            (task.directory / MANIFEST_NAME).unlink(missing_ok=True)
            for mark in (forgotten_mark(task), failed_mark(task), task.state_dir / "delivered" / f"{task.key}.json"):
                mark.unlink(missing_ok=True)
            remove_empty(task.directory)
            if not any(folder.is_dir() for folder in (task.job_dir / name for name in self.build.pipeline.stages)):
                for name in ("manifest.json", "job.toml"):
                    (task.job_dir / name).unlink(missing_ok=True)

    def _made(self, task: Task, manifest: Manifest) -> list[Path]:
        """The files that are still what the stage made; edited ones are named and left."""
        found = []
        files = {task.directory / path: digest for path, digest in manifest.output_files().items()}
        outputs = manifest.output_files()
        for copy, output in deliveries(self.build.pipeline, task, manifest).items():
            files[self.build.pipeline.root / copy] = outputs[output]
        by_hand = {task.directory / path for path in manifest.adopted}
        for file, digest in files.items():
            if file in by_hand:
                self.outstream.write(f"{task.name} - keeping '{file}': it was adopted\n")
                continue
            try:
                actual = self.build.digests.file(file, digest.partition(":")[0])
            except OSError:
                continue
            if actual == digest:
                found.append(file)
            else:
                self.outstream.write(f"{task.name} - keeping '{file}': it was edited\n")
        return found


def remove_empty(directory: Path) -> None:
    """Remove a directory and the empty ones in it, if nothing else is there."""
    for folder, _, _ in sorted(os.walk(directory), reverse=True):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()


def with_dependencies(chosen: list[DoitTask], tasks: dict[str, DoitTask]) -> list[DoitTask]:
    """The tasks and all that they depend on, dependencies last; groups left out."""
    found: dict[str, DoitTask] = {}
    waiting = list(chosen)
    while waiting:
        task = waiting.pop(0)
        if task.name not in found:
            found[task.name] = task
            waiting += [tasks[name] for name in [*task.task_dep, *task.setup_tasks]]
    return [task for task in found.values() if not (is_group(task) or is_remake(task))]


class DumpDB(DoitDumpDB):  # type: ignore[misc]
    """`dumpdb`: what is recorded: doit's state of the user's own tasks. Manifests are the pipeline's record."""

    name = "dumpdb"

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


__all__ = ["Clean", "DumpDB", "Forget", "Ignore", "Info", "List", "ResetDep"]
