"""Finds stage files and loads their declarations; what is loaded is the source that lies there, and is told.

The module of a stage file gets a name of its own, so that a project's `stages/demux.py` and the built-in one never
meet. What a project's stages share lies beside them in modules whose names begin with `_`; a stage can import these and
nothing else of the project. Bytecode, which is judged by times, never decides.

Not here: what a stage file imports of mediabuild (`mediabuild.stage`), which files that are (`code`).
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.machinery
import importlib.util
import os
import sys
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from mediabuild.errors import PipelineError
from mediabuild.machine.here import PIPELINE, quoted
from mediabuild.stage import Stage

SHARED = "mediabuild.media"  # of mediabuild, what stages share
SUFFIX = "-packages"  # of folders of installed packages: a venv may lie in the project


def builtin_stages_dir() -> Path:
    """Where the built-in stages are: inside the wheel, or beside the package in a clone."""
    package = Path(__file__).parents[2]
    inside = package / "stages"
    return inside if inside.is_dir() else package.parent / "stages"


def stage_files(root: Path) -> dict[str, Path]:
    """Name → file of every stage that a pipeline in `root` can use; the project's own win."""
    found: dict[str, Path] = {}
    for folder in (builtin_stages_dir(), _own_stages(root)):
        if folder.is_dir():
            found |= {file.stem: file for file in sorted(folder.glob("*.py")) if not file.stem.startswith("_")}
    return found


def _own_stages(root: Path) -> Path:
    """The project's stages; a folder without a pipeline has none: `stages/` there is somebody else's."""
    return root / "stages" if (root / PIPELINE).is_file() else builtin_stages_dir()


def misnamed_modules(root: Path) -> list[Path]:
    """Modules that the project's stages share and can't import: Python has one of that name itself."""
    folder = _own_stages(root)
    return [
        file for file in sorted(folder.glob("_*")) if file.stem in sys.stdlib_module_names and file.stem != "__future__"
    ]


class ProjectCode:
    """The project's code in this process: found, loaded from its source, and known by the digests of what was loaded.

    Args:
        root: the project's folder.

    Attributes:
        present: whose rules hold in this process now.
        folder: where modules whose names begin with `_` are found.
        loaded: file → SHA-256, as hex, of what was loaded from it.
    """

    present: ClassVar[ProjectCode | None] = None

    def __init__(self, root: Path) -> None:
        self.root = os.path.join(os.path.normpath(root), "")
        self.folder = os.path.join(self.root, "stages")
        self.loaded: dict[str, str] = {}
        self.modules: dict[str, str] = {}  # name → file

    def owns(self, path: str) -> bool:
        """Whether a file is the project's, and no installed package's."""
        inside = os.path.abspath(path)
        return inside.startswith(self.root) and not any(
            part.endswith(SUFFIX) for part in inside[len(self.root) :].split(os.sep)[:-1]
        )

    @contextlib.contextmanager
    def importable(self) -> Iterator[None]:
        """In this block, the project's code is found and loaded as this class says."""
        before, path = ProjectCode.present, list(sys.path)
        ProjectCode.present = self
        sys.path[:] = [folder for folder in path if not self._is_root(folder)]
        if _finder not in sys.meta_path:
            sys.meta_path.append(_finder)
        importlib.invalidate_caches()
        try:
            yield
        finally:
            ProjectCode.present = before
            sys.path[:] = path

    def _is_root(self, folder: str) -> bool:
        return os.path.realpath(folder) == os.path.realpath(self.root)

    def forget(self) -> None:
        """Drop the project's modules, so that they are loaded anew; of mediabuild's none."""
        for name in [name for name in self.modules if not name.startswith("mediabuild.")]:
            sys.modules.pop(name, None)
            self.loaded.pop(self.modules.pop(name), None)

    def forget_shared(self) -> None:
        """Drop what stages share of mediabuild, so that it is loaded anew."""
        for name in [name for name in sys.modules if name == SHARED or name.startswith(SHARED + ".")]:
            del sys.modules[name]
            self.loaded.pop(self.modules.pop(name, ""), None)

    def note(self, path: str, content: bytes) -> None:
        """Something was loaded from a file."""
        self.loaded[path] = hashlib.sha256(content).hexdigest()

    def code_of(self, loader: importlib.machinery.SourceFileLoader, name: str) -> types.CodeType | None:
        """The code of a module of the project, compiled from its source; None for any other."""
        path = loader.get_filename(name)
        of_engine = name.startswith("mediabuild.") and not name.startswith(SHARED)
        if of_engine or name == "mediabuild" or not self.owns(path):
            return None
        source = loader.get_data(path)
        self.note(path, source)
        self.modules[name] = path
        return loader.source_to_code(source, path)


class _Finder:
    """Finds modules beside the stages whose names begin with `_`, after all others: Python's own are Python's."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        """As `sys.meta_path` asks."""
        code = ProjectCode.present
        if code is None or path is not None or not name.startswith("_"):
            return None
        return importlib.machinery.PathFinder.find_spec(name, [code.folder])


_finder: Any = _Finder()
_usual = importlib.machinery.SourceFileLoader.get_code


def _get_code(loader: importlib.machinery.SourceFileLoader, name: str) -> Any:
    code = ProjectCode.present.code_of(loader, name) if ProjectCode.present is not None else None
    return _usual(loader, name) if code is None else code


# The one place through which all ways to import a source file lead, those of `importlib.util` and of stages that add to
# `sys.path` among them.
importlib.machinery.SourceFileLoader.get_code = _get_code  # type: ignore[method-assign, assignment]


def load_stage(path: Path, root: Path | None = None) -> Stage:
    """Load a stage's declaration from its file.

    Args:
        root: the project's folder; None for a built-in stage by itself. Its modules stay in `sys.modules`.

    Raises:
        PipelineError: the file can't be imported, or declares no stage (or several) by its name.
    """
    code = ProjectCode(root or path.parent.parent)
    code.folder = str(path.parent)
    for name, module in list(sys.modules.items()):  # of another project
        file = getattr(module, "__file__", None) or ""
        if name.startswith("_") and isinstance(file, str) and file.endswith(".py") and _is_beside_stages(file, path):
            del sys.modules[name]
    with code.importable():
        return load_declaration(path, code)


def _is_beside_stages(file: str, path: Path) -> bool:
    folder = os.path.dirname(file)
    return os.path.basename(folder) == "stages" and folder != str(path.parent)


def load_declaration(path: Path, code: ProjectCode) -> Stage:
    """As `load_stage`, in a process where the project's code is importable."""
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
        raise PipelineError(f"{path}{line}: {type(error).__name__}: {error}", missing_hint(error, code)) from error
    found = [value for value in vars(module).values() if isinstance(value, Stage)]
    if len(found) != 1:
        raise PipelineError(f"{path}: declares {len(found)} stages, one is needed", "see docs/DEVELOPER_GUIDE.md")
    return found[0]


def missing_hint(error: BaseException, code: ProjectCode) -> str:
    """What to do where a module isn't found that lies in the project."""
    name = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    for folder in (code.root, code.folder) if name and not name.startswith("_") else ():
        for file in (f"{name}.py", name):
            if os.path.exists(os.path.join(folder, file)):
                was = os.path.relpath(os.path.join(folder, file), code.root)
                return f"{quoted('mv', was, f'stages/_{file}')}  # and import _{name}: what stages share"
    return ""


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
