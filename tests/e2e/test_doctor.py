"""`doctor`: what is here, what is missing, and what to type."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.e2e.conftest import CHAIN, Project

ROOT = Path(__file__).parents[2]
OWN_STAGE = '''
"""A stage of the project's own."""
from mediabuild.stage import Context, NoParams, stage

@stage(version=1, inputs={"media": "anything"}, outputs={"text": "text.txt"}, tools=("pip",))
def mine(ctx: Context, params: NoParams) -> None:
    """Use a library that nobody has, and one that it can do without."""
    import nobody_has_this
    try:
        import nor_this
    except ImportError:
        pass
'''


@pytest.fixture
def real(project: Project) -> Project:
    """The project's own pipeline, before there is any recording."""
    for part in ("pipeline.toml", "stages", "glossary"):
        source = ROOT / part
        (shutil.copytree if source.is_dir() else shutil.copy)(source, project.root / part)
    return project


def findings(project: Project, *arguments: str) -> dict[str, Any]:
    """What `doctor --json` says; it agrees with its schema, and its exit status with what is missing."""
    done = project.command(*arguments, "doctor", "--json")
    found = json.loads(done.out)
    assert isinstance(found, dict)
    jsonschema.validate(found, json.loads((ROOT / "docs/doctor.schema.json").read_text()))
    assert done.status == (1 if found["missing"] else 0), done.out
    return found


def missing(project: Project) -> dict[str, str]:
    """What → what to type."""
    return {each["what"]: each["hint"] for each in findings(project)["missing"]}


def test_it_shows_what_the_pipeline_uses(real: Project) -> None:
    """Interpreters with versions, ffmpeg, models with size and digest, apertium's pairs, a font, the disk."""
    import torch

    found = findings(real)
    assert found["missing"] == []
    (own,) = found["interpreters"]
    assert own["python"] == sys.executable
    assert own["version"] == sys.version.split()[0]
    assert own["packages"]["torch"] == torch.__version__
    assert own["packages"]["demucs"] == "4.1.0"
    assert "separate" in own["stages"]
    models = {model["stage"]: model for model in found["models"]}
    mini = real.root / "stages/models/mini.safetensors"
    assert models["separate"]["path"] == str(mini)
    assert models["separate"]["size_bytes"] == mini.stat().st_size
    assert models["transcribe"]["name"] == "tiny.en"
    assert models["transcribe"]["digest"].startswith("blake3:")
    assert "ffmpeg version" in found["ffmpeg_version"]
    assert os.access(found["ffmpeg"], os.X_OK)
    assert "eng-spa" in found["apertium_pairs"]
    assert Path(found["font"]).exists()
    assert found["free_disk_bytes"] > 0
    assert set(found["devices"]) == set(own["stages"])


def test_the_digest_is_the_manifests(project: Project) -> None:
    """The model that doctor shows and the one that a manifest records have one digest."""
    project.write(
        "stages/uses.py",
        """
from mediabuild.stage import Context, ModelRef, NoParams, stage

@stage(version=1, inputs={"media": "anything"}, outputs={"text": "text.txt"},
       models=lambda params, lookup: {"m": ModelRef("weights", lookup.local("./weights"))})
def uses(ctx: Context, params: NoParams) -> None:
    ctx.output("text").write_text("")
""",
    )
    project.write("weights/a.bin", "one")
    project.write("weights/b.bin", "three")
    project.write("media/one.txt", "hello\n")
    project.write(
        "pipeline.toml", '[pipeline]\nsources = ["media/*.txt"]\n[stages.uses]\ninputs = { media = "source" }\n'
    )
    assert project.run().status == 0
    (model,) = findings(project)["models"]
    assert model["digest"] == json.loads(project.read("jobs/one/uses/manifest.json"))["models"]["m"]
    assert model["size_bytes"] == len("onethree")


def test_for_people(real: Project) -> None:
    """The same as lines, ending with the good news."""
    done = real.command("doctor")
    assert done.status == 0, done.out
    assert done.out.splitlines()[-1] == "all that the pipeline uses is there"
    assert "tiny.en  78.1 MB" in done.out


def test_a_missing_library_and_what_to_type(project: Project) -> None:
    """A module that a stage imports and its interpreter lacks; one under `except ImportError` isn't missed."""
    project.write("stages/mine.py", OWN_STAGE)
    project.write("pipeline.toml", '[pipeline]\nsources = ["media/*"]\n[stages.mine]\ninputs = { media = "source" }\n')
    assert missing(project) == {
        f"mine: {sys.executable} lacks nobody_has_this": f"{sys.executable} -m pip install nobody-has-this"
    }


def test_a_missing_separator(real: Project) -> None:
    """An interpreter without demucs: the command that installs it there."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(real.root / "bare")], check=True)
    pipeline = real.read("pipeline.toml").replace("[stages.separate]", '[stages.separate]\npython = "bare"')
    real.write("pipeline.toml", pipeline)
    found = findings(real)
    assert [(each["python"], each["stages"]) for each in found["interpreters"]][1:] == [
        (str(real.root / "bare/bin/python"), ["separate"])
    ]
    assert found["interpreters"][1]["version"] == sys.version.split()[0]
    (what,) = found["missing"]
    assert what["what"].endswith("lacks demucs, torch, soundfile, soxr, msgspec")
    assert what["hint"] == f"{sys.executable} -m mediabuild.machine.install separator {real.root / 'bare'}"


def test_missing_programs_and_models(real: Project) -> None:
    """No ffmpeg where $FFMPEG points, no apertium on PATH, a model that only a hub has: each with its line."""
    real.env |= {"FFMPEG": "/nowhere/ffmpeg", "PATH": "/nowhere", "HF_HUB_CACHE": str(real.root)}
    edited = real.read("pipeline.toml").replace("[stages.transcribe]", '[stages.transcribe]\nparams = {model="small"}')
    real.write("pipeline.toml", edited)
    assert missing(real) == {
        "$FFMPEG: no program /nowhere/ffmpeg": "unset FFMPEG",
        "translate: apertium, with a pair into es": "sudo apt-get install apertium apertium-eng-spa",
        "transcribe: the model small: fetched when it first runs": "doit transcribe",
    }


def test_a_pair_for_each_language(real: Project) -> None:
    """apertium is there, a pair into one of the languages isn't."""
    real.write("pipeline.toml", real.read("pipeline.toml").replace('["es"]', '["es", "ca"]'))
    assert list(missing(real)) == ["translate: a pair into ca"]


def test_where_no_project_is(project: Project) -> None:
    """Nothing is missing for that: the parts of the program are shown, and how to begin; nothing is written."""
    done = project.command("doctor")
    assert (done.status, done.err, list(project.root.iterdir())) == (0, "", []), done.out
    assert "project       none here: mediabuild init   (or, without one: mediabuild talk.mp4)" in done.out
    assert "tiny.en  78.1 MB" in done.out and "MISSING" not in done.out
    assert findings(project)["project"] is False


def test_a_broken_pipeline_is_a_finding(project: Project) -> None:
    """All that doesn't need the pipeline is shown, and its mistake."""
    project.write("pipeline.toml", CHAIN.replace("sources", "source"))
    found = findings(project)
    assert found["ffmpeg"]
    assert "unknown key" in found["missing"][0]["what"]


def test_the_device_that_is_asked_for(real: Project) -> None:
    """`--device` counts here, too: one that isn't there is missing, for the stages that could use it."""
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has a CUDA device")
    found = findings(real, "--device=cuda")
    assert [each["what"].partition(":")[0] for each in found["missing"]] == ["separate", "transcribe"]
    assert findings(real)["device"] in ("cpu", "mps")
