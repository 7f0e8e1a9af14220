"""What became of one task, as data: built, restored, copied; what its program said; the events that tell of it.

Not here: how it came to that (`executor`, `restorer`, `programs`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mediabuild.machine.here import command, quoted, seen
from mediabuild.reporting.events import Event, StageCompleted, StageDelivered, StageRestored, StageWarning
from mediabuild.store.manifest import Manifest

CORRECTED = (".srt", ".vtt", ".ass", ".json", ".txt")


@dataclass
class Ran:
    """What a stage's program says of itself.

    Args:
        loaded: what it loaded of the project's code: file → SHA-256, as hex.
        units: how many. units_reused: those that were kept from earlier runs; units_spared_s: how long they took then.
    """

    returned: dict[str, list[str]] | None = None
    device_used: str | None = None
    tools: dict[str, str] = field(default_factory=dict)
    peak_memory_bytes: int | None = None
    loaded: dict[str, str] = field(default_factory=dict)
    units: int = 0
    units_reused: int = 0
    units_spared_s: float = 0.0


@dataclass(frozen=True)
class Keeping:
    """What a run may do with units: take up what was kept, keep what it makes."""

    reuse: bool = True
    keep: bool = True


@dataclass
class Restored:
    """What came back: its manifest; the task, or copies, it is from; edited files: where they are now → were."""

    manifest: Manifest
    source: str = ""
    kept: dict[Path, Path] = field(default_factory=dict)


@dataclass
class Outcome:
    """What became of a task.

    Args:
        built: the stage ran and was published; False if somebody else had built it meanwhile.
        restored: the manifest of the output set that came back instead. source: the task, or the copies, that it
            was copied from; empty for the task's own earlier outputs.
        seconds: how long it ran now. ran: what its program says of itself, if it ran.
        kept: files that a person had edited: where they are now, out of the way → where they were.
        delivered: copies that were made, relative to the pipeline's folder.
    """

    built: bool = False
    restored: Manifest | None = None
    source: str = ""
    seconds: float = 0.0
    outputs: int = 0
    ran: Ran = field(default_factory=Ran)
    kept: dict[Path, Path] = field(default_factory=dict)
    delivered: list[str] = field(default_factory=list)

    def events(self, task: str, root: Path) -> Iterator[Event]:
        """What there is to say of it; nothing where nothing was made.

        Args:
            task: its name. root: paths are shown relative to it.
        """
        for kept, place in self.kept.items():
            yield StageWarning(
                task=task,
                message=f"it had been edited, and is kept: {os.path.relpath(kept, root)}",
                hint=f"to make an edit count: {_other_way(kept)}{_put_back(kept, place)} && "
                + command("reset-dep", task),
            )
        if self.built:
            ran = self.ran
            yield StageCompleted(
                task=task,
                seconds=round(self.seconds, 3),
                outputs=self.outputs,
                units=ran.units,
                units_reused=ran.units_reused,
                spared_s=ran.units_spared_s,
            )
        elif self.restored is not None:
            made_ts, spared_s = self.restored.timestamp, self.restored.duration_s
            yield StageRestored(task=task, made_ts=made_ts, spared_s=spared_s, source=self.source)
        if self.delivered:
            yield StageDelivered(task=task, files=self.delivered)


def _other_way(kept: Path) -> str:
    """Where a text can be corrected besides."""
    return "a file in corrections/, or: " if kept.suffix.lower() in CORRECTED else ""


def _put_back(kept: Path, place: Path) -> str:
    """The command that puts a file back where it was."""
    return quoted("mv", seen(kept), seen(place))
