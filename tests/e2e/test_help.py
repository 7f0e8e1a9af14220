"""Asking for help, and slips on the command line: one line that says what to type."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest

from mediabuild.commands.main import PLUGINS
from tests.e2e.conftest import Project

ROOT = Path(__file__).parents[2]
NO_EFFECT = ("--db-file", "--backend", "--check_file_uptodate", "--reporter", "--parallel-type", "--codec-cls")


def test_the_plugins_are_the_same_for_both_programs() -> None:
    """`doit` finds them in pyproject.toml, `mediabuild` in `main.PLUGINS`."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["doit"]["plugins"]
    assert table["command"] == PLUGINS["COMMAND"]
    assert table["reporter"] == PLUGINS["REPORTER"]
    assert table["backend"] == PLUGINS["BACKEND"]


@pytest.mark.parametrize("asked", [("-h",), ("--help",), ("help",), ("-n", "2", "-h")], ids=" ".join)
def test_help_of_the_program(project: Project, asked: tuple[str, ...]) -> None:
    """What it is, how it is typed, all commands with `init`, examples; nothing is read or written for it."""
    shown = project.command(*asked)
    assert shown.status == 0, shown.err
    assert shown.out.startswith("mediabuild is make for media")
    assert "usage: mediabuild " in shown.out
    for command in ("init", "status", "explain", "check", "clean", "doctor"):
        assert f"\n  {command} " in shown.out
    assert "pydoit" not in shown.out
    assert list(project.root.iterdir()) == []


@pytest.mark.parametrize("command", sorted(PLUGINS["COMMAND"].keys() - {"help"}))
def test_help_of_each_command(project: Project, command: str) -> None:
    """Also in a folder without a pipeline: our options first, none that has no effect, no line too long."""
    shown = project.command(command, "--help")
    assert shown.status == 0, shown.err
    assert shown.out == project.command("help", command).out
    ours, theirs = shown.out.find("\noptions:\n"), shown.out.find("\noptions of doit:\n")
    assert ours < theirs or theirs == -1
    assert [option for option in NO_EFFECT if option in shown.out] == []
    assert max(len(line) for line in shown.out.splitlines()) <= 120


@pytest.mark.parametrize("asked", ["-h", "--help"])
def test_help_of_init_writes_nothing(project: Project, asked: str) -> None:
    """It used to write files; an argument that it doesn't know is refused."""
    shown = project.command("init", asked)
    assert (shown.status, list(project.root.iterdir())) == (0, [])
    assert "usage: mediabuild init" in shown.out
    assert project.command("init", "here").status == 3
    assert list(project.root.iterdir()) == []


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("--forse",), "--forse: there is no such option; did you mean '--force'?"),
        (("status", "--jason"), "--jason: there is no such option; did you mean '--json'?"),
        (("-q",), "-q: there is no such option"),
        (("--job",), "--job: a value is missing"),
        (("--force=1",), "--force: takes no value"),
        (("run", "A", "--drie-run"), "--drie-run: there is no such option; did you mean '--dry-run'?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_option_is_one_line_and_a_hint(chain: Project, typed: tuple[str, ...], said: str) -> None:
    """With the nearest one that exists, and how to ask for help."""
    ran = chain.command(*typed)
    assert ran.status == 3
    first, hint = ran.err.splitlines()
    assert first == f"ERROR: {said}"
    assert hint.startswith("  hint: mediabuild")
    asked = hint.removeprefix("  hint: mediabuild").split()
    assert chain.command(*asked).status == 0, "the hint can be typed"


@pytest.mark.parametrize("word", ["DEBUG", "Info", "WARNING", "error"])
def test_log_levels_in_any_case(chain: Project, word: str) -> None:
    """As Python spells them, too."""
    assert chain.run(f"--log-level={word}").status == 0


def test_j_is_n(chain: Project) -> None:
    """As make has it."""
    chain.write("media/two.txt", "more\n")
    assert chain.run("-j", "2").status == 0
    assert chain.run("-j2").ran == []


@pytest.mark.parametrize("asked", ["--help", "status --help", "help", "help run", "tabcompletion", "list --help"])
def test_help_whose_reader_goes_away(project: Project, asked: str) -> None:
    """`… | head -1`: no traceback."""
    line = f"{' '.join(project.program)} {asked} | head -n 1"
    done = subprocess.run(
        ["bash", "-c", line], cwd=project.root, env=project.env, capture_output=True, text=True, check=False
    )
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
