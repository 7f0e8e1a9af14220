"""Adopting the outputs that are there as the result of the present facts (`doit reset-dep`).

Where a person edited a delivered copy, the copy is the output from then on.

Not here: building (`executor`), which copies were edited (`delivery`).
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from mediabuild.errors import StageError
from mediabuild.execution.executor import Executor
from mediabuild.execution.outcome import Ran
from mediabuild.freshness.observation import refuse_troubles
from mediabuild.freshness.producers import deleted_outputs
from mediabuild.machine.files import PART, is_straight, move, unused_name
from mediabuild.machine.here import command
from mediabuild.pipeline.model import Task
from mediabuild.store import marks, places
from mediabuild.store.facts import taken_by
from mediabuild.store.manifest import Manifest, find_manifest, write_manifest
from mediabuild.store.publish import deliver


@dataclass(frozen=True)
class Adopted:
    """What was adopted: outputs, relative to the stage's directory; where files are now that a person had written."""

    outputs: list[str]
    kept: list[Path]


def adopt(executor: Executor, task: Task) -> Adopted:
    """Record the outputs that are there, and the copies that were edited, as the result of the present facts.

    Raises:
        StageError: a required output or an input is missing; an output and its copy were edited, each another way.
    """
    recorder = executor.recorder
    with executor.holding(task):
        earlier = find_manifest(task.directory)
        like = taken_by(executor.pipeline.checksum, earlier) if earlier is not None else None
        now = executor.freshness.observer.observe(task, like, adopting=True)
        refuse_troubles(task, now)
        if not task.directory.is_dir():
            raise StageError(f"{task.name}: there are no outputs to adopt", command(task.name))
        kept = _take_copies(executor, task, earlier) if earlier is not None else []
        if earlier is not None and deleted_outputs(task):
            outputs = earlier.outputs
        else:
            outputs = recorder.digest_outputs(task, task.directory, None, earlier)
        manifest = recorder.manifest(task, now.facts, outputs, Ran(), 0.0)
        manifest.adopted = _written_by_hand(earlier, manifest)
        write_manifest(task.directory, manifest, places.part(task))
        marks.clear(task, "forgotten", "failed")
        _, set_aside = executor.delivery.bring(task, manifest)
        return Adopted(sorted(manifest.output_files()), [*kept, *set_aside])


def _take_copies(executor: Executor, task: Task, earlier: Manifest) -> list[Path]:
    """Make outputs what their edited copies are; all are looked at before the first is touched.

    Returns:
        Where outputs are now that a person had written, and that were adopted before.

    Raises:
        StageError: an output was edited, too, or can't be written.
    """
    taken = executor.delivery.edited(task, earlier)
    digests, recorded = executor.recorder.digests, earlier.output_files()
    for copy, output in taken.items():
        file = task.directory / output
        if not is_straight(task.directory, output):
            raise StageError(f"{file.parent}: leads through a link or a file")
        known = (recorded[output], digests.output(copy, recorded[output]))
        if os.path.lexists(file) and not any(digests.holds(file, digest, modes=False) for digest in known):
            root = executor.pipeline.root
            one, other = (os.path.relpath(path, root) for path in (copy, file))
            raise StageError(f"{one} and {other} were both edited, and differ: make them the same, or remove one")
    kept = []
    for copy, output in taken.items():
        file = task.directory / output
        if output in earlier.adopted and not digests.holds(file, digests.output(copy, recorded[output]), modes=False):
            kept += _moved_aside(task, output)
        executable = bool(os.stat(copy).st_mode & stat.S_IXUSR)
        part = places.part(task).with_name(f"{task.key}.adopted{PART}")
        deliver(copy, file, executable=executable, mtime_ns=time.time_ns(), part=part)
    return kept


def _moved_aside(task: Task, output: str) -> list[Path]:
    """Move an output that a person wrote beside the stage's directory; none where it isn't there."""
    file, aside = task.directory / output, places.edited(task)
    if not os.path.lexists(file):
        return []
    if not is_straight(aside, output):
        raise StageError(f"{(aside / output).parent}: leads through a link or a file")
    kept = unused_name(aside / output)
    move(file, kept)
    return [kept]


def _written_by_hand(earlier: Manifest | None, now: Manifest) -> list[str]:
    """The outputs that no run of the stage made: adopted now, or adopted before and still the same."""
    made = earlier.output_files() if earlier is not None else {}
    before = earlier.adopted if earlier is not None else []
    return sorted(path for path, digest in now.output_files().items() if made.get(path) != digest or path in before)
