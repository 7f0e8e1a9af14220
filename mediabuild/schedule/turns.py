"""Whose turn it is among the tasks that are ready: whose slots are free; who was passed over too often comes next.

A waiting task never blocks one that could run, unless others were given what it is short of too often: then it holds
back those that take of that, and nothing else.

Not here: which comes first by the work behind it (`order`), what each takes (`needs`), running them (`runner`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from doit.task import Task as DoitTask

from mediabuild.execution.programs import device_with, worker_key
from mediabuild.execution.workers import Workers
from mediabuild.machine.hardware.slots import Held, Slots
from mediabuild.pipeline.model import Resources, Task
from mediabuild.schedule.needs import Needs
from mediabuild.schedule.order import Precedence
from mediabuild.schedule.state import pipeline_task

PATIENCE = 4  # how many others may start while a task doesn't fit, before nothing starts until it does
LANES_TAKE = ("cpu", "memory_gb")  # what lanes leave alone while a task here waits for it
AHEAD = 2  # how many tasks may wait for slots, for each that can run


class Turns:
    """Gives turns, and takes slots for those who get one.

    Args:
        slots: what tasks that run at once share. needs: what each takes of it.
        precedence: which of the ready tasks comes first.
        workers: which models are in memory.
        threads: how many tasks run at once at most. own_at_once: the user's own, too.
    """

    def __init__(
        self, slots: Slots, needs: Needs, precedence: Precedence, workers: Workers, *, threads: int, own_at_once: bool
    ) -> None:
        self.slots = slots
        self.needs = needs
        self.precedence = precedence
        self.workers = workers
        self.threads = max(1, threads)
        self.own_at_once = own_at_once
        self._held: dict[str, Held] = {}
        self._own_running: set[str] = set()
        self._claimed_gb: dict[str, float] = {}  # running task → gigabytes
        self._passed: dict[str, int] = {}  # ready task → how many have started that took what it was short of
        self._short: dict[str, set[str]] = {}  # ready task → what it was short of

    def crowded(self, ready: list[Any]) -> bool:
        """Whether enough tasks wait for slots: more jobs begun would only fill memory and disk."""
        return len(ready) >= AHEAD * self.threads

    def next(self, ready: list[Any]) -> Any | None:
        """The first of doit's nodes whose slots are free, which are taken; None where none fits now."""
        waits = False
        waited = next((node for node in ready if self._passed.get(node.task.name, 0) >= PATIENCE), None)
        passed: list[str] = []
        for node in self._in_order(ready) if waited is None else self._beside(waited, ready):
            try:
                held = self._slots_of(node.task, first=node is waited)
            except OSError:  # a read-only disk: the task itself fails by name
                held = Held()
            if held is not None:
                if waited in (None, node):
                    self.slots.let_others()
                self._begin(node.task, held, passed)
                return node
            if pipeline_task(node.task) is not None:
                passed.append(node.task.name)
                self._short.setdefault(node.task.name, set()).add(self.slots.short_of)
                waits |= self.slots.short_of in LANES_TAKE
        with contextlib.suppress(OSError):
            self.slots.want(waits)
        return None

    def keep_next_for(self, ready: Iterable[Any]) -> None:
        """As many tasks run as may: where they have all cores, lanes leave the next one to those that are ready."""
        all_cores = self.threads >= self.slots.counts["cpu"]
        with contextlib.suppress(OSError):
            self.slots.want(all_cores and any(self._takes(node.task)["cpu"] for node in ready))

    def gpus_of(self, name: str) -> tuple[int, ...]:
        """The GPUs that a running task got."""
        return self._held[name].gpus

    def over(self, doit_task: DoitTask) -> None:
        """A task has ended, however it did: its slots are free."""
        self._held.pop(doit_task.name, Held()).give_back()
        self._own_running.discard(doit_task.name)
        self._claimed_gb.pop(doit_task.name, None)
        task = pipeline_task(doit_task)
        if task is not None:
            self.precedence.done(task)

    def close(self) -> None:
        """Free all slots."""
        self.slots.close()
        for held in self._held.values():
            held.give_back()

    def _in_order(self, ready: list[Any]) -> list[Any]:
        """The ready tasks: the user's own, others, those that would load a model beside a busy worker that has it."""
        if self.threads == 1:
            return ready
        return sorted(ready, key=lambda node: self._rank(pipeline_task(node.task)))

    def _beside(self, waited: Any, ready: list[Any]) -> list[Any]:
        """A task that waited long enough, and those that take nothing of what it was ever short of."""
        short = self._short[waited.task.name]
        others = (node for node in self._in_order(ready) if node is not waited)
        return [waited, *(node for node in others if short.isdisjoint(self._kinds(node.task)))]

    def _kinds(self, doit_task: DoitTask) -> set[str]:
        """The kinds of slots that a task takes some of."""
        return {kind for kind, count in self._takes(doit_task).items() if count}

    def _takes(self, doit_task: DoitTask) -> dict[str, float]:
        task = pipeline_task(doit_task)
        needs = self.needs.of(task) if task is not None else Resources(0)
        return {"cpu": needs.cpu, "gpu": needs.gpu or 0, "memory_gb": needs.memory_gb or 0}

    def _rank(self, task: Task | None) -> tuple[Any, ...]:
        if task is None:
            return (False,)
        loads = task.stage.heavy and self.workers.are_busy(worker_key(task.stage, self.device_of(task)))
        return True, loads, *self.precedence.rank(task)

    def device_of(self, task: Task) -> str:
        """The device that a task will run on, as far as that is known before it has its slots; empty without one."""
        is_one = self.needs.of(task).gpu and self.slots.counts["gpu"] == 1
        return device_with(self.needs.device_of(task), (0,) if is_one else ())

    def _slots_of(self, doit_task: DoitTask, *, first: bool) -> Held | None:
        """A task's slots, or None where some of them are in use; `first` holds others back until they aren't."""
        task = pipeline_task(doit_task)
        if task is None:
            return Held() if self.own_at_once or not self._own_running else None
        if first and not self.slots.hold_back_others():
            return None
        return self.slots.take(self._takes(doit_task))

    def _begin(self, doit_task: DoitTask, held: Held, passed: Iterable[str]) -> None:
        """Note that a task starts, which these others would have liked to do before it."""
        self._held[doit_task.name] = held
        self._passed.pop(doit_task.name, None)
        self._short.pop(doit_task.name, None)
        self.slots.want(False)
        kinds = self._kinds(doit_task)
        for name in passed:
            self._passed[name] = self._passed.get(name, 0) + (not kinds.isdisjoint(self._short[name]))
        task = pipeline_task(doit_task)
        if task is None:
            self._own_running.add(doit_task.name)
        else:
            self.precedence.begin(task)
            self._claimed_gb[task.name] = self.needs.of(task).memory_gb or 0.0
            room_gb = self.slots.counts["memory_gb"] - sum(self._claimed_gb.values())
            device = device_with(self.needs.device_of(task), held.gpus)
            self.workers.shrink(room_gb, worker_key(task.stage, device))
