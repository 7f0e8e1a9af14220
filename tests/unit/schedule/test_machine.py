"""A machine of sixteen cores with a clock of its own: the real scheduler comes close to what none could beat.

doit's dispatcher, turns, slots, needs and lanes' spare cores are the real ones; just the work is none.
"""

from __future__ import annotations

import heapq
import itertools
import runpy
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from doit.dependency import JsonDB
from doit.reporter import ZeroReporter
from doit.task import Stream

from mediabuild.build import Build
from mediabuild.execution.executor import Executor
from mediabuild.machine.hardware.slots import Held, Slots
from mediabuild.machine.processes import Processes
from mediabuild.pipeline.options import Options
from mediabuild.schedule.needs import Needs
from mediabuild.schedule.order import Forecast, Precedence, forecast, sizes
from mediabuild.schedule.records import Records
from mediabuild.schedule.runner import PipelineRunner
from mediabuild.schedule.selected import control_of
from mediabuild.schedule.tasks import make_doit_tasks
from mediabuild.schedule.turns import PATIENCE, Turns
from mediabuild.store import places

SHELVES_MODULE = runpy.run_path(str(Path(__file__).parents[3] / "benchmarks/shelves.py"))
CORES, SHELVES, Shelf = (SHELVES_MODULE[name] for name in ("CORES", "SHELVES", "Shelf"))
WITHIN = 1.1


class VirtualCrew:
    """Runs nothing: tasks end when its clock says so, the earliest first; it has `Crew`'s methods.

    Args:
        takes_s: task → seconds on one core. units: task → how many units it has.
        slots: of which lanes take what is spare.

    Attributes:
        wanted: whether lanes heard that a task waits for a core, each time that the clock was about to go on.
    """

    def __init__(self, takes_s: Mapping[str, float], units: Mapping[str, int], slots: Slots) -> None:
        self.takes_s = takes_s
        self.units = units
        self.slots = slots
        self.now_s = 0.0
        self.nodes: list[Any] = []
        self.story: list[str] = []
        self.wanted: list[bool] = []
        self._todo: dict[str, int] = {}
        self._making: Counter[str] = Counter()
        self._ends: list[tuple[float, int, Any, Held | None]] = []
        self._count = itertools.count()

    @property
    def running(self) -> int:
        return len(self.nodes)

    @property
    def free(self) -> bool:
        return self.running < CORES

    def start(self, node: Any) -> None:
        self.nodes.append(node)
        self.story.append(f"starts {node.task.name}")
        self._todo[node.task.name] = self.units.get(node.task.name, 1)
        self._begin(node, None)

    def finished(self, timeout_s: float) -> tuple[Any, None] | None:
        if not timeout_s or not self._ends:
            return None
        self.wanted.append(self.slots.is_wanted())
        for node in self.nodes:
            while self._todo[node.task.name] and (held := self.slots.take_spare({"cpu": 1})) is not None:
                self._begin(node, held)
        self.now_s, _, node, held = heapq.heappop(self._ends)
        self._making[node.task.name] -= 1
        if held is not None:
            held.give_back()
        elif self._todo[node.task.name]:
            self._begin(node, None)
        if self._making[node.task.name]:
            return None
        self.nodes.remove(node)
        self.story.append(f"ends {node.task.name}")
        return node, None

    def _begin(self, node: Any, held: Held | None) -> None:
        name = node.task.name
        self._todo[name] -= 1
        self._making[name] += 1
        end_s = self.now_s + self.takes_s.get(name, 0.0) / self.units.get(name, 1)
        heapq.heappush(self._ends, (end_s, next(self._count), node, held))


def run(shelf: Any, root: Path, *, known: bool) -> VirtualCrew:
    """Let the clock run to the end of a shelf.

    Args:
        known: whether it is known beforehand how long each task takes, as from the manifests of an earlier run; else
            just how large the recordings are.
    """
    shelf.write(root)
    build = Build(root, Options())
    takes_s = {task.name: shelf.jobs[task.job][task.stage.name] for task in build.tasks.values()}
    units = {name: shelf.units.get(task.stage.name, 1) for name, task in build.tasks.items()}
    expected = forecast(build.tasks, sizes(root, build.jobs))
    if known:
        left_s: dict[str, float] = {}
        for task in reversed(list(build.tasks.values())):
            after_s = [left_s[other.name] for other in build.tasks.values() if task.name in other.needs]
            left_s[task.name] = takes_s[task.name] + max(after_s, default=0.0)
        expected = Forecast(takes_s, left_s)
    control = control_of(list(make_doit_tasks(build)), None, build, expected.left_s, auto_delayed_regex=False)
    executor = Executor(build.freshness, Processes(), lambda *_: None, build.job_dirs)
    slots = [Slots(places.slots(build.pipeline.jobs_dir), build.capacity) for _ in range(2)]
    runner = PipelineRunner(
        Records(JsonDB, str(root / "records")),
        ZeroReporter(None, {}),
        True,
        False,
        Stream(0),
        executor=executor,
        emit=lambda *_: None,
        turns=Turns(
            slots[0],
            Needs(build.pipeline, build.devices),
            Precedence(expected, build.tasks, CORES),
            executor.programs.workers,
            threads=CORES,
            own_at_once=False,
        ),
    )
    crew = VirtualCrew(takes_s, units, slots[1])
    runner.schedule(control.task_dispatcher(), crew)  # type: ignore[arg-type]
    return crew


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("name", SHELVES)
def test_sixteen_cores(tmp_path: Path, name: str, known: bool) -> None:
    """Within a tenth of the lower bound, in a first run, too."""
    shelf = SHELVES[name]
    assert shelf.bound_s() <= run(shelf, tmp_path, known=known).now_s <= WITHIN * shelf.bound_s()


def test_who_waits_for_memory_holds_back_who_takes_it(tmp_path: Path) -> None:
    """A task that needs all memory comes next, and what needs none goes on meanwhile."""
    jobs = {f"j{job}": {"s0": 1 + job / 100, "s1": 1 + job / 50} for job in range(50)}
    shelf = Shelf({**jobs, "big": {"s0": 0.1, "s1": 3.0, "s2": 9.0}}, memory_gb={"s1": 4, "s2": 32})
    story = run(shelf, tmp_path, known=False).story
    waited = [line.partition(":")[0] for line in story[story.index("ends s1:big") : story.index("starts s2:big")]]
    assert waited.count("starts s1") <= PATIENCE
    assert waited.count("starts s0") > 0


def test_lanes_hear_of_who_waits_while_all_cores_are_taken(tmp_path: Path) -> None:
    """The next core is a task's, and no lane's: a stage that makes units together needn't leave any to lanes."""
    shelf = Shelf({f"j{job}": {"s0": 1 + job / 100} for job in range(CORES + 1)})
    first, *later = run(shelf, tmp_path, known=False).wanted
    assert first and not any(later)
