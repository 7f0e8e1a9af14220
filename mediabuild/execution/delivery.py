"""Makes the copies of outputs where people look; a copy that a person edited is moved aside, never overwritten.

Not here: the names of the copies (`pipeline.deliveries`).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from mediabuild.errors import StageError
from mediabuild.machine import regular
from mediabuild.machine.files import unused_name
from mediabuild.pipeline.deliveries import deliveries
from mediabuild.pipeline.model import Given, Pipeline, Reason, Task
from mediabuild.store import places
from mediabuild.store.digest import Digests
from mediabuild.store.manifest import Manifest
from mediabuild.store.publish import deliver


class Delivery:
    """Makes the copies that `deliver` asks for.

    Args:
        tasks: all tasks: no copy may take the place of one of their sources.
    """

    def __init__(self, pipeline: Pipeline, tasks: Mapping[str, Task], digests: Digests) -> None:
        self.pipeline = pipeline
        self.tasks = tasks
        self.digests = digests
        self.root = pipeline.root

    def bring(self, task: Task, manifest: Manifest) -> tuple[list[str], list[Path]]:
        """Bring a task's copies up to date; the caller holds its lock.

        Returns:
            The copies that were made, relative to the pipeline; where edited ones are kept now.

        Raises:
            StageError: a copy would leave the project or take a source's place. OSError: the disk is full.
        """
        record = places.delivered(task)
        made = read_record(record)
        files = manifest.output_files()
        wanted = deliveries(self.pipeline, task, files)
        delivered: list[str] = []
        kept: list[Path] = []
        for copy, output in wanted.items():
            target, digest = self.root / copy, files[output]
            self._check(target, task)
            actual = self._digest_if_there(target, digest)
            if actual != digest:
                if actual is not None and not self._is_ours(target, made.get(copy)):
                    kept.append(_set_aside(target))
                deliver(task.directory / output, target)
                delivered.append(copy)
            if made.get(copy) != digest:
                made[copy] = digest
                _write_record(record, made)  # after each: a kill must not make ours look edited
        self._remove_old(record, made, wanted)
        return delivered, kept

    def _remove_old(self, record: Path, made: dict[str, str], wanted: dict[str, str]) -> None:
        """Remove copies of outputs that the stage makes no more, where nobody edited them."""
        old = [copy for copy in made if copy not in wanted]
        for copy in old:
            digest = made.pop(copy)
            if self._is_ours(self.root / copy, digest):
                (self.root / copy).unlink(missing_ok=True)
        if old:
            _write_record(record, made)

    def _check(self, target: Path, task: Task) -> None:
        """Refuse a copy that would leave the project, or take a source's place."""
        where, root = f"stages.{task.stage.name}.deliver", os.path.realpath(self.root)
        if os.path.commonpath([root, os.path.realpath(target.parent)]) != root:
            raise StageError(f"{where}: {target.parent} leads outside the project")
        if os.path.realpath(target) in self._sources:
            raise StageError(f"{where}: {target} is a source", 'deliver = "out/{job}"')

    @functools.cached_property
    def _sources(self) -> set[str]:
        """The real paths of all sources."""
        given = (r for task in self.tasks.values() for refs in task.inputs.values() for r in refs)
        return {os.path.realpath(self.root / r.pattern) for r in given if isinstance(r, Given) and r.label}

    def _is_ours(self, target: Path, digest: str | None) -> bool:
        """Whether a copy still holds what was delivered there."""
        return digest is not None and self._digest_if_there(target, digest) == digest

    def _digest_if_there(self, file: Path, like: str) -> str | None:
        try:
            return self.digests.file(file, like.partition(":")[0])
        except OSError:
            return None


def is_delivery(task: Task, reason: Reason) -> bool:
    """Whether a reason only asks for copies of outputs that are sound."""
    return reason.kind == "outputs" and reason.now in ("not delivered", "edited") and task.stage.deliver is not None


def _set_aside(target: Path) -> Path:
    kept = unused_name(target.with_name(f"{target.stem}.edited{target.suffix}"))
    target.rename(kept)
    return kept


def read_record(record: Path) -> dict[str, str]:
    """The copies that were made, and the digest of each; none where the record is missing or damaged."""
    try:
        return msgspec.json.decode(regular.read_bytes(record), type=dict[str, str])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def _write_record(record: Path, made: dict[str, str]) -> None:
    record.parent.mkdir(parents=True, exist_ok=True)
    with regular.open_file(record, "wb") as file:
        file.write(msgspec.json.encode(made, order="sorted"))
