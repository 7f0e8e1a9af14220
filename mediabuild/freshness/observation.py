"""The facts of a task, taken now: what a manifest would record of its inputs, code, params, device and models.

Not here: comparing them with what is recorded (`rebuilder`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from mediabuild.machine.interpreter import site_packages
from mediabuild.pipeline.model import Pipeline, Reason, StageSpec, Task
from mediabuild.stage import Lookup, ModelRef
from mediabuild.store.manifest import Files, Manifest


@dataclass
class Observation:
    """The facts that a manifest records, taken now.

    Args:
        inputs: as in the manifest.
        handed: input name → (key → path): what the stage is given.
        models: name → what the stage would load. model_digests: name → digest, or empty.
        troubles: what could not be looked at: reason and, for the user, why.
    """

    inputs: dict[str, Files] = field(default_factory=dict)
    handed: dict[str, dict[str, Path]] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    code: dict[str, str] = field(default_factory=dict)
    models: dict[str, ModelRef] = field(default_factory=dict)
    model_digests: dict[str, str] = field(default_factory=dict)
    troubles: list[Reason] = field(default_factory=list)


def models_of(pipeline: Pipeline, spec: StageSpec, params: Mapping[str, Any]) -> dict[str, ModelRef]:
    """What a stage would load with these params; raises whatever its own function raises."""
    declaration = spec.declaration
    if declaration is None or declaration.models is None or spec.file is None:
        return {}
    lookup = Lookup(spec.file.parent, pipeline.root, site_packages(spec.python))
    return declaration.models(msgspec.convert(params, declaration.params), lookup)


def _outputs_of(producer: Task, manifest: Manifest, output: str | None) -> Iterator[tuple[str, Path]]:
    """(path, file or directory) of a producer's output, or of all of them."""
    declared = producer.stage.outputs
    names = [output] if output else sorted(manifest.outputs)
    for name in names:
        directory = declared.get(name, "")
        if directory and (producer.directory / directory).is_dir():
            yield directory, producer.directory / directory
            continue
        for path in sorted(manifest.outputs.get(name, {})):
            yield path, producer.directory / path


def _free(key: str, path: str, taken: Mapping[str, Path]) -> str:
    return key if key not in taken else f"{key}/{path}"


def _why(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "missing"
    return f"can't be read: {error.strerror or error}"
