"""The benchmarks are written for people who seldom run them: that they start, at least, is tested."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "benchmarks"


def test_every_benchmark_starts() -> None:
    """Whatever they import of each other is there."""
    names = sorted(file.stem for file in FOLDER.glob("*.py"))
    assert "peers" in names
    code = f"import importlib\nfor name in {names}: importlib.import_module(name)"
    done = subprocess.run([sys.executable, "-c", code], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
