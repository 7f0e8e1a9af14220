"""Running a stage's program: a command as a plain child, a Python stage in a worker. Both write to a log.

Not here: commands in detail (`command_stages`), when to run it and what becomes of its outputs (`executor`).
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mediabuild.errors import DiskFull, StageError
from mediabuild.execution.command_stages.command import Commands
from mediabuild.execution.command_stages.pieces import run_pieces
from mediabuild.execution.outcome import Keeping, Ran
from mediabuild.execution.protocol import Early, LaneSlots, Request
from mediabuild.execution.workers import Key, Workers
from mediabuild.freshness.meanwhile import Meanwhile
from mediabuild.machine import regular
from mediabuild.machine.hardware.slots import Slots
from mediabuild.machine.here import quoted
from mediabuild.machine.processes import Processes
from mediabuild.machine.visible import last_lines
from mediabuild.pipeline.code_of_stages.loading import builtin_stages_dir
from mediabuild.pipeline.model import Produced, StageSpec, Task
from mediabuild.reporting.events import Event, ModelLoading, StageProgress, StageWarning
from mediabuild.store import places

LOG_TAIL_LINES = 12
FULL_DISK_BYTES = 65_536


class Programs:
    """Runs stages' programs.

    Args:
        processes: what is started ends with the run.
        root: the pipeline's folder. checksum: the pipeline's.
        emit: receives what Python stages report.

    Attributes:
        slots: of the run; lanes take what is spare of them. most_lanes: how many of a task make units at once.
    """

    def __init__(self, processes: Processes, root: Path, checksum: str, emit: Callable[[Event], None]) -> None:
        self.processes = processes
        self.commands = Commands(processes, root, emit)
        self.checksum = checksum
        self.root = root
        self.workers = Workers(processes, root)
        self.emit = emit
        self.slots: Slots | None = None
        self.most_lanes = 1

    def run(self, task: Task, meanwhile: Meanwhile, out: Path, gpus: tuple[int, ...], keeping: Keeping) -> Ran:
        """Run a task's program, its outputs to `out`.

        Args:
            meanwhile: the facts that it runs on.

        Raises:
            StageError: it failed or took too long; the message ends with its log's last lines.
            Interrupted: the run is stopping.
        """
        observation = meanwhile.before
        device = device_with(observation.facts.device, gpus)  # `cuda` is what is recorded
        log = places.log(task)
        log.parent.mkdir(parents=True, exist_ok=True)
        regular.open_file(log, "wb").close()  # what it tells of is this run, also where that ends at once
        try:
            if task.stage.running.each:
                return run_pieces(self.commands, task, meanwhile, out, log, device, keeping)
            if task.stage.declaration is None:
                return self.commands.run(task, observation, out, log, device)
            return self._run_python(task, meanwhile, out, log, device, keeping)
        except StageError as error:
            tail = _tail(log)
            if _is_full(log):  # then the log may not even say so
                raise DiskFull(f"{error.message}: No space left on device\n{tail}".rstrip(), "df -h .") from None
            raise StageError(error.message + (f"\n{tail}" if tail else ""), error.hint or quoted("less", log)) from None

    def _run_python(self, task: Task, meanwhile: Meanwhile, out: Path, log: Path, device: str, keeping: Keeping) -> Ran:
        spec, observation = task.stage, meanwhile.before
        request = Request(
            task=task.name,
            job=task.job,
            file=str(spec.file),
            code=meanwhile.code,
            facts=observation.facts,
            out=str(out),
            sources={n: {k: str(p) for k, p in files.items()} for n, files in observation.handed.items()},
            makers={
                n: r.task.partition(":")[0] for n, refs in task.inputs.items() for r in refs if isinstance(r, Produced)
            },
            outputs=dict(spec.outputs),
            device=device,
            project_dir=str(self.root),
            models={name: str(model.path) if model.path else None for name, model in observation.models.items()},
            threads=threads_of(spec, device),
            lanes=self._lanes(spec, device),
            log=str(log),
            units=str(places.units(task)),
            units_part=str(places.part(task)),
            reuse_units=keeping.reuse,
            keep_units=keeping.keep,
            checksum=self.checksum,
            seen=meanwhile.seen,
            folders=[str(folder) for folder in meanwhile.folders],
        )

        def report(kind: str, fields: dict[str, Any]) -> None:
            if kind == "progress":
                self.emit(StageProgress(task=task.name, done=fields["done"], total=fields["total"]))
            elif kind == "warning":
                self.emit(StageWarning(task=task.name, message=fields["message"], hint=fields["hint"]))
            elif kind == "model_loading":
                self.emit(ModelLoading(task=task.name, model=fields["model"], worker=fields["worker"]))

        key = worker_key(spec, device)
        fields = self.workers.run(key, request, spec.timeout_s, report)
        used = fields["device_used"] or (device if device != observation.facts.device else None)
        counts = {name: fields[name] for name in ("units", "units_reused", "units_spared_s")}
        return Ran(fields["returned"], used, fields["tools"], fields["peak_memory_bytes"], fields["loaded"], **counts)

    def start_early(self, task: Task, device: str, memory_gb: float) -> None:
        """Start the worker of a task that will run on it, which imports what it declares on a core that is spare.

        Args:
            device: as it will run. memory_gb: what the task takes; its worker waits for that, too.
        """
        spec = task.stage
        if self.slots is None or spec.declaration is None:
            return
        slots = LaneSlots(1, 1, str(self.slots.folder), self.slots.counts, {"cpu": 1.0, "memory_gb": memory_gb})
        early = Early(list(spec.declaration.imports), slots)
        self.workers.start_early(worker_key(spec, device), early, memory_gb)

    def _lanes(self, spec: StageSpec, device: str) -> LaneSlots:
        """What a stage may take to make units at once; a lane takes a core, and the stage's memory again."""
        if spec.declaration is None or not has_lanes(spec, device):
            return LaneSlots()
        own, most = max(1, spec.resources.cpu), self.most_lanes
        if device != "cpu":
            own, most = (min(count, spec.declaration.gpu_lanes) for count in (own, most))
        if self.slots is None:
            return LaneSlots(own, own)
        needs = {"cpu": 1.0, "memory_gb": spec.declaration.memory_gb}
        return LaneSlots(own, max(own, most), str(self.slots.folder), self.slots.counts, needs)

    def close(self) -> None:
        """End the workers."""
        if not self.processes.stopping.is_set():
            self.workers.close()


def device_with(device: str, gpus: Sequence[int]) -> str:
    """The device of a task that got these GPU slots: which of several it is, is no reason to run again."""
    return f"cuda:{gpus[0]}" if device == "cuda" and gpus else device


def worker_key(spec: StageSpec, device: str) -> Key:
    """Which worker a stage shares; of a GPU, each has its own."""
    kind = device if spec.heavy else "light"
    if spec.file is not None and spec.file.parent != builtin_stages_dir():
        kind = f"{kind} {spec.file}"
    return (str(spec.python or sys.executable), kind, threads_of(spec, device))


def threads_of(spec: StageSpec, device: str) -> int:
    """How many threads a library may use in a stage: the cores that it has, unless its lanes do."""
    return 1 if has_lanes(spec, device) else spec.resources.cpu


def has_lanes(spec: StageSpec, device: str) -> bool:
    """Whether a stage makes several units at once there."""
    declared = spec.declaration
    if declared is None or not declared.lanes:
        return False
    return device == "cpu" or (device.startswith("cuda") and declared.gpu_lanes > 1)


def _is_full(log: Path) -> bool:
    """Whether the disk of the jobs directory has no room left."""
    with contextlib.suppress(OSError):
        disk = os.statvfs(log.parent)
        return disk.f_bavail * disk.f_frsize < FULL_DISK_BYTES
    return False


def _tail(log: Path) -> str:
    """The last lines of a log, indented."""
    with contextlib.suppress(OSError), regular.open_file(log, "rb") as file:
        return "\n".join(f"    {line}" for line in last_lines(file, LOG_TAIL_LINES))
    return ""
