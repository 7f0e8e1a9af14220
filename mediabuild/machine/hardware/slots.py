"""Limits what runs at once by cores, GPUs and gigabytes, with slot files that are locked while in use.

A slot file is `flock`ed, so it comes back when its holder ends, however it ends, and two runs on one
jobs directory share the same slots. A task takes all its slots or none: nothing waits while it holds
some, so nothing can deadlock. Who needs many at once would wait for ever while others need few; so there is a
turnstile, a file as well: while somebody holds it, nobody else takes any slots.

What no task needs is spare, for lanes. They ask again for each batch, and get nothing while a run holds the file
`wanted`, since a task of it waits for slots.

Not here: which task gets them first (`schedule.turns`), what lanes are (`mediabuild.lanes`).
"""

from __future__ import annotations

import fcntl
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mediabuild.machine import regular

KINDS = ("gpu", "memory_gb", "cpu")
TURNSTILE, WANTED = "turnstile", "wanted"

Needs = Mapping[str, float]  # kind → how many slots


@dataclass
class Held:
    """Slots in use by one task: `gpus` are the device numbers that it got."""

    gpus: tuple[int, ...] = ()
    descriptors: list[int] = field(default_factory=list)

    def give_back(self) -> None:
        """Free them; safe to call again."""
        while self.descriptors:
            os.close(self.descriptors.pop())


class Slots:
    """The slots of a jobs directory.

    Args:
        folder: where the slot files are; made when the first is taken.
        capacity: kind → how many there are; a task that needs more gets all of them, and so runs alone.

    Attributes:
        short_of: the kind that was lacking when somebody last got none; empty for the turnstile.
    """

    def __init__(self, folder: Path, capacity: Mapping[str, float]) -> None:
        self.folder = folder
        self.counts = {kind: max(1, math.floor(capacity[kind])) for kind in KINDS}
        self.short_of = ""
        self._turnstile: int | None = None
        self._wanted: int | None = None
        self._ours = False

    def hold_back_others(self) -> bool:
        """Let nobody else take slots, here and in other runs, until `let_others`; False where somebody else does so.

        Raises:
            OSError: the file can't be made.
        """
        self._ours = self._ours or self._try_turnstile(fcntl.LOCK_EX)
        return self._ours

    def let_others(self) -> None:
        """Let others take slots again."""
        if self._turnstile is not None:
            fcntl.flock(self._turnstile, fcntl.LOCK_UN)
        self._ours = False

    def want(self, wanted: bool) -> None:
        """Whether a task here waits for slots: then no lane gets any, here and in other runs.

        Raises:
            OSError: the file can't be made.
        """
        if wanted and self._wanted is None:
            self._wanted = self._open(WANTED)
            if not _try(self._wanted, fcntl.LOCK_SH):  # a lane that looks at it has it for a moment
                self.want(False)
        elif not wanted and self._wanted is not None:
            os.close(self._wanted)
            self._wanted = None

    def close(self) -> None:
        """Let others pass, and close the files."""
        self._ours = False
        self.want(False)
        if self._turnstile is not None:
            os.close(self._turnstile)
            self._turnstile = None

    def _try_turnstile(self, how: int) -> bool:
        if self._turnstile is None:
            self._turnstile = self._open(TURNSTILE)
        return _try(self._turnstile, how)

    def take(self, needs: Needs) -> Held | None:
        """All that a task needs, or None where something of it is in use.

        Raises:
            OSError: the slot files can't be made.
        """
        self.short_of = ""
        if not self._ours:
            if not self._try_turnstile(fcntl.LOCK_SH):
                return None
            self.let_others()
        held = Held()
        try:
            for kind in KINDS:
                count = min(math.ceil(needs.get(kind, 0)), self.counts[kind])
                numbers = self._take(kind, count, held)
                if len(numbers) < count:
                    self.short_of = kind
                    held.give_back()
                    return None
                if kind == "gpu":
                    held.gpus = tuple(numbers)
        except BaseException:
            held.give_back()
            raise
        return held

    def take_spare(self, needs: Needs) -> Held | None:
        """What a lane needs for a batch, or None where some of it is in use, or a task waits for slots; as `take`."""
        return None if self.is_wanted() else self.take(needs)

    def is_wanted(self) -> bool:
        """Whether a task waits for slots, here or in another run.

        Raises:
            OSError: the file can't be made.
        """
        wanted = self._open(WANTED)
        try:
            return not _try(wanted, fcntl.LOCK_EX)
        finally:
            os.close(wanted)

    def _take(self, kind: str, count: int, held: Held) -> list[int]:
        """The numbers of up to `count` free slots of a kind, locked."""
        taken: list[int] = []
        for number in range(self.counts[kind] if count else 0):
            if len(taken) == count:
                break
            descriptor = self._open(f"{kind}.{number}")
            if not _try(descriptor, fcntl.LOCK_EX):
                os.close(descriptor)
                continue
            held.descriptors.append(descriptor)
            taken.append(number)
        return taken

    def _open(self, name: str) -> int:
        flags = os.O_RDWR | os.O_CREAT
        try:
            return regular.descriptor_of(self.folder / name, flags)
        except FileNotFoundError:
            self.folder.mkdir(parents=True, exist_ok=True)
            return regular.descriptor_of(self.folder / name, flags)


def _try(descriptor: int, how: int) -> bool:
    """Lock a file, unless somebody else has it."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
