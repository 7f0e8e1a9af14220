"""Every path below the jobs directory: named here, made here and checked here, so that nothing leads out of it.

    JOBS/.mediabuild/            of all jobs: events.jsonl, fresh.index, stats.cache, devices.json, slots/, traces/
    JOBS/JOB/STAGE/              outputs and their manifest; with a matrix JOBS/JOB/STAGE/VALUE/
    JOBS/JOB/.mediabuild/        of one job: locks/ logs/ marks/ delivered/ tmp/ swap/ units/ generations/

A jobs directory may come from a stranger. So no link below it is followed, and only regular files are opened
(`machine.regular`): a link, a pipe or a device in the place of one of ours is an error that names it. Temporary files
and directories have names of one pattern, and only such names are ever swept.

Not here: what the files say. Little is imported: the no-op reads this module.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

from mediabuild.errors import StageError
from mediabuild.pipeline.reserved import STATE_DIR

if TYPE_CHECKING:
    from pathlib import Path

    from mediabuild.pipeline.model import Task

LOCKS, LOGS, MARKS, DELIVERED = "locks", "logs", "marks", "delivered"
TMP, SWAP, UNITS, GENERATIONS = "tmp", "swap", "units", "generations"
FOLDERS = (LOCKS, LOGS, MARKS, DELIVERED, TMP, SWAP, UNITS, GENERATIONS)
SWAPPED = r"(?P<key>.+)\.(new|old)\Z"  # as `publish` names what it makes
TEMPORARY = r"(?P<key>.+)\.[a-z0-9_]{8}(\.part)?\Z"  # as `tempfile` names what it makes


# of all jobs


def state_of(folder: Path) -> Path:
    """The directory of all that is no output, in the jobs directory or in a job's."""
    return folder / STATE_DIR


def event_log(jobs_dir: str | Path) -> str:
    """The log of all runs."""
    return os.path.join(jobs_dir, STATE_DIR, "events.jsonl")


def index_file(jobs_dir: str | Path) -> str:
    """The index of fresh jobs."""
    return os.path.join(jobs_dir, STATE_DIR, "fresh.index")


def stat_cache(jobs_dir: Path) -> Path:
    """The digests of files, by their stats."""
    return state_of(jobs_dir) / "stats.cache"


def devices_file(jobs_dir: Path) -> Path:
    """What the probes of devices said."""
    return state_of(jobs_dir) / "devices.json"


def slots(jobs_dir: Path) -> Path:
    """The folder of the slots that running tasks hold."""
    return state_of(jobs_dir) / "slots"


def traces(jobs_dir: Path) -> Path:
    """The folder of the traces: who holds which result."""
    return state_of(jobs_dir) / "traces"


# of one job or task


def lock(task: Task) -> Path:
    """The file that is locked while the task runs."""
    return task.state_dir / LOCKS / f"{task.key}.lock"


def lock_of(job_dir: Path, key: str) -> Path:
    """The same, for a task of which only the key is known."""
    return state_of(job_dir) / LOCKS / f"{key}.lock"


def log(task: Task) -> Path:
    """What the task's program printed."""
    return task.state_dir / LOGS / f"{task.key}.log"


def marks(job_dir: Path) -> Path:
    """The folder of a job's marks."""
    return state_of(job_dir) / MARKS


def settled(job_dir: Path) -> list[Path]:
    """The folders that stay as they are while nothing happens in a job."""
    return [state_of(job_dir) / name for name in (MARKS, TMP, SWAP)]


def mark(task: Task, kind: str) -> Path:
    """A mark of a task: `forgotten`, `ignored`, `failed`."""
    return task.state_dir / MARKS / f"{task.key}.{kind}"


def delivered(task: Task) -> Path:
    """The record of the copies that were made of the task's outputs."""
    return task.state_dir / DELIVERED / f"{task.key}.json"


def swap(task: Task) -> Path:
    """Where the earlier directory waits while the new one takes its place in two steps."""
    return task.state_dir / SWAP / task.key


def units(task: Task) -> Path:
    """The file of the task's units."""
    return task.state_dir / UNITS / task.key


def generations(task: Task) -> Path:
    """The folder of the task's earlier outputs."""
    return task.state_dir / GENERATIONS / task.key


def part(task: Task) -> Path:
    """What the name of a temporary file of the task begins with, for a file that is written whole by rename."""
    folder = task.state_dir / TMP
    folder.mkdir(parents=True, exist_ok=True)
    return folder / task.key


def make_temporary(task: Task) -> Path:
    """A new directory for the outputs of a run, on the file system of the task's directory.

    Raises:
        OSError: it can't be made.
    """
    import tempfile  # only here: the no-op reads this module

    folder = task.state_dir / TMP
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / os.path.basename(tempfile.mkdtemp(prefix=f"{task.key}.", dir=folder))
    made.chmod(0o755)
    return made


def leftovers(job_dir: Path) -> dict[str, list[Path]]:
    """The key of a task → what runs of it left behind, or are busy with, in `tmp/` and `swap/`."""
    found: dict[str, list[Path]] = {}
    for folder, pattern in ((TMP, TEMPORARY), (SWAP, SWAPPED)):
        for name in _names(job_dir, folder):
            match = re.match(pattern, name, re.DOTALL)
            if match:
                found.setdefault(match["key"], []).append(state_of(job_dir) / folder / name)
    return found


def _names(job_dir: Path, folder: str) -> list[str]:
    """What lies in one of a job's folders, asked by one call; nothing where it isn't there, or is no folder of ours."""
    path = f"{job_dir}/{STATE_DIR}/{folder}"
    try:
        names = os.listdir(path)
    except OSError:
        return []
    return [] if os.path.islink(path) or os.path.islink(f"{job_dir}/{STATE_DIR}") else names


def lock_files(job_dir: Path) -> list[Path]:
    """The locks of all tasks of a job."""
    return [path for path in _listed(job_dir, LOCKS) if path.suffix == ".lock"]


def delivered_files(job_dir: Path) -> list[Path]:
    """The records of the copies that were made for a job."""
    return [path for path in _listed(job_dir, DELIVERED) if path.suffix == ".json"]


def units_files(job_dir: Path) -> list[Path]:
    """The units of all tasks of a job."""
    return [path for path in _listed(job_dir, UNITS) if not path.is_symlink()]


def generation_dirs(job_dir: Path) -> list[Path]:
    """The earlier outputs of all tasks of a job."""
    found = []
    for task_dir in _listed(job_dir, GENERATIONS):
        if not task_dir.is_symlink() and task_dir.is_dir():
            found += [path for path in sorted(task_dir.iterdir()) if path.is_dir() and not path.is_symlink()]
    return found


def failed_marks(job_dir: Path) -> list[Path]:
    """The marks of tasks that failed."""
    return [path for path in _listed(job_dir, MARKS) if path.suffix == ".failed"]


def _listed(job_dir: Path, folder: str) -> list[Path]:
    return [state_of(job_dir) / folder / name for name in sorted(_names(job_dir, folder))]


# safely


def check(task: Task) -> None:
    """Refuse a link or a file in the place of a directory of ours, from the jobs directory down.

    Raises:
        StageError: names it, and what to type.
    """
    for folder in _own_folders(task):
        try:
            mode = os.lstat(folder).st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        if stat.S_ISLNK(mode):
            raise StageError(f"{folder}: is a link; it must be a directory", f"rm {folder}")
        if not stat.S_ISDIR(mode):
            raise StageError(f"{folder}: is a file; it must be a directory", f"mv {folder} {folder}.mine")


def _own_folders(task: Task) -> list[Path]:
    """The folders of a task from below the jobs directory on: of its job, of its state, and its own."""
    job_dir, above = task.job_dir, []
    for part in reversed(task.job.split("/")):
        if job_dir.name != part:  # `--job-dir`: the user said where
            break
        above.append(job_dir)
        job_dir = job_dir.parent
    stage_dirs = [task.directory.parent, task.directory] if task.value else [task.directory]
    return [*reversed(above or [task.job_dir]), task.state_dir, *(task.state_dir / n for n in FOLDERS), *stage_dirs]
