"""Installs demucs, which separates a voice from music, into a venv: `python -m mediabuild.machine.install separator`.

Makes a venv and installs torch and demucs into it, under a lock, so that two runs don't do it twice.
A stamp is emptied first and filled last: an interrupted installation is seen, and goes on at the next
call; a finished one costs milliseconds. `scripts/bootstrap.sh separator` and `doit
--auto-install-demucs` end here, too.

Only the standard library is imported: on a fresh clone nothing else is there. mediabuild itself isn't
installed into the venv: a worker brings it along.

Not here: whether the separator is missing (`pipeline.code_of_stages.separator`).
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

from mediabuild.errors import MediabuildError
from mediabuild.machine.here import quoted
from mediabuild.machine.interpreter import (
    STAMP,
    has_module,
    lacking_for_separator,
    python_version,
    site_packages,
    venv_python,
)
from mediabuild.machine.lock import locked
from mediabuild.machine.processes import Processes

# One release, not a range, as in scripts/bootstrap.sh: an index of CPU builds may end at an earlier
# one than the CUDA builds do, and pip would then choose several GB of CUDA.
TORCH = "torch==2.13.0"
DEFAULT_VENV = "venv/demucs"
WORKER_NEEDS = "msgspec"
EXTRA = "mediabuild[media]"  # what the built-in stages need
SENTINELS = ("av", "numpy", "faster_whisper")  # of it: pip installs all or nothing
USAGE = f"usage: python -m mediabuild.machine.install separator [DIR]    (DIR: {DEFAULT_VENV})"


def has_extra() -> bool:
    """Whether this interpreter has what the built-in stages need."""
    folders = site_packages(None)
    return all(has_module(name, folders) for name in SENTINELS)


def extra_hint() -> str:
    """The command that installs it."""
    return quoted(sys.executable, "-m", "pip", "install", EXTRA)


def to_console(message: str) -> None:
    """Progress, on stderr: stdout may carry events."""
    sys.stderr.write(f"install: {message}\n")
    sys.stderr.flush()


def install_separator(venv: Path, say: Callable[[str], None] = to_console) -> Path:
    """Make the venv and install the separator into it, unless it is there.

    Args:
        venv: the folder; made where it isn't there. A folder that is no venv is left alone.
        say: receives a line at each step; pip's own progress goes to stderr.

    Returns:
        The venv's interpreter.

    Raises:
        MediabuildError: no venv can be made there, or pip failed. Interrupted, or whatever else a
            signal raises: pip and all that it started has been stopped.
    """
    venv = venv.absolute()
    waited = False

    def waiting(owner: str) -> None:
        nonlocal waited
        if not waited:
            waited = True
            say(f"waiting for {owner}, which is installing into {venv}")

    with locked(venv.with_name(f".{venv.name}.lock"), str(venv), waiting=waiting):
        wanted = _facts(venv)
        if _is_sound(venv) and not lacking_for_separator(venv_python(venv)) and _stamped(venv) == wanted:
            return venv_python(venv)
        _install(venv, say)
        lacking = lacking_for_separator(venv_python(venv))
        if lacking:
            raise MediabuildError(
                f"{venv}: pip ended well, but there is no {', '.join(lacking)}", quoted("rm", "-r", venv)
            )
        say(f"{venv} is ready")
    return venv_python(venv)


def _install(venv: Path, say: Callable[[str], None]) -> None:
    processes = Processes()  # stopped as a group, also when this process is killed
    try:
        if not _is_sound(venv):
            _refuse_other_folders(venv)
            say(f"making {venv} with Python {sys.version.split()[0]}")
            clear = ["--clear"] if venv.exists() else []
            _run(processes, [sys.executable, "-m", "venv", *clear, str(venv)], f"can't make a venv at {venv}", venv)
        (venv / STAMP).write_bytes(b"")
        say(f"installing {TORCH} and demucs; {_size()} and a few minutes the first time")
        bar = [] if sys.stderr.isatty() else ["--progress-bar", "off"]
        log = str(venv / "install.log")
        pip = [str(venv_python(venv)), "-m", "pip", "install", *bar, "--log", log, *wanted_packages()]
        _run(processes, pip, "pip could not install the packages", venv)
        unfinished = venv / (STAMP + ".new")
        unfinished.write_text(_facts(venv) + "\n")
        unfinished.replace(venv / STAMP)
    finally:
        processes.stop_all()
        processes.close()


def _run(processes: Processes, command: list[str], trouble: str, venv: Path) -> None:
    child = processes.start(command, cwd=Path.cwd(), output=sys.stderr.fileno())
    status = processes.finish(child)
    if status != 0:
        log = venv / "install.log"
        raise MediabuildError(f"{trouble} (exit {status})", quoted("less", log) if log.exists() else quoted(*command))


def wanted_packages() -> list[str]:
    """What pip is asked for: torch's one release, the `separate` extra, and what a worker needs."""
    return [TORCH, *requirements("separate"), *(text for text in requirements("") if text.startswith(WORKER_NEEDS))]


def requirements(extra: str) -> list[str]:
    """The requirements of an extra of mediabuild's, or without an extra.

    From pyproject.toml in a clone, else from the metadata of the installed mediabuild; those of this Python.
    """
    project = Path(__file__).parents[2] / "pyproject.toml"
    marker = f"extra == '{extra}'" if extra else ""
    if project.is_file():
        table = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
        listed = table["optional-dependencies"][extra] if extra else table["dependencies"]
        return applying(listed, "")
    return applying(importlib.metadata.requires("mediabuild") or [], marker)


def applying(listed: list[str], extra: str, version: str = f"{sys.version_info[0]}.{sys.version_info[1]}") -> list[str]:
    """The requirements under a marker of an extra (or under none), without their markers, that hold for a Python.

    Only the markers that our own requirements have: `==` and `!=` of `python_version`.
    """
    here = f"python_version == '{version}'"
    found = []
    for text, _, condition in (line.partition(";") for line in listed):
        clauses = {clause.strip(" ()").replace('"', "'") for clause in condition.split(" and ")} - {""}
        of_python = {clause for clause in clauses if clause.startswith("python_version")}
        true = (("!=" in clause) != (clause.replace("!=", "==") == here) for clause in of_python)
        if clauses - of_python == {extra} - {""} and all(true):
            found.append(text.strip())
    return found


def _facts(venv: Path) -> str:
    """A digest of all that decides what pip would install."""
    facts = (wanted_packages(), python_version(venv_python(venv)), str(venv))
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _stamped(venv: Path) -> str:
    try:
        return (venv / STAMP).read_text().strip()
    except OSError:
        return ""


def _is_sound(venv: Path) -> bool:
    """Whether there is a working venv: `activate` is the last file that venv writes, and names the folder."""
    try:
        named = str(venv) in (venv / "bin" / "activate").read_text(errors="replace")
        started = subprocess.run([venv_python(venv), "-c", ""], capture_output=True, check=False)
    except OSError:
        return False
    return named and started.returncode == 0


def _refuse_other_folders(venv: Path) -> None:
    """Clear only what was a venv, and say what is missing where Python can't make one."""
    if venv.exists() and not (venv / "pyvenv.cfg").exists() and (not venv.is_dir() or any(venv.iterdir())):
        hint = quoted(sys.executable, "-m", "mediabuild.machine.install", "separator", f"{venv}.new")
        raise MediabuildError(f"{venv}: is there and is no venv", hint)
    if importlib.util.find_spec("ensurepip") is None:  # Debian splits it off
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        raise MediabuildError(f"{sys.executable} can't make a venv", f"sudo apt-get install {package}")


def _size() -> str:
    plain_index = not any(os.environ.get(name) for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"))
    return "several GB" if sys.platform == "linux" and plain_index else "1 GB"


def main(arguments: list[str]) -> int:
    """The module's command line. Exit status: 0 installed, 1 failed, 3 a wrong command, 130 interrupted."""
    if arguments[:1] != ["separator"] or len(arguments) > 2:
        wanted_help = arguments in (["-h"], ["--help"])
        print(USAGE, file=sys.stdout if wanted_help else sys.stderr)
        return 0 if wanted_help else 3
    try:
        install_separator(Path((arguments[1:] or [DEFAULT_VENV])[0]))
    except MediabuildError as error:
        sys.stderr.write(f"ERROR: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command goes on\n")
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
