"""Cleans up after a stage that has ended, and after a run that was killed, and nothing of the user's goes with it.

What was an input and lies in the stage's temporary directory goes back to its place. Then that directory goes, and an
exchange that was cut short is completed or undone. A note tells the next run what a stage was handed. It may come from
a stranger: so a file is only put where the pipeline reads one, and else beside the stage's directory.

Only names of one strict pattern are ever touched (`store.inventory`).

Not here: the exchange (`store.publish`).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from mediabuild.errors import LockBusy, MediabuildError, StageError
from mediabuild.machine import regular
from mediabuild.machine.files import move, new_file, remove_tree, unused_name
from mediabuild.machine.lock import locked
from mediabuild.pipeline.model import Pipeline, Task
from mediabuild.pipeline.paths import reads
from mediabuild.store import inventory, owners, places
from mediabuild.store.holding import holding
from mediabuild.store.publish import part_of, recover
from mediabuild.store.sight import Identity, found_again, identities

MOST_HELD = 200  # files that are open at a time are limited
HINT = "let the stage copy it (cp instead of mv), and write below its own outputs only"


class Note(msgspec.Struct, array_like=True):
    """What a running stage was handed: the job's directory, the task's key, the temporary directory's name, inputs."""

    job_dir: bytes
    key: str
    out: bytes
    files: dict[bytes, Identity]


def sweep(pipeline: Pipeline, tasks: Iterable[Task]) -> None:
    """Finish or undo what dead runs left of these tasks; what a live run is busy with is locked, and left alone."""
    by_job: dict[Path, dict[str, Task]] = {}
    for task in tasks:
        by_job.setdefault(task.job_dir, {})[task.key] = task
    for job_dir, known in by_job.items():
        keys = inventory.leftovers(job_dir).keys() & known.keys()
        for key in keys if keys and owners.may_touch(pipeline, job_dir) else ():
            with contextlib.suppress(OSError, LockBusy, MediabuildError), holding(known[key]):
                recover(known[key].directory, places.swap(known[key]))
                sweep_dead(pipeline, known[key])


def sweep_dead(pipeline: Pipeline, task: Task) -> None:
    """Remove what dead runs of a task left; its lock is held, so they are dead."""
    leftovers = inventory.leftovers(task.job_dir).get(task.key, ())
    for file, note in _notes(pipeline.jobs_dir) if leftovers else ():
        if (os.fsdecode(note.job_dir), note.key) == (str(task.job_dir), task.key):
            _give_back(pipeline, task.job, file, note)
    for leftover in leftovers:
        with contextlib.suppress(OSError):
            remove_tree(leftover)


def give_back(pipeline: Pipeline) -> list[str]:
    """Put inputs back that stages of dead runs had moved: before jobs are looked for, which may be named after them.

    Returns:
        What there is to say of it, a line each.
    """
    said = []
    for file, note in _notes(pipeline.jobs_dir):
        job_dir = Path(os.fsdecode(note.job_dir))
        job = os.path.relpath(job_dir, pipeline.jobs_dir)
        if job.startswith("..") or str(pipeline.jobs_dir / job) != str(job_dir):
            continue
        if not (inventory.is_key(note.key) and owners.may_touch(pipeline, job_dir)):
            continue
        if not job_dir.is_dir():
            file.unlink(missing_ok=True)
            continue
        with contextlib.suppress(OSError, LockBusy), locked(places.lock_of(job_dir, note.key), note.key, wait=False):
            said += _give_back(pipeline, job, file, note)
    return said


@contextlib.contextmanager
def watching(pipeline: Pipeline, task: Task, inputs: Mapping[str, Mapping[str, Path]], out: Path) -> Iterator[None]:
    """While a stage runs, note what it was handed; afterwards put back what it moved to its temporary directory.

    Args:
        inputs: input name → (key → path).

    Raises:
        StageError: it moved an input, made a hard link of it, or one is gone; or as it failed itself.
    """
    handed = [str(path) for files in inputs.values() for path in files.values()]
    files = identities(handed)
    note = Note(os.fsencode(task.job_dir), task.key, os.fsencode(out.name), _as_bytes(files))
    places.handed(pipeline.jobs_dir).mkdir(parents=True, exist_ok=True)
    number, file = new_file(places.handed(pipeline.jobs_dir) / "input")
    failure: StageError | None = None
    try:
        with open(number, "wb") as writing:
            writing.write(msgspec.msgpack.encode(note))
        with _held(handed) as held:
            try:
                yield
            except StageError as error:
                failure = error
            finally:
                moved = _put_back(files, out, places.edited(task), held, lambda path: True)
        trouble = _trouble(pipeline, moved, [path for path in handed if path in files], files, out)
        if trouble is not None:
            raise StageError(f"{trouble}\n{failure.message}" if failure else trouble, HINT) from failure
        if failure is not None:
            raise failure
    finally:
        file.unlink(missing_ok=True)


@contextlib.contextmanager
def _held(paths: Iterable[str]) -> Iterator[set[str]]:
    """Keep files and folders, so that what becomes of them is known by their inodes; which ones could be kept."""
    with contextlib.ExitStack() as opened:
        held = set()
        for path in itertools.islice(paths, MOST_HELD if hasattr(os, "O_PATH") else 0):
            with contextlib.suppress(OSError):
                opened.callback(os.close, os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC))
                held.add(path)
        yield held


def _trouble(
    pipeline: Pipeline, moved: dict[str, str], handed: list[str], files: dict[str, Identity], out: Path
) -> str | None:
    """What a stage did to its inputs that it must not do."""
    for path, now in moved.items():
        return f"{_shown(pipeline, path)}: is an input, and {_where(pipeline, path, now)}"
    for path in handed:
        if not os.path.lexists(path) and not Path(path).is_relative_to(pipeline.jobs_dir):
            return f"{_shown(pipeline, path)}: is an input, and is gone; a stage must neither move nor delete it"
    by_inode = {identity[:3]: path for path, identity in identities([out], follow=False).items()}
    for path, identity in identities(files, follow=False).items():
        if identity[:3] in by_inode:
            inside = os.path.relpath(by_inode[identity[:3]], out)
            return f"output {inside}: is a hard link of {_shown(pipeline, path)}: who edits one edits both"
    return None


def _shown(pipeline: Pipeline, path: str) -> str:
    return os.path.relpath(path, pipeline.root) if Path(path).is_relative_to(pipeline.root) else path


def _where(pipeline: Pipeline, path: str, now: str) -> str:
    return "the stage moved it; it is " + ("back in its place" if now == path else f"kept: {_shown(pipeline, now)}")


def _notes(jobs_dir: Path) -> Iterator[tuple[Path, Note]]:
    """The notes of runs that are busy or dead; one that can't be read is none."""
    for file in inventory.handed_files(jobs_dir):
        with contextlib.suppress(OSError, msgspec.DecodeError):
            yield file, msgspec.msgpack.decode(regular.read_bytes(file), type=Note)


def _give_back(pipeline: Pipeline, job: str, file: Path, note: Note) -> list[str]:
    """Put back what a dead stage had moved; the lock of its task is held.

    Returns:
        A line for each.
    """
    job_dir = Path(os.fsdecode(note.job_dir))
    stage, _, value = note.key.partition("@")
    aside = job_dir / f"{stage}{places.EDITED}" / value
    out = places.state_of(job_dir) / places.TMP / os.fsdecode(note.out)
    said = []
    if out in inventory.leftovers(job_dir).get(note.key, ()) and not (aside.is_symlink() or aside.parent.is_symlink()):
        files = {os.fsdecode(path): identity for path, identity in note.files.items()}
        moved = _put_back(
            files, out, aside, (), lambda path: reads(pipeline, job, path) and _is_same_disk(path, files[path])
        )
        said = [f"{_shown(pipeline, path)}: {_where(pipeline, path, now)}" for path, now in moved.items()]
    file.unlink(missing_ok=True)
    return said


def _is_same_disk(path: str, known: Identity) -> bool:
    """Whether a path is where it was: its disk may not be mounted now."""
    return os.stat(next(folder for folder in Path(path).parents if folder.exists())).st_dev == known[1]


def _put_back(
    files: dict[str, Identity], out: Path, aside: Path, held: Collection[str], may_be_made: Callable[[str], bool]
) -> dict[str, str]:
    """Put inputs that lie in a temporary directory back to their places, where nothing else is there now.

    Args:
        aside: a folder on the same disk, for what can't go back.
        held: the inputs whose inodes nobody else can have got.
        may_be_made: whether a path may be made at all.

    Returns:
        Input → where it is now.
    """
    present = identities(files, follow=False)
    gone = [path for path in sorted(files) if present.get(path, ())[:3] != files[path][:3]]  # folders come first
    among = identities([out], follow=False) if gone else {}
    moved: dict[str, str] = {}
    for path in gone:
        found = found_again(files[path], among, held=path in held, gone=path not in present)
        if found is None or not os.path.lexists(found) or (path not in present and os.path.lexists(path)):
            continue
        moved[path] = path
        try:
            if path in present or not may_be_made(path):
                raise PermissionError
            os.makedirs(os.path.dirname(path), exist_ok=True)
            _move(found, path)
        except OSError:
            moved[path] = str(unused_name(aside / os.path.basename(path)))
            move(Path(found), Path(moved[path]))
    return moved


def _move(found: str, path: str) -> None:
    """Rename; to another disk by a copy, whole or not at all."""
    try:
        os.rename(found, path)
    except OSError:
        part = part_of(Path(path))
        if os.path.isdir(found):
            raise
        shutil.copy2(found, part, follow_symlinks=False)
        os.rename(part, path)
        os.unlink(found)


def _as_bytes(files: dict[str, Identity]) -> dict[bytes, Identity]:
    return {os.fsencode(path): identity for path, identity in files.items()}
