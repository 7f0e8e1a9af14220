"""Which tasks a task reads from, and which of them it may be made without.

A task over all jobs (`collect`) may lack the other jobs' tasks; a task that reads all values of a matrix may lack
those of an `optional` stage. What failed last time, is ignored or was never built is then left out, and named. It
isn't among the facts, so that the task is stale as soon as what it lacked is there.

Not here: which tasks there are (`pipeline.tasks`), what exactly it reads of them (`observation`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from mediabuild.pipeline.model import Produced, Task
from mediabuild.store.manifest import find_manifest


class Producers:
    """The tasks behind the inputs of tasks.

    Args:
        tasks: all tasks of the pipeline, by name.
        is_held_up: whether a task, or one that it needs, failed last time or is ignored.
    """

    def __init__(self, tasks: Mapping[str, Task], jobs_dir: Path, is_held_up: Callable[[Task], bool]) -> None:
        self.tasks = tasks
        self.jobs_dir = jobs_dir
        self.is_held_up = is_held_up

    def of(self, task: Task) -> list[Task]:
        """The tasks whose outputs it reads, without those that it is made without."""
        names = dict.fromkeys(reference.task for reference in produced(task))
        return [self.tasks[name] for name in names if self.takes(task, self.tasks[name])]

    def left_out(self, task: Task) -> list[str]:
        """The jobs, or the values of a matrix, that a task is made without."""
        lacked = [r for r in produced(task) if not self.takes(task, self.tasks[r.task])]
        return list(dict.fromkeys(r.job if task.stage.collect else r.key for r in lacked))

    def takes(self, task: Task, producer: Task) -> bool:
        """Whether a task reads what a producer made, and isn't made without it."""
        if not self.may_lack(task, producer):
            return True
        return find_manifest(producer.directory) is not None and not self.is_held_up(producer)

    def may_lack(self, task: Task, producer: Task) -> bool:
        """Whether a task can be made without a producer that fails."""
        if task.stage.collect:
            return not producer.stage.collect
        references = [r for r in produced(task) if r.task == producer.name]
        return producer.stage.optional and bool(references) and all(r.key for r in references)

    def label(self, task: Task, producer: Task) -> str:
        """What stands for a producer's directory in the manifest of a task that reads it."""
        return os.path.relpath(producer.directory, task.job_dir if producer.job == task.job else self.jobs_dir)


def produced(task: Task) -> list[Produced]:
    """The inputs of a task that other tasks make."""
    return [r for references in task.inputs.values() for r in references if isinstance(r, Produced)]


def deleted_outputs(task: Task) -> list[str]:
    """The outputs of a temp stage that were deleted: no reason to run, until something needs them."""
    manifest = find_manifest(task.directory) if task.stage.temp else None
    recorded = manifest.output_files() if manifest else {}
    return [path for path in recorded if not os.path.lexists(task.directory / path)]
