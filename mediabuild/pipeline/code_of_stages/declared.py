"""Holds the table of a stage that has a file against what the file declares: its inputs, its params, its interpreter.

Not here: values of params (`pipeline.params`), finding and loading the file (`loading`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mediabuild.errors import PipelineError
from mediabuild.machine.here import quoted
from mediabuild.pipeline.code_of_stages.loading import load_stage
from mediabuild.pipeline.mistakes import Mistakes, nearest
from mediabuild.pipeline.placeholders import check_variables
from mediabuild.pipeline.tables import StageTable
from mediabuild.pipeline.typed import toml_text
from mediabuild.stage import Stage


def params_beside(name: str, table: Any, files: Mapping[str, Path], root: Path) -> dict[str, str]:
    """The params of a stage's file that its table has as keys of its own, which is a slip → what to write."""
    unknown = set(table) - set(StageTable.__struct_fields__) if isinstance(table, dict) else set()
    file = files.get(str(table.get("uses") or name)) if unknown and "command" not in table else None
    if file is None:
        return {}
    try:
        slips = unknown & set(load_stage(file, root).params.__struct_fields__)
    except PipelineError:  # it is said where the stage is made
        return {}
    return {key: f"params = {{ {key} = {toml_text(table[key])} }}" for key in slips}


def check_inputs(where: str, given: Mapping[str, str], declaration: Stage, mistakes: Mistakes) -> None:
    """Note inputs that the stage doesn't have, and those that it needs and isn't given."""
    known = {**declaration.inputs, **declaration.optional}
    for name in given.keys() - known.keys():
        mistakes.add(f"{where}.inputs.{name}", "the stage has no such input", nearest(name, known))
    for name in declaration.inputs.keys() - given.keys():
        mistakes.add(
            f"{where}.inputs.{name}", f"missing: {declaration.inputs[name]}", f'inputs = {{ {name} = "STAGE.OUTPUT" }}'
        )


def interpreter_of(
    where: str, root: Path, given: str | None, declaration: Stage | None, mistakes: Mistakes
) -> Path | None:
    """The interpreter of a stage's worker, a venv or a program in its table; None for mediabuild's own."""
    if given is None:
        return None
    path = root / os.path.expanduser(given)
    python = path / "bin" / "python" if path.is_dir() else path
    check_variables(f"{where}.python", given, mistakes)
    if not (python.is_file() or mistakes.says_of(f"{where}.python")):
        separates = declaration is not None and "demucs" in declaration.tools
        made_by = [sys.executable, "-m", "mediabuild.machine.install", "separator"]
        hint = quoted(*(made_by if separates else ["python3", "-m", "venv"]), given)
        mistakes.add(f"{where}.python", f"no interpreter at {given}", hint)
    return python
