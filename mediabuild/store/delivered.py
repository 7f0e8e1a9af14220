"""Keeps the record of a task's copies, tells them from what a person wrote, and removes them.

A copy is announced before it is made: a run that is killed in between leaves nothing that looks like a person's edit.
The record may come from a stranger. So what it names is only ever removed where a copy of ours can be, and where the
file has the very time that the record has: nobody can know that of another's file.

Not here: what is to be delivered (`pipeline.deliveries`), making the copies (`execution.delivery`).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from mediabuild.machine import regular
from mediabuild.machine.files import remove_file, write_atomically
from mediabuild.pipeline.model import Pipeline
from mediabuild.store.digest import Digests

Version = tuple[str, int]  # what a copy holds or is about to hold: its digest, and its mtime in ns
NO_TIME = 0
Made = dict[str, list[Version]]  # copy, relative to the project → its versions, the newest last


def read_record(record: Path) -> Made:
    """The copies that were made or announced; none where the record is missing or damaged.

    Before mediabuild noted times, a record held the digest alone. That is enough to deliver anew, but not to remove:
    a stranger may know what a file of the user holds.
    """
    try:
        made = msgspec.json.decode(regular.read_bytes(record), type=dict[str, list[Version] | str])
        return {copy: [(noted, NO_TIME)] if isinstance(noted, str) else noted for copy, noted in made.items()}
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def write_record(record: Path, made: Made, part: Path) -> None:
    """Write it, whole or not at all; `part` as in `write_atomically`. An empty one goes.

    Raises:
        OSError: it can't be written.
    """
    if made:
        write_atomically(record, msgspec.json.encode(made, order="sorted"), part)
    else:
        remove_file(record)


class Copies:
    """The copies in a project."""

    def __init__(self, pipeline: Pipeline, digests: Digests) -> None:
        self.root = pipeline.root
        self.digests = digests
        self._real_root, self._real_jobs = os.path.realpath(pipeline.root), os.path.realpath(pipeline.jobs_dir)

    def place(self, copy: str) -> Path | None:
        """Where a copy lies, or is to lie; None where none can be: outside the project, among the jobs."""
        if "\0" in copy or os.path.isabs(copy) or os.path.normpath(copy) != copy.rstrip("/"):
            return None
        path = self.root / copy
        folder = os.path.join(os.path.realpath(path.parent), "")
        inside = folder.startswith(os.path.join(self._real_root, ""))
        return path if inside and not folder.startswith(os.path.join(self._real_jobs, "")) else None

    def is_ours(self, file: Path, versions: Iterable[Version]) -> bool:
        """Whether a file still holds what was delivered there, or announced."""
        return any(self.digests.holds(file, digest, modes=False) for digest, _ in versions)

    def is_exactly_ours(self, file: Path, versions: Iterable[Version]) -> bool:
        """The same, and nobody has written it since."""
        try:
            now = os.lstat(file).st_mtime_ns
        except OSError:
            return False
        return any(mtime == now and self.is_ours(file, [(digest, mtime)]) for digest, mtime in versions)

    def why_kept(self, file: Path, versions: Iterable[Version]) -> str:
        """Why a file that isn't exactly ours is kept."""
        timeless = [version for version in versions if version[1] == NO_TIME]
        if self.is_ours(file, timeless):
            return "it may be yours: an older mediabuild noted no time"
        same = self.is_ours(file, versions)
        return "it may be yours: its time is another than when it was delivered" if same else "it was edited"

    def remove(self, copy: str) -> None:
        """Remove a copy, and the folders that this leaves empty, but for the topmost.

        Raises:
            OSError: it stays.
        """
        remove_file(self.root / copy)
        with contextlib.suppress(OSError):
            for folder in (self.root / copy).parents:
                if self.root in (folder, folder.parent):
                    break
                folder.rmdir()
