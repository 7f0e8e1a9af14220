"""Runs a command once for each of its pieces, several at once; each is kept when finished, as a unit of the task.

A piece that fails fails the task; the others are made all the same, and kept.

Not here: which pieces there are (`pipeline.command_stages.pieces`), how units are kept (`mediabuild.units`).
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from mediabuild.errors import StageError
from mediabuild.execution.command_stages.command import Commands, tools_of
from mediabuild.execution.outcome import Keeping, Ran
from mediabuild.freshness.meanwhile import Meanwhile
from mediabuild.machine import regular
from mediabuild.machine.files import set_executable
from mediabuild.pipeline.command_stages.pieces import Piece, is_told_its_name, pieces_of
from mediabuild.pipeline.model import Task
from mediabuild.reporting.events import StageProgress
from mediabuild.store import places
from mediabuild.store.facts import ORDER
from mediabuild.store.sight import moved, sight
from mediabuild.units import Units

PROGRESS_EVERY_S = 0.5
SHOWN = 5  # failed pieces that are named
MOST_BYTES = 1 << 28  # of what a piece wrote, to be kept: it is held in memory for that


@dataclass
class PieceRun:
    """A task's pieces in one run.

    Args:
        out: the directory of the outputs. device: as the command is told it.
    """

    commands: Commands
    task: Task
    meanwhile: Meanwhile
    out: Path
    log: Path
    device: str
    keeping: Keeping

    def run(self) -> Ran:
        """Make all pieces.

        Raises:
            StageError: names the pieces that failed. Interrupted: the run is stopping.
        """
        spec, before = self.task.stage, self.meanwhile.before
        self.pieces = pieces_of(self.task, before.handed[spec.running.each])
        self.lock = threading.Lock()
        self.failed: dict[str, StageError] = {}
        self.done, self.peak_bytes, self.said_s = 0, 0, 0.0
        self.units = Units(
            places.units(self.task),
            self._scope(),
            reuse=self.keeping.reuse,
            keep=self.keeping.keep,
            part=places.part(self.task),
        )
        regular.open_file(self.log, "wb").close()
        pool = ThreadPoolExecutor(max(1, spec.resources.cpu))
        try:
            waiting = [pool.submit(self._make, alike) for alike in self._different()]
            for future in waiting:
                future.result()
            if self.failed:
                raise self._failure()
            self.units.complete()
        finally:
            pool.shutdown(cancel_futures=True)
            self.units.close()
        units = self.units
        return Ran(
            tools=tools_of(spec),
            peak_memory_bytes=self.peak_bytes or None,
            units=units.made + units.reused,
            units_reused=units.reused,
            units_spared_s=round(units.spared_s, 3),
        )

    def _failure(self) -> StageError:
        names = [piece.name for piece in self.pieces if piece.name in self.failed]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        first = self.failed[names[0]]
        what = f"{len(names)} of {len(self.pieces)} pieces failed: {', '.join(names[:SHOWN])}{more}"
        return StageError(f"{what}: {first.message}", first.hint)

    def _different(self) -> list[list[Piece]]:
        """The pieces, those that follow from the same together."""
        found: dict[str, list[Piece]] = {}
        for piece in self.pieces:
            found.setdefault(json.dumps(self._facts(piece), sort_keys=True), []).append(piece)
        return list(found.values())

    def _make(self, alike: list[Piece]) -> None:
        """Make a piece; the others that follow from the same are copies of it, where it can be kept."""
        result: bytes | None = None
        for piece in alike:
            if result is None or not self._put(piece, result):
                result = self._result(piece)
            if piece.name not in self.failed:
                self._report()

    def _result(self, piece: Piece) -> bytes | None:
        """Take up what was kept of a piece, or run the command for it; None where it failed, or is too much to keep."""
        facts = self._facts(piece)
        kept = self.units.take(facts)
        if kept is not None and self._put(piece, kept):
            return kept
        started_s = time.monotonic()
        with TemporaryFile() as printed:
            try:
                result = self._run(piece, printed)
            except StageError as error:
                self._say(f"{piece.name}: {error.message}", printed)
                self.failed[piece.name] = error
                return None
            self._say(piece.name, printed)
        if result is not None and self._is_still(piece):
            self.units.keep(facts, result, time.monotonic() - started_s)
        return result

    def _run(self, piece: Piece, printed: Any) -> bytes | None:
        """Run the command; what it wrote, packed, or None where that is too much to be kept."""
        spec = self.task.stage
        inputs = {name: list(files.values()) for name, files in self.meanwhile.before.handed.items()}
        inputs[spec.running.each] = [] if piece.file is None else [piece.file]
        outputs = self._outputs(piece)
        programs = self.meanwhile.before.code_files
        child = self.commands.run_once(self.task, inputs, outputs, self.out, programs, printed, self.device, piece)
        self.peak_bytes = max(self.peak_bytes, child.peak_memory_bytes or 0)
        missing = [path for path in outputs.values() if not (self.out / path).is_file()]
        if missing:
            raise StageError(f"did not write {', '.join(missing)}")
        files = {name: self.out / path for name, path in outputs.items()}
        if any(file.is_symlink() for file in files.values()):
            return None  # content doesn't tell where a link leads
        return _packed(files) if sum(file.stat().st_size for file in files.values()) <= MOST_BYTES else None

    def _outputs(self, piece: Piece) -> dict[str, str]:
        return {name: pattern.replace("*", piece.name) for name, pattern in self.task.stage.outputs.items()}

    def _put(self, piece: Piece, kept: bytes) -> bool:
        """Write what was kept of a piece; False where it can't be read."""
        files = _unpacked(kept)
        outputs = self._outputs(piece)
        if files is None or files.keys() != outputs.keys():
            return False
        for name, (content, executable) in files.items():
            path = self.out / outputs[name]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            if executable:
                set_executable(path, True)
        return True

    def _scope(self) -> list[Any]:
        """What all pieces follow from: command, params, device, the other inputs, and the tools' versions."""
        facts, spec = self.meanwhile.before.facts, self.task.stage
        code = {name: fact for name, fact in facts.code.items() if name != ORDER}
        others = {name: files for name, files in facts.inputs.items() if name != spec.running.each}
        return [facts.stage, code, facts.params, self.device.partition(":")[0], others, tools_of(spec)]

    def _facts(self, piece: Piece) -> dict[str, Any]:
        """What a piece follows from besides: its file's content, or the cells that are used; its name if it is told."""
        spec = self.task.stage
        facts: dict[str, Any] = {"name": piece.name} if is_told_its_name(spec) else {}
        if piece.file is None:
            return facts | {"cells": dict(piece.cells)}
        if not spec.running.isolate:  # then it is told the path
            facts["path"] = os.path.relpath(piece.file, self.commands.root)
        digest = self.meanwhile.digests.file(piece.file, self.meanwhile.checksum)
        return facts | {"file": digest, "suffix": piece.file.suffix.lower()}

    def _is_still(self, piece: Piece) -> bool:
        """Whether all that a piece was made from is what it was; else nothing is kept."""
        handed = self.meanwhile.before.handed
        each = self.task.stage.running.each
        whole = [files for name, files in handed.items() if name != each or piece.file is None]
        paths = [path for files in whole for path in files.values()]
        paths += [*self.meanwhile.before.code_files.values(), *([piece.file] if piece.file else [])]
        seen = self.meanwhile.seen
        now = {path: stats for path, stats in sight(paths).items() if path in seen}
        return not any(moved({path: seen[path] for path in now}, now))

    def _say(self, title: str, printed: Any) -> None:
        """What a piece printed goes into the log, behind its name."""
        printed.seek(0)
        with self.lock, regular.open_file(self.log, "ab") as log:
            log.write(f"== {title}\n".encode() + printed.read())

    def _report(self) -> None:
        with self.lock:
            self.done += 1
            now_s = time.monotonic()
            if now_s - self.said_s < PROGRESS_EVERY_S and self.done < len(self.pieces):
                return
            self.said_s = now_s
            self.commands.emit(StageProgress(task=self.task.name, done=self.done, total=len(self.pieces)))


def _packed(files: Mapping[str, Path]) -> bytes:
    """Files as one text of bytes: a line of JSON says how long each is, and whether it may be executed."""
    contents = {name: file.read_bytes() for name, file in files.items()}
    head = {name: [len(content), bool(files[name].stat().st_mode & 0o100)] for name, content in contents.items()}
    return json.dumps(head).encode() + b"\n" + b"".join(contents.values())


def _unpacked(packed: bytes) -> dict[str, tuple[bytes, bool]] | None:
    line, _, rest = packed.partition(b"\n")
    found: dict[str, tuple[bytes, bool]] = {}
    try:
        for name, (length, executable) in json.loads(line).items():
            found[name], rest = (rest[:length], executable), rest[length:]
    except (ValueError, AttributeError, TypeError):
        return None
    return found


def run_pieces(
    commands: Commands, task: Task, meanwhile: Meanwhile, out: Path, log: Path, device: str, keeping: Keeping
) -> Ran:
    """Run a task's command once for each of its pieces.

    Raises:
        StageError: names the pieces that failed. Interrupted: the run is stopping.
    """
    return PieceRun(commands, task, meanwhile, out, log, device, keeping).run()
