"""In which order tasks start: simulated machines come close to what no order could beat."""

from __future__ import annotations

import heapq
import random
from pathlib import Path

import pytest

from mediabuild.pipeline.model import Task
from mediabuild.schedule.order import Forecast, Precedence


def shelf(jobs: list[list[float]]) -> tuple[list[list[Task]], Forecast]:
    """A chain of tasks for each job, and how long they take."""
    chains = [[_task(f"s{stage}", f"j{job}") for stage in range(len(times))] for job, times in enumerate(jobs)]
    own_s, left_s = {}, {}
    for chain, times in zip(chains, jobs, strict=True):
        for place, task in enumerate(chain):
            own_s[task.name], left_s[task.name] = times[place], sum(times[place:])
    return chains, Forecast(own_s, left_s)


def _task(stage: str, job: str) -> Task:
    name = f"{stage}:{job}"
    return Task(name, None, job, Path(), Path(), {}, {}, {}, "", "cpu", ())  # type: ignore[arg-type]


def makespan(jobs: list[list[float]], cores: int) -> tuple[float, int]:
    """How long a simulated run takes, and how many jobs were under way at once at most."""
    chains, expected = shelf(jobs)
    precedence = Precedence(expected, list(expected.own_s), cores)
    ready, running, now_s, most = [chain[:] for chain in chains], [], 0.0, 0
    begun: set[str] = set()
    while ready or running:
        while ready and len(running) < cores:
            chain = min(ready, key=lambda chain: precedence.rank(chain[0]))
            ready.remove(chain)
            precedence.begin(chain[0])
            begun.add(chain[0].job)
            heapq.heappush(running, (now_s + expected.own_s[chain[0].name], chain[0].name, chain))
        most = max(most, len(begun))
        now_s, _, chain = heapq.heappop(running)
        precedence.done(chain[0])
        if chain[1:]:
            ready.append(chain[1:])
        else:
            begun.discard(chain[0].job)
    return now_s, most


def bound(jobs: list[list[float]], cores: int) -> float:
    """What no schedule can beat: all work shared evenly, or the longest chain."""
    return max(sum(map(sum, jobs)) / cores, *map(sum, jobs))


@pytest.mark.parametrize("count", [24, 40, 60, 100])
def test_sixteen_cores_are_used(count: int) -> None:
    """Within a tenth of the lower bound, for shelves of all lengths."""
    for seed in range(10):
        dice = random.Random(seed)
        jobs = [[dice.uniform(0.5, 4) for _ in range(dice.randint(3, 6))] for _ in range(count)]
        assert makespan(jobs, 16)[0] <= 1.1 * bound(jobs, 16)


@pytest.mark.parametrize("cores", [2, 4])
def test_few_jobs_are_under_way_at_once(cores: int) -> None:
    """A long shelf isn't begun everywhere: its files would fill the disk."""
    jobs = [[1.0, 3.0, 2.0, 1.0] for _ in range(200)]
    took_s, most = makespan(jobs, cores)
    assert took_s <= 1.02 * bound(jobs, cores)
    assert most <= 4 * cores


def test_the_longest_chain_begins_at_once() -> None:
    """Where the end of the run waits for one job, it goes before those that are begun."""
    jobs = [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [5.0, 4.0]]
    assert makespan(jobs, 2)[0] == 9.0
