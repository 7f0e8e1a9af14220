"""Running one task: lock, look again, run in a temporary directory, record, publish, deliver.

The manifest is the last file written into the temporary directory, and the whole is then exchanged
with what was there in one step: a run that fails, is killed or interrupted leaves the earlier outputs
and manifest alone.

Not here: the order of tasks (doit's scheduler), whether a task is stale (`rebuilder`).
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import functools
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import msgspec

from mediabuild import generations
from mediabuild.delivery import Delivery, is_delivery
from mediabuild.digest import PART, compute_inputs_checksum, hash_bytes
from mediabuild.errors import DiskFull, InputChanged, Interrupted, LockBusy, StageError
from mediabuild.events import Event, StageCacheMiss, StageCompleted, StageRunning, StageWarning
from mediabuild.generations import Kept
from mediabuild.lock import locked
from mediabuild.manifest import DAY_S, Manifest, find_manifest, read_manifest, write_manifest
from mediabuild.model import MANIFEST_NAME, STATE_DIR, Reason, Task
from mediabuild.processes import Processes
from mediabuild.programs import Keeping, Programs, Ran
from mediabuild.publish import check_inside, keep_edits, publish, recover
from mediabuild.rebuilder import Observation, Rebuilder, deliveries, forgotten_mark, input_differences
from mediabuild.reflink import copy
from mediabuild.temporary import Temporary
from mediabuild.traces import Traces

SHOWN_JOBS = 10


@dataclass
class Outcome:
    """What became of a task.

    Args:
        built: the stage ran and was published; False if somebody else had built it meanwhile.
        restored: the manifest of the output set that came back instead. source: the task, or the copies, that it
            was copied from; empty for the task's own earlier outputs.
        seconds: how long it ran now. ran: what its program says of itself, if it ran.
        kept: files that a person had edited, moved beside the stage's directory.
        delivered: copies that were made, relative to the pipeline's folder.
    """

    built: bool = False
    restored: Manifest | None = None
    source: str = ""
    seconds: float = 0.0
    outputs: int = 0
    ran: Ran = field(default_factory=Ran)
    kept: list[Path] = field(default_factory=list)
    delivered: list[str] = field(default_factory=list)


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
        self.emit = emit
        self.job_dirs = job_dirs
        self.wait = wait
        self.kept_some = False

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
            recover(task.directory, self._swap(task))
            _sweep(task.state_dir, task.key)
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
            left = {_key_of(name) for folder in ("tmp", "swap") for name in _names(state_dir / folder)}
            for key in left:
                with (
                    contextlib.suppress(OSError, LockBusy),
                    locked(state_dir / "locks" / f"{key}.lock", key, wait=False),
                ):
                    for task in (task for task in tasks if task.job_dir == job_dir and task.key == key):
                        recover(task.directory, self._swap(task))
                    _sweep(state_dir, key)

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
        rehash = _algorithm(manifest) not in ("", self.rebuilder.pipeline.checksum)
        now = time.time()
        if not rehash and manifest.last_checked_ts != manifest.timestamp and now - manifest.last_checked_ts < DAY_S:
            return manifest.duration_s
        lock = task.state_dir / "locks" / f"{task.key}.lock"
        with contextlib.suppress(OSError, LockBusy), locked(lock, task.name, wait=False):
            if find_manifest(task.directory) != manifest:
                return manifest.duration_s  # another run has published meanwhile
            if rehash:
                manifest = self._rehashed(task, manifest)
                if self.rebuilder.reasons(task, forced=False):
                    return manifest.duration_s  # something changed between the look and the hashing
            manifest = msgspec.structs.replace(manifest, last_checked_ts=now)
            write_manifest(task.directory, manifest, self._part(task))
        return manifest.duration_s

    def adopt(self, task: Task) -> list[str]:
        """Record the outputs that are there as the result of the present facts (`doit reset-dep`).

        Returns:
            The outputs, relative to the stage's directory.

        Raises:
            StageError: a required output or an input is missing.
        """
        with self.holding(task):
            recover(task.directory, self._swap(task))
            observation = self.rebuilder.observe(task)
            _refuse_troubles(task, observation)
            if not task.directory.is_dir():
                raise StageError(f"{task.name}: there are no outputs to adopt", f"doit {task.name}")
            earlier = find_manifest(task.directory)
            deleted = earlier is not None and self.rebuilder.gone(task)
            outputs = earlier.outputs if earlier and deleted else self._digest_outputs(task, task.directory, None)
            manifest = self._manifest(task, observation, outputs, Ran(), 0.0)
            manifest.adopted = _written_by_hand(earlier, manifest)
            write_manifest(task.directory, manifest, self._part(task))
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
        if self.kept_some:
            generations.collect(self.job_dirs, self.rebuilder.pipeline.cache_bytes)
        self.digests.save()

    def _bring(self, task: Task, gpus: tuple[int, ...], *, may_restore: bool) -> Outcome:
        """Restore or build; where the disk is full, once more for each kind of what is kept that made room."""
        own = generations.units_file(task)
        kinds: Iterator[Callable[[Kept], bool]] = iter((
            lambda kept: kept.manifest is not None,
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
        now = self.rebuilder.observe(task)
        if now.troubles:
            return None
        self._refuse_tampered(task)
        facts = self._manifest(task, now, {}, Ran(), 0.0)
        return self._come_back(task, facts) or self._repair(task, facts) or self._borrow(task, facts)

    def comes_back(self, task: Task) -> bool:
        """Whether outputs of the present facts are kept, whole, of the task itself: nothing is read for them."""
        now = self.rebuilder.observe(task)
        if now.troubles:
            return False
        trace = generations.manifest_trace(self._manifest(task, now, {}, Ran(), 0.0))
        return generations.find(task, trace, self.digests) is not None

    def _come_back(self, task: Task, facts: Manifest) -> Outcome | None:
        """From the task's own generations, by rename."""
        found = generations.find(task, generations.manifest_trace(facts), self.digests)
        if found is None:
            return None
        with self._temporary(task) as out:
            out.rmdir()
            found.rename(out)
            manifest = read_manifest(out)
            self.digests.adopt((found / path, out / path) for path in manifest.output_files())
            kept = self._publish(task, out, manifest.outputs)
        return Outcome(restored=manifest, outputs=len(manifest.output_files()), kept=kept)

    def _repair(self, task: Task, facts: Manifest) -> Outcome | None:
        """From what is left of the task's outputs, and good copies of the others where `deliver` put them."""
        current = find_manifest(task.directory)
        if current is None or generations.manifest_trace(current) != generations.manifest_trace(facts):
            return None
        copies = {
            output: self.root / copy for copy, output in deliveries(self.rebuilder.pipeline, task, current).items()
        }
        files: dict[str, Path] = {}
        for path, digest in current.output_files().items():
            good = (f for f in (task.directory / path, copies.get(path)) if f and self.digests.holds(f, digest))
            file = task.directory / path if path.endswith("/") else next(good, None)
            if file is None:
                return None
            files[path] = file
        return self._assemble(task, current, files, "delivered copies")

    def _borrow(self, task: Task, facts: Manifest) -> Outcome | None:
        """From another task that was given the same, by copies."""
        for directory, theirs in self.traces.find(task, facts):
            ours = msgspec.structs.replace(
                theirs,
                task=task.name,
                inputs=facts.inputs,
                inputs_checksum=facts.inputs_checksum,
                overrides=facts.overrides,
            )
            files = {path: directory / path for path in theirs.output_files()}
            outcome = self._assemble(task, ours, files, theirs.task)
            if outcome is not None:
                return outcome
        return None

    def _assemble(self, task: Task, manifest: Manifest, files: Mapping[str, Path], source: str) -> Outcome | None:
        """Publish copies of files as a task's outputs, if they are what the manifest records."""
        with self._temporary(task) as out:
            try:
                for path, file in files.items():
                    if path.endswith("/"):
                        (out / path).mkdir(parents=True, exist_ok=True)
                        continue
                    (out / path).parent.mkdir(parents=True, exist_ok=True)
                    copy(file, out / path)
            except OSError:  # its owner runs at this moment, or the disk is full: no reason to fail
                return None
            self.digests.settle(out / path for path in files)
            if not generations.is_whole(out, manifest, self.digests):
                return None
            write_manifest(out, manifest)
            kept = self._publish(task, out, manifest.outputs)
        return Outcome(restored=manifest, source=source, outputs=len(files), kept=kept)

    def _build(self, task: Task, gpus: tuple[int, ...], keeping: Keeping) -> Outcome:
        for attempt in (1, 2):
            self._make_again(task)
            started = time.monotonic()
            before = self.rebuilder.observe(task)
            self._refuse_tampered(task)
            _refuse_troubles(task, before)
            self.kept_some = self.kept_some or task.stage.declaration is not None  # units, whatever becomes of it
            with self._temporary(task) as out:
                self.emit(StageRunning(task=task.name, device=before.device))
                ran = self.programs.run(task, before, out, gpus, keeping)
                outputs = self._digest_outputs(task, out, ran.returned)
                changed = self._changed_meanwhile(task, before)
                if changed and attempt == 1:
                    self.emit(StageWarning(task=task.name, message=f"{changed[0]} while it ran: once more"))
                    continue
                if changed:
                    raise InputChanged(f"{changed[0]} while it ran, twice", "doit, when nobody writes to it")
                seconds = time.monotonic() - started
                write_manifest(out, self._manifest(task, before, outputs, ran, seconds))
                kept = self._publish(task, out, outputs)
            count = sum(map(len, outputs.values()))
            return Outcome(built=True, seconds=seconds, outputs=count, kept=kept, ran=ran)
        raise AssertionError("unreachable")

    def _publish(self, task: Task, out: Path, outputs: Mapping[str, Mapping[str, str]]) -> list[Path]:
        coming = {path: digest for files in outputs.values() for path, digest in files.items()}
        kept = keep_edits(task.directory, coming, self.digests) if task.directory.exists() else []
        going = find_manifest(task.directory)
        earlier = publish(out, task.directory, self._swap(task))
        moved = [(out / path, task.directory / path) for path in coming]
        if earlier is not None and going is not None:
            moved += [(task.directory / path, earlier / path) for path in going.output_files()]
        self.digests.adopt(moved)
        forgotten_mark(task).unlink(missing_ok=True)
        if earlier is not None:
            generations.keep(task, earlier, self.digests)
            self.kept_some = True
        return kept

    def _digest_outputs(
        self, task: Task, out: Path, returned: Mapping[str, list[str]] | None
    ) -> dict[str, dict[str, str]]:
        """Output name → path → digest, of all that a stage left in its directory."""
        check_inside(out)
        declared = task.stage.outputs
        files = [path for path in _files(out) if path != MANIFEST_NAME]
        self.digests.settle(out / path for path in files)
        algorithm = self.rebuilder.pipeline.checksum
        digests = {label: d for path in files for label, d in self.digests.tree(out / path, path, algorithm).items()}
        outputs: dict[str, dict[str, str]] = {name: {} for name in declared}
        for path, digest in digests.items():
            name = _name_of(path, declared, returned)
            outputs.setdefault(name, {})[path] = digest
        missing = [p for n, p in declared.items() if "*" not in p and not outputs[n]]
        if missing:
            raise StageError(f"did not write {', '.join(missing)}")
        return outputs

    def _manifest(
        self, task: Task, now: Observation, outputs: dict[str, dict[str, str]], ran: Ran, seconds: float
    ) -> Manifest:
        ts = round(time.time(), 6)
        if task.stage.declaration is not None:  # a hub's model may have arrived while the stage ran
            after = self.rebuilder.observe(task)
            now.model_digests = {n: d or after.model_digests.get(n, "") for n, d in now.model_digests.items()}
        return Manifest(
            stage=task.stage.name,
            task=task.name,
            inputs=now.inputs,
            inputs_checksum=compute_inputs_checksum(now.inputs),
            params=dict(task.params),
            overrides=dict(task.overrides),
            runner_version=_own_version(),
            outputs=outputs,
            timestamp=ts,
            last_checked_ts=ts,
            device=now.device,
            device_used=ran.device_used,
            code=now.code,
            models=now.model_digests,
            tools=ran.tools,
            duration_s=round(seconds + ran.units_spared_s, 3),
            peak_memory_bytes=ran.peak_memory_bytes,
        )

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

    def _rehashed(self, task: Task, manifest: Manifest) -> Manifest:
        now, gone = self.rebuilder.observe(task), self.rebuilder.gone(task)
        algorithm = self.rebuilder.pipeline.checksum
        outputs = {
            name: {
                path: digest
                if path in gone
                else hash_bytes(b"", algorithm)
                if path.endswith("/")
                else self.digests.file(task.directory / path, algorithm)
                for path, digest in files.items()
            }
            for name, files in manifest.outputs.items()
        }
        return msgspec.structs.replace(
            manifest,
            inputs=now.inputs,
            inputs_checksum=compute_inputs_checksum(now.inputs),
            outputs=outputs,
            code=now.code,
            models=now.model_digests,
        )

    @contextlib.contextmanager
    def _temporary(self, task: Task) -> Iterator[Path]:
        parent = task.state_dir / "tmp"
        parent.mkdir(parents=True, exist_ok=True)
        out = Path(tempfile.mkdtemp(prefix=f"{task.key}.", dir=parent))
        out.chmod(0o755)
        try:
            yield out
        finally:
            shutil.rmtree(out, ignore_errors=True)

    def _part(self, task: Task) -> Path:
        part = task.state_dir / "tmp" / task.key
        part.parent.mkdir(parents=True, exist_ok=True)
        return part

    def _swap(self, task: Task) -> Path:
        return task.state_dir / "swap" / task.key


@functools.cache
def _own_version() -> str:
    """Asked once: Python parses the whole README for it."""
    return version("mediabuild")


def _written_by_hand(earlier: Manifest | None, now: Manifest) -> list[str]:
    """The outputs that no run of the stage made: adopted now, or adopted before and still the same."""
    made = earlier.output_files() if earlier is not None else {}
    before = earlier.adopted if earlier is not None else []
    return sorted(path for path, digest in now.output_files().items() if made.get(path) != digest or path in before)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _key_of(name: str) -> str:
    """The task's key in the name of a temporary file or directory."""
    return name.removesuffix(PART).rpartition(".")[0]


def _sweep(state_dir: Path, key: str) -> None:
    """Remove what dead runs of a task left; its lock is held, so they are dead."""
    for name in _names(state_dir / "tmp"):
        leftover = state_dir / "tmp" / name
        if _key_of(name) == key:
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)


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


def _algorithm(manifest: Manifest) -> str:
    digests = [d for files in (*manifest.inputs.values(), *manifest.outputs.values()) for d in files.values()]
    return digests[0].partition(":")[0] if digests else ""


def _files(out: Path) -> list[str]:
    """Top-level entries that hold something: files, and directories as one."""
    return sorted(entry.name for entry in out.iterdir())


def _name_of(path: str, declared: Mapping[str, str], returned: Mapping[str, list[str]] | None) -> str:
    """The output that a file belongs to; `other` for one that nobody declared."""
    for name, paths in (returned or {}).items():
        if path in paths:
            return name
    for name, pattern in declared.items():
        if path == pattern or path.startswith(pattern + "/") or ("*" in pattern and fnmatch.fnmatchcase(path, pattern)):
            return name
    return "other"
