"""Which ready task is started first: the one with the most work waiting for it.

How long a task takes is what its manifest says, else what the same stage took in other jobs, else a guess: heavy stages
take longer than light ones. A large recording is taken to be a long one.

Not here: what is ready, and whether it fits (`turns`).
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mediabuild.pipeline.model import Given, Task
from mediabuild.store.manifest import find_manifest

HEAVY_GUESS_S, LIGHT_GUESS_S = 60.0, 1.0
URGENT = 2  # a chain goes first from when it is half as long as what is left for each core; later, cores would idle


@dataclass(frozen=True)
class Forecast:
    """How long tasks will take, in seconds.

    Args:
        own_s: task → by itself. left_s: task → from its start to the end of the longest chain that it begins.
    """

    own_s: Mapping[str, float] = field(default_factory=dict)
    left_s: Mapping[str, float] = field(default_factory=dict)


class Precedence:
    """Which of the ready tasks starts first, as a run goes on.

    Jobs that are begun come first, so that few are under way at once. But towards the end the longest chain comes
    first: the run would wait for it, with nothing to do for the other cores ("critical path").

    Args:
        names: the tasks that the run is about. threads: how many run at once.
    """

    def __init__(self, forecast: Forecast, names: Collection[str], threads: int) -> None:
        self.forecast = forecast
        self.threads = threads
        self._begun: set[str] = set()  # jobs
        self._undone_s = {name: forecast.own_s.get(name, 0.0) for name in names}
        self._rest_s = sum(self._undone_s.values())

    def begin(self, task: Task) -> None:
        """A task starts."""
        self._begun.add(task.job)

    def done(self, task: Task) -> None:
        """A task is up to date, or has run."""
        self._rest_s -= self._undone_s.pop(task.name, 0.0)

    def rank(self, task: Task) -> tuple[bool, bool, float]:
        """What to sort ready tasks by."""
        left_s = self.forecast.left_s.get(task.name, 0.0)
        is_critical = left_s * self.threads * URGENT >= self._rest_s
        return not is_critical, not is_critical and task.job not in self._begun, -left_s


def sizes(root: Path, jobs: Mapping[str, Given]) -> dict[str, int]:
    """Job → the bytes of its recording, where that is a file that can be looked at."""
    found: dict[str, int] = {}
    for job, source in jobs.items():
        with contextlib.suppress(OSError, ValueError):
            seen = os.stat(os.path.join(root, source.pattern))
            if stat.S_ISREG(seen.st_mode):
                found[job] = seen.st_size
    return found


def forecast(tasks: Mapping[str, Task], bytes_of: Mapping[str, int]) -> Forecast:
    """How long tasks will take, by what they and others of their stage took.

    Args:
        tasks: in canonical order, so that what reads a task comes after it.
        bytes_of: job → the size of its recording.
    """
    usual_bytes = sum(bytes_of.values()) / max(1, len(bytes_of))
    scale = {job: size / usual_bytes for job, size in bytes_of.items() if size}  # how much longer than usual it is
    known_s = {}
    for task in tasks.values():
        manifest = find_manifest(task.directory)
        if manifest is not None:
            known_s[task.name] = manifest.duration_s
    usual_s = _by_stage({name: took_s / scale.get(tasks[name].job, 1) for name, took_s in known_s.items()}, tasks)
    own_s: dict[str, float] = {}
    left_s: dict[str, float] = {}
    after_s: dict[str, float] = {}
    for task in reversed(list(tasks.values())):
        guess_s = usual_s.get(task.stage.name, HEAVY_GUESS_S if task.stage.heavy else LIGHT_GUESS_S)
        own_s[task.name] = known_s.get(task.name, guess_s * scale.get(task.job, 1))
        left_s[task.name] = own_s[task.name] + after_s.get(task.name, 0.0)
        for need in task.needs:
            after_s[need] = max(after_s.get(need, 0.0), left_s[task.name])
    return Forecast(own_s, left_s)


def _by_stage(own_s: Mapping[str, float], tasks: Mapping[str, Task]) -> dict[str, float]:
    """Stage → seconds that it took on average, for a recording of the usual size."""
    taken: dict[str, list[float]] = {}
    for name, seconds in own_s.items():
        taken.setdefault(tasks[name].stage.name, []).append(seconds)
    return {stage: sum(all_s) / len(all_s) for stage, all_s in taken.items()}


def in_order(names: Collection[str], tasks: Mapping[str, Task], left_s: Mapping[str, float]) -> list[str]:
    """These tasks job by job, in canonical order; the job that is expected to take longest first."""
    jobs: dict[str, list[Task]] = {}
    chosen = set(names)
    for task in tasks.values():
        if task.name in chosen:
            jobs.setdefault(task.job, []).append(task)
    length_s = {job: max(left_s.get(task.name, 0.0) for task in found) for job, found in jobs.items()}
    return [task.name for job in sorted(jobs, key=lambda job: -length_s[job]) for task in jobs[job]]
