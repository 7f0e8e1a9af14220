"""Earlier outputs come back when their facts do; nothing runs for what was made before."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.conftest import Project


def generations(project: Project) -> list[Path]:
    """What is kept."""
    return sorted(project.root.glob("jobs/*/.mediabuild/generations/*/*"))


def test_a_param_changed_and_changed_back(chain: Project) -> None:
    """B and C run for the new value; for the old one nothing runs, and the bytes are the earlier ones."""
    before = chain.read("jobs/one/C/c.txt")
    assert chain.run("times=3").ran == ["B:one", "C:one"]
    back = chain.run()
    assert back.ran == []
    assert back.tasks("stage_restored") == ["B:one", "C:one"]
    assert chain.read("jobs/one/C/c.txt") == before
    again = chain.run()
    assert again.skipped == ["A:one", "B:one", "C:one"]


def test_a_source_edited_and_edited_back(chain: Project) -> None:
    """The whole chain comes back."""
    chain.write("media/one.txt", "other\n")
    assert chain.run().ran == ["A:one", "B:one", "C:one"]
    chain.write("media/one.txt", "hello\n")
    back = chain.run()
    assert back.ran == []
    assert back.tasks("stage_restored") == ["A:one", "B:one", "C:one"]


def test_forced_never_restores(chain: Project) -> None:
    """`--force`, `-a` and `forget` run what they name, though an earlier result is kept."""
    chain.run("times=3")
    assert chain.run("--stages", "B", "--force").ran == ["B:one"]
    chain.run("times=3")
    assert chain.run("-a", "-s", "B:one").ran == ["B:one"]
    chain.run("times=3")
    chain.command("forget", "B:one")
    assert "B:one" in chain.run().ran


def test_a_damaged_generation_is_dropped(chain: Project) -> None:
    """Its digests don't verify: the stage runs instead."""
    chain.run("times=3")
    for generation in generations(chain):
        for output in generation.glob("*.txt"):
            output.write_text("damaged")
    back = chain.run()
    assert back.tasks("stage_restored") == []
    assert back.ran == ["B:one", "C:one"]
    assert chain.read("jobs/one/B/b.txt") == "hello\nhello\n"


@pytest.mark.parametrize("trouble", ["manifest", "directory", "extra"])
def test_a_generation_that_is_not_whole_is_no_trouble(chain: Project, trouble: str) -> None:
    """Garbage where its manifest was, a file in its place, a file that nobody recorded: the stage runs."""
    chain.run("times=3")
    (generation,) = (g for g in generations(chain) if g.parent.name == "B")
    if trouble == "manifest":
        (generation / "manifest.json").write_text("{")
    elif trouble == "directory":
        for file in generation.iterdir():
            file.unlink()
        generation.rmdir()
        generation.write_text("a file")
    else:
        (generation / "extra.txt").write_text("who wrote this?")
    back = chain.run()
    assert back.status == 0, back.out + back.err
    assert back.ran == ["B:one"]
    assert chain.read("jobs/one/B/b.txt") == "hello\nhello\n"


def test_an_edit_never_becomes_a_generation(chain: Project) -> None:
    """What a person edited is kept beside as ever, and no restore brings it back as a result."""
    chain.write("jobs/one/B/b.txt", "mine\n")
    chain.run("times=3")
    assert chain.read("jobs/one/B.edited/b.txt") == "mine\n"
    chain.run()
    assert chain.read("jobs/one/B/b.txt") == "hello\nhello\n"


def test_a_folder_that_a_person_made_never_comes_back(chain: Project) -> None:
    """A file of theirs in an output that is a directory is kept beside; its folder is no part of any result."""
    script = 'mkdir -p "$2/deep" "$2/none"; cp "$1" "$2/deep/a"'
    stage = f'[stages.D]\ncommand = ["sh", "-c", \'{script}\', "D", "{{inputs.i}}", "{{outputs.o}}", "{{params.n}}"]\n'
    stage += 'inputs = { i = "source" }\noutputs = { o = "parts" }\nparams = { n = 1 }\n'
    chain.write("pipeline.toml", f"{chain.read('pipeline.toml')}\n{stage}")
    chain.run()
    parts = chain.root / "jobs/one/D/parts"
    before = sorted(parts.rglob("*"))
    chain.write("jobs/one/D/parts/new/er/mine", "mine\n")
    chain.write("jobs/one/D/parts/none/mine", "mine\n")
    chain.run("n=2")
    assert chain.read("jobs/one/D.edited/parts/new/er/mine") == "mine\n"
    assert chain.run().tasks("stage_restored") == ["D:one"]
    assert sorted(parts.rglob("*")) == before
    chain.run("n=2")
    (next(g for g in generations(chain) if g.parent.name == "D") / "parts/added").mkdir()
    back = chain.run()
    assert (back.ran, sorted(parts.rglob("*"))) == (["D:one"], before)


def test_the_limit_is_held_and_the_oldest_goes_first(chain: Project) -> None:
    """`[cache] max_gb`: the least recently used generations go; the current outputs never do."""
    chain.write("pipeline.toml", chain.read("pipeline.toml") + "\n[cache]\nmax_gb = 0.000013\n")  # 13 kB
    chain.write("media/one.txt", "x" * 999 + "\n")
    for times in (2, 3, 4, 5):
        assert chain.run(f"times={times}").status == 0
    size = sum(file.stat().st_size for g in generations(chain) for file in g.iterdir())
    assert 0 < size <= 13_000
    assert chain.read("jobs/one/B/b.txt") == ("x" * 999 + "\n") * 5
    assert chain.run("times=4").ran == []
    assert chain.run("times=2").ran == ["B:one", "C:one"]


def test_none_is_kept_where_none_may_be(chain: Project) -> None:
    """`max_gb = 0`: a restore is a plain re-run."""
    chain.write("pipeline.toml", chain.read("pipeline.toml") + "\n[cache]\nmax_gb = 0\n")
    chain.run("times=3")
    assert generations(chain) == []
    assert chain.run().ran == ["B:one", "C:one"]


def test_clean_removes_generations_too(chain: Project) -> None:
    """After `clean` a stage runs; nothing comes back."""
    chain.run("times=3")
    chain.command("clean", "B:one")
    assert [g.parent.name for g in generations(chain)] == ["C"]
    assert chain.run().ran == ["B:one"]


def test_what_is_kept_is_told_and_can_be_deleted(chain: Project) -> None:
    """`cache` names tasks and the params that differ; `gc --all` deletes everything that is not current."""
    chain.run("times=3")
    told = chain.command("cache")
    assert told.status == 0
    assert "B:one" in told.out and "times=2" not in told.out.split("B:one")[0]
    assert "2 kept" in told.out
    assert re.search(r"^B:one  \S+ \S+  \d+(\.\d)? k?B  ", told.out, re.MULTILINE) and "0.0 MB" not in told.out
    for times in range(4, 10):
        chain.run(f"times={times}")
    many = chain.command("cache").out.splitlines()
    assert re.match(r"and \d+ of less than 100.0 kB and 1 s, .*B together", many[-2]), many
    assert "deleted" in chain.command("gc", "--all").out
    assert generations(chain) == []
    (chain.root / "jobs/one/.mediabuild/generations/B" / ("0" * 64)).mkdir(parents=True)  # a killed `gc` leaves folders
    assert chain.command("gc", "--all").status == 0
    assert generations(chain) == []
    assert chain.run("times=9").ran == []


def test_a_run_says_what_it_spared(chain: Project) -> None:
    """The last event counts the seconds of work that were not done again."""
    chain.run("times=3")
    finished = chain.run().events[-1]
    assert finished["event"] == "run_finished"
    assert (finished["built"], finished["restored"], finished["skipped"]) == (0, 2, 1)
    assert finished["spared_s"] > 0
