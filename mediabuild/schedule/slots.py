"""Limits what runs at once by cores, GPUs and gigabytes, with slot files that are locked while in use.

A slot file is `flock`ed, so it comes back when its holder ends, however it ends, and two runs on one
jobs directory share the same slots. A task takes all its slots or none: nothing waits while it holds
some, so nothing can deadlock.

Not here: which task gets them first (`runner`).
"""

from __future__ import annotations

import fcntl
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mediabuild.machine import regular
from mediabuild.pipeline.model import Resources

KINDS = ("gpu", "memory_gb", "cpu")


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
    """

    def __init__(self, folder: Path, capacity: Mapping[str, float]) -> None:
        self.folder = folder
        self.counts = {kind: max(1, math.floor(capacity[kind])) for kind in KINDS}

    def take(self, needs: Resources) -> Held | None:
        """All that a task needs, or None where something of it is in use.

        Raises:
            OSError: the slot files can't be made.
        """
        held = Held()
        try:
            for kind in KINDS:
                count = min(math.ceil(getattr(needs, kind)), self.counts[kind])
                numbers = self._take(kind, count, held)
                if len(numbers) < count:
                    held.give_back()
                    return None
                if kind == "gpu":
                    held.gpus = tuple(numbers)
        except BaseException:
            held.give_back()
            raise
        return held

    def _take(self, kind: str, count: int, held: Held) -> list[int]:
        """The numbers of up to `count` free slots of a kind, locked."""
        taken: list[int] = []
        for number in range(self.counts[kind] if count else 0):
            if len(taken) == count:
                break
            descriptor = self._open(f"{kind}.{number}")
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
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
