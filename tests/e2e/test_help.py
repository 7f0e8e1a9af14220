"""Asking for help, and slips on the command line: one line that says what to type."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest

from mediabuild.commands.main import PLUGINS
from mediabuild.pipeline.document import shipped
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


PARAMS_OF_SUBTITLES = (
    "max_line_chars = unset", "10 to 100", "max_lines = 2", "lines in a cue", "if_silent = nothing",
    "what was said, with word times", "subtitles.*.vtt",
)  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("--max-line-chars", "30"), "--max-line-chars: there is no such option; did you mean 'max_line_chars=30'?"),
        (("--max-line-chars=30",), "--max-line-chars: there is no such option; did you mean 'max_line_chars=30'?"),
        (("--max_lines", "x.mp4"), "--max_lines: there is no such option; did you mean 'max_lines=VALUE'?"),
        (("--shorter",), "--shorter: there is no such option"),
        (("-language", "es"), "-language: there is no such option; did you mean '--language es'?"),
        (("-no-wait",), "-no-wait: there is no such option; did you mean '--no-wait'?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("alone", [False, True])
def test_a_param_typed_as_an_option_is_told_how(
    project: Project, typed: tuple[str, ...], said: str, *, alone: bool
) -> None:
    """With the value that was typed; a word that is only a little alike is no suggestion."""
    project.write("x.mp4", b"")
    if not alone:
        project.write("pipeline.toml", shipped("pipeline.toml"))
    ran = project.command(*typed)
    assert (ran.status, ran.err.splitlines()[0]) == (3, f"ERROR: {said}")


def test_help_and_info_of_a_stage_list_its_params(project: Project) -> None:
    """Default, bounds or choices, description; what `pipeline.toml` says; of a command stage what there is."""
    alone = project.command("help", "subtitles")
    assert (alone.status, alone.err) == (0, "")
    assert [part for part in PARAMS_OF_SUBTITLES if part not in alone.out] == []
    text = shipped("pipeline.toml").replace('deliver = "out/{job}"', "params = { max_lines = 3 }", 1)
    text += '[stages.shrink]\ncommand = ["cp", "{inputs.media}", "{outputs.media}", "{params.width}"]\n'
    text += 'inputs = { media = "source" }\noutputs = { media = "small.mp4" }\nparams = { width = 320 }\n'
    project.write("pipeline.toml", text)
    for stage in ("demux", "transcribe", "align", "glossary", "translate", "subtitles", "mux"):
        shown = project.command("help", stage)
        assert shown.status == 0, shown.err
        assert 400 < len(shown.out) < 2000, stage
        assert max(map(len, shown.out.splitlines())) <= 100, stage
    assert "here 3; 1 to 3; lines in a cue" in project.command("help", "subtitles").out
    assert "language = es" in project.command("help", "translate").out
    assert "set by the matrix" in project.command("help", "translate").out
    assert "int8_float16" in project.command("help", "transcribe").out
    assert "width = 320" in project.command("help", "shrink").out
    project.write("media/talk.mp4", b"")
    info = project.command("info", "subtitles")
    assert [part for part in PARAMS_OF_SUBTITLES if part not in info.out] == []
    assert "  subtitles:talk\n" in info.out
    one = project.command("info", "subtitles:talk")
    assert (one.status, one.err) == (1, "")
    assert "not built yet" in one.out
    assert [part for part in ("meta", "Task(", "mediabuild_group", "kwargs") if part in info.out + one.out] == []
    project.write("pipeline.toml", text + "[nothing]\n")
    assert "unknown table" in project.command("help", "subtitles").err


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
        (("-q",), "-q: there is no such option; did you mean '--log-level warning'?"),
        (("-j2", "-force", "A"), "-force: there is no such option; did you mean '--force'?"),
        (("help", "stauts"), "help: 'stauts' is no command, stage or task of dodo.py; did you mean 'status'?"),
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
