"""Mistakes on the command line: one clear message each, the nearest name, exit 3, nothing run, no traceback."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import CHAIN, Project
from tests.e2e.test_mistakes import refused


@pytest.fixture
def one(project: Project) -> Project:
    """A project with a source and no pipeline yet."""
    project.write("media/one.txt", "hello\n")
    return project


OVERRIDES = {
    "times=many": ["times", "expected", "a number"],
    "tims=3": ["tims", "no stage has such a param", "'times'"],
    "B.tims=3": ["B.tims", "'B.times'"],
    "D.times=3": ["D.times", "'B.times'"],
    "note=3": ["note", "several stages have it", "(A.note=3 or B.note=3)"],
    "note=a b": ["several stages have it", "(A.note='a b' or B.note='a b')"],
}


@pytest.mark.parametrize("override", OVERRIDES)
def test_a_bad_override(one: Project, override: str) -> None:
    """An unknown, ambiguous or wrongly typed NAME=VALUE lists what would do; nothing runs."""
    noted = CHAIN.replace("{ times = 2 }", '{ times = 2, note = "b" }')
    noted = noted.replace('outputs = { text = "a.txt" }', 'outputs = { text = "a.txt" }\nparams = { note = "a" }')
    said = refused(one, override, pipeline=noted)
    for text in OVERRIDES[override]:
        assert text in said, said


COMMAND_LINES = {
    "--form=A": ["--form"],
    "--from=D": ["--from", "'D'", "A, B, C"],
    "--to=b": ["--to", "'b'", "B"],
    "--from=C --to=A": ["reversed", "--from A --to C"],
    "--stages=A,X": ["--stages", "'X'"],
    "--stages=,": ["--stages", "names no stage"],
    "--job=two": ["--job", "'two'", "one"],
    "--device=gpu": ["--device", "'gpu'"],
    "--source=media/two.txt": ["--source", "media/two.txt"],
    "--log-level=loud": ["--log-level", "'loud'"],
    "-n x": ["num"],
    "-P process": ["process"],
    "D:one": ["'D:one'", "list --all"],
    "A:onne": ["'A:onne'", "'A:one'"],
    "C:*:x": ["matches no task"],
    "jobs/one/A/b.txt": ["jobs/one/A/b.txt"],
    "--stages=A B": ["nothing is selected"],
    "clip_start_s=1": ["clip_start_s", "no stage has such a param"],
    "--clip-start=1": ["clip_start"],
}


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_a_mistake_on_the_command_line(one: Project, line: str) -> None:
    """Unknown options, stages, jobs, tasks and patterns: said with what there is; nothing runs, exit 3."""
    said = refused(one, *line.split(), pipeline=CHAIN)
    for text in COMMAND_LINES[line]:
        assert text in said, said


@pytest.mark.parametrize(
    "command", ["info", "list", "explain", "clean", "forget", "ignore", "reset-dep", "status", "check"]
)
def test_an_unknown_name_after_a_command(one: Project, command: str) -> None:
    """Every command that takes names says which one is none, and the nearest; exit 3, no traceback."""
    one.write("pipeline.toml", CHAIN)
    for name in ("A:onne", "*:nope"):
        done = one.command(command, name)
        assert done.status == 3, (command, name, done.out, done.err)
        assert name in done.err
        assert "Traceback" not in done.err
        assert done.out == ""
    assert "A:one" in one.command(command, "A:onne").err


@pytest.mark.parametrize("words", [["clean", ""], ["--force", ""], ["--job", ""], ["run", "--job", "", "A"]])
def test_an_empty_word_names_nothing(one: Project, words: list[str]) -> None:
    """`clean "$task"` where the variable isn't set would clean everything."""
    one.write("pipeline.toml", CHAIN)
    assert one.run("A").status == 0
    said = one.command(*words)
    assert (said.status, "an empty word ('') names nothing" in said.err) == (3, True)
    assert (one.root / "jobs/one/A/a.txt").exists()
    assert not (one.root / "jobs/one/B").exists()


def test_an_unknown_command_is_an_unknown_name(one: Project) -> None:
    """`mediabuild statsu`: no task, command or target of that name; the command is proposed."""
    said = refused(one, "statsu", pipeline=CHAIN)
    assert "'statsu'" in said
    assert "did you mean 'status'" in said
