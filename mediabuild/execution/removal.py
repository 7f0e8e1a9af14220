"""Removes what was made in orphaned jobs and for withdrawn tasks; what a person edited or put there stays, named.

Not here: which those are (`freshness.orphans`).
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from mediabuild.errors import LockBusy
from mediabuild.freshness.orphans import Orphan, Withdrawn
from mediabuild.machine.files import is_straight, remove_empty, remove_file, remove_tree
from mediabuild.machine.lock import locked
from mediabuild.machine.visible import one_line
from mediabuild.pipeline.model import Pipeline
from mediabuild.pipeline.reserved import MANIFEST_NAME, STATE_DIR
from mediabuild.store import inventory, places
from mediabuild.store.delivered import Copies, read_record
from mediabuild.store.digest import Digests
from mediabuild.store.manifest import Manifest, find_manifest
from mediabuild.store.summaries import remove_summaries


class Removal:
    """Removes what was made; what a person edited or put there stays, and is named.

    Args:
        say: receives each line.
        taken: the copies that present tasks deliver, relative to the pipeline.
    """

    def __init__(
        self, pipeline: Pipeline, digests: Digests, taken: Collection[str], say: Callable[[str], None], *, dry: bool
    ) -> None:
        self.pipeline = pipeline
        self.digests = digests
        self.copies = Copies(pipeline, digests)
        self.taken = taken
        self._say = say
        self.dry = dry

    def say(self, line: str) -> None:
        """Say a line, whatever a file that it names is called."""
        self._say(one_line(line))

    def remove(self, orphan: Orphan) -> bool:
        """Remove a job, unless a run is busy with it: whether it is gone, or would be."""
        if not self._is_safe(orphan.job, orphan.directory):
            return False
        with self._held(orphan.job, inventory.lock_files(orphan.directory)) as free:
            if not free:
                return False
            for record in inventory.delivered_files(orphan.directory).values():
                self.remove_copies(orphan.job, record)
            for folder, manifest in _manifests(orphan.directory):
                self.remove_outputs(orphan.job, folder, manifest)
            if self.dry:
                return True
            self._remove_state(orphan.directory)
        remove_summaries(orphan.directory)
        remove_file(places.owner(orphan.directory))  # so late that a removal that is killed can be done again
        remove_empty(orphan.directory)
        with contextlib.suppress(OSError):
            for folder in orphan.directory.parents:
                if folder == self.pipeline.jobs_dir:
                    break
                folder.rmdir()
        return not orphan.directory.exists()

    def withdraw(self, task: Withdrawn, *, copies_only: bool = False) -> None:
        """Remove the copies of a task that is no more, and unless `copies_only` its outputs and state."""
        record = inventory.delivered_files(task.job_dir).get(task.key)
        if (copies_only and record is None) or not self._is_safe(task.name, task.job_dir):
            return
        lock = places.lock_of(task.job_dir, task.key)
        with self._held(task.name, [lock] if os.path.lexists(lock) else []) as free:
            if not free:
                return
            if record is not None:
                self.remove_copies(task.name, record)
                if not self.dry:
                    remove_file(record)
            if copies_only:
                return
            manifest = find_manifest(task.directory) if task.directory else None
            if task.directory is not None and manifest is not None:
                self.remove_outputs(task.name, task.directory, manifest)
            if not self.dry:
                self._remove_state(task.job_dir, task.key)
        if task.directory is not None and not self.dry:
            remove_empty(task.directory)
            with contextlib.suppress(OSError):
                if task.directory.parent != task.job_dir:  # the stage's, of a matrix
                    task.directory.parent.rmdir()

    def _is_safe(self, what: str, job_dir: Path) -> bool:
        """Whether nothing in a job leads elsewhere; else it is named."""
        safe = places.is_safe(job_dir, self.pipeline.jobs_dir)
        if not safe:
            self.say(f"{what} - keeping it: a link is among its folders")
        return safe

    @contextlib.contextmanager
    def _held(self, what: str, locks: Collection[Path]) -> Iterator[bool]:
        """Hold locks: whether nobody is busy with one of them."""
        with contextlib.ExitStack() as held:
            free = True
            for lock in () if self.dry else locks:
                try:
                    held.enter_context(locked(lock, what, wait=False))
                except LockBusy as busy:
                    self.say(f"{what} - keeping it: {busy.message}")
                    free = False
                    break
            yield free

    def remove_copies(self, what: str, record: Path, known: Mapping[str, str] | None = None) -> None:
        """Remove the copies of a record; the caller holds the task.

        Args:
            known: copy → digest, of those that a present task delivers: these are ours whatever the record says.
        """
        made, known = read_record(record), known or {}
        for copy in {**made, **known}:
            file = self.copies.place(copy)
            if file is None or copy in self.taken or not os.path.lexists(file) or copy.endswith("/"):
                continue
            ours = copy in known and self.copies.is_ours(file, [(known[copy], 0)])
            if not ours and not self.copies.is_exactly_ours(file, made.get(copy, ())):
                self.say(f"{what} - keeping '{copy}': {self.copies.why_kept(file, made.get(copy, ()))}")
                continue
            self.say(f"{what} - removing file '{copy}'")
            if not self.dry:
                self._try(functools.partial(self.copies.remove, copy), copy)

    def remove_outputs(self, what: str, directory: Path, manifest: Manifest) -> None:
        """Remove the outputs that a manifest vouches for, and the manifest; the caller holds the task."""
        for path, digest in manifest.output_files().items():
            file, shown = directory / path, os.path.relpath(directory / path, self.pipeline.root)
            if path.endswith("/") or not is_straight(directory, path) or not os.path.lexists(file):
                continue
            if path in manifest.adopted or not self.copies.is_ours(file, [(digest, 0)]):
                why = "adopted" if path in manifest.adopted else "edited"
                self.say(f"{what} - keeping '{shown}': it was {why}")
                continue
            self.say(f"{what} - removing file '{shown}'")
            if not self.dry:
                self._try(functools.partial(remove_file, file), shown)
        if not self.dry:
            self._try(lambda: remove_file(directory / MANIFEST_NAME), os.path.relpath(directory, self.pipeline.root))

    def _remove_state(self, job_dir: Path, key: str | None = None) -> None:
        """Remove what is no output; what has no name of ours stays."""
        for path in inventory.state_files(job_dir, key):
            self._try(functools.partial(remove_tree, path), os.path.relpath(path, self.pipeline.root))

    def _try(self, act: Callable[[], None], shown: str) -> None:
        """Remove something; where that can't be, it is named, and the rest goes all the same."""
        try:
            act()
        except OSError as error:
            self.say(f"keeping '{shown}': {error.strerror or error}")


def _manifests(job_dir: Path) -> Iterator[tuple[Path, Manifest]]:
    """The directories in a job's that have a manifest; jobs in there are left out, and nothing is behind a link."""
    for folder, folders, _ in os.walk(job_dir):
        if folder != str(job_dir) and STATE_DIR in folders:
            folders.clear()  # a job of its own
            continue
        if STATE_DIR in folders:
            folders.remove(STATE_DIR)
        manifest = find_manifest(Path(folder))
        if manifest is not None:
            yield Path(folder), manifest
