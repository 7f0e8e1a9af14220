"""`clean`: removes what the stages made and only that; with `--orphans`, jobs whose recording is gone.

What is edited stays, and is named.

Not here: what an orphan is (`freshness.orphans`), its removal (`execution.removal`).
"""

from __future__ import annotations

import contextlib
import os

from doit.cmd_clean import Clean as DoitClean
from doit.exceptions import InvalidCommand
from doit.task import Task as DoitTask

from mediabuild.commands.base import PipelineCommand
from mediabuild.execution.executor import Executor
from mediabuild.execution.removal import Removal
from mediabuild.freshness.orphans import foreign_jobs, unseen
from mediabuild.machine.files import remove_empty, remove_file
from mediabuild.machine.processes import Processes
from mediabuild.pipeline.deliveries import deliveries
from mediabuild.pipeline.model import Task
from mediabuild.schedule.loader import option
from mediabuild.schedule.state import is_group, is_remake, pipeline_task
from mediabuild.store import generations, inventory, marks, places
from mediabuild.store.manifest import find_manifest
from mediabuild.store.summaries import remove_summaries


class Clean(PipelineCommand, DoitClean):  # type: ignore[misc]
    """`clean`: removes what the stage made and only that; an edited output stays. `--dry-run` removes nothing."""

    name = "clean"
    doc_purpose = "remove what the stages made; with --orphans, jobs whose sources are gone"
    cmd_options = (
        *DoitClean.cmd_options,
        option("orphans", "orphans", "remove jobs whose source is gone, and nothing else", bool, False),
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
        executor = Executor(self.build.freshness, Processes(), lambda event: None, self.build.job_dirs)
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
            self._say(f"sources: nothing matches {pattern}; its sources may be out of sight, not gone")
        for job, owner in foreign_jobs(build.pipeline, build.shelf):
            folder = os.path.normpath(build.pipeline.jobs_dir / owner)
            whose = f"it belongs to the pipeline in {folder}" if owner else "nobody knows whose it is"
            self._say(f"{job} - keeping it: {whose}")
        removal = Removal(build.pipeline, build.digests, build.delivered(), self._say, dry=dryrun)
        gone = [removal.remove(orphan) for orphan in build.orphans()]
        for task in build.withdrawn():
            removal.withdraw(task)
        left = f", {gone.count(True)} removed" if gone and not dryrun else ""
        self._say(f"{len(gone)} orphaned jobs{left}")
        return 0

    def _say(self, line: str) -> None:
        self.outstream.write(line + "\n")

    def _clean(self, task: Task, dryrun: bool, executor: Executor) -> None:
        if find_manifest(task.directory) is None and task.key not in inventory.keys(task.job_dir):
            return
        removal = Removal(self.build.pipeline, self.build.digests, (), self._say, dry=dryrun)
        with contextlib.nullcontext() if dryrun else executor.holding(task):
            manifest = find_manifest(task.directory)  # none where a first run, or an earlier `clean`, was cut short
            outputs = manifest.copied_files() if manifest else {}
            wanted = deliveries(self.build.pipeline, task, outputs).items()
            removal.remove_copies(task.name, places.delivered(task), {copy: outputs[path] for copy, path in wanted})
            if manifest is not None:
                removal.remove_outputs(task.name, task.directory, manifest)
            if dryrun:
                return
            generations.forget(task)
            marks.clear(task, "forgotten", "failed")
            remove_file(places.delivered(task))
            remove_empty(task.directory)
            if not any(folder.is_dir() for folder in (task.job_dir / name for name in self.build.pipeline.stages)):
                remove_summaries(task.job_dir)


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
