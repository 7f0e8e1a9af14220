"""`scripts/quickstart.sh` on the real sample: it passes, and it fails when a heavy stage is made to run again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts/quickstart.sh"
PARTS = ("pipeline.toml", "stages", "glossary", "media")

pytestmark = pytest.mark.slow


def quickstart(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script on a copy of the project."""
    command = [str(SCRIPT), "--project", str(project), *arguments]
    env = {**os.environ, "PYTHON_BIN": sys.executable, "NO_COLOR": "1"}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project after the script's first two steps."""
    project = tmp_path_factory.mktemp("quickstart") / "project"
    project.mkdir()
    for part in PARTS:
        source, ignore = ROOT / part, shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, project / part, ignore=ignore) if source.is_dir() else shutil.copy(source, project)
    done = quickstart(project, "--device", "cpu", "baseline", "limited")
    assert done.returncode == 0, done.stdout + done.stderr
    return project


@pytest.fixture
def copied(two_runs: Path, tmp_path: Path) -> Path:
    """A copy of it, to do harm to."""
    return Path(shutil.copytree(two_runs, tmp_path / "project", symlinks=True))


def test_it_passes(copied: Path) -> None:
    """The last run and the check: exit 0, nothing but the glossary's stages ran twice."""
    done = quickstart(copied, "--device", "cpu", "final", "check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "no heavy stage ran twice"
    assert "limited   ran 3, up to date 0: glossary:sample translate:sample:es subtitles:sample" in done.stdout


def test_the_job_directory_is_named_after_the_device(copied: Path) -> None:
    """Each device has its own, and the doctor's device is the one where none is given."""
    assert (copied / "jobs/sample-cpu/transcribe/transcript.json").exists()
    if Path("/dev/nvidiactl").exists() or sys.platform == "darwin":
        pytest.skip("this machine may have another device than the CPU")
    done = quickstart(copied, "final", "check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "on cpu, in jobs/sample-cpu" in done.stdout


@pytest.mark.parametrize("stage", ["separate", "transcribe"])
def test_it_fails_when_a_heavy_stage_runs_again(copied: Path, stage: str) -> None:
    """An edit to the stage's file between the runs: exit 1, and the stage is named."""
    with (copied / f"stages/{stage}.py").open("a") as file:
        file.write("\n# an edit\n")
    done = quickstart(copied, "--device", "cpu", "final", "check")
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"WRONG: {stage}:sample ran 2 times" in done.stderr
    assert f"WRONG: {stage} is no cache hit in the final run" in done.stderr


def test_it_fails_when_a_run_did_not_finish(copied: Path) -> None:
    """Events without an end are no proof."""
    events = copied / "jobs/sample-cpu/.mediabuild/quickstart.limited.jsonl"
    events.write_text(
        "".join(line for line in events.read_text().splitlines(keepends=True) if '"run_finished"' not in line)
    )
    done = quickstart(copied, "--device", "cpu", "final", "check")
    assert done.returncode == 1
    assert "the limited run did not finish" in done.stderr


def test_a_wrong_word(tmp_path: Path) -> None:
    """Exit 3 and what to type."""
    done = quickstart(tmp_path, "bassline")
    assert done.returncode == 3
    assert "hint: scripts/quickstart.sh --help" in done.stderr
