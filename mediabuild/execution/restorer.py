"""Brings back outputs that were made earlier from the same facts: from generations, from copies, from other jobs.

In this order: the task's own earlier outputs, by rename; what is left of its present ones, with good copies for the
rest; what another task made of the same, by copies, with its units: the next small change needs them. All digests are
verified on the way.

Not here: what is kept (`generations`, `traces`), and whether a task may be restored at all (`executor`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from mediabuild.execution.delivery import is_delivery
from mediabuild.execution.outcome import Restored
from mediabuild.execution.recorder import Recorder
from mediabuild.freshness.look import Look
from mediabuild.machine.files import move_tree, set_executable
from mediabuild.machine.reflink import copy
from mediabuild.pipeline.deliveries import deliveries
from mediabuild.pipeline.model import Pipeline, Task
from mediabuild.store import generations
from mediabuild.store.digest import Digests
from mediabuild.store.facts import Facts, compute_inputs_checksum, is_executable, link_text
from mediabuild.store.manifest import Manifest, find_manifest, read_manifest, write_manifest
from mediabuild.store.traces import Traces


class Restorer:
    """Brings results back."""

    def __init__(self, pipeline: Pipeline, digests: Digests, recorder: Recorder, traces: Traces) -> None:
        self.pipeline = pipeline
        self.digests = digests
        self.recorder = recorder
        self.traces = traces

    def bring_back(self, task: Task, facts: Facts) -> Restored | None:
        """Bring back what was made from these facts, if there is one anywhere; the task's lock is held."""
        return self._come_back(task, facts) or self._repair(task, facts) or self._borrow(task, facts)

    def comes_back(self, task: Task, facts: Facts) -> bool:
        """Whether outputs of these facts are there, whole, so that nothing that the task reads has to be."""
        return (
            generations.find(task, facts.trace(), self.digests) is not None
            or self._good_files(task, facts) is not None
            or any(
                generations.is_whole(found.directory, found.manifest, self.digests)
                for found in self.traces.find(task, facts)
            )
        )

    def reads_nothing(self, task: Task, look: Look | None) -> bool:
        """Whether a task that is about to run only copies, or brings its own earlier outputs back."""
        if look is None or not look.reasons or look.is_forced:
            return False
        if all(is_delivery(task, reason) for reason in look.reasons):
            return True
        now = look.observation
        return now is not None and not now.troubles and self.comes_back(task, now.facts)

    def _come_back(self, task: Task, facts: Facts) -> Restored | None:
        """From the task's own generations, by rename."""
        found = generations.find(task, facts.trace(), self.digests)
        if found is None:
            return None
        with self.recorder.temporary(task) as out:
            out.rmdir()
            move_tree(found, out)
            manifest = read_manifest(out)
            self.digests.adopt((found / path, out / path) for path in manifest.output_files())
            kept = self.recorder.publish(task, out, manifest.outputs)
        return Restored(manifest, kept=kept)

    def _repair(self, task: Task, facts: Facts) -> Restored | None:
        """From what is left of the task's outputs, and good copies of the others."""
        found = self._good_files(task, facts)
        return self._assemble(task, *found, "delivered copies") if found is not None else None

    def _good_files(self, task: Task, facts: Facts) -> tuple[Manifest, dict[str, Path]] | None:
        """Output → a file that is as it was recorded: its own or a copy that `deliver` put somewhere; None without."""
        current = find_manifest(task.directory)
        if current is None or current.trace() != facts.trace():
            return None
        copies = {
            output: self.pipeline.root / copy
            for copy, output in deliveries(self.pipeline, task, current.copied_files()).items()
        }
        files: dict[str, Path] = {}
        for path, digest in current.output_files().items():
            good = (f for f in (task.directory / path, copies.get(path)) if f and self.digests.holds(f, digest))
            file = task.directory / path if path.endswith("/") or link_text(digest) is not None else next(good, None)
            if file is None:
                return None
            files[path] = file
        return current, files

    def _borrow(self, task: Task, facts: Facts) -> Restored | None:
        """From another task that was given the same, by copies."""
        for directory, theirs, units in self.traces.find(task, facts):
            ours = msgspec.structs.replace(
                theirs,
                task=task.name,
                inputs=facts.inputs,
                inputs_checksum=compute_inputs_checksum(facts.inputs),
                overrides=dict(task.overrides),
            )
            files = {path: directory / path for path in theirs.output_files()}
            found = self._assemble(task, ours, files, theirs.task)
            if found is not None:
                generations.share_units(units, task)
                self.recorder.kept_some = True
                return found
        return None

    def _assemble(self, task: Task, manifest: Manifest, files: Mapping[str, Path], source: str) -> Restored | None:
        """Publish copies of files as a task's outputs, if they are what the manifest records."""
        recorded = manifest.output_files()
        with self.recorder.temporary(task) as out:
            try:
                for path, file in files.items():
                    if path.endswith("/"):
                        (out / path).mkdir(parents=True, exist_ok=True)
                        continue
                    (out / path).parent.mkdir(parents=True, exist_ok=True)
                    text = link_text(recorded[path])
                    if text is None:
                        copy(file, out / path)
                        set_executable(out / path, is_executable(recorded[path]))
                    else:
                        (out / path).symlink_to(text)
            except OSError:  # its owner runs at this moment, or the disk is full: no reason to fail
                return None
            self.digests.settle(out / path for path in files)
            if not generations.is_whole(out, manifest, self.digests):
                return None
            write_manifest(out, manifest)
            kept = self.recorder.publish(task, out, manifest.outputs)
        return Restored(manifest, source, kept)
