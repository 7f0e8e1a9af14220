"""Lanes: units made at once are those of one lane, in its order; a spare core is given back after each batch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mediabuild.lanes import GiveBack, Lanes
from mediabuild.stage import Context
from mediabuild.units import Units

LONG_S = 60  # nothing here takes as long, unless it is broken


def context(tmp_path: Path, lanes: Lanes) -> Context:
    """A stage's context that keeps its units."""
    return Context("stage", "job", tmp_path, {}, {}, lanes=lanes, kept=Units(tmp_path / "units", "scope"))


def cores(count: int, taken: list[int]) -> Callable[[], GiveBack | None]:
    """Some spare cores; `taken` counts how many times one was taken, and how many are in use."""
    taken[:] = [0, 0]
    lock = threading.Lock()

    def give_back() -> None:
        with lock:
            taken[1] -= 1

    def spare() -> GiveBack | None:
        with lock:
            if taken[1] == count:
                return None
            taken[0] += 1
            taken[1] += 1
            return give_back

    return spare


@pytest.mark.parametrize(("own", "spare"), [(3, 0), (1, 2), (2, 1)])
def test_units_are_made_at_once_and_come_in_order(tmp_path: Path, own: int, spare: int) -> None:
    """On three cores, the task's own or spare, three meet; each spare one was given back; the next run makes none."""
    meeting, taken = threading.Barrier(3), [0, 0]

    def make(number: int) -> bytes:
        meeting.wait(LONG_S)
        return b"x" * number

    ctx = context(tmp_path, Lanes(own, 3, cores(spare, taken)))
    assert list(ctx.each_unit(range(6), make)) == [b"x" * number for number in range(6)]
    assert ctx.kept.made == 6
    ctx.lanes.end()
    ctx.kept.close()
    assert taken == [2 * spare, 0]
    again = context(tmp_path, Lanes())
    assert list(again.each_unit(range(6), lambda number: b"")) == [b"x" * number for number in range(6)]
    assert (again.kept.made, again.kept.reused) == (0, 6)
    again.kept.close()


def test_without_a_spare_core_one_after_the_other(tmp_path: Path) -> None:
    """The stage's own thread makes them all, and each only when the stage comes to it."""
    order: list[str] = []
    here = threading.current_thread()

    def make(number: int) -> bytes:
        order.append(f"make {number}")
        assert threading.current_thread() is here
        return b""

    for number, _ in enumerate(context(tmp_path, Lanes(1, 4)).each_unit(range(3), make)):
        order.append(f"take {number}")
    assert order == ["make 0", "take 0", "make 1", "take 1", "make 2", "take 2"]


def test_a_unit_that_fails_stops_the_others_and_is_told(tmp_path: Path) -> None:
    """Units 1 and 2 fail at the same time: unit 0 is taken, the error is that of 1, nothing else is begun."""
    meeting, asked = threading.Barrier(3), []
    failing: list[threading.Thread] = []

    def make(number: int) -> bytes:
        asked.append(number)
        if number:
            failing.append(threading.current_thread())
        meeting.wait(LONG_S)
        if number:
            raise ValueError(f"unit {number}")
        for thread in set(failing) - {threading.main_thread()}:
            thread.join(LONG_S)  # a lane ends when a unit has failed
        return b"0"

    ctx = context(tmp_path, Lanes(1, 3, cores(2, [])))
    found: list[bytes] = []
    with pytest.raises(ValueError, match="unit 1"):
        found += list(ctx.each_unit(range(9), make))
    assert sorted(asked) == [0, 1, 2]
    assert ctx.kept.has(0) and not ctx.kept.has(1)
    ctx.kept.close()


@pytest.mark.parametrize("how", ["forgotten", "broken off"])
def test_a_stage_that_takes_only_some_leaves_no_thread(tmp_path: Path, how: str) -> None:
    """Lanes end what they have begun, which is kept, and begin nothing more."""
    begun: list[int] = []
    meeting = threading.Barrier(2)

    def make(number: int) -> bytes:
        begun.append(number)
        if number < 2:
            meeting.wait(LONG_S)
        return b"x"

    ctx = context(tmp_path, Lanes(2, 2))
    coming = ctx.each_unit(range(1000), make)
    assert next(coming) == b"x"
    if how == "forgotten":
        ctx.lanes.end()
    else:
        del coming
    assert "lane" not in [thread.name for thread in threading.enumerate()]
    assert len(begun) < 30, "what nobody takes is in memory"
    assert all(ctx.kept.has(number) for number in begun)
    ctx.kept.close()


def test_a_damaged_unit_is_made_again_in_its_place(tmp_path: Path) -> None:
    """A bit of a result is flipped: that unit alone is made, and all come in order."""
    ctx = context(tmp_path, Lanes(2, 2))
    list(ctx.each_unit(range(4), lambda number: b"unit %d" % number))
    ctx.kept.close()
    file = tmp_path / "units"
    file.write_bytes(file.read_bytes().replace(b"unit 2", b"unit 7"))
    again = context(tmp_path, Lanes(2, 2))
    made: list[int] = []

    def make(number: int) -> bytes:
        made.append(number)
        return b"unit %d" % number

    assert list(again.each_unit(range(5), make)) == [b"unit %d" % number for number in range(5)]
    assert sorted(made) == [2, 4]
    again.kept.close()


@pytest.mark.parametrize(("wanted", "sizes"), [(False, [4, 4, 2, 1]), (True, [4, 4, 3])])
def test_a_batch_leaves_something_for_each_lane(tmp_path: Path, wanted: bool, sizes: list[int]) -> None:
    """Where a lane might come, the last batches are small; where tasks wait for cores, none comes."""
    batches: list[list[int]] = []

    def make(numbers: list[int]) -> Iterator[bytes]:
        batches.append(numbers)
        yield from (b"%d" % number for number in numbers)

    ctx = context(tmp_path, Lanes(1, 2, wanted=lambda: wanted))
    assert list(ctx.units(range(11), make, batch=4)) == [b"%d" % number for number in range(11)]
    assert [len(batch) for batch in batches] == sizes
    assert [number for batch in batches for number in batch] == list(range(11))
    assert all(ctx.kept.has(number) for number in range(11))
    ctx.kept.close()


def test_what_came_before_the_error_of_a_batch_is_kept(tmp_path: Path) -> None:
    """Unit 2 of 0 to 3 fails: 0 and 1 are taken and kept, the error is told in its place, nothing else is begun."""
    batches: list[list[int]] = []

    def make(numbers: list[int]) -> Iterator[bytes]:
        batches.append(numbers)
        for number in numbers:
            if number == 2:
                raise ValueError("unit 2")
            yield b"x"

    ctx = context(tmp_path, Lanes())
    coming = ctx.units(range(9), make, batch=4)
    assert [next(coming), next(coming)] == [b"x", b"x"]
    with pytest.raises(ValueError, match="unit 2"):
        next(coming)
    assert batches == [[0, 1, 2, 3]]
    assert [ctx.kept.has(number) for number in range(4)] == [True, True, False, False]
    ctx.kept.close()


def test_a_stage_that_makes_too_few_is_told(tmp_path: Path) -> None:
    """A `make` that leaves a piece out is an error, not a shorter result."""
    ctx = context(tmp_path, Lanes())
    with pytest.raises(ValueError, match="shorter"):
        list(ctx.units(range(3), lambda numbers: [b"x"] * (len(numbers) - 1), batch=3))
    ctx.kept.close()


def test_an_error_behind_the_last_of_a_batch_is_told_of_that(tmp_path: Path) -> None:
    """A lane makes its batch and fails only then: the stage doesn't wait for units that nobody makes."""
    begun = threading.Event()

    def make(numbers: list[int]) -> Iterator[bytes]:
        in_lane = threading.current_thread() is not threading.main_thread()
        if in_lane:
            begun.set()
        assert begun.wait(LONG_S)
        yield from (b"x" for _ in numbers)
        if in_lane:
            time.sleep(0.1)  # the stage would take the unit
            raise ValueError("behind the last")

    ctx = context(tmp_path, Lanes(2, 2))
    found: list[bytes] = []
    with pytest.raises(ValueError, match="behind the last"):
        found.extend(ctx.units(range(5), make, batch=1))
    ctx.kept.close()


def test_a_batch_of_none_is_refused(tmp_path: Path) -> None:
    """Rather than waited for: nothing would ever be made."""
    with pytest.raises(ValueError, match="a batch of 0 pieces"):
        context(tmp_path, Lanes()).units(range(3), lambda numbers: [b"x"] * len(numbers), batch=0)


def test_where_no_thread_can_be_started_the_stages_own_makes_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container may limit how many threads there are; a lane is no need."""

    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    ctx = context(tmp_path, Lanes(3, 3))
    assert list(ctx.each_unit(range(5), lambda number: b"%d" % number)) == [b"0", b"1", b"2", b"3", b"4"]
    ctx.lanes.end()
    ctx.kept.close()
