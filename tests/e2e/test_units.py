"""Work that was cut short goes on where it was, and a change costs only the units that it touches."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from tests.e2e.conftest import Project
from tests.e2e.crash import wait_for_end

PIPELINE = '[pipeline]\nsources = "media/*.txt"\n[stages.shout]\ninputs = { text = "source" }\n'
STAGE = '''"""A stage that works line by line."""

import time

import msgspec

from mediabuild.stage import Context, stage


class ShoutParams(msgspec.Struct, forbid_unknown_fields=True):
    """How."""

    mark: str = "!"


@stage(version=1, inputs={"text": "lines"}, outputs={"text": "loud.txt"})
def shout(ctx: Context, params: ShoutParams) -> None:
    """Shout each line."""
    lines = ctx.input("text").read_text().splitlines()
    waits = ctx.project_dir / "waits"  # names the line at which it stops while this file is there

    def make(numbers):
        for number in numbers:
            with open(ctx.project_dir / "made.log", "a") as log:
                log.write(lines[number] + "\\n")
            if waits.exists():
                time.sleep(0.1)
            while waits.exists() and waits.read_text() == lines[number]:
                time.sleep(0.01)
            yield (lines[number].upper() + params.mark).encode()

    loud = [unit.decode() for unit in ctx.units(lines, make)]
    if "fail" in lines:
        raise ValueError("asked to")
    ctx.output("text").write_text("\\n".join(loud))
'''
LINES = [f"line {number}" for number in range(20)]


@pytest.fixture
def shouting(project: Project) -> Project:
    """One job of twenty lines, not built yet."""
    project.write("pipeline.toml", PIPELINE)
    project.write("stages/shout.py", STAGE)
    project.write("media/a.txt", "\n".join(LINES))
    return project


def made(project: Project) -> list[str]:
    """The lines that were shouted since the last call, in order."""
    log = project.root / "made.log"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return lines


def start_until(project: Project, line: str) -> subprocess.Popen[str]:
    """A run that waits in the making of this line, and that much is made."""
    project.write("waits", line)
    run, log = project.start(), project.root / "made.log"
    while not log.exists() or f"{line}\n" not in log.read_text():
        assert run.poll() is None
        time.sleep(0.01)
    return run


def loud(lines: list[str], mark: str = "!") -> str:
    """What a clean build writes."""
    return "\n".join(line.upper() + mark for line in lines)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_a_killed_run_goes_on_where_it_was(shouting: Project, share: float) -> None:
    """SIGKILL after a part of the units: the next run makes the rest, and the one that was in the making."""
    finished = round(share * len(LINES))
    run = start_until(shouting, LINES[finished])
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    assert wait_for_end(str(shouting.root)) == []
    assert made(shouting) == LINES[: finished + 1]
    (shouting.root / "waits").unlink()
    again = shouting.run()
    assert again.status == 0, again.out
    assert made(shouting) == LINES[finished:]
    done = next(event for event in again.events if event["event"] == "stage_completed")
    assert done["units"] == len(LINES)
    assert done["units_reused"] == finished
    assert done["spared_s"] >= 0.1 * finished
    assert again.events[-1]["spared_s"] >= 0.1 * finished
    assert f"{done['units_reused']} of 20 units were there" in again.out
    assert "of work spared" in again.out
    assert shouting.read("jobs/a/shout/loud.txt") == loud(LINES)


def test_a_failed_stage_keeps_its_units(shouting: Project) -> None:
    """A stage that fails at the end does only the new line when it is tried again."""
    shouting.write("media/a.txt", "one\ntwo\nfail")
    assert shouting.run().status == 1
    assert made(shouting) == ["one", "two", "fail"]
    shouting.write("media/a.txt", "one\ntwo\nthree")
    assert shouting.run().status == 0
    assert made(shouting) == ["three"]
    assert shouting.read("jobs/a/shout/loud.txt") == loud(["one", "two", "three"])


def test_an_edit_costs_what_it_touches(shouting: Project) -> None:
    """A line edited, inserted, removed, moved: only new ones are made, and the bytes are a clean build's."""
    assert shouting.run().status == 0
    made(shouting)
    lines = [LINES[5], "new", *LINES[:4], "edited", *LINES[6:]]
    shouting.write("media/a.txt", "\n".join(lines))
    run = shouting.run()
    assert (run.ran, made(shouting)) == (["shout:a"], ["new", "edited"])
    assert shouting.read("jobs/a/shout/loud.txt") == loud(lines)
    manifest = shouting.read("jobs/a/shout/manifest.json")
    assert '"units"' not in manifest


@pytest.mark.parametrize("change", ["param", "stage", "force", "always", "forget", "clean", "gc"])
def test_what_counts_makes_all_units_anew(shouting: Project, change: str) -> None:
    """Another param, the stage's code, and whatever asks for a plain run: no unit comes back."""
    assert shouting.run().status == 0
    made(shouting)
    shouting.write("media/a.txt", "\n".join([*LINES, "more"]))
    args: tuple[str, ...] = ()
    if change == "param":
        args = ("mark=?",)
    elif change == "stage":
        shouting.write("stages/shout.py", STAGE.replace("mark).encode()", 'mark + "1").encode()'))
    elif change in ("force", "always"):
        args = ("--force",) if change == "force" else ("-a",)
    else:
        shouting.command(*{"forget": ("forget", "shout:a"), "clean": ("clean",), "gc": ("gc", "--all")}[change])
    run = shouting.run(*args)
    assert (run.status, run.ran) == (0, ["shout:a"])
    assert made(shouting) == [*LINES, "more"]
    mark = {"param": "?", "stage": "!1"}.get(change, "!")
    assert shouting.read("jobs/a/shout/loud.txt") == loud([*LINES, "more"], mark)


def test_units_go_where_the_result_goes(shouting: Project) -> None:
    """A recording that was renamed costs nothing, and a change of it afterwards only what it touches."""
    shouting.run()
    made(shouting)
    (shouting.root / "media/a.txt").rename(shouting.root / "media/b.txt")
    shouting.run()
    shouting.command("clean", "--orphans")
    assert not (shouting.root / "jobs/a").exists()
    shouting.write("media/b.txt", "\n".join([*LINES, "another line"]))
    shouting.run()
    assert made(shouting) == ["another line"]


def test_a_damaged_file_of_units_costs_what_it_lost(shouting: Project) -> None:
    """Cut in the middle, or garbage: a clean build's bytes, and what is whole isn't made again."""
    assert shouting.run().status == 0
    made(shouting)
    file = shouting.root / "jobs/a/.mediabuild/units/shout"
    content = file.read_bytes()
    for number, (damaged, lost) in enumerate(((content[: len(content) // 2], 10), (b"", 20), (b"garbage" * 100, 20))):
        file.write_bytes(damaged)
        shouting.write("media/a.txt", "\n".join([*LINES, f"more {number}"]))
        assert shouting.run().status == 0
        assert made(shouting) == [*LINES[20 - lost :], f"more {number}"]
        assert shouting.read("jobs/a/shout/loud.txt") == loud([*LINES, f"more {number}"])


def test_units_are_listed_and_bounded(shouting: Project) -> None:
    """`cache` shows them, `[cache] max_gb` holds for them too, and current outputs stay."""
    shouting.write("media/a.txt", "x" * 200_000)
    assert shouting.run().status == 0
    assert "shout:a" in shouting.command("cache").out
    assert "units" in shouting.command("cache").out
    shouting.write("pipeline.toml", PIPELINE + "[cache]\nmax_gb = 1e-4\n")
    shouting.write("media/a.txt", "y" * 200_000)
    assert shouting.run().status == 0
    assert not (shouting.root / "jobs/a/.mediabuild/units/shout").exists()
    assert shouting.read("jobs/a/shout/loud.txt") == "Y" * 200_000 + "!"
    assert shouting.run().ran == []


def test_a_source_that_changes_meanwhile_leaves_no_wrong_unit(shouting: Project) -> None:
    """Replaced in the middle of a run, and put back: a clean build's bytes, though the stage hashed it before."""
    reading = STAGE.replace("lines[number].upper() + params.mark", "(again()[number].upper() + params.mark)")
    again = "    def again():\n        return ctx.input('text').read_text().splitlines()\n\n    def make(numbers):"
    shouting.write("stages/shout.py", reading.replace("    def make(numbers):", again))
    run = start_until(shouting, LINES[8])
    shouting.write("media/a.txt", "\n".join(f"other {number}" for number in range(20)))
    (shouting.root / "waits").unlink()
    run.communicate(timeout=60)
    assert run.returncode == 0
    assert shouting.read("jobs/a/shout/loud.txt") == loud([f"other {number}" for number in range(20)])
    shouting.write("media/a.txt", "\n".join(LINES))
    assert shouting.run().status == 0
    assert shouting.read("jobs/a/shout/loud.txt") == loud(LINES)


def test_clean_after_a_first_run_that_was_killed(shouting: Project) -> None:
    """There is no manifest yet: what was kept goes all the same."""
    shouting.write("media/a.txt", "one\nfail")
    assert shouting.run().status == 1
    assert (shouting.root / "jobs/a/.mediabuild/units/shout").exists()
    shouting.command("clean")
    assert not (shouting.root / "jobs/a/.mediabuild/units/shout").exists()


FETCHING = """
from pathlib import Path

from mediabuild.stage import Lookup, ModelRef


def models(params: ShoutParams, lookup: Lookup) -> dict[str, ModelRef]:
    return {"voice": ModelRef("some/voice", lookup.hub("some/voice"))}


def fetch() -> None:
    import os

    folder = Path(os.environ["HF_HUB_CACHE"]) / "models--some--voice"
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "snapshots/rev").mkdir(parents=True, exist_ok=True)
    (folder / "refs/main").write_text("rev")
    if not (folder / "snapshots/rev/model.bin").exists():
        (folder / "snapshots/rev/model.bin").write_text("voice 1")
"""


def test_a_model_that_the_first_run_fetched(shouting: Project) -> None:
    """A run that fetched its model and was cut short resumes; another model under the same name gives other units."""
    head, _, body = STAGE.partition("@stage(")
    code = head + FETCHING + "\n\n@stage(models=models, " + body
    code = code.replace('    lines = ctx.input("text")', '    fetch()\n    lines = ctx.input("text")')
    shouting.write("stages/shout.py", code)
    shouting.env["HF_HUB_CACHE"] = str(shouting.root.parent / "hub")
    shouting.write("media/a.txt", "one\ntwo\nfail")
    assert shouting.run().status == 1
    assert made(shouting) == ["one", "two", "fail"]
    shouting.write("media/a.txt", "one\ntwo\nthree")
    assert shouting.run().status == 0
    assert made(shouting) == ["three"]
    (shouting.root.parent / "hub/models--some--voice/snapshots/rev/model.bin").write_text("voice 2")
    again = shouting.run()
    assert again.reasons("shout:a") == ["model.voice"]
    assert made(shouting) == ["one", "two", "three"]
