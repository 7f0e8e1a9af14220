"""Demucs: found where it is, refused where it isn't, installed where the user said so."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import PATH, Project, Ran
from tests.wheels import make_wheels, offline

# A stage that says it runs demucs, and writes down where it ran.
STAGE = '''
import sys
from mediabuild.stage import Context, NoParams, stage

@stage(version=1, inputs={"media": "anything"}, outputs={"where": "where.txt"}, heavy=True, tools=("demucs",))
def voice(ctx: Context, params: NoParams) -> None:
    """Say which interpreter runs this."""
    ctx.output("where").write_text(sys.prefix)
'''
PIPELINE = """
[pipeline]
sources = ["media/*.txt"]

[stages.first]
command = ["cp", "{inputs.media}", "{outputs.text}"]
inputs  = { media = "source" }
outputs = { text = "a.txt" }

[stages.voice]
inputs = { media = "first.text" }
python = "bare"
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the separator needs, for an offline pip."""
    folder = tmp_path_factory.mktemp("wheels")
    make_wheels(folder)
    return folder


@pytest.fixture(scope="module")
def equipped(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A venv in which the separator was installed."""
    venv = tmp_path_factory.mktemp("equipped") / "venv"
    command = [sys.executable, "-m", "mediabuild.machine.install", "separator", str(venv)]
    subprocess.run(command, env=offline(wheels), check=True, capture_output=True)
    return venv


@pytest.fixture
def voices(project: Project) -> Project:
    """A project whose stage has an interpreter with nothing in it."""
    project.write("pipeline.toml", PIPELINE)
    project.write("stages/voice.py", STAGE)
    project.write("media/one.txt", "hello\n")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(project.root / "bare")], check=True)
    return project


def where(project: Project, run: Ran) -> Path:
    """The venv that the stage ran in."""
    assert run.status == 0, run.out + run.err
    return Path(project.read("jobs/one/voice/where.txt"))


def test_missing_demucs_is_refused_before_anything_runs(voices: Project) -> None:
    """Exit 3, what is missing, and the exact command; `--dry-run` and other stages don't need it."""
    run = voices.run()
    assert run.status == 3
    assert run.ran == []
    assert "voice: " in run.err and "lacks demucs, torch, soundfile, soxr, msgspec" in run.err
    assert f"hint: {sys.executable} -m mediabuild.machine.install separator {voices.root / 'bare'}" in run.err
    assert voices.run("--dry-run").status == 0
    assert voices.run("first").ran == ["first:one"]


def test_the_hint_of_a_missing_interpreter_makes_the_separators(voices: Project) -> None:
    """`python = "venv/demucs"` before there is one: the hint is the command that makes it."""
    shutil.rmtree(voices.root / "bare")
    run = voices.run()
    assert run.status == 3
    assert "no interpreter at bare" in run.err
    assert "-m mediabuild.machine.install separator bare" in run.err


def test_it_is_installed_once_where_the_user_says(voices: Project, wheels: Path) -> None:
    """`--auto-install-demucs --demucs-venv DIR`: progress on the console, the stage runs there, then all is fresh."""
    voices.env = {**offline(wheels), "NO_COLOR": "1", "PATH": PATH}
    run = voices.run("--auto-install-demucs", "--demucs-venv=mine")
    assert where(voices, run) == voices.root / "mine"
    assert "install: installing torch==2.13.0 and demucs" in run.err
    assert "Successfully installed demucs-4.1.0" in run.err
    assert "install:" not in run.out
    again = voices.run("--auto-install-demucs", "--demucs-venv=mine")
    assert (again.status, again.ran, again.err) == (0, [], "")
    plain = voices.run()  # it is elsewhere, and nothing would run: no question of demucs
    assert (plain.status, plain.ran) == (0, [])


def test_the_separators_venv_of_the_project_is_found(voices: Project, equipped: Path) -> None:
    """`venv/demucs`, where bootstrap.sh puts it, needs no option and no line in the pipeline."""
    (voices.root / "venv").mkdir()
    (voices.root / "venv/demucs").symlink_to(equipped)
    assert where(voices, voices.run()).resolve() == equipped.resolve()


def test_a_demucs_command_is_found(voices: Project, equipped: Path) -> None:
    """A `demucs` on PATH (pipx): the interpreter that its first line names runs the stage."""
    script = voices.write("programs/demucs", f"#!{equipped}/bin/python\nimport demucs\n")
    script.chmod(0o755)
    voices.env["PATH"] = f"{script.parent}:{voices.env['PATH']}"
    assert where(voices, voices.run()) == equipped


def test_an_installation_that_was_interrupted_does_not_count(voices: Project, equipped: Path) -> None:
    """All packages are there, the stamp is empty: refused, as where there are none."""
    shutil.copytree(equipped, voices.root / "venv/demucs", symlinks=True)
    (voices.root / "venv/demucs/.mediabuild-separator").write_bytes(b"")
    assert voices.run().status == 3
