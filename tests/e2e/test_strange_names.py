"""Recordings with strange names: each is a job, and built like any other."""

from __future__ import annotations

import os
from pathlib import Path

from tests.e2e.conftest import CHAIN, Project

STRANGE = [
    "with space",
    "new\nline",
    "tab\tand\\backslash",
    """quotes'"`$(touch oops)""",
    "ünïcödé 日本語 🎬",
    "-rf",
    "--help",
    "[brackets]{braces}!?",
    "*star*",
    "a=b:c%d",
    "~home",
    "#hash;semi|pipe&amp",
    "dot.in.the.name",
    "ends in dots...",
]


def test_strange_names(project: Project) -> None:
    """Spaces, newlines, quotes, brackets, leading dashes and non-ASCII in a recording's name, from end to end.

    Each is a job with its own outputs and its delivered copy; nothing runs twice; none is run by a shell.
    """
    project.write("pipeline.toml", CHAIN + 'deliver = "out/{job}"\n')
    for number, name in enumerate(STRANGE):
        project.write(f"media/{name}.txt", f"{number}\n")
    first = project.run()
    assert (first.status, len(first.ran)) == (0, 3 * len(STRANGE)), first.out
    made = sorted(path.read_text() for path in project.root.glob("jobs/*/C/c.txt"))
    assert made == sorted(f"{str(number)[::-1]}\n" * 2 for number in range(len(STRANGE)))
    assert len(list((project.root / "out").iterdir())) == len(STRANGE)
    assert not list(project.root.rglob("oops"))
    second = project.run()
    assert (second.status, second.ran) == (0, [])
    assert len(second.skipped) == 3 * len(STRANGE)
    for command in (["check"], ["status"], ["list", "--all"], ["validate"], ["clean"]):
        assert project.command(*command).status == 0, command
    assert list(project.root.glob("jobs/*/C/*")) == []


def test_a_source_with_a_leading_dash_beside_the_pipeline(project: Project) -> None:
    """`-n.txt` is handed over as `./-n.txt`, so that no program takes it for an option."""
    project.write("pipeline.toml", CHAIN.replace("media/*.txt", "*.txt"))
    project.write("-n.txt", "hello\n")
    run = project.run()
    assert run.status == 0
    assert project.read("jobs/-n/C/c.txt") == "olleh\nolleh\n"


def test_names_that_are_no_utf8(project: Project) -> None:
    """A recording whose name is no UTF-8 is refused by name, exit 3; beside it nothing runs."""
    project.write("pipeline.toml", CHAIN)
    project.write("media/one.txt", "hello\n")
    name = os.fsencode(project.root / "media") + b"/bad\xff.txt"
    Path(os.fsdecode(name)).write_text("x")
    run = project.run()
    assert (run.status, run.ran) == (3, [])
    assert "UTF-8" in run.err
    assert "Traceback" not in run.err
