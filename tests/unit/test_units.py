"""Units: what was kept comes back whole or not at all, whatever became of the file."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediabuild.stage import Context
from mediabuild.units import Units

RESULTS = st.lists(st.binary(max_size=200), min_size=1, max_size=8)
FILES = itertools.count()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a task's units are kept: its state directory has a `tmp` while it runs."""
    (tmp_path / "tmp").mkdir()
    return tmp_path / "units" / "stage"


def taken(file: Path, number: int, scope: object = "scope") -> bytes | None:
    """A unit, as a run would find it now."""
    with contextlib.closing(Units(file, scope)) as units:
        return units.take(number)


def filled(file: Path, results: list[bytes]) -> Units:
    """One unit for each result, its number being its facts; closed."""
    units = Units(file, "scope")
    for number, result in enumerate(results):
        units.keep(number, result, 0.5)
    units.close()
    return units


@settings(deadline=None, max_examples=300)
@given(results=RESULTS, place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
def test_what_is_damaged_is_made_again(
    tmp_path_factory: pytest.TempPathFactory, results: list[bytes], place: float, bit: int, cut: bool
) -> None:
    """Cut anywhere or a bit flipped: never a wrong result, all before the damage is found, and keeping goes on."""
    file = tmp_path_factory.getbasetemp() / "units" / str(next(FILES))
    ends = []
    units = Units(file, "scope")
    for number, result in enumerate(results):
        units.keep(number, result, 0.5)
        ends.append(file.stat().st_size)
    units.close()
    content = bytearray(file.read_bytes())
    at = int(place * len(content))
    content[at] ^= 1 << bit
    file.write_bytes(content[:at] if cut else content)
    damaged = Units(file, "scope")
    for number, (result, end) in enumerate(zip(results, ends, strict=True)):
        found = damaged.take(number)
        assert found in ((result,) if end <= at else (result, None))
        if found is None:
            damaged.keep(number, result, 0.5)
    damaged.close()
    mended = Units(file, "scope")
    assert [mended.take(number) for number in range(len(results))] == results
    mended.close()
    assert (mended.reused, mended.spared_s) == (len(results), 0.5 * len(results))


@pytest.mark.parametrize("scope", ["other", ["scope"], lambda: "other"])
def test_another_scope_finds_nothing(file: Path, scope: object) -> None:
    """Other params, code or models: other units."""
    filled(file, [b"a"])
    assert taken(file, 0, scope) is None
    assert taken(file, 0) == b"a"


def test_where_nobody_knows_what_they_follow_from_none_are_kept(file: Path) -> None:
    """The scope is asked once, when the first is looked for; without one nothing is found and nothing written."""
    filled(file, [b"a"])
    before = file.read_bytes()
    with contextlib.closing(Units(file, lambda: None)) as units:
        assert units.take(0) is None
        units.keep(1, b"b", 0.0)
    assert file.read_bytes() == before


def test_what_was_made_of_something_that_changed_is_not_kept(file: Path) -> None:
    """From the moment on when what it is made from isn't what it was."""
    answers = iter([True, False, True])
    units = Units(file, "scope", holds=lambda: next(answers))
    for number in range(3):
        units.keep(number, b"x", 0.0)
    units.complete()
    assert [taken(file, number) for number in range(3)] == [b"x", None, None]
    assert units.made == 3


def test_a_forced_run_finds_nothing_and_keeps(file: Path) -> None:
    """What it makes is what later runs find."""
    filled(file, [b"old"])
    forced = Units(file, "scope", reuse=False)
    assert not forced.has(0)
    assert forced.take(0) is None
    forced.keep(0, b"new", 1.0)
    forced.complete()
    assert taken(file, 0) == b"new"


def test_what_nobody_uses_goes_when_it_is_more_than_what_is_used(file: Path) -> None:
    """After a run that used one of ten units of 1 kB, that one and the newest other stay."""
    filled(file, [bytes([number]) * 1000 for number in range(10)])
    units = Units(file, "scope", part=file.parents[1] / "tmp" / "stage")
    assert units.take(3) == b"\3" * 1000
    units.complete()
    assert file.stat().st_size < 2500
    assert [n for n in range(10) if taken(file, n)] == [3, 9]
    assert list((file.parents[1] / "tmp").iterdir()) == []


def test_units_that_are_used_all_stay(file: Path) -> None:
    """Completing changes nothing then, but for the time of use."""
    filled(file, [b"a", b"b"])
    before = file.read_bytes()
    units = Units(file, "scope")
    assert [units.take(0), units.take(1)] == [b"a", b"b"]
    units.complete()
    assert file.read_bytes() == before


def test_a_disk_that_is_full_is_no_reason_to_fail(file: Path) -> None:
    """A file that may not grow beyond 3,000 bytes: what was kept before is found, the rest isn't, nobody fails."""
    script = (
        "import resource, signal, sys; from pathlib import Path; from mediabuild.units import Units\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n"
        "units = Units(Path(sys.argv[1]), 'scope')\n"
        "for number in range(5): units.keep(number, bytes([number]) * 1000, 0.0)\n"
        "assert units.take(0) == bytes(1000)\n"
        "units.complete()\n"
    )
    subprocess.run([sys.executable, "-c", script, str(file)], check=True)
    assert file.stat().st_size < 2200, "what could not be written whole was left there"
    assert [taken(file, number) for number in range(3)] == [bytes([0]) * 1000, bytes([1]) * 1000, None]


@pytest.mark.parametrize("what", ["a directory", "a link", "a link above"])
def test_what_stands_in_its_place_is_left_alone(file: Path, tmp_path: Path, what: str) -> None:
    """A directory, or a link to a file or folder of somebody's: nothing is kept, nothing is written there."""
    target = tmp_path / "elsewhere" / file.name
    target.parent.mkdir()
    target.write_text("theirs")
    if what == "a link above":
        file.parent.symlink_to(target.parent)
    else:
        file.parent.mkdir()
        file.mkdir() if what == "a directory" else file.symlink_to(target)
    units = Units(file, "scope")
    units.keep(0, b"a", 0.0)
    units.complete()
    assert target.read_text() == "theirs"
    assert taken(file, 0) is None


def context(file: Path, tmp_path: Path) -> Context:
    """A stage's context with units."""
    return Context("stage", "job", tmp_path, {}, {}, kept=Units(file, "scope"))


def test_only_what_is_missing_is_made_and_all_comes_in_order(file: Path, tmp_path: Path) -> None:
    """Facts in another order with a new one among them: `make` is asked for that one alone."""
    asked: list[int] = []

    def run(facts: list[str]) -> list[bytes]:
        ctx = context(file, tmp_path)

        def make(numbers: list[int]) -> list[bytes]:
            asked.extend(numbers)
            return [facts[number].upper().encode() for number in numbers]

        results = list(ctx.units(facts, make))
        ctx.kept.complete()
        return results

    assert run(["a", "b"]) == [b"A", b"B"]
    assert run(["b", "c", "a"]) == [b"B", b"C", b"A"]
    assert run([]) == []
    assert asked == [0, 1, 1]


@pytest.mark.parametrize("kept", [True, False])
def test_pieces_with_the_same_facts_are_one(file: Path, tmp_path: Path, kept: bool) -> None:
    """It is made once, also where nothing can be kept or nothing may be found, one by one and in lanes."""
    facts = ["a", "b", "a", "c", "b", "a"]
    for reuse in (True, False):
        context = Context("stage", "job", tmp_path, {}, {}, kept=Units(file if kept else None, str(reuse), reuse=reuse))
        made: list[int] = []

        def make(number: int, made: list[int] = made) -> bytes:
            made.append(number)
            return facts[number].encode()

        results = list(context.units(facts, lambda numbers, make=make: map(make, numbers)))
        assert (results, made) == ([fact.encode() for fact in facts], [0, 1, 3])
        again = context.kept.file is not None and reuse
        results = list(context.each_unit(facts, make))
        assert (results, made) == ([fact.encode() for fact in facts], [0, 1, 3] if again else [0, 1, 3, 0, 1, 3])


def test_each_unit_is_kept_as_it_comes(file: Path, tmp_path: Path) -> None:
    """A stage that fails at the third of five has two when it is tried again."""

    def make(numbers: list[int]) -> list[bytes]:
        raise AssertionError("a list would be made at once")

    def failing(numbers: list[int]) -> Iterator[bytes]:
        for number in numbers:
            if number == 2:
                raise RuntimeError("broken")
            yield b"x" * number

    ctx = context(file, tmp_path)
    with pytest.raises(RuntimeError, match="broken"):
        list(ctx.units(range(5), failing))
    ctx.kept.close()
    again = context(file, tmp_path)
    assert list(again.units(range(2), make)) == [b"", b"x"]
    assert (again.kept.reused, again.kept.made) == (2, 0)
    assert again.unit(4, lambda: b"one") == b"one"
    again.kept.close()
