"""Updates, about once a day, the time at which a fresh task was last checked.

Also hashes everything anew where the pipeline's `checksum` chooses another algorithm; nothing runs for that. And notes
that it holds the outputs of its facts, should this be lost: other jobs may have the same facts one day.

Not here: stale tasks (`executor`).
"""

from __future__ import annotations

import contextlib
import time

import msgspec

from mediabuild.errors import MediabuildError
from mediabuild.freshness.look import Freshness
from mediabuild.freshness.producers import deleted_outputs
from mediabuild.machine.hashing import hash_bytes
from mediabuild.pipeline.model import Task
from mediabuild.store import places
from mediabuild.store.facts import by, compute_inputs_checksum, taken_by
from mediabuild.store.holding import holding
from mediabuild.store.manifest import DAY_S, Manifest, find_manifest, write_manifest
from mediabuild.store.traces import Traces


def refresh(freshness: Freshness, task: Task) -> float:
    """Bring the manifest of a fresh task up to date; who is busy with the task is left alone.

    Returns:
        How long the stage took when it ran, in seconds: what not running it spares.
    """
    manifest = find_manifest(task.directory)
    if manifest is None:
        return 0.0
    rehash = not _is_by(freshness.pipeline.checksum, manifest)
    now = time.time()
    if not rehash and manifest.last_checked_ts != manifest.timestamp and now - manifest.last_checked_ts < DAY_S:
        return manifest.duration_s
    with contextlib.suppress(OSError, MediabuildError), holding(task):
        if find_manifest(task.directory) != manifest:
            return manifest.duration_s  # another run has published meanwhile
        if rehash:
            manifest = _rehashed(freshness, task, manifest)
            if freshness.reasons(task, forced=False):
                return manifest.duration_s  # something changed between the look and the hashing
        manifest = msgspec.structs.replace(manifest, last_checked_ts=now)
        write_manifest(task.directory, manifest, places.part(task))
        Traces(freshness.pipeline.jobs_dir).add(task, manifest)  # a kill may have come before the executor could
    return manifest.duration_s


def _is_by(algorithm: str, manifest: Manifest) -> bool:
    return manifest.is_by(algorithm) and all(by(algorithm, d) == d for d in manifest.output_files().values())


def _rehashed(freshness: Freshness, task: Task, manifest: Manifest) -> Manifest:
    """The manifest with digests by the algorithm that the pipeline asks for now."""
    algorithm, gone = freshness.pipeline.checksum, deleted_outputs(task)

    def digest_of(path: str, recorded: str) -> str:
        if path in gone:
            return recorded
        if path.endswith("/"):
            return hash_bytes(b"", algorithm)
        return freshness.digests.output(task.directory / path, by(algorithm, recorded))

    facts = freshness.observer.observe(task, taken_by(algorithm, manifest)).facts
    outputs = {
        name: {path: digest_of(path, recorded) for path, recorded in files.items()}
        for name, files in manifest.outputs.items()
    }
    return msgspec.structs.replace(
        manifest, **facts.facts(), inputs_checksum=compute_inputs_checksum(facts.inputs), outputs=outputs
    )
