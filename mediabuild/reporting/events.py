"""What happens, as JSON lines for programs: the typed events.

One object a line, compact, `event` first.

To add a listener: a class with `hear`, which `schedule.session` puts among the others.

Not here: where they are written (`eventlog`), what people read (`report`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Literal, Protocol

import msgspec

from mediabuild.machine.listing import printable
from mediabuild.pipeline.model import Reason

OwnState = Literal["built", "skipped", "failed", "blocked"]


class Event(msgspec.Struct, kw_only=True, tag_field="event", omit_defaults=True):
    """What all events have: seconds since 1970, and the run they belong to."""

    ts: float = 0.0
    run: str = ""


class RunStarted(Event, tag="run_started"):
    """A run begins: how many tasks were selected."""

    version: str
    tasks: int


class StageSkipped(Event, tag="stage_skipped"):
    """The task is up to date: how long it took when it ran is spared."""

    task: str
    spared_s: float = 0.0


class StageIgnored(Event, tag="stage_ignored"):
    """The task is left out since `doit ignore` says so."""

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
    """Something the user should know and that is no failure; the hint says what to do about it."""

    task: str
    message: str
    hint: str = ""


class ModelLoading(Event, tag="model_loading"):
    """A worker (its process id) loads a model."""

    task: str
    model: str
    worker: int


class StageCompleted(Event, tag="stage_completed"):
    """The task ran and was published; of its units, some may have been kept from earlier runs, and spared that time."""

    task: str
    seconds: float
    outputs: int
    units: int = 0
    units_reused: int = 0
    spared_s: float = 0.0


class StageRestored(Event, tag="stage_restored"):
    """An output set came back: when it had been made, how long that took; from where, if not from the task itself."""

    task: str
    made_ts: float
    spared_s: float
    source: str = ""


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


class OwnTask(Event, tag="own_task"):
    """A task of the user's own `dodo.py` came to an end: `built`, `skipped` (up to date), `failed` or `blocked`."""

    task: str
    state: OwnState


class JobsOrphaned(Event, tag="jobs_orphaned"):
    """These jobs have no source any more."""

    jobs: list[str]


class InputsUnread(Event, tag="inputs_unread"):
    """Files or tables that somebody wrote for the pipeline, and nothing reads; told once."""

    names: list[str]
    message: str


class RunFinished(Event, tag="run_finished"):
    """The run ends: exit status, counts, and the seconds of work that were not done again.

    `left`: selected tasks that nothing became of, since the run was stopped; those that it cut short among them.
    """

    status: int
    built: int
    restored: int
    skipped: int
    failed: int
    seconds: float
    blocked: int = 0
    left: int = 0
    spared_s: float = 0.0


AnyEvent = (
    RunStarted
    | StageSkipped
    | StageIgnored
    | StageCacheMiss
    | StageRunning
    | StageProgress
    | StageWarning
    | ModelLoading
    | StageCompleted
    | StageRestored
    | StageDelivered
    | StageFailed
    | OwnTask
    | JobsOrphaned
    | InputsUnread
    | RunFinished
)


class Listener(Protocol):
    """Hears what happens in a run; may be called from any thread."""

    def hear(self, *events: Event) -> None:
        """What happened, in its order."""


class Listeners:
    """Passes events on to all who listen, in their order."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    def emit(self, *events: Event) -> None:
        """Tell everybody."""
        for listener in self._listeners:
            listener.hear(*events)


def encode(events: Iterable[Event], run: str) -> bytes:
    """Stamp events with the time and their run, and encode each as a line."""
    now = round(time.time(), 6)
    lines = []
    for event in events:
        event.ts, event.run = now, run
        try:
            lines.append(msgspec.json.encode(event))
        except UnicodeEncodeError:  # the name of a file may be no text
            lines.append(msgspec.json.encode(_as_text(msgspec.to_builtins(event))))
    return b"".join(line + b"\n" for line in lines)


def _as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _as_text(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_as_text(one) for one in value]
    return printable(value) if isinstance(value, str) else value
