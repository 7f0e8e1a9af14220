"""Jobs whose recording is gone: which they are, and their removal, which only `clean --orphans` does.

A recording that can't be seen isn't gone: where the folder of a glob holds nothing that matches (a drive
that isn't mounted), or can't be read, no job is called orphaned.

Not here: jobs that have their recording (`graph`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from mediabuild.delivery import read_record
from mediabuild.digest import Digests
from mediabuild.errors import LockBusy
from mediabuild.graph import matching, recorded_source
from mediabuild.lock import locked
from mediabuild.manifest import find_manifest
from mediabuild.model import ALL_JOBS, MANIFEST_NAME, STATE_DIR, Pipeline
from mediabuild.names import expand_braces, fixed_part


@dataclass(frozen=True)
class Orphan:
    """A job's directory, and the recording that it was made from, as the job's summary names it."""

    job: str
    directory: Path
    source: str


def find_orphans(pipeline: Pipeline, jobs: Collection[str]) -> list[Orphan]:
    """The jobs that have a directory and no recording any more, sorted by name.

    Args:
        jobs: those that have one.
    """
    left = [(job, folder) for job, folder in _job_dirs(pipeline) if job not in jobs]
    if not left or unseen(pipeline):
        return []
    named = [(job, folder, recorded_source(folder, job)) for job, folder in left]
    found = [Orphan(job, folder, source.pattern) for job, folder, source in named if source]
    return sorted((orphan for orphan in found if _is_gone(pipeline, orphan.source)), key=lambda orphan: orphan.job)


def unseen(pipeline: Pipeline) -> list[str]:
    """The globs that match nothing, one for each brace set's choice: are their recordings gone, or out of sight?"""
    choices = [choice for pattern in pipeline.sources if pattern[0] != "!" for choice in expand_braces(pattern)]
    folders: dict[str, list[str]] = {}  # several suffixes in one folder are one place
    for choice in choices:
        folders.setdefault(fixed_part(choice), []).append(choice)
    return [group[0] for group in folders.values() if not any(matching(pipeline, choice) for choice in group)]


def _job_dirs(pipeline: Pipeline) -> list[tuple[str, Path]]:
    """Every job's name and directory, as far as they have a summary; jobs may lie in folders, and in jobs."""
    found, waiting = [], [""]
    while waiting:
        above = waiting.pop()
        with contextlib.suppress(OSError), os.scandir(pipeline.jobs_dir / above) as entries:
            for entry in entries:
                job = os.path.join(above, entry.name)
                stage = entry.name.removesuffix(".edited") in pipeline.stages and above
                if entry.name in (STATE_DIR, ALL_JOBS) or stage or not entry.is_dir(follow_symlinks=False):
                    continue
                waiting.append(job)
                if os.path.isdir(os.path.join(entry.path, STATE_DIR)):
                    found.append((job, Path(entry.path)))
    return found


def _is_gone(pipeline: Pipeline, source: str) -> bool:
    """Whether a recording isn't there, and the nearest folder above it that is there can be looked at."""
    path = pipeline.root / source
    if os.path.lexists(path):
        return False
    try:
        os.listdir(next(folder for folder in path.parents if folder.exists()))
    except (OSError, StopIteration):
        return False
    return True


class Removal:
    """Removes what was made in orphaned jobs; what a person edited or put there stays, and is named.

    Args:
        say: receives each line.
        taken: the copies that present jobs deliver, relative to the pipeline.
    """

    def __init__(
        self, pipeline: Pipeline, digests: Digests, taken: Collection[str], say: Callable[[str], None], *, dry: bool
    ) -> None:
        self.pipeline = pipeline
        self.digests = digests
        self.taken = taken
        self.say = say
        self.dry = dry

    def remove(self, orphan: Orphan) -> None:
        """Remove a job, unless a run is busy with it."""
        state_dir = orphan.directory / STATE_DIR
        with contextlib.ExitStack() as held:
            for lock in sorted((state_dir / "locks").glob("*.lock")) if not self.dry else ():
                try:
                    held.enter_context(locked(lock, orphan.job, wait=False))
                except LockBusy as busy:
                    self.say(f"{orphan.job} - keeping it: {busy.message}")
                    return
            self._remove_copies(orphan, state_dir)
            self._remove_outputs(orphan)
        if self.dry:
            return
        shutil.rmtree(state_dir, ignore_errors=True)
        for name in (MANIFEST_NAME, "job.toml"):
            (orphan.directory / name).unlink(missing_ok=True)
        _remove_empty(orphan.directory)
        with contextlib.suppress(OSError):
            for folder in orphan.directory.parents:
                if folder == self.pipeline.jobs_dir:
                    break
                folder.rmdir()

    def _remove_copies(self, orphan: Orphan, state_dir: Path) -> None:
        root = os.path.realpath(self.pipeline.root)
        for record in sorted((state_dir / "delivered").glob("*.json")):
            for copy, digest in read_record(record).items():
                path = self.pipeline.root / copy
                inside = os.path.realpath(path).startswith(os.path.join(root, ""))
                if inside and copy not in self.taken:
                    self._remove_files(orphan, {path: digest})

    def _remove_outputs(self, orphan: Orphan) -> None:
        for folder, folders, _ in os.walk(orphan.directory):
            if folder != str(orphan.directory) and STATE_DIR in folders:
                folders.clear()  # a job of its own
                continue
            if STATE_DIR in folders:
                folders.remove(STATE_DIR)
            manifest = find_manifest(Path(folder))
            if manifest is None:
                continue
            made = {path: digest for path, digest in manifest.output_files().items() if not path.endswith("/")}
            files = {Path(folder, path): "" if path in manifest.adopted else d for path, d in made.items()}
            self._remove_files(orphan, files)
            if not self.dry:
                Path(folder, MANIFEST_NAME).unlink(missing_ok=True)

    def _remove_files(self, orphan: Orphan, files: Mapping[Path, str]) -> None:
        """Files that still hold what was made; a digest that is empty is a person's."""
        for file, digest in files.items():
            shown = os.path.relpath(file, self.pipeline.root)
            try:
                same = digest != "" and self.digests.file(file, digest.partition(":")[0]) == digest
            except OSError:
                continue
            if not same:
                self.say(f"{orphan.job} - keeping '{shown}': it was {'edited' if digest else 'adopted'}")
                continue
            self.say(f"{orphan.job} - removing file '{shown}'")
            if not self.dry:
                file.unlink(missing_ok=True)


def _remove_empty(directory: Path) -> None:
    for folder, _, _ in sorted(os.walk(directory), reverse=True):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
