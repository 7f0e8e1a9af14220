"""Which ready task is started first: the one with the most work waiting for it.

How long a task takes is what its manifest says, else what the same stage took in other jobs, else a guess:
heavy stages take longer than light ones. Jobs that are begun are finished before others begin.

Not here: what is ready, and whether it fits (`runner`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from mediabuild.pipeline.model import Task
from mediabuild.store.manifest import find_manifest

HEAVY_GUESS_S, LIGHT_GUESS_S = 60.0, 1.0


def remaining_s(tasks: Mapping[str, Task]) -> dict[str, float]:
    """Task → seconds from its start to the end of the longest chain that it begins.

    Args:
        tasks: in canonical order, so that what reads a task comes after it.
    """
    own_s = {}
    for task in tasks.values():
        manifest = find_manifest(task.directory)
        if manifest is not None:
            own_s[task.name] = manifest.duration_s
    usual_s = _by_stage(own_s, tasks)
    found: dict[str, float] = {}
    after_s: dict[str, float] = {}
    for task in reversed(list(tasks.values())):
        guess_s = usual_s.get(task.stage.name, HEAVY_GUESS_S if task.stage.heavy else LIGHT_GUESS_S)
        found[task.name] = own_s.get(task.name, guess_s) + after_s.get(task.name, 0.0)
        for need in task.needs:
            after_s[need] = max(after_s.get(need, 0.0), found[task.name])
    return found


def _by_stage(own_s: Mapping[str, float], tasks: Mapping[str, Task]) -> dict[str, float]:
    """Stage → seconds that it took on average."""
    taken: dict[str, list[float]] = {}
    for name, seconds in own_s.items():
        taken.setdefault(tasks[name].stage.name, []).append(seconds)
    return {stage: sum(all_s) / len(all_s) for stage, all_s in taken.items()}


def in_order(names: Collection[str], tasks: Mapping[str, Task], left_s: Mapping[str, float]) -> list[str]:
    """These tasks job by job, in canonical order; the longest job first where it is known how long they are."""
    jobs: dict[str, list[Task]] = {}
    chosen = set(names)
    for task in tasks.values():
        if task.name in chosen:
            jobs.setdefault(task.job, []).append(task)
    length_s = {job: max(left_s.get(task.name, 0.0) for task in found) for job, found in jobs.items()}
    return [task.name for job in sorted(jobs, key=lambda job: -length_s[job]) for task in jobs[job]]
