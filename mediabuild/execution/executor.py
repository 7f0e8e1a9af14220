"""Running one task: lock, look, bring back or run in a temporary directory, record, publish, deliver.

A run that fails, is killed or interrupted leaves the earlier outputs and manifest alone.

A task is looked at before it runs (by the scheduler, whose look is handed down), and after. Under the lock it is
looked at again only where that first look is old, or another run held the lock meanwhile.

Not here: the order of tasks (`schedule`), whether a task is stale (`freshness`), what is recorded and how it is
published (`recorder`), and what comes back instead (`restorer`).
"""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from mediabuild.errors import DiskFull, InputChanged, Interrupted, StageError
from mediabuild.execution.delivery import Delivery, is_delivery
from mediabuild.execution.outcome import Keeping, Outcome, Ran
from mediabuild.execution.programs import Programs
from mediabuild.execution.recorder import Recorder
from mediabuild.execution.restorer import Restorer
from mediabuild.execution.sweep import sweep_dead, watching
from mediabuild.freshness.look import Freshness, Look
from mediabuild.freshness.meanwhile import Meanwhile
from mediabuild.freshness.observation import Observation, refuse_troubles
from mediabuild.freshness.producers import deleted_outputs
from mediabuild.machine.here import command
from mediabuild.machine.processes import Processes
from mediabuild.pipeline.model import Reason, Task
from mediabuild.reporting.events import Event, StageCacheMiss, StageCompleted, StageRunning, StageWarning
from mediabuild.store import generations, owners, places
from mediabuild.store.generations import Kept
from mediabuild.store.holding import holding
from mediabuild.store.manifest import find_manifest, write_manifest
from mediabuild.store.publish import recover
from mediabuild.store.traces import Traces

SHOWN_JOBS = 10


class Executor:
    """Runs tasks.

    Args:
        emit: receives events.
        job_dirs: of all jobs, also of those without tasks here: what they keep counts.
        wait: False fails at once where another run holds a task's lock.
        only: the tasks that may run at all; None for no such limit.
    """

    def __init__(
        self,
        freshness: Freshness,
        processes: Processes,
        emit: Callable[[Event], None],
        job_dirs: Sequence[Path],
        *,
        wait: bool = True,
        only: Collection[str] | None = None,
    ) -> None:
        pipeline = freshness.pipeline
        self.freshness = freshness
        self.pipeline = pipeline
        self.processes = processes
        self.emit = emit
        self.job_dirs = job_dirs
        self.wait = wait
        self.only = only
        self._claimed: set[Path] = set()
        self.programs = Programs(processes, pipeline.root, pipeline.checksum, emit)
        self.delivery = Delivery(freshness, job_dirs, emit)
        self.recorder = Recorder(pipeline, freshness.digests)
        self.traces = Traces(pipeline.jobs_dir)
        self.restorer = Restorer(pipeline, freshness.digests, self.recorder, self.traces)

    def run(
        self,
        task: Task,
        look: Look | None = None,
        *,
        always: bool = False,
        remake: bool = False,
        gpus: tuple[int, ...] = (),
    ) -> Outcome:
        """Bring a task up to date.

        Args:
            look: what was seen of it a moment ago.
            always: run even when nothing is stale (`doit -a`).
            remake: run if outputs of this temp stage were deleted; something needs them.
            gpus: the GPU slots that it holds; a stage on `cuda` uses the first.

        Raises:
            StageError: it failed; LockBusy; Interrupted. OSError: the disk is full, or the like.
        """
        self.freshness.no_longer_known(task)
        with self.holding(task) as undisturbed:
            sweep_dead(self.pipeline, task)
            if look is None or not undisturbed or not look.still_holds(task):
                look = self.freshness.look(task)
            self._say_who_is_missing(task)
            outcome = Outcome()
            gone = deleted_outputs(task) if remake else []
            if always or gone or not all(is_delivery(task, reason) for reason in look.reasons):
                outcome = self._bring(task, look, gpus, may_restore=not always and not look.is_forced)
            manifest = find_manifest(task.directory)
            if manifest is not None:
                if outcome.built or outcome.restored:
                    self.traces.add(task, manifest)
                outcome.delivered, set_aside = self.delivery.bring(task, manifest)
                outcome.kept |= set_aside
            return outcome

    def _say_who_is_missing(self, task: Task) -> None:
        """Name the jobs, or the values of a matrix, that a task is made without."""
        missing = self.freshness.producers.left_out(task)
        if missing:
            more = f" and {len(missing) - SHOWN_JOBS} more" if len(missing) > SHOWN_JOBS else ""
            message = f"without {', '.join(missing[:SHOWN_JOBS])}{more}: failed, ignored or not built"
            self.emit(StageWarning(task=task.name, message=message))

    @contextlib.contextmanager
    def holding(self, task: Task) -> Iterator[bool]:
        """Hold the task's lock, saying for whom it waits; what a dead run was publishing is completed or undone.

        Returns:
            Whether it is as it was before: nobody else held the lock, and there was nothing to complete.
        """
        waited = False

        def waiting(owner: str) -> None:
            nonlocal waited
            if self.processes.stopping.is_set():
                raise Interrupted("interrupted")
            if not waited:
                waited = True
                self.emit(StageWarning(task=task.name, message=f"waiting for {owner}, which is busy with it"))

        with holding(task, wait=self.wait, waiting=waiting):
            if task.job_dir not in self._claimed:
                owners.claim(self.pipeline, task)
                self._claimed.add(task.job_dir)
            recovered = recover(task.directory, places.swap(task))
            yield not (waited or recovered)

    def close(self) -> None:
        """End the workers, save the stat cache, and collect what is kept beyond the limit."""
        self.programs.close()
        self.processes.close()
        if self.recorder.kept_some:
            generations.collect(owners.keeping(self.pipeline, self.job_dirs), self.pipeline.cache_bytes)
        self.freshness.digests.save()

    def _bring(self, task: Task, look: Look, gpus: tuple[int, ...], *, may_restore: bool) -> Outcome:
        """Restore or build; where the disk is full, once more for each kind of what is kept that made room."""
        own_units = places.units(task)
        expendable: list[Callable[[Kept], bool]] = [
            lambda kept: not kept.is_units,
            lambda kept: kept.path != own_units,  # the units of others
            lambda kept: True,
        ]
        keeping = Keeping(reuse=may_restore)
        while True:
            try:
                restored = self._restore(task, look) if may_restore else None
                return restored or self._build(task, look, gpus, keeping)
            except (DiskFull, OSError) as error:
                full = isinstance(error, DiskFull) or error.errno == errno.ENOSPC
                if not (full and self._make_room(task, expendable)):
                    raise
                keeping = Keeping(reuse=may_restore, keep=False)  # what it keeps may be what filled the disk
                look = self.freshness.look(task)

    def _make_room(self, task: Task, expendable: list[Callable[[Kept], bool]]) -> bool:
        """Delete the next kind of what is kept that there is any of; False when there is nothing left to delete."""
        while expendable:
            gone = generations.collect(owners.keeping(self.pipeline, self.job_dirs), 0.0, expendable.pop(0))
            if gone:
                message = f"the disk is full: {len(gone)} earlier results were deleted, and it runs once more"
                self.emit(StageWarning(task=task.name, message=message))
                return True
        return False

    def _restore(self, task: Task, look: Look) -> Outcome | None:
        """Bring back the output set that was made from the present facts, if there is one anywhere."""
        self._refuse_tampered(task)
        now = look.observation
        found = self.restorer.bring_back(task, now.facts) if now is not None and not now.troubles else None
        if found is None:
            return None
        count = len(found.manifest.output_files())
        return Outcome(restored=found.manifest, source=found.source, outputs=count, kept=found.kept)

    def _build(self, task: Task, look: Look, gpus: tuple[int, ...], keeping: Keeping) -> Outcome:
        """Run the stage; once more if an input changed while it ran."""
        before = None if self._make_again(task) else look.observation
        if before is not None and (before.vouched or not before.facts.is_by(self.pipeline.checksum)):
            before = None  # it was compared with a record by another algorithm; what is recorded now is by this one
        for attempt in (1, 2):
            started = time.monotonic()
            before = before or self.freshness.observer.observe(task)
            self._refuse_tampered(task)
            refuse_troubles(task, before)
            if task.stage.keeps_units:  # whatever becomes of it
                self.recorder.kept_some = True
            with self.recorder.temporary(task) as out:
                meanwhile = Meanwhile(self.freshness, task, before)
                self.emit(StageRunning(task=task.name, device=before.facts.device))
                with watching(self.pipeline, task, before.handed, out):
                    ran = self.programs.run(task, meanwhile, out, gpus, keeping)
                outputs = self.recorder.digest_outputs(task, out, ran.returned)
                after = self.freshness.observer.observe(task, before.facts)  # by the same algorithms
                changed = meanwhile.changes(after, ran.loaded, again=attempt == 2)
                if not changed:
                    before.facts.code |= meanwhile.loaded
                    return self._publish(task, before, after, out, outputs, ran, time.monotonic() - started)
            if attempt == 1:
                self.emit(StageWarning(task=task.name, message=f"{changed[0]} while it ran: once more"))
            before = after
        raise InputChanged(f"{changed[0]} while it ran, twice", "doit, when nobody writes to it, nor the stage itself")

    def _publish(
        self,
        task: Task,
        before: Observation,
        after: Observation,
        out: Path,
        outputs: dict[str, dict[str, str]],
        ran: Ran,
        seconds: float,
    ) -> Outcome:
        for name, digest in after.facts.models.items():  # a hub's model may have arrived while the stage ran
            before.facts.models[name] = before.facts.models.get(name) or digest
        write_manifest(out, self.recorder.manifest(task, before.facts, outputs, ran, seconds))
        kept = self.recorder.publish(task, out, outputs)
        return Outcome(built=True, seconds=seconds, outputs=sum(map(len, outputs.values())), kept=kept, ran=ran)

    def _make_again(self, task: Task) -> bool:
        """Make temporary outputs that it reads again, where nobody did before: another run may just have deleted them.

        The task's lock is held, so nobody deletes them once more.

        Returns:
            Whether there were any.
        """
        found = [producer for producer in self.freshness.producers.of(task) if deleted_outputs(producer)]
        for producer in found:
            if self.only is not None and producer.name not in self.only:
                raise StageError(f"{producer.name}: its outputs are temporary and were deleted", command(task.name))
            reasons = [Reason("outputs", path, now=f"needed by {task.name}") for path in deleted_outputs(producer)]
            self.emit(StageCacheMiss(task=producer.name, reasons=reasons))
            message = f"first {producer.name} again: its outputs are temporary"
            self.emit(StageWarning(task=task.name, message=message))
            made = self.run(producer, remake=True)
            self.emit(StageCompleted(task=producer.name, seconds=round(made.seconds, 3), outputs=made.outputs))
        return bool(found)

    def _refuse_tampered(self, task: Task) -> None:
        """Never build on outputs that are not what their stage made."""
        for producer in self.freshness.producers.of(task):
            if deleted_outputs(producer):
                continue
            manifest = find_manifest(producer.directory)
            reasons = self.freshness.output_reasons(producer, manifest) if manifest else [Reason("never_run")]
            if reasons:
                raise StageError(f"{producer.name}: {reasons[0]}", f"{command(producer.name)}, then again")
