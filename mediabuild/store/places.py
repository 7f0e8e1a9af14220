"""Every path below the jobs directory: named here, made here and checked here, so that nothing leads out of it.

    JOBS/.mediabuild/            of all jobs: events.jsonl, fresh.index, stats.cache, devices.json, slots/, traces/,
                                 handed/
    JOBS/JOB/STAGE/              outputs and their manifest; with a matrix JOBS/JOB/STAGE/VALUE/
    JOBS/JOB/STAGE.edited/       what a person had edited there; no stage and no job can have such a directory
    JOBS/JOB/.mediabuild/        of one job: locks/ logs/ marks/ delivered/ tmp/ swap/ units/ generations/

A jobs directory may come from a stranger. So no link below it is followed, and only regular files are opened
(`machine.regular`): a link, a pipe or a device in the place of one of ours is an error that names it. What is ours
has names of one pattern (`inventory`), and only such names are ever swept.

Not here: what lies there (`inventory`), and what the files say. Little is imported: the no-op reads this module.
"""

from __future__ import annotations

import os
import stat

from mediabuild.errors import StageError
from mediabuild.pipeline.reserved import STATE_DIR

TYPE_CHECKING = False  # not from typing, which takes a while: the no-op reads this module
if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mediabuild.pipeline.model import Task

LOCKS, LOGS, MARKS, DELIVERED = "locks", "logs", "marks", "delivered"
TMP, SWAP, UNITS, GENERATIONS = "tmp", "swap", "units", "generations"
FOLDERS = (LOCKS, LOGS, MARKS, DELIVERED, TMP, SWAP, UNITS, GENERATIONS)
SLOTS, TRACES, HANDED = "slots", "traces", "handed"
EDITED = ".edited"  # no stage's name has a dot


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


def told(jobs_dir: Path) -> Path:
    """What was said to be read by nothing, which is said once."""
    return state_of(jobs_dir) / "told"


def devices_file(jobs_dir: Path) -> Path:
    """What the probes of devices said."""
    return state_of(jobs_dir) / "devices.json"


def slots(jobs_dir: Path) -> Path:
    """The folder of the slots that running tasks hold."""
    return state_of(jobs_dir) / SLOTS


def traces(jobs_dir: Path) -> Path:
    """The folder of the traces: who holds which result."""
    return state_of(jobs_dir) / TRACES


def handed(jobs_dir: Path) -> Path:
    """The folder of the notes on what running stages were handed."""
    return state_of(jobs_dir) / HANDED


# of one job or task


def lock(task: Task) -> Path:
    """The file that is locked while the task runs."""
    return task.state_dir / LOCKS / f"{task.key}.lock"


def lock_of(job_dir: Path, key: str) -> Path:
    """The same, of a task of which only the key is known."""
    return state_of(job_dir) / LOCKS / f"{key}.lock"


def owner(job_dir: Path) -> Path:
    """The file that names the pipeline which the job belongs to."""
    return state_of(job_dir) / "pipeline"


def log(task: Task) -> Path:
    """What the task's program printed."""
    return task.state_dir / LOGS / f"{task.key}.log"


def marks(job_dir: Path) -> Path:
    """The folder of a job's marks."""
    return state_of(job_dir) / MARKS


def settled(job_dir: Path) -> list[Path]:
    """The folders that stay as they are, with all they hold, while nothing happens in a job; they lie in its state."""
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


def edited(task: Task) -> Path:
    """Where outputs go that a person had edited."""
    aside = task.job_dir / f"{task.stage.name}{EDITED}"
    return aside / task.value if task.value else aside


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
    from mediabuild.machine.files import new_directory  # only here: the no-op reads this module

    return new_directory(part(task))


# safely


def check(task: Task) -> None:
    """Refuse a link or a file in the place of a directory of ours, from the jobs directory down.

    Raises:
        StageError: names it, and what to type.
    """
    _refuse_others(_own_folders(task))


def check_shared(jobs_dir: Path) -> None:
    """The same of what belongs to all jobs.

    Raises:
        StageError: names it, and what to type.
    """
    _refuse_others([state_of(jobs_dir), slots(jobs_dir), handed(jobs_dir)])
    if traces(jobs_dir).is_symlink():  # a file there does no harm: traces are derived, and nobody needs them
        _refuse_others([traces(jobs_dir)])


def is_safe(job_dir: Path, jobs_dir: Path) -> bool:
    """Whether no folder from the jobs directory down to those of a job's state is a link or anything else."""
    whole, top = os.fspath(job_dir), os.path.join(jobs_dir, "")  # text, since a run may ask for each of 1,000 jobs
    state = os.path.join(whole, STATE_DIR)
    below = whole.startswith(top)  # unless the user said where, with `--job-dir`
    above = [whole[: place + len(top)] for place, sign in enumerate(whole[len(top) :]) if below and sign == "/"]
    try:
        _refuse_others([*above, whole, state])
        with os.scandir(state) as entries:
            return all(entry.is_dir(follow_symlinks=False) for entry in entries if entry.name in FOLDERS)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (StageError, OSError):
        return False


def _refuse_others(folders: Iterable[Path | str]) -> None:
    """Refuse what is no directory; what isn't there may be made."""
    for folder in folders:
        try:
            mode = os.lstat(folder).st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:  # a name that is too long, a folder that may not be looked into
            raise StageError(f"{folder}: {error.strerror}") from None
        import shlex  # only here: the no-op reads this module

        quoted = shlex.quote(os.fspath(folder))
        if stat.S_ISLNK(mode):
            raise StageError(f"{folder}: is a link; it must be a directory", f"rm {quoted}")
        if not stat.S_ISDIR(mode):
            raise StageError(f"{folder}: is a file; it must be a directory", f"mv {quoted} {quoted}.mine")


def _own_folders(task: Task) -> list[Path]:
    """The folders of a task from below the jobs directory on: of its job, of its state, and its own."""
    job_dir, above = task.job_dir, []
    for name in reversed(task.job.split("/")):
        if job_dir.name != name:  # `--job-dir`: the user said where
            break
        above.append(job_dir)
        job_dir = job_dir.parent
    state = [task.state_dir, *(task.state_dir / name for name in FOLDERS), generations(task)]
    own = [task.directory.parent, task.directory] if task.value else [task.directory]
    aside = [edited(task).parent, edited(task)] if task.value else [edited(task)]
    return [*reversed(above or [task.job_dir]), *state, *own, *aside]
