"""Takes the facts of an input: the files behind its references, their digests, and how they are handed over.

They are handed over in natural order (`ch2` before `ch10`). No digest holds an order, so where that order isn't the
one of letters, it is a fact of the code.

Not here: the other facts (`observation`), what a path or glob matches (`pipeline.paths`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mediabuild.freshness.presence import why
from mediabuild.freshness.producers import Producers, deleted_outputs
from mediabuild.machine.natural import in_order
from mediabuild.pipeline.model import Given, Pipeline, Produced, Reason, Reference, Task
from mediabuild.pipeline.paths import SOURCE, label_of, paths_of
from mediabuild.store.digest import Digests
from mediabuild.store.facts import Files
from mediabuild.store.manifest import Manifest, find_manifest


@dataclass
class Input:
    """What is behind an input now.

    Args:
        files: path as the manifest has it → digest.
        handed: key → path: what the stage is given.
        troubles: what could not be looked at.
        vouched: files weren't there, and their stage's manifest stood for them.
        reordered: letter by letter, the files would stand in another order.
        several: a job or value has several files, which are handed over as JOB/FILE.
    """

    files: Files = field(default_factory=dict)
    handed: dict[str, Path] = field(default_factory=dict)
    troubles: list[Reason] = field(default_factory=list)
    vouched: bool = False
    reordered: bool = False
    several: bool = False

    def ordered(self, names: Iterable[str]) -> list[str]:
        """Names in natural order; whether letter by letter they stand in another is noted."""
        found = in_order(names)
        self.reordered = self.reordered or found != sorted(found)
        return found


class InputReader:
    """Reads the inputs of a pipeline's tasks.

    Args:
        media_present: False trusts the manifests for what files hold.
    """

    def __init__(self, pipeline: Pipeline, digests: Digests, producers: Producers, *, media_present: bool) -> None:
        self.pipeline = pipeline
        self.digests = digests
        self.producers = producers
        self.media_present = media_present

    def read(self, task: Task, name: str, recorded: Files) -> Input:
        """Look at an input; trouble becomes a reason.

        Args:
            recorded: its files as they were recorded: by which algorithm; where the media isn't here, what it held.
        """
        usual = next(iter(recorded.values()), self.pipeline.checksum)
        found = Input()
        references = [r for r in task.inputs[name] if isinstance(r, Given) or self._takes(task, r)]
        found.reordered = _fan_in_reordered(references)
        for reference in references:
            for label, key, path in self._resolve(task, name, reference, recorded, found):
                found.handed[key] = path
                if not self.media_present:
                    found.files |= {f: digest for f, digest in recorded.items() if (f + "/").startswith(label + "/")}
                    continue
                try:
                    vouched = self._vouched_for(reference, label, path)
                    found.vouched = found.vouched or bool(vouched)
                    found.files |= vouched or self._digests(reference, path, label, recorded, usual)
                except OSError as error:
                    found.troubles.append(Reason("inputs", f"{name}: {label}", now=why(error)))
        if task.inputs[name] and not (references or task.stage.may_be_absent(name)):
            what = "no job has it yet" if task.stage.collect else "none of its values could be made"
            found.troubles.append(Reason("inputs", f"{name}: {task.stage.inputs[name]}", now=what))
        return found

    def _digests(self, reference: Reference, path: Path, label: str, recorded: Files, usual: str) -> Files:
        algorithm = recorded.get(label, usual).partition(":")[0]
        if isinstance(reference, Produced):
            return self.digests.outputs(path, label, algorithm, recorded if algorithm in usual else None)
        return self.digests.tree(path, label, algorithm)

    def _takes(self, task: Task, reference: Produced) -> bool:
        return self.producers.takes(task, self.producers.tasks[reference.task])

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
        self, task: Task, name: str, reference: Reference, recorded: Files, found: Input
    ) -> Iterator[tuple[str, str, Path]]:
        """(label in the manifest, key for the stage, path) of each file or directory behind a reference."""
        if isinstance(reference, Given):
            yield from self._resolve_given(name, reference, recorded, found)
            return
        producer = self.producers.tasks[reference.task]
        manifest = find_manifest(producer.directory)
        folder = self.producers.label(task, producer)
        if manifest is None:
            found.troubles.append(Reason("inputs", f"{name}: {folder}", now="not built yet"))
            return
        paths = list(_outputs_of(producer, manifest, reference.output, found))
        for path in paths:
            alone = reference.key and reference.output and len(paths) == 1
            found.several = found.several or bool(reference.key and reference.output and len(paths) > 1)
            key = reference.key if alone else "/".join(filter(None, (reference.key, path)))
            yield f"{folder}/{path}", key, producer.directory / path

    def _resolve_given(self, name: str, given: Given, recorded: Files, found: Input) -> Iterator[tuple[str, str, Path]]:
        try:
            present = paths_of(given, self.pipeline.root)
        except OSError as error:
            found.troubles.append(Reason("inputs", f"{name}: {given.pattern}", now=why(error)))
            return
        if not self.media_present and not present:
            present = [given.pattern] if given.label and not given.folder else _recorded_paths(given, recorded)
        if not present and not given.optional:
            found.troubles.append(Reason("inputs", f"{name}: {label_of(given, given.pattern)}", now="missing"))
        for path in found.ordered(present):
            label = label_of(given, path)
            yield label, label if given.folder else path, self.pipeline.root / path


def _recorded_paths(given: Given, recorded: Files) -> list[str]:
    """The paths of the files that a manifest names."""
    return [given.folder + label.removeprefix(SOURCE) if given.folder else label for label in recorded]


def _fan_in_reordered(references: Sequence[Reference]) -> bool:
    """Whether jobs and matrix values, level by level, would stand in another order letter by letter."""
    keys = [reference.key.split(":") for reference in references if isinstance(reference, Produced)]
    return keys != sorted(keys)


def _outputs_of(producer: Task, manifest: Manifest, output: str | None, found: Input) -> Iterator[str]:
    """The path of a producer's output, a file or a directory; of all of them without a name."""
    for name in [output] if output else found.ordered(manifest.outputs):
        directory, recorded = producer.stage.outputs.get(name, ""), manifest.outputs.get(name, {})
        below = any(path.startswith(f"{directory}/") for path in recorded)  # it may be temporary, and deleted now
        if directory and (below or (producer.directory / directory).is_dir()):
            yield directory
        else:
            yield from found.ordered(recorded)
