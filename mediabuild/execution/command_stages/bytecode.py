"""Sees to it that a Python program runs the source that lies there: Python judges bytecode by size and whole seconds.

Not here: which files a command's programs consist of (`pipeline.code_of_stages.files`).
"""

from __future__ import annotations

import contextlib
import glob
from collections.abc import Iterable, Mapping
from pathlib import Path

NONE_WRITTEN = {"PYTHONDONTWRITEBYTECODE": "1"}  # what is written now may be old before its second is over
PREFIX = "PYTHONPYCACHEPREFIX"


def remove_bytecode(sources: Iterable[Path], env: Mapping[str, str]) -> None:
    """Remove the bytecode of source files, whoever left it there: it is derived.

    Args:
        env: the environment that the program is about to run in.
    """
    for source in sources:
        if source.suffix == ".py":
            folders = [source.parent / "__pycache__"]
            if env.get(PREFIX):
                folders.append(Path(env[PREFIX], *source.parent.absolute().parts[1:]))
            for folder in folders:
                for bytecode in folder.glob(f"{glob.escape(source.stem)}.*.pyc"):
                    with contextlib.suppress(OSError):
                        bytecode.unlink()
