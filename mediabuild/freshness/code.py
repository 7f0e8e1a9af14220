"""Takes the facts of a task's code: a version, or the digests of the files that it consists of.

Which files a stage's code consists of is found by reading them (`pipeline.code`); what a run loaded beyond these is in
its record, and is looked at from then on.

Not here: what a worker loaded (`meanwhile`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from mediabuild.pipeline.code_of_stages.files import command_code, command_places, name_of, stage_code
from mediabuild.pipeline.model import Given, Pipeline, StageSpec, Task
from mediabuild.pipeline.placeholders import names_in
from mediabuild.pipeline.reserved import own_name
from mediabuild.store.digest import Digests
from mediabuild.store.facts import WRITTEN, is_digest


@dataclass
class Code:
    """What a task's code is now.

    Args:
        facts: as a manifest records them.
        files: name among the facts → file, of those that are digests of files.
        missing: name → why it can't be read.
    """

    facts: dict[str, str] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    missing: dict[str, OSError] = field(default_factory=dict)


class CodeReader:
    """Reads the code of a pipeline's tasks."""

    def __init__(self, pipeline: Pipeline, digests: Digests) -> None:
        self.pipeline = pipeline
        self.digests = digests
        self._known: dict[Path, tuple[dict[str, str], dict[str, Path]]] = {}  # stage file → digests, and files of these

    def read(self, task: Task, recorded: Mapping[str, str]) -> Code:
        """The code of a task.

        Args:
            recorded: the facts of its code as they were: by which algorithm, and what its run loaded.
        """
        spec, found = task.stage, Code()
        algorithm = next((d.partition(":")[0] for d in recorded.values() if is_digest(d)), self.pipeline.checksum)
        if spec.declaration is None:
            found.facts["command"] = msgspec.json.encode(spec.command).decode()
            found.facts["outputs"] = msgspec.json.encode(spec.outputs, order="sorted").decode()
            found.facts |= spec.running.facts()
            if any("job" in names_in(item) for item in (*spec.command, *spec.running.env.values())):
                found.facts["job"] = own_name(task.job)
            written = {name: fact for name, fact in recorded.items() if fact == WRITTEN}
            found.facts |= written
            files = command_code(spec.command, self.pipeline.root)
            inputs = {self.pipeline.root / path for path in _paths(task)}
            found.files = {name: file for name, file in files.items() if name not in written and file not in inputs}
        elif not spec.own:
            found.facts["version"] = str(spec.declaration.version)
        elif spec.file is not None:
            found.files, found.facts = self._stage_code(spec.file, algorithm)
            for name in recorded.keys() - found.files.keys():
                if "/" in name and (self.pipeline.root / name).is_file():
                    found.files[name] = self.pipeline.root / name
        for name, file in found.files.items():
            if name not in found.facts:
                try:
                    found.facts[name] = self.digests.file(file, algorithm)
                except OSError as error:
                    found.missing[name] = error
        return found

    def _stage_code(self, file: Path, algorithm: str) -> tuple[dict[str, Path], dict[str, str]]:
        """The files of a stage's code and their digests; found anew when one of them has changed."""
        known, files = self._known.get(file, ({}, {}))
        digests = self._digests(files, algorithm)
        if not files or known != digests:
            files = {"file": file, **stage_code(file, self.pipeline.root)}
            digests = self._digests(files, algorithm)
            self._known[file] = (digests, files)
        return dict(files), dict(digests)

    def _digests(self, files: Mapping[str, Path], algorithm: str) -> dict[str, str]:
        found = {}
        for name, file in files.items():
            with contextlib.suppress(OSError):
                found[name] = self.digests.file(file, algorithm)
        return found


def _paths(task: Task) -> Iterator[str]:
    """What a task reads by its very path: among its inputs, and so no fact of its code besides."""
    for references in task.inputs.values():
        yield from (one.pattern for one in references if isinstance(one, Given) and not one.globs)


def watched(pipeline: Pipeline) -> list[Path]:
    """The files that the code of the pipeline's stages consists of, and places where a program may turn up."""
    found: list[Path] = []
    for spec in pipeline.stages.values():
        found += _watched(spec, pipeline.root)
    return list(dict.fromkeys(found))


def _watched(spec: StageSpec, root: Path) -> list[Path]:
    if spec.declaration is None:
        return [*command_places(spec.command, root), *command_code(spec.command, root).values()]
    if spec.own and spec.file is not None:
        return [spec.file, *stage_code(spec.file, root).values()]
    return []


def file_name(path: str, known: Mapping[str, Path], root: Path) -> str:
    """What stands among the facts for a file that was loaded; `known` as `Code.files`."""
    return next((name for name, file in known.items() if str(file) == path), name_of(Path(path), root))
