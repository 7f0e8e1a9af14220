"""What dead runs left behind: their temporary files and directories go, a half-done exchange is finished or undone.

Not here: the exchange (`store.publish`).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mediabuild.machine.files import PART


def names_in(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def key_of(name: str) -> str:
    """The task's key in the name of a temporary file or directory."""
    return name.removesuffix(PART).rpartition(".")[0]


def sweep_dead(state_dir: Path, key: str) -> None:
    """Remove what dead runs of a task left; its lock is held, so they are dead."""
    for name in names_in(state_dir / "tmp"):
        leftover = state_dir / "tmp" / name
        if key_of(name) == key:
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)
