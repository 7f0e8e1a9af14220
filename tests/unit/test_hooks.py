"""The hooks of pre-commit, in a copy of the project: they run the checks' tools, and say what to type without them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIG = ".pre-commit-config.yaml"
PARTS = (CONFIG, ".taplo.toml", "pyproject.toml", "pipeline.toml", "scripts/bootstrap.sh", ".github/workflows/ci.yml")
TOOLS = Path(sys.executable).parent


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout in which nothing is installed."""
    root = tmp_path / "a project"
    for part in PARTS:
        (root / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / part, root / part)
    subprocess.run(["git", "init", "-q", root], check=True)
    subprocess.run(["git", "-C", root, "add", "-A"], check=True)
    return root


def hook(root: Path, name: str) -> subprocess.CompletedProcess[str]:
    """Run one hook on all files."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    env = {**own, "PRE_COMMIT_HOME": str(root.parent / "hooks"), "NO_COLOR": "1"}
    command = [TOOLS / "pre-commit", "run", "--all-files", "--color=never", name]
    return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)


needs_pre_commit = pytest.mark.skipif(not (TOOLS / "pre-commit").exists(), reason="pre-commit isn't installed")


@needs_pre_commit
def test_a_hook_runs_the_tool_of_the_venv(copy: Path) -> None:
    """It passes on what the project holds, and fails on what isn't in shape."""
    (copy / "venv/bin").mkdir(parents=True)
    for name in ("taplo", "zizmor"):
        (copy / "venv/bin" / name).symlink_to(TOOLS / name)
        passed = hook(copy, name)
        assert passed.returncode == 0 and "Passed" in passed.stdout, passed.stdout + passed.stderr
    with (copy / "pipeline.toml").open("a") as file:
        file.write("[stages.x]\ninputs  =   {}\n")
    failed = hook(copy, "taplo")
    assert failed.returncode == 1 and "not properly formatted" in failed.stdout, failed.stdout


@needs_pre_commit
def test_a_tool_that_is_missing_is_installed_or_named(copy: Path) -> None:
    """After `run` alone a hook starts pip; where pip can't install, it says where to look."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", copy / "venv"], check=True)
    done = hook(copy, "shellcheck")
    assert done.returncode == 1
    assert "bootstrap: installing into" in done.stdout, done.stdout + done.stderr
    assert "hint: less '" in done.stdout


def test_every_check_is_a_hook() -> None:
    """What `bootstrap.sh test` checks, the hooks check, with the same tools."""
    script = (ROOT / "scripts/bootstrap.sh").read_text()
    checks = set(re.findall(r"^  check (\S+)", script, re.MULTILINE)) - {"doit"} | {"mediabuild"}
    assert len(checks) > 6
    assert set(re.findall(r"bootstrap\.sh tool (\S+?)[, ]", (ROOT / CONFIG).read_text())) == checks
