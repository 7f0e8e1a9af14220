"""The packages and versions of a stage's Python, read from its folders without starting it.

Only the standard library is imported: `install` runs before anything is installed.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

# What the separate stage needs: package → the file or folder whose presence says that it is there.
# demucs before 4.1 can't load safetensors; msgspec is what mediabuild's worker needs.
SEPARATOR_PACKAGES = {
    "demucs": "demucs/hf.py",
    "torch": "torch",
    "soundfile": "soundfile.py",
    "soxr": "soxr",
    "msgspec": "msgspec",
}

STAMP = ".mediabuild-separator"  # in a venv: emptied before packages are installed, filled after


def site_packages(python: Path | None) -> tuple[Path, ...]:
    """The package folders of a stage's interpreter; of mediabuild's own for None."""
    if python is None:
        return tuple(Path(entry) for entry in sys.path if entry.endswith("-packages"))
    prefix = python.parent.parent  # of a venv; a link in it must not be followed
    folders = [prefix / "lib", prefix / "lib64", *([Path("/usr/local/lib")] if str(prefix) == "/usr" else [])]
    found = {os.path.realpath(path): path for lib in folders for path in sorted(lib.glob("python3*/*-packages"))}
    return tuple(found.values())


def venv_python(venv: Path) -> Path:
    """The interpreter of a venv."""
    return venv / "bin" / "python"


def python_version(python: Path | None) -> str:
    """The version of an interpreter, as far as its folder tells: `3.11.4`, `3.11`, or nothing."""
    if python is None:
        return ".".join(map(str, sys.version_info[:3]))
    config = python.parent.parent / "pyvenv.cfg"
    try:
        found = re.search(r"^version(?:_info)?\s*=\s*(\d+(?:\.\d+)*)", config.read_text(), re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        found = None
    if found:
        return found[1]
    names = [folder.parent.name.removeprefix("python") for folder in site_packages(python)]
    return next((name for name in names if "." in name), "")


def versions(packages: Iterable[str], folders: Iterable[Path]) -> dict[str, str | None]:
    """The installed version of each package (a distribution's name), None where it isn't there."""
    path = [str(folder) for folder in folders]
    found: dict[str, str | None] = {}
    for package in packages:
        distributions = importlib.metadata.Distribution.discover(name=package, path=path)
        found[package] = next((d.version for d in distributions), None)
    return found


def has_module(name: str, folders: Iterable[Path]) -> bool:
    """Whether a top-level module is there: a package, a Python file or a compiled one."""
    if name in sys.stdlib_module_names:
        return True
    return any(
        (folder / name).is_dir() or (folder / f"{name}.py").is_file() or any(folder.glob(f"{name}.*.so"))
        for folder in folders
    )


def lacking_for_separator(python: Path | None) -> list[str]:
    """The packages that the separate stage needs and this interpreter lacks; all after an interrupted installation."""
    folders = site_packages(python)
    stamp = python.parent.parent / STAMP if python else Path(sys.prefix) / STAMP
    if stamp.exists() and not stamp.stat().st_size:
        return list(SEPARATOR_PACKAGES)
    return [name for name, file in SEPARATOR_PACKAGES.items() if not any((f / file).exists() for f in folders)]


def separator_command() -> Path | None:
    """The interpreter behind a `demucs` command on PATH (pipx, another venv), or None.

    Its first line names it: setuptools and pip write `#!/path/to/python` into the scripts they make.
    """
    command = shutil.which("demucs")
    if command is None:
        return None
    try:
        with open(command, "rb") as script:
            first = script.readline(4096).decode()
    except (OSError, UnicodeDecodeError):
        return None
    python = Path(first.removeprefix("#!").strip())
    return python if first.startswith("#!/") and python.is_file() else None
