"""What happens, as JSON lines for programs: the typed events, and where they are written.

One object a line, compact, `event` first. They go to `--events FILE` (`-` is stdout) and always to
`events.jsonl` in the jobs directory, rotated by size.

Not here: what people read (`report`).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import threading
import time
from pathlib import Path
from typing import IO

import msgspec

from mediabuild.errors import MediabuildError
from mediabuild.model import Reason

LOG_BYTES = 8_000_000  # about 40,000 events
LOGS_KEPT = 3


class Event(msgspec.Struct, kw_only=True, tag_field="event", omit_defaults=True):
    """What all events have: seconds since 1970, and the run they belong to."""

    ts: float = 0.0
    run: str = ""


class RunStarted(Event, tag="run_started"):
    """A run begins: how many tasks were selected."""

    version: str
    tasks: int


class StageSkipped(Event, tag="stage_skipped"):
    """The task is up to date."""

    task: str


class StageCacheMiss(Event, tag="stage_cache_miss"):
    """The task is stale: every reason."""

    task: str
    reasons: list[Reason]


class StageRunning(Event, tag="stage_running"):
    """The task's program starts."""

    task: str
    device: str


class StageProgress(Event, tag="stage_progress"):
    """How far it is, in the stage's own unit; throttled."""

    task: str
    done: float
    total: float


class StageWarning(Event, tag="stage_warning"):
    """Something the user should know and that is no failure."""

    task: str
    message: str


class ModelLoading(Event, tag="model_loading"):
    """A worker (its process id) loads a model."""

    task: str
    model: str
    worker: int


class StageCompleted(Event, tag="stage_completed"):
    """The task ran and was published."""

    task: str
    seconds: float
    outputs: int


class StageRestored(Event, tag="stage_restored"):
    """An earlier output set came back: when it had been made, and how long that took."""

    task: str
    made_ts: float
    spared_s: float


class StageDelivered(Event, tag="stage_delivered"):
    """Copies of an up-to-date task's outputs were made where people look."""

    task: str
    files: list[str]


class StageFailed(Event, tag="stage_failed"):
    """The task failed, or could not run because `blocked_by` did."""

    task: str
    message: str
    hint: str = ""
    log: str = ""
    blocked_by: list[str] = []


class RunFinished(Event, tag="run_finished"):
    """The run ends: exit status, counts, and the seconds of work that were not done again."""

    status: int
    built: int
    restored: int
    skipped: int
    failed: int
    seconds: float
    spared_s: float = 0.0


AnyEvent = (
    RunStarted
    | StageSkipped
    | StageCacheMiss
    | StageRunning
    | StageProgress
    | StageWarning
    | ModelLoading
    | StageCompleted
    | StageRestored
    | StageDelivered
    | StageFailed
    | RunFinished
)


class EventLog:
    """Writes events, from any thread.

    Args:
        log: the file in the jobs directory; trouble with it never stops a run.
        target: `--events`: a file that is written anew, `-` for stdout, or None.

    Raises:
        MediabuildError: the target can't be written.
    """

    def __init__(self, log: Path, target: str | None = None) -> None:
        self.run = f"{int(time.time()):x}-{secrets.token_hex(3)}"
        self._lock = threading.Lock()
        self._files: list[IO[bytes]] = []
        with contextlib.suppress(OSError):
            rotate(log)
            log.parent.mkdir(parents=True, exist_ok=True)
            self._files.append(log.open("ab", buffering=0))
        if target == "-":
            self._files.append(open(os.dup(sys.stdout.fileno()), "wb", buffering=0))
        elif target:
            try:
                self._files.append(open(target, "wb", buffering=0))
            except OSError as error:
                raise MediabuildError(f"--events: {target}: {error.strerror}", "doit --events=events.jsonl") from None

    def emit(self, event: Event) -> None:
        """Stamp an event and write it everywhere, as one write each."""
        event.ts, event.run = round(time.time(), 6), self.run
        line = msgspec.json.encode(event) + b"\n"
        with self._lock:
            for file in self._files:
                with contextlib.suppress(OSError):  # a full disk or a closed pipe
                    file.write(line)

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()


def rotate(log: Path) -> None:
    """Move a log that has grown too large aside: `.1` is the newest of the old ones."""
    if not log.exists() or log.stat().st_size < LOG_BYTES:
        return
    for number in range(LOGS_KEPT, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        newer = log.with_name(f"{log.name}.{number - 1}") if number > 1 else log
        if newer.exists():
            newer.replace(older)
