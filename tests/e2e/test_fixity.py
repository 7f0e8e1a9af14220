"""Sources that must not change: rot is a failure that stays, and is found by reading."""

from __future__ import annotations

import os
import re
import shlex

import pytest

from tests.e2e.conftest import CHAIN, Project

SUM = """
[stages.sum]
command = ["wc", "-c", "{inputs.media}"]
inputs  = { media = "source" }
outputs = { sum = "sum.txt" }
stdout  = "sum"
"""


def rot(project: Project, name: str) -> None:
    """One byte of a file becomes another; size and times stay."""
    path = project.root / name
    stats = path.stat()
    path.write_bytes(b"J" + path.read_bytes()[1:])
    os.utime(path, ns=(stats.st_atime_ns, stats.st_mtime_ns))


@pytest.fixture
def frozen(project: Project) -> Project:
    """Two masters, built once."""
    project.write("pipeline.toml", CHAIN.replace("[pipeline]", "[pipeline]\nfrozen = true") + SUM)
    for job in ("one", "two"):
        project.write(f"media/{job}.txt", "hello\n")
    assert project.run().status == 0
    return project


def test_a_frozen_source_that_changes_is_a_failure(frozen: Project) -> None:
    """Of what reads it and what follows, until it is what it was, or is adopted; the other job is as it was."""
    frozen.write("media/two.txt", "jello\n")
    for _ in range(2):
        run = frozen.run()
        assert (run.status, run.ran) == (1, [])
        assert set(run.tasks("stage_failed")) >= {"A:two", "sum:two"}
        assert "A:one" in run.skipped or "A:one" not in run.tasks("stage_failed")
        assert "frozen, and isn't what was recorded\n          hint: if it is meant to be another: " in run.out
        assert frozen.command("check").status == 1
    assert frozen.run("--force", "A:two").status == 1
    frozen.write("pipeline.toml", frozen.read("pipeline.toml") + SUM.replace("stages.sum", "stages.late"))
    run = frozen.run("late")
    assert (run.status, run.ran) == (1, ["late:one"])
    assert frozen.read("jobs/two/C/c.txt") == "olleh\nolleh\n"
    frozen.write("media/two.txt", "hello\n")
    assert frozen.run().status == 0
    frozen.write("media/two.txt", "jello\n")
    run = frozen.run()
    assert run.status == 1
    assert "frozen, and isn't what was recorded: A:two, late:two, sum:two\n" in run.out, "once for all"
    (hint,) = set(re.findall(r"hint: if it is meant to be another: (.*)", run.out))
    for typed in hint.split(" && "):
        assert frozen.command(*shlex.split(typed)[1:]).status == 0
    assert not frozen.run().ran
    assert frozen.read("jobs/two/C/c.txt") == "ollej\nollej\n"


def test_a_new_master_is_no_failure(frozen: Project) -> None:
    """Nobody has said what it is to be; nor is a stage that is changed."""
    frozen.write("media/three.txt", "new\n")
    run = frozen.run("B.times=3")
    assert run.status == 0
    assert "A:three" in run.ran


def test_globs_say_which(project: Project) -> None:
    """The others are followed as always; a path that is an input may be named, too."""
    text = CHAIN.replace("[pipeline]", '[pipeline]\nfrozen = ["media/**/m*.{txt,md}", "rights.txt"]')
    text = text.replace('text = "A.text" }', 'text = "A.text", rights = "./rights.txt" }', 1)
    project.write("pipeline.toml", text)
    project.write("rights.txt", "mine")
    for job in ("master", "copy"):
        project.write(f"media/{job}.txt", "hello\n")
    assert project.run().status == 0
    for job in ("master", "copy"):
        project.write(f"media/{job}.txt", "jello\n")
    run = project.run()
    assert (run.status, run.tasks("stage_failed")) == (1, [f"{name}:master" for name in "ABC"])
    assert run.ran == ["A:copy", "B:copy", "C:copy"]
    project.write("media/master.txt", "hello\n")
    project.write("rights.txt", "yours")
    assert set(project.run().tasks("stage_failed")) >= {"B:master", "B:copy"}


def test_check_reads(frozen: Project) -> None:
    """Rot that leaves size and times alone is found by reading; then the next run fails, too."""
    before = (frozen.root / "media/two.txt").stat()
    rot(frozen, "media/two.txt")
    assert frozen.command("check", "--read").status == 1
    assert (frozen.root / "media/two.txt").stat().st_mtime_ns == before.st_mtime_ns
    assert frozen.run().status == 1
    rot(frozen, "media/two.txt")
    frozen.write("media/two.txt", "hello\n")
    assert frozen.command("check", "--read").status == 0
    assert "opposites" in frozen.command("check", "--read", "--manifests-only").err


@pytest.mark.parametrize(
    ("frozen", "said"),
    [
        ("frozen = 1", "pipeline.frozen: expected"),
        ("frozen = []", "pipeline.frozen"),
        ('frozen = ""', "pipeline.frozen"),
        ("frozen = [1]", "pipeline.frozen"),
        ("frozzen = true", "pipeline.frozzen: unknown key (did you mean 'frozen'?)"),
        ("[stages.A]\nfrozen = true\n[pipeline]", "stages.A.frozen: unknown key"),
    ],
)
def test_mistakes(project: Project, frozen: str, said: str) -> None:
    """By their place."""
    text = CHAIN.replace("[pipeline]", f"[pipeline]\n{frozen}")
    if frozen.startswith("["):
        text = CHAIN.replace("[stages.A]", "[stages.A]\nfrozen = true")
    project.write("pipeline.toml", text)
    project.write("media/one.txt", "x")
    ran = project.command("validate")
    assert ran.status == 3
    assert said in ran.err
