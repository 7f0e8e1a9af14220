"""Finds the stage files of a pipeline and reads their declarations.

The module of a stage file gets a name of its own, so that a project's `stages/demux.py` and the built-in one never
meet.

Not here: what a stage file imports (`mediabuild.stage`).
"""

from __future__ import annotations

import importlib.util
import sys
import types
from dataclasses import replace
from pathlib import Path

from mediabuild.errors import PipelineError
from mediabuild.stage import Stage


def builtin_stages_dir() -> Path:
    """Where the built-in stages are: inside the wheel, or beside the package in a clone."""
    package = Path(__file__).parents[1]
    inside = package / "stages"
    return inside if inside.is_dir() else package.parent / "stages"


def stage_files(root: Path) -> dict[str, Path]:
    """Name → file of every stage that a pipeline in `root` can use; the project's own win."""
    found: dict[str, Path] = {}
    for folder in (builtin_stages_dir(), root / "stages"):
        if folder.is_dir():
            found |= {file.stem: file for file in sorted(folder.glob("*.py")) if not file.stem.startswith("_")}
    return found


API_MODULES = (
    "mediabuild.stage",
    "mediabuild.errors",
    "mediabuild.units",
)  # what they do for a stage shows in no output


def load_stage(path: Path) -> Stage:
    """Load a stage's declaration from its file.

    The module gets a name of its own, so that a project's `stages/demux.py` and the built-in one
    never meet in `sys.modules`.

    Raises:
        PipelineError: the file can't be imported, or declares no stage (or several) by its name.
    """
    module_name = f"mediabuild_stage_{path.stem}_{abs(hash(str(path)))}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise PipelineError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a user's file raises is the user's to read
        del sys.modules[module_name]
        line = _line_in(path, error)
        raise PipelineError(f"{path}{line}: {type(error).__name__}: {error}") from error
    found = [value for value in vars(module).values() if isinstance(value, Stage)]
    if len(found) != 1:
        raise PipelineError(f"{path}: declares {len(found)} stages, one is needed", "see docs/DEVELOPER_GUIDE.md")
    return replace(found[0], shared=_shared_modules(module))


def _shared_modules(module: types.ModuleType) -> dict[str, Path]:
    """The modules of mediabuild from which a stage's file imported functions or classes."""
    values = vars(module).values()
    names = {v.__name__ if isinstance(v, types.ModuleType) else getattr(v, "__module__", None) for v in values}
    ours = sorted(n for n in names if isinstance(n, str) and n.startswith("mediabuild.") and n not in API_MODULES)
    return {name: Path(sys.modules[name].__file__ or "") for name in ours if name in sys.modules}


def _line_in(path: Path, error: BaseException) -> str:
    """`:LINE` of the innermost frame in the file, or nothing."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f":{error.lineno}"
    line, trace = "", error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = f":{trace.tb_lineno}"
        trace = trace.tb_next
    return line
