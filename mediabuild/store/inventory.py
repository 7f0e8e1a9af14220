"""What lies in a jobs directory and has a name of ours: nothing else is ever listed, and so nothing else removed.

A name follows one strict pattern for each folder, and holds the key of the task that it belongs to. Nothing is listed
behind a link.

Not here: where these folders are (`places`).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path

from mediabuild.pipeline.reserved import STATE_DIR
from mediabuild.store import places
from mediabuild.store.places import DELIVERED, FOLDERS, GENERATIONS, LOCKS, LOGS, MARKS, SWAP, TMP, UNITS

KEY = r"(?P<key>[A-Za-z_][A-Za-z0-9_-]*(@[^/]+)?)"  # a stage, or a stage and a matrix value
ENDINGS = {
    LOCKS: r"\.lock",
    LOGS: r"\.log",
    MARKS: r"\.(forgotten|ignored|failed)",
    DELIVERED: r"\.json",
    TMP: r"\.[0-9a-f]{8}(\.part)?",  # as `machine.files` names what it makes
    SWAP: r"\.(new|old)",  # as `publish` does
    UNITS: "",
    GENERATIONS: "",
}
NAMES = {folder: re.compile(KEY + ending, re.DOTALL) for folder, ending in ENDINGS.items()}
TRACE = re.compile(r"[0-9a-f]{64}")
HANDED = re.compile(r"input\.[0-9a-f]{8}\.part")


def is_key(text: str) -> bool:
    """Whether a task's key can be this."""
    return re.fullmatch(KEY, text, re.DOTALL) is not None


def leftovers(job_dir: Path) -> dict[str, list[Path]]:
    """The key of a task → what runs of it left behind, or are busy with, in `tmp/` and `swap/`."""
    found: dict[str, list[Path]] = {}
    for folder in (TMP, SWAP):
        for path, key in _ours(job_dir, folder):
            found.setdefault(key, []).append(path)
    return found


def lock_files(job_dir: Path) -> list[Path]:
    """The locks of all tasks of a job."""
    return [path for path, _ in _ours(job_dir, LOCKS)]


def delivered_files(job_dir: Path) -> dict[str, Path]:
    """The key of a task → the record of the copies that were made for it."""
    return {key: path for path, key in _ours(job_dir, DELIVERED)}


def keeping(job_dirs: Iterable[Path]) -> list[Path]:
    """Those of these jobs that keep units or earlier outputs."""
    states = [(one, os.path.join(one, STATE_DIR)) for one in job_dirs]
    return [one for one, state in states if any(os.access(f"{state}/{name}", os.F_OK) for name in (UNITS, GENERATIONS))]


def units_files(job_dir: Path) -> list[Path]:
    """The units of all tasks of a job."""
    return [path for path, _ in _ours(job_dir, UNITS) if stat.S_ISREG(os.lstat(path).st_mode)]


def generation_dirs(job_dir: Path) -> list[Path]:
    """The earlier outputs of all tasks of a job."""
    folders = [path for path, _ in _ours(job_dir, GENERATIONS) if _are_folders([path])]
    found = [folder / name for folder in folders for name in sorted(os.listdir(folder)) if TRACE.fullmatch(name)]
    return [path for path in found if _are_folders([path])]


def failed_marks(job_dir: Path) -> list[Path]:
    """The marks of tasks that failed."""
    return [path for path, _ in _ours(job_dir, MARKS) if path.suffix == ".failed"]


def state_files(job_dir: Path, key: str | None = None) -> list[Path]:
    """All that was made for a job, or for one of its tasks, and is no output; locks come last."""
    folders = [name for name in FOLDERS if name not in (LOCKS, GENERATIONS)]
    found = [path for folder in folders for path, owner in _ours(job_dir, folder) if key in (None, owner)]
    found += [path for path in generation_dirs(job_dir) if key in (None, path.parent.name)]
    return found + [path for path, owner in _ours(job_dir, LOCKS) if key in (None, owner)]


def keys(job_dir: Path) -> set[str]:
    """The keys of the tasks that have any state in a job but a lock: also of those that never got to a manifest."""
    return {key for folder in FOLDERS if folder != LOCKS for _, key in _ours(job_dir, folder)}


def trace_files(jobs_dir: Path) -> list[Path]:
    """The traces of all jobs."""
    top, found = places.traces(jobs_dir), []
    for folder in _listed(top):
        if _are_folders([top / folder]):
            found += [top / folder / name for name in _listed(top / folder) if TRACE.fullmatch(folder + name)]
    return found


def handed_files(jobs_dir: Path) -> list[Path]:
    """The notes on what stages were handed that run, or died."""
    folder = places.handed(jobs_dir)
    return [folder / name for name in _listed(folder, places.state_of(jobs_dir)) if HANDED.fullmatch(name)]


def _ours(job_dir: Path, folder: str) -> Iterable[tuple[Path, str]]:
    """Path and key of what has a name of ours in one of a job's folders; it may be a file, a folder, a link."""
    state = f"{job_dir}/{STATE_DIR}"
    names = _listed(f"{state}/{folder}", job_dir, state)
    matches = ((name, NAMES[folder].fullmatch(name)) for name in names)
    return [(Path(state, folder, name), match["key"]) for name, match in matches if match]


def _listed(place: str | Path, *above: str | Path) -> list[str]:
    """The names in a folder; none where it, or one above it, isn't there or is no folder. Mostly one call."""
    try:
        names = os.listdir(place)
        return sorted(names) if names and _are_folders([*above, place]) else []
    except OSError:
        return []


def _are_folders(paths: Iterable[str | Path]) -> bool:
    return all(stat.S_ISDIR(os.lstat(path).st_mode) for path in paths)
