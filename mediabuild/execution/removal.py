"""Removing what was made in an orphaned job; what a person edited or put there stays, and is named.

Not here: which jobs are orphaned (`freshness.orphans`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from mediabuild.errors import LockBusy
from mediabuild.execution.delivery import read_record
from mediabuild.freshness.orphans import Orphan
from mediabuild.machine.files import remove_empty
from mediabuild.machine.lock import locked
from mediabuild.pipeline.model import Pipeline
from mediabuild.pipeline.reserved import MANIFEST_NAME, STATE_DIR
from mediabuild.store import places
from mediabuild.store.digest import Digests
from mediabuild.store.manifest import find_manifest
from mediabuild.store.summaries import remove_summaries


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
        locks = [] if self.dry else places.lock_files(orphan.directory)
        with contextlib.ExitStack() as held:
            for lock in locks:
                try:
                    held.enter_context(locked(lock, orphan.job, wait=False))
                except LockBusy as busy:
                    self.say(f"{orphan.job} - keeping it: {busy.message}")
                    return
            self._remove_copies(orphan)
            self._remove_outputs(orphan)
        if self.dry:
            return
        shutil.rmtree(places.state_of(orphan.directory), ignore_errors=True)
        remove_summaries(orphan.directory)
        remove_empty(orphan.directory)
        with contextlib.suppress(OSError):
            for folder in orphan.directory.parents:
                if folder == self.pipeline.jobs_dir:
                    break
                folder.rmdir()

    def _remove_copies(self, orphan: Orphan) -> None:
        root = os.path.realpath(self.pipeline.root)
        for record in places.delivered_files(orphan.directory):
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
