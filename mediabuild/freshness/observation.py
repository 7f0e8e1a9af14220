"""Takes the present facts of a task: inputs, code, params, device, models.

Trouble is no exception here: what can't be looked at becomes a reason.

Not here: comparing the facts with what is recorded (`rebuilder`), what is there of the outputs (`presence`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from mediabuild.errors import MediabuildError
from mediabuild.freshness.code import CodeReader
from mediabuild.freshness.presence import why
from mediabuild.freshness.producers import Producers, deleted_outputs
from mediabuild.machine.device import Devices
from mediabuild.machine.interpreter import site_packages
from mediabuild.pipeline.model import Given, Pipeline, Produced, Reason, Reference, StageSpec, Task
from mediabuild.pipeline.paths import paths_of
from mediabuild.stage import Lookup, ModelRef
from mediabuild.store.digest import Digests
from mediabuild.store.facts import Facts, Files
from mediabuild.store.manifest import Manifest, find_manifest


@dataclass
class Observation:
    """The facts of a task as they are now.

    Args:
        facts: as a manifest records them.
        handed: input name → (key → path): what the stage is given.
        models: name → what the stage would load.
        code_files: name among the facts of the code → file.
        troubles: what could not be looked at: reason and, for the user, why.
        vouched: inputs weren't there, and their stage's manifest stood for them.
    """

    facts: Facts
    handed: dict[str, dict[str, Path]] = field(default_factory=dict)
    models: dict[str, ModelRef] = field(default_factory=dict)
    code_files: dict[str, Path] = field(default_factory=dict)
    troubles: list[Reason] = field(default_factory=list)
    vouched: bool = False


class Observer:
    """Takes the facts of tasks.

    Args:
        media_present: False trusts the manifests for what files hold (`check --manifests-only`).
    """

    def __init__(
        self, pipeline: Pipeline, digests: Digests, devices: Devices, producers: Producers, *, media_present: bool
    ) -> None:
        self.pipeline = pipeline
        self.digests = digests
        self.devices = devices
        self.producers = producers
        self.media_present = media_present
        self.code = CodeReader(pipeline, digests)

    def observe(self, task: Task, like: Facts | None = None) -> Observation:
        """Take the facts; trouble becomes a reason.

        Args:
            like: the recorded facts: files are hashed with the algorithm that they were recorded with, so that
                changing `checksum` re-runs nothing.
        """
        facts = Facts(stage=task.stage.name, code={}, params=_plain(task.params), device="cpu", inputs={}, models={})
        now = Observation(facts)
        for name in task.inputs:
            self._observe_input(task, name, like.inputs.get(name, {}) if like else {}, now)
        try:
            facts.device = self.devices.resolve(task.device, task.stage.devices, task.stage.python)
        except MediabuildError as error:
            now.troubles.append(Reason("device", now=error.message))
        self._observe_code(task, like, now)
        self._observe_models(task, like, now)
        return now

    def _observe_input(self, task: Task, name: str, recorded: Files, now: Observation) -> None:
        usual = next(iter(recorded.values()), self.pipeline.checksum)
        files: Files = {}
        handed: dict[str, Path] = {}
        for reference in task.inputs[name]:
            for label, key, path in self._resolve(task, name, reference, recorded, now):
                handed[key] = path
                if not self.media_present:
                    files |= {file: digest for file, digest in recorded.items() if (file + "/").startswith(label + "/")}
                    continue
                try:
                    algorithm = recorded.get(label, usual).partition(":")[0]
                    vouched = self._vouched_for(reference, label, path)
                    now.vouched = now.vouched or bool(vouched)
                    made = isinstance(reference, Produced)
                    files |= vouched or (
                        self.digests.outputs(path, label, algorithm, recorded if algorithm in usual else None)
                        if made
                        else self.digests.tree(path, label, algorithm)
                    )
                except OSError as error:
                    now.troubles.append(Reason("inputs", f"{name}: {label}", now=why(error)))
        if task.stage.collect and not handed and any(isinstance(r, Produced) for r in task.inputs[name]):
            now.troubles.append(Reason("inputs", f"{name}: {task.stage.inputs[name]}", now="no job has it yet"))
        now.facts.inputs[name] = files
        now.handed[name] = handed

    def _vouched_for(self, reference: Reference, label: str, path: Path) -> Files:
        """What the manifest of a temp stage says of outputs that were deleted; nothing where they are there."""
        if not isinstance(reference, Produced):
            return {}
        producer = self.producers.tasks[reference.task]
        manifest = find_manifest(producer.directory) if deleted_outputs(producer) else None
        if manifest is None:
            return {}
        inside, label = path.relative_to(producer.directory).as_posix(), label.rstrip("/")
        recorded = manifest.output_files().items()
        return {label + p[len(inside) :]: d for p, d in recorded if (p + "/").startswith(inside + "/")}

    def _resolve(
        self, task: Task, name: str, reference: Reference, recorded: Files, now: Observation
    ) -> Iterator[tuple[str, str, Path]]:
        """(label in the manifest, key for the stage, path) of each file or directory behind a reference."""
        if isinstance(reference, Given):
            yield from self._resolve_given(name, reference, recorded, now)
            return
        producer = self.producers.tasks[reference.task]
        if not self.producers.takes(task, producer):
            return
        manifest = find_manifest(producer.directory)
        folder = self.producers.label(task, producer)
        if manifest is None:
            now.troubles.append(Reason("inputs", f"{name}: {folder}", now="not built yet"))
            return
        paths = list(_outputs_of(producer, manifest, reference.output))
        for path in paths:
            alone = reference.key and reference.output and len(paths) == 1
            key = reference.key if alone else "/".join(filter(None, (reference.key, path)))
            yield f"{folder}/{path}", key, producer.directory / path

    def _resolve_given(
        self, name: str, given: Given, recorded: Files, now: Observation
    ) -> Iterator[tuple[str, str, Path]]:
        try:
            present = paths_of(given, self.pipeline.root)
        except OSError as error:
            now.troubles.append(Reason("inputs", f"{name}: {given.pattern}", now=why(error)))
            return
        if not self.media_present and not present:
            present = [given.pattern] if given.label else sorted(recorded)
        if not present and not given.optional:
            now.troubles.append(Reason("inputs", f"{name}: {given.label or given.pattern}", now="missing"))
        for path in present:
            yield given.label or path, path, self.pipeline.root / path

    def _observe_code(self, task: Task, like: Facts | None, now: Observation) -> None:
        code = self.code.read(task, like.code if like else {})
        now.facts.code, now.code_files = code.facts, code.files
        now.troubles += [Reason("stage", name, now=why(error)) for name, error in code.missing.items()]

    def _observe_models(self, task: Task, like: Facts | None, now: Observation) -> None:
        try:
            now.models = models_of(self.pipeline, task.stage, task.params)
            for name, model in now.models.items():
                recorded = like.models.get(name, "") if like else ""
                algorithm = recorded.partition(":")[0] or self.pipeline.checksum
                now.facts.models[name] = "" if model.path is None else self.digests.whole(model.path, algorithm)
        except MediabuildError as error:
            now.troubles.append(Reason("model", now=error.message))
        except OSError as error:
            now.troubles.append(Reason("model", now=why(error)))
        except Exception as error:  # a stage's own function may raise anything
            now.troubles.append(Reason("model", now=f"{type(error).__name__}: {error}"))


def models_of(
    pipeline: Pipeline, spec: StageSpec, params: Mapping[str, Any], looked_at: list[Path] | None = None
) -> dict[str, ModelRef]:
    """What a stage would load with these params; raises whatever its own function raises.

    Args:
        looked_at: gets the places where models were looked for, whether one was there or not.
    """
    declaration = spec.declaration
    if declaration is None or declaration.models is None or spec.file is None:
        return {}
    lookup = Lookup(spec.file.parent, pipeline.root, site_packages(spec.python), [] if looked_at is None else looked_at)
    return declaration.models(msgspec.convert(params, declaration.params), lookup)


def _plain(params: Mapping[str, Any]) -> dict[str, Any]:
    """Params as a manifest holds them."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(params))
    return plain


def _outputs_of(producer: Task, manifest: Manifest, output: str | None) -> Iterator[str]:
    """The path of a producer's output, a file or a directory; of all of them without a name."""
    for name in [output] if output else sorted(manifest.outputs):
        directory, recorded = producer.stage.outputs.get(name, ""), manifest.outputs.get(name, {})
        below = any(path.startswith(f"{directory}/") for path in recorded)  # it may be temporary, and deleted now
        if directory and (below or (producer.directory / directory).is_dir()):
            yield directory
        else:
            yield from sorted(recorded)
