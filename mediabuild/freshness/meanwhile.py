"""Tells whether what a stage read was the same from its start to its end: its inputs, models and programs.

Digests are compared before and after, and stats too: what changed and changed back has the digests that it had.

Not here: what follows from it (`execution.executor`), how stats are taken (`store.sight`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from mediabuild.freshness.code import file_name
from mediabuild.freshness.look import Freshness
from mediabuild.freshness.observation import Observation
from mediabuild.freshness.presence import why
from mediabuild.freshness.rebuilder import code_differences, input_differences, model_differences
from mediabuild.pipeline.code_of_stages.files import is_program
from mediabuild.pipeline.model import Reason, ReasonKind, Task
from mediabuild.store import places
from mediabuild.store.facts import WRITTEN
from mediabuild.store.sight import ON_THE_WAY, Sight, moved, sight
from mediabuild.store.stats import ABSENT, is_still

CAME_BACK = "changed and changed back"


class Meanwhile:
    """What a stage is about to see; made right before its program starts.

    Args:
        before: the facts that the stage runs on.

    Attributes:
        code: of a stage of the project's own, its files as they were looked at: file → SHA-256, as hex.
        loaded: what its program loaded besides, once `changes` was asked: name → digest, further facts of its code.
        seen: the stats of all that it is handed, its models and programs.
        folders: where earlier outputs of the tasks are kept whose outputs it reads. Another result that takes the place
            of one of these for a while leaves its trace there, and a note in its manifest (`refresh`) doesn't.
    """

    def __init__(self, freshness: Freshness, task: Task, before: Observation) -> None:
        self.before = before
        self.root, self.checksum = freshness.pipeline.root, freshness.pipeline.checksum
        self.task = task
        self.folders = [places.generations(producer) for producer in freshness.producers.of(task)]
        self.digests = freshness.digests
        self.loaded: dict[str, str] = {}
        self.code: dict[str, str] = {}
        self._changed = list(self._edited_since()) if "file" in before.facts.code else []
        self.seen = self._look()
        young = [path for path, stats in self.seen.items() if stats != ABSENT and not is_still(stats)]
        if young:  # a change from now on could leave the same times behind
            freshness.digests.settle(Path(path) for path in young)
            self.seen = self._look()

    def changes(self, after: Observation, loaded: Mapping[str, str], *, again: bool) -> list[Reason]:
        """What was other than before at any moment, by the facts and the stats of now.

        Args:
            after: the facts, taken when the program had ended.
            loaded: of the project's code: file → SHA-256 of what was loaded, as hex.
            again: it runs for the second time: a file that a command names, no program, and that changed both times is
                one that it writes.
        """
        was, now = self.before.facts, after.facts
        found = [*self._changed, *self._loaded_otherwise(loaded)]
        found += [*input_differences(was.inputs, now.inputs), *after.troubles]
        known = {name: digest for name, digest in was.models.items() if digest}  # others may have arrived meanwhile
        found += model_differences(known, {name: now.models.get(name, "") for name in known})
        if self.task.stage.declaration is None:  # of a Python stage, the worker says what it loaded
            differences = list(code_differences(was.code, now.code))
            if again:
                self.loaded |= {reason.name: WRITTEN for reason in differences if self._is_written(reason.name)}
            found += [reason for reason in differences if reason.name not in self.loaded]
        return found or list(self._came_back())

    def _is_written(self, name: str) -> bool:
        """Whether what a command names is a file that is no program."""
        return "/" in name and (self.root / name).is_file() and not is_program(self.root / name, self.root)

    def _edited_since(self) -> Iterator[Reason]:
        """Files of the stage's code that were edited since its facts were taken; the others are what it may load."""
        for name, file in self.before.code_files.items():
            known = self.before.facts.code[name]
            try:
                self.code[str(file)] = self.digests.file(file, "sha256").removeprefix("sha256:")
                if self.digests.file(file, known.partition(":")[0]) != known:
                    yield Reason("stage", name, now="changed")
            except OSError as error:
                yield Reason("stage", name, now=why(error))

    def _loaded_otherwise(self, loaded: Mapping[str, str]) -> Iterator[Reason]:
        """Code that the worker loaded in another state than it was looked at; what nobody knew of is noted."""
        algorithm = self.before.facts.code.get("file", "").partition(":")[0]
        for file, content in sorted(loaded.items()):
            name = file_name(file, self.before.code_files, self.root)
            try:
                known = self.code.get(file) or self.digests.file(Path(file), "sha256").removeprefix("sha256:")
                self.loaded[name] = self.digests.file(Path(file), algorithm)
            except OSError as error:
                yield Reason("stage", name, now=why(error))
                continue
            if known != content:
                yield Reason("stage", name, now="changed")
        self.loaded = {name: digest for name, digest in self.loaded.items() if name not in self.before.facts.code}

    def _came_back(self) -> Iterator[Reason]:
        written = {os.path.normpath(self.root / name) for name, fact in self.loaded.items() if fact == WRITTEN}
        for path in (path for path in moved(self.seen, self._look()) if path not in written):
            kind, name = self._owner(path)
            yield Reason(kind, f"{name}: {os.path.relpath(path, self.root)}", now=CAME_BACK)

    def _look(self) -> Sight:
        return sight([path for _, _, path in self._watched()], self.folders)

    def _watched(self) -> Iterator[tuple[ReasonKind, str, Path]]:
        for name, files in self.before.handed.items():
            yield from (("inputs", name, path) for path in files.values())
        if self.task.stage.declaration is None:
            yield from (("stage", name, file) for name, file in self.before.code_files.items())
        yield from (("model", name, model.path) for name, model in self.before.models.items() if model.path is not None)

    def _owner(self, path: str) -> tuple[ReasonKind, str]:
        """What a path belongs to: what it lies in, or what lies below it."""
        inside = path.partition(" → ")[0] + ON_THE_WAY
        for kind, name, watched in self._watched():
            whole = f"{watched}{ON_THE_WAY}"
            if inside.startswith(whole) or whole.startswith(inside):
                return kind, name
        return "inputs", "read"
