"""Makes copies of outputs where people look: anew when they are missing or old, and never over an edit.

Not here: the names of the copies (`pipeline.deliveries`), the record of them (`store.delivered`).
"""

from __future__ import annotations

import errno
import functools
import os
import stat
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from mediabuild.errors import StageError
from mediabuild.freshness.look import Freshness
from mediabuild.freshness.presence import copies_there
from mediabuild.freshness.rebuilder import COPY_TROUBLES
from mediabuild.machine.files import fitting, move, unused_name
from mediabuild.machine.here import quoted, seen
from mediabuild.pipeline.deliveries import clash, deliveries
from mediabuild.pipeline.model import Given, Reason, Task
from mediabuild.pipeline.per_job.inputs import task_name
from mediabuild.reporting.events import Event, StageWarning
from mediabuild.store import inventory, places
from mediabuild.store.delivered import NO_TIME, Copies, Made, Version, read_record, write_record
from mediabuild.store.facts import is_executable
from mediabuild.store.manifest import Manifest, find_manifest
from mediabuild.store.publish import deliver

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
HINT = 'deliver = "out/{job}"; a key of the matrix tells copies apart, a directory is delivered whole'


class Delivery:
    """Makes the copies that `deliver` asks for.

    Args:
        freshness: with all tasks and sources: no copy may take the place of what is read.
        job_dirs: of all jobs: what one of them delivers is no person's edit.
        emit: receives events.
    """

    def __init__(self, freshness: Freshness, job_dirs: Sequence[Path], emit: Callable[[Event], None]) -> None:
        self.emit = emit
        self.pipeline = freshness.pipeline
        self.digests = freshness.digests
        self.tasks = freshness.tasks
        self.sources = freshness.sources
        self.left_out = freshness.left_out
        self.copies = Copies(self.pipeline, freshness.digests)
        self.job_dirs = job_dirs
        self.root = self.pipeline.root
        self._claims: dict[str, str] = {}  # copy → the task that delivers it in this run
        self._lock = threading.Lock()

    def bring(self, task: Task, manifest: Manifest) -> tuple[list[str], dict[Path, Path]]:
        """Bring a task's copies up to date; the caller holds its lock.

        Returns:
            The copies that were made, relative to the pipeline; where edited ones are now → where they were.

        Raises:
            StageError: a copy would leave the project, take a source's place or another copy's.
            OSError: the disk is full.
        """
        record, files = places.delivered(task), manifest.copied_files()
        made, wanted = read_record(record), deliveries(self.pipeline, task, files)
        if not (made or wanted):
            return [], {}
        before = dict(made)
        targets = self._targets(task, files, wanted)
        self._remove_old(task, made, wanted)
        actual = copies_there(self.pipeline, self.digests, task, manifest)
        waiting: dict[str, str] = {}
        kept: dict[Path, Path] = {}
        for copy, target in targets.items():
            digest = files[wanted[copy]]
            if actual[copy] != digest:
                waiting[copy] = digest
                ours = not actual[copy] or self._is_ours(task, copy, target, made.get(copy, ()))
                if not ours and not self.copies.is_ours(target, [(digest, 0)]):  # the same but for its mode
                    kept[_set_aside(target)] = target
            elif not copy.endswith("/") and all(
                known != digest or time == NO_TIME for known, time in made.get(copy, ())
            ):
                self._is_ours(task, copy, target, ())
                made[copy] = [(digest, target.stat().st_mtime_ns)]
        self._make(task, {copy: task.directory / wanted[copy] for copy in waiting}, waiting, made)
        if made != before:
            write_record(record, made, places.part(task))
        return list(waiting), kept

    def edited(self, task: Task, manifest: Manifest) -> dict[Path, str]:
        """Copy → output, of the copies that a person has edited since they were delivered; the caller holds the lock.

        Raises:
            StageError: something else than a file lies in a copy's place; another task delivers it.
        """
        made, files = read_record(places.delivered(task)), manifest.copied_files()
        wanted = {copy: output for copy, output in deliveries(self.pipeline, task, files).items() if copy in made}
        actual = copies_there(self.pipeline, self.digests, task, manifest) if wanted else {}
        found: dict[Path, str] = {}
        for copy, output in wanted.items():
            target = self.copies.place(copy)
            if target is None or copy.endswith("/") or not os.path.lexists(target) or actual[copy] == files[output]:
                continue
            if self._is_ours(task, copy, target, [*made[copy], (files[output], 0)]):
                continue
            if not stat.S_ISREG(os.lstat(target).st_mode):
                raise StageError(f"{copy}: is no regular file")
            found[target] = output
        return found

    def _make(self, task: Task, sources: Mapping[str, Path], digests: Mapping[str, str], made: Made) -> None:
        """Make copies; each is announced before."""
        files = [copy for copy in sources if not copy.endswith("/")]
        now = time.time_ns()
        for copy in files:
            made[copy] = [*made.get(copy, []), (digests[copy], now)]
        if files:
            write_record(places.delivered(task), made, places.part(task))
        for copy, source in sources.items():
            target = self.root / copy
            try:
                if copy.endswith("/"):
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                deliver(source, target, executable=is_executable(digests[copy]), mtime_ns=now)
            except OSError as error:
                if error.errno in NO_ROOM:
                    raise
                where = f"[stages.{task.stage.name}], a folder that can be written and takes such names"
                raise StageError(f"{copy}: {error.strerror or error}", f'deliver = "…" under {where}') from None
            made[copy] = [(digests[copy], target.stat().st_mtime_ns)]  # as exactly as the file system has it

    def _targets(self, task: Task, files: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, Path]:
        """Copy → where it goes; refuses those that would leave the project, or take another's place."""
        where = f"stages.{task.stage.name}.deliver"
        trouble = clash(self.pipeline, task, files)
        if trouble:
            raise StageError(f"{where}: {trouble[1]}", HINT)
        found = {}
        for copy in wanted:
            target = self.copies.place(copy)
            if target is None:
                raise StageError(f"{where}: {self.root / copy} leads outside the project, or into the jobs directory")
            if os.path.realpath(target) in self._taken:
                raise StageError(f"{where}: {target} is a source, or read by a stage", 'deliver = "out/{job}"')
            with self._lock:
                owner = self._claims.setdefault(copy, task.name)
            if owner != task.name:
                raise StageError(f"{where}: {owner} delivers {copy}, too", HINT)
            found[copy] = target
        return found

    def _remove_old(self, task: Task, made: Made, wanted: Mapping[str, str]) -> None:
        """Remove copies of outputs that the stage makes no more, where nobody edited them; who stays is named."""
        for copy in [copy for copy in made if copy not in wanted]:
            place, versions = self.copies.place(copy), made.pop(copy)
            if place is None or copy.endswith("/") or not os.path.lexists(place):
                continue
            if self.copies.is_exactly_ours(place, versions):
                self.copies.remove(copy)
            else:
                message = f"{copy} is made no more, and is kept: {self.copies.why_kept(place, versions)}"
                self.emit(StageWarning(task=task.name, message=message, hint=quoted("rm", seen(place))))

    def _is_ours(self, task: Task, copy: str, target: Path, made: Iterable[Version]) -> bool:
        """Whether what lies in a copy's place was delivered there: for this task, or for one that is no more.

        Raises:
            StageError: another task delivers it.
        """
        if self.copies.is_ours(target, made):
            return True
        for job_dir in self.job_dirs:
            for key, record in inventory.delivered_files(job_dir).items():
                versions = read_record(record).get(copy) if (job_dir, key) != (task.job_dir, task.key) else None
                if versions and self.copies.is_ours(target, versions):
                    if self._is_wanted(job_dir, key, copy):
                        raise StageError(f"stages.{task.stage.name}.deliver: {copy} is there, from {key} of "
                                         f"{os.path.relpath(job_dir, self.pipeline.jobs_dir)}", HINT)  # fmt: skip
                    return True
        return False

    def _is_wanted(self, job_dir: Path, key: str, copy: str) -> bool:
        """Whether a task of the pipeline still delivers a copy."""
        owner = next((task for task in self.tasks.values() if task.job_dir == job_dir and task.key == key), None)
        if owner is None:  # its job is all fresh, or there is no such task any more
            stage, _, value = key.partition("@")
            return task_name(stage, os.path.relpath(job_dir, self.pipeline.jobs_dir), value) in self.left_out
        manifest = find_manifest(owner.directory)
        return manifest is not None and copy in deliveries(self.pipeline, owner, manifest.copied_files())

    @functools.cached_property
    def _taken(self) -> set[str]:
        """The real paths of what the tasks read by its path, sources among them, and of the pipeline's own files."""
        given = (r for task in self.tasks.values() for refs in task.inputs.values() for r in refs)
        paths = {r.pattern for r in (*self.sources, *given) if isinstance(r, Given) and not r.globs}
        own = {os.fspath(spec.file) for spec in self.pipeline.stages.values() if spec.file}
        return {os.path.realpath(self.root / path) for path in paths | own | {os.fspath(self.pipeline.file)}}


def is_delivery(task: Task, reason: Reason) -> bool:
    """Whether a reason only asks for copies of outputs that are sound."""
    return reason.kind == "outputs" and reason.now in COPY_TROUBLES and task.stage.deliver is not None


def _set_aside(target: Path) -> Path:
    """Move what a person wrote in a copy's place out of the way."""
    kept = unused_name(fitting(target, f".edited{target.suffix}"))
    move(target, kept)
    return kept
