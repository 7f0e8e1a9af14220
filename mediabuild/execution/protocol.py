"""What the run and a worker say to each other, as JSON lines: a request, messages, and one answer.

Before that, a worker may be told at its start what to import before its first request comes (`Early`).

Requests have numbers, and each reply has its request's: an answer can't be taken for another's.

Not here: the two ends (`worker`, `workers`). A stage's own interpreter imports this module: it needs nothing but
msgspec.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from mediabuild.errors import StageError
from mediabuild.lanes import GiveBack
from mediabuild.machine.hardware.slots import Slots
from mediabuild.store.facts import ORDER, Facts
from mediabuild.store.sight import ON_THE_WAY, Sight, moved, sight

PROTOCOL = 6
MESSAGE_CHARS = 10_000  # what a stage says to people is cut there: nobody reads more, and the log has it all
REPLY_BYTES = 1 << 26  # a longer line is no reply; an answer with 100,000 file names has some ten MiB


class LaneSlots(msgspec.Struct):
    """The cores on which a stage may make units at once, or a worker imports what it will need.

    Args:
        own: how many the task has. most: how many units are made at once at most.
        folder, counts: of the slots, of which what is spare may be taken. needs: what a lane takes of them.
    """

    own: int = 1
    most: int = 1
    folder: str = ""
    counts: dict[str, int] = {}
    needs: dict[str, float] = {}

    def spare(self) -> Callable[[], GiveBack | None]:
        """What takes a core that nobody needs; it comes back when this process ends, however it does."""
        slots = self._slots()

        def take() -> GiveBack | None:
            held = None
            with contextlib.suppress(OSError):  # a disk that is full or read-only: as if none were free
                held = slots.take_spare(self.needs) if slots is not None else None
            return held.give_back if held is not None else None

        return take

    def wanted(self) -> Callable[[], bool]:
        """What tells whether a task waits for a core."""
        slots = self._slots()

        def is_wanted() -> bool:
            with contextlib.suppress(OSError):
                return slots is not None and slots.is_wanted()
            return False

        return is_wanted

    def _slots(self) -> Slots | None:
        return Slots(Path(self.folder), self.counts) if self.folder else None


class Early(msgspec.Struct):
    """What a worker imports before its first request comes, where there is a core that nobody needs.

    Args:
        modules: their names; what can't be imported is left to the stage, which says so.
        slots: of which the core is.
    """

    modules: list[str]
    slots: LaneSlots

    def begin(self, asked: threading.Event) -> None:
        """Import; from the first request on the core is free, since the request has its own.

        Args:
            asked: set when that comes, and at the end.
        """
        give_back = self.slots.spare()()
        if give_back is None:
            return

        def end() -> None:
            asked.wait()
            give_back()

        threading.Thread(target=end, daemon=True).start()
        for module in self.modules:
            with contextlib.suppress(Exception):
                importlib.import_module(module)
        asked.set()


class Request(msgspec.Struct):
    """Run one stage: everything that its context needs, as plain values.

    Args:
        code: the files of the stage's own code, as it was looked at: file → SHA-256, as hex.
        makers: input → the stage that makes it.
        seen: what it is about to see, by its stats. folders: those of which just the entries count there.
    """

    task: str
    job: str
    file: str
    code: dict[str, str]
    facts: Facts
    out: str
    sources: dict[str, dict[str, str]]
    makers: dict[str, str]
    outputs: dict[str, str]
    device: str
    project_dir: str
    models: dict[str, str | None]
    threads: int
    lanes: LaneSlots
    log: str
    units: str
    units_part: str
    reuse_units: bool
    keep_units: bool
    checksum: str
    seen: Sight
    folders: list[str]
    number: int = 0
    protocol: int = PROTOCOL

    @property
    def is_own(self) -> bool:
        """Whether the stage is the project's own, and judged by its files."""
        return "file" in self.facts.code

    @property
    def code_text(self) -> str:
        """The facts of the stage's code, as text that equal code shares; the order of files is no code."""
        facts = {name: fact for name, fact in self.facts.code.items() if name != ORDER}
        return msgspec.json.encode(facts, order="sorted").decode()

    def inputs_are_still(self) -> bool:
        """Whether the inputs are as the run saw them before the stage began."""
        paths = [path for files in self.sources.values() for path in files.values()]
        return self._is_still(sight(paths, self.folders))

    def models_are_still(self) -> bool:
        """Whether the models are as the run saw them before the stage began."""
        return self._is_still(sight(path for path in self.models.values() if path is not None))

    def models_seen(self) -> str:
        """The models' stats, as text that is another when they are."""
        found = sight(path for path in self.models.values() if path is not None)
        return repr(sorted((path, self.seen.get(path)) for path in found if not path.endswith(ON_THE_WAY)))

    def _is_still(self, now: Sight) -> bool:
        return not any(moved({path: self.seen[path] for path in now if path in self.seen}, now))


class Reply(msgspec.Struct, omit_defaults=True):
    """A message (`progress`, `warning`, `model_loading`) or the end of a request (`done`, `failed`).

    Args:
        number: of the request.
        spent: why the worker must not be given another request; empty where it may.
    """

    kind: str
    number: int
    fields: dict[str, Any] = {}
    spent: str = ""


def text_of(said: object) -> str:
    """What a stage says to people, as text that every console and file can hold, cut where it is too long."""
    try:
        text = said if isinstance(said, str) else str(said)
    except Exception:  # a class of the stage's own may raise anything
        text = f"({type(said).__name__})"
    if len(text) > MESSAGE_CHARS:
        text = f"{text[:MESSAGE_CHARS]} … ({len(text)} characters)"
    return text.encode(errors="backslashreplace").decode()


def number_of(value: object, what: str) -> float:
    """A number that a stage gives, of whatever type it is.

    Raises:
        StageError: it isn't one.
    """
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise StageError(f"{what}: {text_of(repr(value))} is no number") from None
    return number if math.isfinite(number) else 0.0


def names_of(returned: object, out: Path) -> dict[str, list[str]] | None:
    """A stage's own account of its outputs: name → files and directories, relative to its directory.

    Args:
        returned: what its function returned: nothing, or a table of names and what belongs to each.

    Raises:
        StageError: it is something else, or names what isn't there.
    """
    if returned is None:
        return None
    if not isinstance(returned, Mapping):
        raise StageError(
            f"the stage returned {text_of(repr(returned))[:100]}; it may return nothing, or output name → files",
            'return {"text": ["a.txt", "b.txt"]}',
        )
    return {text_of(name): [_inside(file, out) for file in _several(files)] for name, files in returned.items()}


def _several(files: object) -> Iterable[object]:
    if isinstance(files, (str, os.PathLike)):
        return [files]
    if isinstance(files, Iterable) and not isinstance(files, (bytes, Mapping)):
        return files
    return [files]


def _inside(file: object, out: Path) -> str:
    """A file's path relative to the stage's directory."""
    if not isinstance(file, (str, os.PathLike)):
        raise StageError(f"the stage returned {text_of(repr(file))[:100]} as the name of a file")
    name = os.path.normpath(os.path.join(out, os.fspath(file)))
    inside = os.path.relpath(name, out)
    if not os.path.lexists(name):
        raise StageError(f"the stage returned {text_of(inside)}, and did not write it")
    if inside.split(os.sep)[0] in (os.curdir, os.pardir):
        raise StageError(f"the stage returned {text_of(inside)}, which isn't in its output directory")
    return inside
