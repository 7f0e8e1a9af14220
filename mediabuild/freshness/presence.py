"""Takes what is there of a task's outputs, and of the copies that were made of them.

Not here: comparing it with what is recorded (`rebuilder`), the facts that outputs follow from (`observation`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mediabuild.machine.listing import files_below
from mediabuild.pipeline.deliveries import deliveries
from mediabuild.pipeline.model import Pipeline, Task
from mediabuild.pipeline.reserved import MANIFEST_NAME
from mediabuild.store.digest import Digests
from mediabuild.store.manifest import Manifest


@dataclass
class Outputs:
    """What is there of a task's outputs, and of the copies that were made of them.

    Args:
        digests: path → digest of what is there, of the outputs that the manifest records.
        troubles: path → why it can't be read.
        missing: recorded outputs that aren't there.
        added: files that somebody put into an output that is a directory.
        copies: delivered copy → digest, None where it isn't there.
    """

    digests: dict[str, str] = field(default_factory=dict)
    troubles: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    copies: dict[str, str | None] = field(default_factory=dict)


def outputs_there(digests: Digests, task: Task, manifest: Manifest) -> Outputs:
    """What is there of the outputs that a manifest records."""
    found = Outputs()
    for path, digest in manifest.output_files().items():
        file = task.directory / path
        try:
            found.digests[path] = digest if path.endswith("/") and file.is_dir() else digests.output(file, digest)
        except OSError as error:
            if os.path.lexists(file):
                found.troubles[path] = why(error)
            else:
                found.missing.append(path)
    for name, pattern in task.stage.outputs.items():
        found.added += _added(task.directory, pattern, manifest.outputs.get(name, {}))
    return found


def copies_there(pipeline: Pipeline, digests: Digests, task: Task, manifest: Manifest) -> dict[str, str | None]:
    """Delivered copy → its digest, None where it isn't there or can't be read."""
    outputs, witness = manifest.copied_files(), task.directory / MANIFEST_NAME
    found: dict[str, str | None] = {}
    for copy, output in deliveries(pipeline, task, outputs).items():
        file, digest = pipeline.root / copy, outputs[output]
        try:
            is_folder = copy.endswith("/") and file.is_dir()
            found[copy] = digest if is_folder else digests.output(file, digest, witness)
        except OSError:
            found[copy] = None
    return found


def why(error: OSError) -> str:
    """Why a file can't be read, in a reason's words."""
    if isinstance(error, FileNotFoundError):
        return "missing"
    return f"can't be read: {error.strerror or error}"


def _added(directory: Path, pattern: str, recorded: Mapping[str, str]) -> Iterator[str]:
    """What somebody put into an output that is a directory, and is handed on with all it holds: files, empty folders.

    A folder that only lacks what was recorded in it was there before: of a temp stage a kill may leave it.
    """
    if not any(path.startswith(pattern + "/") for path in recorded):
        return
    try:
        for path, _ in files_below(directory / pattern, follow=False):
            place = f"{pattern}/{path}"
            emptied = path.endswith("/") and any(file.startswith(place) for file in recorded)
            if place not in recorded and not emptied:
                yield f"{pattern}/{path}"
    except OSError:
        return  # what is missing is reported file by file
