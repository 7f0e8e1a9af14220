"""Running one task: lock, look again, bring back or run in a temporary directory, record, publish, deliver.

A run that fails, is killed or interrupted leaves the earlier outputs and manifest alone.

Not here: the order of tasks (doit's scheduler), whether a task is stale (`rebuilder`), what is recorded and how it is
published (`recorder`), and what comes back instead (`restorer`).
"""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from mediabuild.errors import DiskFull, InputChanged, Interrupted, LockBusy, StageError
from mediabuild.execution.delivery import Delivery, is_delivery
from mediabuild.execution.outcome import Keeping, Outcome, Ran
from mediabuild.execution.programs import Programs
from mediabuild.execution.recorder import Recorder, algorithm_of
from mediabuild.execution.restorer import Restorer
from mediabuild.execution.sweep import key_of, names_in, sweep_dead
from mediabuild.execution.temporary import Temporary
from mediabuild.freshness.observation import Observation
from mediabuild.freshness.rebuilder import Rebuilder, input_differences
from mediabuild.machine.lock import locked
from mediabuild.machine.processes import Processes
from mediabuild.pipeline.model import Reason, Task
from mediabuild.pipeline.reserved import STATE_DIR
from mediabuild.reporting.events import Event, StageCacheMiss, StageCompleted, StageRunning, StageWarning
from mediabuild.store import generations
from mediabuild.store.generations import Kept
from mediabuild.store.manifest import DAY_S, Manifest, find_manifest, write_manifest
from mediabuild.store.marks import forgotten_mark
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
        rebuilder: Rebuilder,
        processes: Processes,
        emit: Callable[[Event], None],
        job_dirs: Sequence[Path],
        *,
        wait: bool = True,
        only: Collection[str] | None = None,
    ) -> None:
        self.only = only
        self.rebuilder = rebuilder
        self.root = rebuilder.pipeline.root
        self.digests = rebuilder.digests
        self.processes = processes
        self.programs = Programs(processes, self.root, rebuilder.pipeline.checksum, emit)
        self.delivery = Delivery(rebuilder)
        self.temporary = Temporary(rebuilder)
        self.traces = Traces(rebuilder.pipeline.jobs_dir)
        self.recorder = Recorder(rebuilder)
        self.restorer = Restorer(self.recorder, self.traces)
        self.emit = emit
        self.job_dirs = job_dirs
        self.wait = wait

    def run(self, task: Task, *, always: bool = False, remake: bool = False, gpus: tuple[int, ...] = ()) -> Outcome:
        """Bring a task up to date.

        Args:
            always: run even when nothing is stale (`doit -a`).
            remake: run if outputs of this temp stage were deleted; something needs them.
            gpus: the GPU slots that it holds; a stage on `cuda` uses the first.

        Raises:
            StageError: it failed; LockBusy; Interrupted. OSError: the disk is full, or the like.
        """
        self.rebuilder.no_longer_fresh(task)
        with self.holding(task):
            recover(task.directory, self.recorder.swap(task))
            sweep_dead(task.state_dir, task.key)
            reasons = self.rebuilder.reasons(task)
            outcome = Outcome()
            self._say_who_is_missing(task)
            gone = self.rebuilder.gone(task) if remake else []
            if always or gone or not all(is_delivery(task, reason) for reason in reasons):
                may_restore = not always and not any(reason.kind == "forced" for reason in reasons)
                outcome = self._bring(task, gpus, may_restore=may_restore)
            manifest = find_manifest(task.directory)
            if manifest is not None and (outcome.built or outcome.restored):
                self.traces.add(task, manifest)
            if manifest is not None:
                outcome.delivered, set_aside = self.delivery.bring(task, manifest)
                outcome.kept += set_aside
            return outcome

    def _say_who_is_missing(self, task: Task) -> None:
        """Name the jobs that a task over all jobs is made without."""
        missing = self.rebuilder.left_out(task)
        if missing:
            more = f" and {len(missing) - SHOWN_JOBS} more" if len(missing) > SHOWN_JOBS else ""
            message = f"without {', '.join(missing[:SHOWN_JOBS])}{more}: failed, ignored or not built"
            self.emit(StageWarning(task=task.name, message=message))

    def sweep(self) -> None:
        """Finish or undo what dead runs left in any job; what a live run is busy with is locked, and left alone."""
        tasks = self.rebuilder.tasks.values()
        for job_dir in dict.fromkeys(task.job_dir for task in tasks):
            state_dir = job_dir / STATE_DIR
            left = {key_of(name) for folder in ("tmp", "swap") for name in names_in(state_dir / folder)}
            for key in left:
                with (
                    contextlib.suppress(OSError, LockBusy),
                    locked(state_dir / "locks" / f"{key}.lock", key, wait=False),
                ):
                    for task in (task for task in tasks if task.job_dir == job_dir and task.key == key):
                        recover(task.directory, self.recorder.swap(task))
                    sweep_dead(state_dir, key)

    @contextlib.contextmanager
    def holding(self, task: Task) -> Iterator[None]:
        """Hold the task's lock, saying for whom it waits."""
        said = False

        def waiting(owner: str) -> None:
            nonlocal said
            if self.processes.stopping.is_set():
                raise Interrupted("interrupted")
            if not said:
                said = True
                self.emit(StageWarning(task=task.name, message=f"waiting for {owner}, which is busy with it"))

        _check_place(task)
        with locked(task.state_dir / "locks" / f"{task.key}.lock", task.name, wait=self.wait, waiting=waiting):
            yield

    def refresh(self, task: Task) -> float:
        """Note in a fresh task's manifest that it was looked at, about once a day, as `relatime` does.

        Also re-hashes everything when the pipeline's `checksum` chooses another algorithm.

        Returns:
            How long the stage took when it ran, in seconds: what not running it spares.
        """
        manifest = find_manifest(task.directory)
        if manifest is None:
            return 0.0
        rehash = algorithm_of(manifest) not in ("", self.rebuilder.pipeline.checksum)
        now = time.time()
        if not rehash and manifest.last_checked_ts != manifest.timestamp and now - manifest.last_checked_ts < DAY_S:
            return manifest.duration_s
        lock = task.state_dir / "locks" / f"{task.key}.lock"
        with contextlib.suppress(OSError, LockBusy), locked(lock, task.name, wait=False):
            if find_manifest(task.directory) != manifest:
                return manifest.duration_s  # another run has published meanwhile
            if rehash:
                manifest = self.recorder.rehashed(task, manifest)
                if self.rebuilder.reasons(task, forced=False):
                    return manifest.duration_s  # something changed between the look and the hashing
            manifest = msgspec.structs.replace(manifest, last_checked_ts=now)
            write_manifest(task.directory, manifest, self.recorder.part(task))
        return manifest.duration_s

    def adopt(self, task: Task) -> list[str]:
        """Record the outputs that are there as the result of the present facts (`doit reset-dep`).

        Returns:
            The outputs, relative to the stage's directory.

        Raises:
            StageError: a required output or an input is missing.
        """
        with self.holding(task):
            recover(task.directory, self.recorder.swap(task))
            observation = self.rebuilder.observe(task)
            _refuse_troubles(task, observation)
            if not task.directory.is_dir():
                raise StageError(f"{task.name}: there are no outputs to adopt", f"doit {task.name}")
            earlier = find_manifest(task.directory)
            deleted = earlier is not None and self.rebuilder.gone(task)
            outputs = (
                earlier.outputs if earlier and deleted else self.recorder.digest_outputs(task, task.directory, None)
            )
            manifest = self.recorder.manifest(task, observation, outputs, Ran(), 0.0)
            manifest.adopted = _written_by_hand(earlier, manifest)
            write_manifest(task.directory, manifest, self.recorder.part(task))
            forgotten_mark(task).unlink(missing_ok=True)
            self.delivery.bring(task, manifest)
            return sorted(manifest.output_files())

    def drop_unneeded(self, tasks: Iterable[Task]) -> None:
        """Delete the outputs of those temp stages that all who read them are done with; the manifests stay.

        Who is busy with one of them or with a task that reads it keeps them; they go at the end of a later run.
        """
        readings = self.temporary.readings()
        for task in tasks:
            with contextlib.suppress(OSError, LockBusy), contextlib.ExitStack() as held:
                for one in (task, *self.temporary.readers(task)):
                    lock = one.state_dir / "locks" / f"{one.key}.lock"
                    held.enter_context(locked(lock, one.name, wait=False))
                if self.temporary.is_unneeded(task, readings):
                    self.temporary.delete(task)

    def close(self) -> None:
        """End the workers, save the stat cache, and collect what is kept beyond the limit."""
        self.programs.close()
        self.processes.close()
        if self.recorder.kept_some:
            generations.collect(self.job_dirs, self.rebuilder.pipeline.cache_bytes)
        self.digests.save()

    def _bring(self, task: Task, gpus: tuple[int, ...], *, may_restore: bool) -> Outcome:
        """Restore or build; where the disk is full, once more for each kind of what is kept that made room."""
        own = generations.units_file(task)
        kinds: Iterator[Callable[[Kept], bool]] = iter((
            lambda kept: not kept.is_units,
            lambda kept: kept.path != own,  # units of others
            lambda kept: True,
        ))  # fmt: skip
        keeping = Keeping(reuse=may_restore)
        while True:
            try:
                return (self._restore(task) if may_restore else None) or self._build(task, gpus, keeping)
            except (DiskFull, OSError) as error:
                full = isinstance(error, DiskFull) or error.errno == errno.ENOSPC
                made_room = (generations.collect(self.job_dirs, 0.0, kind) for kind in kinds if full)
                gone = next(filter(None, made_room), None)
                if not gone:
                    raise
                message = f"the disk is full: {len(gone)} earlier results were deleted, and it runs once more"
                self.emit(StageWarning(task=task.name, message=message))
                keeping = Keeping(reuse=may_restore, keep=False)  # what it keeps may be what filled the disk

    def _restore(self, task: Task) -> Outcome | None:
        """Bring back the output set that was made from the present facts, if there is one anywhere."""
        self._refuse_tampered(task)
        found = self.restorer.bring_back(task)
        if found is None:
            return None
        count = len(found.manifest.output_files())
        return Outcome(restored=found.manifest, source=found.source, outputs=count, kept=found.kept)

    def _build(self, task: Task, gpus: tuple[int, ...], keeping: Keeping) -> Outcome:
        for attempt in (1, 2):
            self._make_again(task)
            started = time.monotonic()
            before = self.rebuilder.observe(task)
            self._refuse_tampered(task)
            _refuse_troubles(task, before)
            self.recorder.kept_some = (
                self.recorder.kept_some or task.stage.declaration is not None
            )  # units, whatever becomes of it
            with self.recorder.temporary(task) as out:
                self.emit(StageRunning(task=task.name, device=before.device))
                ran = self.programs.run(task, before, out, gpus, keeping)
                outputs = self.recorder.digest_outputs(task, out, ran.returned)
                changed = self._changed_meanwhile(task, before)
                if changed and attempt == 1:
                    self.emit(StageWarning(task=task.name, message=f"{changed[0]} while it ran: once more"))
                    continue
                if changed:
                    raise InputChanged(f"{changed[0]} while it ran, twice", "doit, when nobody writes to it")
                seconds = time.monotonic() - started
                write_manifest(out, self.recorder.manifest(task, before, outputs, ran, seconds))
                kept = self.recorder.publish(task, out, outputs)
            count = sum(map(len, outputs.values()))
            return Outcome(built=True, seconds=seconds, outputs=count, kept=kept, ran=ran)
        raise AssertionError("unreachable")

    def _changed_meanwhile(self, task: Task, before: Observation) -> list[Reason]:
        after = self.rebuilder.observe(task)
        return [*input_differences(before.inputs, after.inputs), *after.troubles]

    def _make_again(self, task: Task) -> None:
        """Make temporary outputs that it reads again, where nobody did before: another run may just have deleted them.

        The task's lock is held, so nobody deletes them once more.
        """
        for producer in self.rebuilder.producers(task):
            gone = self.rebuilder.gone(producer)
            if gone and self.only is not None and producer.name not in self.only:
                raise StageError(f"{producer.name}: its outputs are temporary and were deleted", f"doit {task.name}")
            if gone:
                reasons = [Reason("outputs", path, now=f"needed by {task.name}") for path in gone]
                self.emit(StageCacheMiss(task=producer.name, reasons=reasons))
                message = f"first {producer.name} again: its outputs are temporary"
                self.emit(StageWarning(task=task.name, message=message))
                made = self.run(producer, remake=True)
                seconds = round(made.seconds, 3)
                self.emit(StageCompleted(task=producer.name, seconds=seconds, outputs=made.outputs))

    def _refuse_tampered(self, task: Task) -> None:
        """Never build on outputs that are not what their stage made."""
        for producer in self.rebuilder.producers(task):
            if self.rebuilder.gone(producer):
                continue
            manifest = find_manifest(producer.directory)
            reasons = list(self.rebuilder.output_reasons(producer, manifest)) if manifest else [Reason("never_run")]
            if reasons:
                raise StageError(f"{producer.name}: {reasons[0]}", f"doit {producer.name}, then again")


def _written_by_hand(earlier: Manifest | None, now: Manifest) -> list[str]:
    """The outputs that no run of the stage made: adopted now, or adopted before and still the same."""
    made = earlier.output_files() if earlier is not None else {}
    before = earlier.adopted if earlier is not None else []
    return sorted(path for path, digest in now.output_files().items() if made.get(path) != digest or path in before)


def _refuse_troubles(task: Task, observation: Observation) -> None:
    if observation.troubles:
        raise StageError("; ".join(str(trouble) for trouble in observation.troubles), f"doit explain {task.name}")


def _check_place(task: Task) -> None:
    """What stands in the place of a directory of ours, a link or a file, is refused and left alone."""
    for folder in (task.job_dir, task.state_dir, task.directory.parent, task.directory):
        if folder.is_symlink():
            raise StageError(f"{folder}: is a link; it must be a directory", f"rm {folder}")
        if folder.exists() and not folder.is_dir():
            raise StageError(f"{folder}: is a file; it must be a directory", f"mv {folder} {folder}.mine")
