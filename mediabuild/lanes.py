"""Makes the units of a stage that aren't kept yet: one after the other, or several at once, in lanes.

The stage's own thread makes one batch of units after the other. Beside it there may be lanes: threads that make the
next batch whenever they get a core for it, one of the task's own or one that nobody needs just then. A lane asks anew
for each batch, so a task that waits gets the core after one batch at most. What comes out, and in which order, doesn't
depend on the number of lanes; neither does the error of a unit that can't be made.

Not here: how a unit is kept (`units`), and whose the cores are (`machine.hardware.slots`).
"""

from __future__ import annotations

import contextlib
import json
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any

from mediabuild.units import Units

POLL_S = 0.1  # how often a lane asks for a core
AHEAD = 4  # how many batches, for each lane, may wait for the stage to take them: they are in memory

GiveBack = Callable[[], None]
Make = Callable[[list[int]], Iterable[bytes]]  # given the numbers of units, their results in that order
Results = Generator[bytes, None, None]


def lent(facts: Sequence[Any], make: Make, work: Callable[[list[Any], Make], Results]) -> Results:
    """The results of all units, in order; those with the same facts are one unit, which is made once.

    Args:
        work: yields the results of different units, given their facts, and what makes them.
    """
    by_facts: dict[str, int] = {}
    first = [by_facts.setdefault(json.dumps(known, sort_keys=True), number) for number, known in enumerate(facts)]
    wanted_again = {other for number, other in enumerate(first) if other != number}
    numbers = list(by_facts.values())
    known: dict[int, bytes] = {}
    with contextlib.closing(work([facts[n] for n in numbers], lambda few: make([numbers[n] for n in few]))) as results:
        for number, other in enumerate(first):
            if other != number:
                yield known[other]
                continue
            result = next(results)
            if number in wanted_again:
                known[number] = result
            yield result


def one_by_one(kept: Units, facts: Sequence[Any], make: Make) -> Iterator[bytes]:
    """As `Context.units` without a batch."""
    return lent(facts, make, lambda different, few: _one_by_one(kept, different, few))


def _one_by_one(kept: Units, wanted: list[Any], make: Make) -> Results:
    missing = [number for number, known in enumerate(wanted) if not kept.has(known)]
    started = time.monotonic()
    coming = iter(make(missing)) if missing else iter(())
    share_s = (time.monotonic() - started) / max(1, len(missing))  # a `make` that is no generator works here
    waiting = set(missing)
    for number, known in enumerate(wanted):
        result = None if number in waiting else kept.take(known)
        if result is not None:
            yield result
            continue
        started = time.monotonic()
        maker = coming if number in waiting else iter(make([number]))  # the latter: what was kept is damaged
        result = next(maker)
        kept.keep(known, result, share_s + time.monotonic() - started)
        yield result


class Lanes:
    """How many units of a task may be made at once.

    Args:
        own: how many cores the task has. most: how many units are made at once at most.
        spare: takes a core that nobody needs, for one batch, and returns what gives it back; None where there is none.
            Asked by one thread at a time.
        wanted: whether tasks wait for cores; then lanes get none.
    """

    def __init__(
        self,
        own: int = 1,
        most: int = 1,
        spare: Callable[[], GiveBack | None] = lambda: None,
        wanted: Callable[[], bool] = lambda: False,
    ) -> None:
        self.own = own
        self.most = max(own, most)
        self.spare = spare
        self.wanted = wanted
        self._begun: list[_Work] = []

    def each(self, kept: Units, facts: Sequence[Any], make: Make, batch: int) -> Iterator[bytes]:
        """As `Context.units` with a batch."""
        return lent(facts, make, lambda different, few: self._each(kept, different, few, batch))

    def _each(self, kept: Units, facts: list[Any], make: Make, batch: int) -> Results:
        work = _Work(self, kept, facts, make, batch)
        self._begun.append(work)
        try:
            for number in range(len(work.facts)):
                yield work.result(number)
        finally:
            work.end()

    def end(self) -> None:
        """Wait for the units that are in the making, and begin no more, even where a stage didn't take them all."""
        for work in self._begun:
            work.end()


class _Work:
    """The units of one call of `each`.

    Args:
        facts: of each unit. make: called from several threads. batch: how many units it makes at a time at most.
    """

    def __init__(self, lanes: Lanes, kept: Units, facts: list[Any], make: Make, batch: int) -> None:
        self.lanes = lanes
        self.kept = kept
        self.facts = facts
        self.make = make
        self.batch = batch
        self.ahead = AHEAD * lanes.most * batch
        self.todo = deque(number for number, known in enumerate(facts) if not kept.has(known))
        self.missing = set(self.todo)
        self.made: dict[int, bytes] = {}
        self.failed: dict[int, BaseException] = {}
        self.reading = 0  # what the stage takes next
        self.over = False
        self.own_free = lanes.own - 1  # the stage's own thread has one
        self.changed = threading.Condition()
        self.asking = threading.Lock()
        count = min(lanes.most, len(self.todo)) - 1
        self.threads: list[threading.Thread] = []
        with contextlib.suppress(RuntimeError):  # no more threads may be started here: the stage's own makes all
            for _ in range(count):
                thread = threading.Thread(target=self._lane, name="lane", daemon=True)
                thread.start()
                self.threads.append(thread)

    def result(self, number: int) -> bytes:
        """A unit: kept, made by a lane, or made now; what a lane failed with is raised here."""
        kept = None if number in self.missing else self.kept.take(self.facts[number])
        if kept is not None:
            return kept
        with self.changed:
            self.reading = number
            self.changed.notify_all()
        if number not in self.missing:  # what was kept is damaged
            [result] = self._making([number])
            return result
        while True:
            with self.changed:
                if number in self.failed:
                    raise self.failed[number]
                if number in self.made:
                    return self.made.pop(number)
                following = self._begin()
                if not following:
                    self.changed.wait()
                    continue
            self._try(following)

    def end(self) -> None:
        """Begin nothing more, and wait for what is in the making."""
        with self.changed:
            self.over = True
            self.changed.notify_all()
        for thread in self.threads:
            thread.join()

    def _begin(self) -> list[int]:
        """The next units to make, so many that none of the lanes is left without; the condition's lock is held."""
        if not self._can_begin():
            return []
        lanes = self.lanes.own if self.batch > 1 and self.lanes.wanted() else self.lanes.most
        count = min(self.batch, math.ceil(len(self.todo) / lanes))
        return [self.todo.popleft() for _ in range(count)]

    def _can_begin(self) -> bool:
        return bool(self.todo) and not (self.over or self.failed) and self.todo[0] <= self.reading + self.ahead

    def _try(self, numbers: list[int]) -> None:
        """Make units, and note what became of each."""
        following = iter(numbers)
        number = next(following)
        try:
            for result in self._making(numbers):
                with self.changed:
                    self.made[number] = result
                    self.changed.notify_all()
                number = next(following, number)
        except BaseException as error:  # the stage's own thread raises it
            with self.changed:
                self.failed[number] = error
                self.changed.notify_all()

    def _making(self, numbers: list[int]) -> Iterator[bytes]:
        """Units, each kept as it comes; the last is yielded once `make` is over.

        An error may follow it: if the stage had taken it, it would wait for ever for the next, which nobody makes.
        """
        started = time.monotonic()
        for number, result in zip(numbers, self.make(numbers), strict=True):
            self.kept.keep(self.facts[number], result, time.monotonic() - started)
            started = time.monotonic()
            if number != numbers[-1]:
                yield result
        yield result

    def _lane(self) -> None:
        while (give_back := self._core()) is not None:
            try:
                with self.changed:
                    numbers = self._begin()
                if numbers:
                    self._try(numbers)
            finally:
                give_back()
                with self.changed:
                    self.changed.notify_all()

    def _core(self) -> GiveBack | None:
        """A core for one batch, as soon as there are both; None where nothing is left to make."""
        with self.asking:
            while True:
                with self.changed:
                    if self.over or self.failed or not self.todo:
                        return None
                    can_begin = self._can_begin()
                    if can_begin and self.own_free:
                        self.own_free -= 1
                        return self._own_back
                give_back = self.lanes.spare() if can_begin else None
                if give_back is not None:
                    return give_back
                with self.changed:
                    if not (self.over or self.failed):
                        self.changed.wait(POLL_S)

    def _own_back(self) -> None:
        with self.changed:
            self.own_free += 1
