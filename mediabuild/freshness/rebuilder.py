"""Is a task up to date? One traversal compares what is recorded with what is there; each difference is a reason.

Deciding is "are there any reasons", so the explanation can't drift from the decision. In the words of
"Build systems à la carte" this is a verifying-trace rebuilder; doit's scheduler calls it after a
task's dependencies ran, which gives early cutoff for nothing.

Not here: running anything (`executor`), choosing tasks (`selection`).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from mediabuild.errors import MediabuildError
from mediabuild.freshness.observation import Observation, _free, _outputs_of, _why, models_of
from mediabuild.machine.device import Devices
from mediabuild.machine.files import files_below
from mediabuild.pipeline.deliveries import deliveries
from mediabuild.pipeline.model import Given, Pipeline, Produced, Reason, ReasonKind, Reference, Task
from mediabuild.pipeline.paths import paths_of
from mediabuild.pipeline.reserved import ALL_JOBS
from mediabuild.store.digest import Digests
from mediabuild.store.manifest import Files, Manifest, find_manifest, read_manifest
from mediabuild.store.marks import failed_mark, forgotten_mark, ignored_mark

SHORT_HEX = 12


class Rebuilder:
    """Compares manifests with what is there.

    Args:
        tasks: all tasks of the pipeline, to find what makes an input.
        forced: names of tasks that are to run whatever their manifests say.
        media_present: False trusts the manifests for what files hold (`check --manifests-only`).

    Attributes:
        fresh: jobs of which everything was looked at already, in bulk, and found as it was.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        tasks: Mapping[str, Task],
        digests: Digests,
        devices: Devices,
        *,
        forced: frozenset[str] = frozenset(),
        media_present: bool = True,
    ) -> None:
        self.pipeline = pipeline
        self.tasks = tasks
        self.digests = digests
        self.devices = devices
        self.forced = forced
        self.media_present = media_present
        self.fresh: set[str] = set()

    def reasons(self, task: Task, *, forced: bool = True) -> list[Reason]:
        """Every reason to run the task; none means that it is up to date. Never raises.

        Args:
            forced: whether `--force` and `forget` count.
        """
        found = [] if task.job in self.fresh and self.media_present else self._compared(task)
        if forced and task.name in self.forced:
            found.append(Reason("forced"))
        elif forced and forgotten_mark(task).exists():
            found.append(Reason("forced", now="forgotten with doit forget"))
        return found

    def warm(self, tasks: Iterable[Task]) -> None:
        """Hash what these tasks' manifests will be compared with and nobody remembers, files in parallel."""
        paths: dict[Path, None] = {}
        for task in tasks:
            manifest = find_manifest(task.directory)
            if manifest is None or task.job in self.fresh or not self.media_present:
                continue
            paths |= dict.fromkeys(task.directory / path for path in manifest.output_files())
            for given in (r for references in task.inputs.values() for r in references if isinstance(r, Given)):
                with contextlib.suppress(OSError):  # it is reported when the task is looked at
                    paths |= dict.fromkeys(self.pipeline.root / path for path in paths_of(given, self.pipeline.root))
        self.digests.warm(paths)

    def _compared(self, task: Task) -> list[Reason]:
        try:
            manifest = read_manifest(task.directory)
        except FileNotFoundError:
            return [Reason("never_run"), *self.observe(task).troubles]
        except (OSError, msgspec.DecodeError) as error:
            return [Reason("never_run", now=f"the manifest can't be read: {error}"), *self.observe(task).troubles]
        return list(self.compare(task, manifest, self.observe(task, manifest)))

    def compare(self, task: Task, manifest: Manifest, now: Observation) -> Iterator[Reason]:
        """The differences, component by component, then what is wrong with the outputs."""
        yield from _differences("stage", manifest.code, now.code, _code_text)
        yield from self._params(manifest, now)
        if task.stage.devices and manifest.device != now.device:
            yield Reason("device", was=manifest.device, now=now.device)
        troubled = {trouble.name for trouble in now.troubles}
        yield from (reason for reason in input_differences(manifest.inputs, now.inputs) if reason.name not in troubled)
        yield from now.troubles
        yield from self._models(manifest, now)
        if self.media_present:
            yield from self.output_reasons(task, manifest)
            yield from self.delivery_reasons(task, manifest)

    def observe(self, task: Task, manifest: Manifest | None = None) -> Observation:
        """Take the facts; trouble becomes a reason.

        Args:
            manifest: the recorded facts: files are hashed with the algorithm that it used, so that
                changing `checksum` re-runs nothing.
        """
        now = Observation(params=task.params)
        recorded = manifest.inputs if manifest is not None else {}
        for name in task.inputs:
            self._observe_input(task, name, recorded.get(name, {}), now)
        try:
            now.device = self.devices.resolve(task.device, task.stage.devices, task.stage.python)
        except MediabuildError as error:
            now.troubles.append(Reason("device", now=error.message))
        now.code = self._code(task, manifest, now)
        self._observe_models(task, manifest, now)
        return now

    def producers(self, task: Task) -> list[Task]:
        """The tasks whose outputs it reads; for one over all jobs, those of the jobs that succeeded."""
        references = (reference for found in task.inputs.values() for reference in found)
        names = dict.fromkeys(reference.task for reference in references if isinstance(reference, Produced))
        return [self.tasks[name] for name in names if self.takes(task, self.tasks[name])]

    def left_out(self, task: Task) -> list[str]:
        """The jobs that a task over all jobs is made without."""
        references = (reference for found in task.inputs.values() for reference in found)
        produced = [r for r in references if isinstance(r, Produced)] if task.stage.collect else []
        return list(dict.fromkeys(r.job for r in produced if not self.takes(task, self.tasks[r.task])))

    def no_longer_fresh(self, task: Task) -> None:
        """What was found fresh in bulk is to be looked at again where this task's run may matter."""
        if task.stage.collect:
            self.fresh.clear()
        self.fresh -= {task.job, ALL_JOBS}

    def label_of(self, task: Task, producer: Task) -> str:
        """What stands for a producer's directory in the manifest of a task that reads it."""
        return os.path.relpath(producer.directory, task.job_dir if producer.job == task.job else self.pipeline.jobs_dir)

    def takes(self, task: Task, producer: Task) -> bool:
        """Whether a task reads what a producer made: one over all jobs leaves out those that failed or aren't built."""
        if not task.stage.collect or producer.stage.collect:
            return True
        return find_manifest(producer.directory) is not None and not self._held_up(producer)

    def _held_up(self, task: Task) -> bool:
        """Whether the task, or one that it needs, failed last time and would run again, or is ignored."""
        waiting, seen = [task], set()
        while waiting:
            task = waiting.pop()
            if task.name in seen:
                continue
            seen.add(task.name)
            if ignored_mark(task).exists() or self.has_failed(task):
                return True
            waiting += [self.tasks[name] for name in task.needs]
        return False

    def has_failed(self, task: Task) -> bool:
        """Whether the task failed last time, and what it was to make is still wanting."""
        return failed_mark(task).exists() and bool(self.reasons(task) or self.gone(task))

    def output_reasons(self, task: Task, manifest: Manifest) -> Iterator[Reason]:
        """An output is missing, or holds something else than what was recorded."""
        for name, pattern in task.stage.outputs.items():
            if name not in manifest.outputs or ("*" not in pattern and not manifest.outputs[name]):
                yield Reason("outputs", pattern, now="not recorded")
        for path, digest in manifest.output_files().items():
            file = task.directory / path
            try:
                actual = digest if path.endswith("/") and file.is_dir() else self._digest(file, digest)
            except OSError as error:
                there = os.path.lexists(file)
                if there or not task.stage.temp:
                    yield Reason("outputs", path, now=_why(error) if there else "missing")
                continue
            if actual != digest:
                yield Reason("outputs", path, was=_short(digest), now=_short(actual))
        yield from _added_outputs(task, manifest)

    def gone(self, task: Task) -> list[str]:
        """The outputs of a temp stage that were deleted: no reason to run, until something needs them."""
        manifest = find_manifest(task.directory) if task.stage.temp else None
        recorded = manifest.output_files() if manifest else {}
        return [path for path in recorded if not os.path.lexists(task.directory / path)]

    def delivery_reasons(self, task: Task, manifest: Manifest) -> Iterator[Reason]:
        """A delivered copy is missing or was edited; running the task only copies it again."""
        wanted = deliveries(self.pipeline, task, manifest.output_files())
        for copy, output in wanted.items():
            digest = manifest.output_files()[output]
            try:
                actual = self._digest(self.pipeline.root / copy, digest)
            except OSError:
                actual = None
            if actual != digest:
                yield Reason("outputs", copy, now="not delivered" if actual is None else "edited")

    def _digest(self, file: Path, like: str) -> str:
        """The digest by the algorithm of a recorded one."""
        return self.digests.file(file, like.partition(":")[0] or self.pipeline.checksum)

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
                    files |= self._vouched_for(reference, label, path) or self.digests.tree(path, label, algorithm)
                except OSError as error:
                    now.troubles.append(Reason("inputs", f"{name}: {label}", now=_why(error)))
        if task.stage.collect and not handed and any(isinstance(r, Produced) for r in task.inputs[name]):
            now.troubles.append(Reason("inputs", f"{name}: {task.stage.inputs[name]}", now="no job has it yet"))
        now.inputs[name] = files
        now.handed[name] = handed

    def _vouched_for(self, reference: Reference, label: str, path: Path) -> Files:
        """What the manifest of a temp stage says of outputs that were deleted; nothing where they are there."""
        if not isinstance(reference, Produced) or not self.gone(self.tasks[reference.task]):
            return {}
        producer = self.tasks[reference.task]
        manifest, inside = find_manifest(producer.directory), os.path.relpath(path, producer.directory)
        recorded = manifest.output_files().items() if manifest else ()
        label = label.rstrip("/")
        return {label + p[len(inside) :]: d for p, d in recorded if (p + "/").startswith(inside + "/")}

    def _resolve(
        self, task: Task, name: str, reference: Produced | Given, recorded: Files, now: Observation
    ) -> Iterator[tuple[str, str, Path]]:
        """(label in the manifest, key for the stage, path) of each file or directory behind a reference."""
        if isinstance(reference, Given):
            try:
                present = paths_of(reference, self.pipeline.root)
            except OSError as error:
                now.troubles.append(Reason("inputs", f"{name}: {reference.pattern}", now=_why(error)))
                return
            if not self.media_present and not present:
                present = [reference.pattern] if reference.label else sorted(recorded)
            if not present and not reference.optional:
                label = reference.label or reference.pattern
                now.troubles.append(Reason("inputs", f"{name}: {label}", now="missing"))
            for path in present:
                yield reference.label or path, path, self.pipeline.root / path
            return
        producer = self.tasks[reference.task]
        if not self.takes(task, producer):
            return
        manifest = find_manifest(producer.directory)
        relative = self.label_of(task, producer)
        if manifest is None:
            now.troubles.append(Reason("inputs", f"{name}: {relative}", now="not built yet"))
            return
        for path, file in _outputs_of(producer, manifest, reference.output):
            key = reference.key if reference.key and reference.output else "/".join(filter(None, (reference.key, path)))
            yield f"{relative}/{path}", _free(key, path, now.handed.get(name, {})), file

    def _code(self, task: Task, manifest: Manifest | None, now: Observation) -> dict[str, str]:
        spec = task.stage
        if spec.declaration is None:
            encode = msgspec.json.encode
            code = {"command": encode(spec.command).decode(), "outputs": encode(spec.outputs, order="sorted").decode()}
            return code | ({"job": task.job} if any("{job}" in item for item in spec.command) else {})
        if not spec.own:
            return {"version": str(spec.declaration.version)}
        assert spec.file is not None
        like = (manifest.code.get("file") if manifest else None) or self.pipeline.checksum + ":"
        code = {}
        for name, file in {"file": spec.file, **spec.declaration.shared}.items():
            try:
                code[name] = self._digest(file, like)
            except OSError as error:
                now.troubles.append(Reason("stage", name, now=_why(error)))
        return code

    def _observe_models(self, task: Task, manifest: Manifest | None, now: Observation) -> None:
        try:
            now.models = models_of(self.pipeline, task.stage, task.params)
            for name, model in now.models.items():
                like = (manifest.models.get(name) if manifest else "") or self.pipeline.checksum + ":"
                algorithm = like.partition(":")[0]
                now.model_digests[name] = self._model_digest(model.path, algorithm)
        except MediabuildError as error:
            now.troubles.append(Reason("model", now=error.message))
        except OSError as error:
            now.troubles.append(Reason("model", now=_why(error)))
        except Exception as error:  # a stage's own function may raise anything
            now.troubles.append(Reason("model", now=f"{type(error).__name__}: {error}"))

    def _model_digest(self, path: Path | None, algorithm: str) -> str:
        return "" if path is None else self.digests.whole(path, algorithm)

    def _params(self, manifest: Manifest, now: Observation) -> Iterator[Reason]:
        plain = msgspec.json.decode(msgspec.json.encode(now.params))
        gone = {key for key in manifest.overrides if plain.get(key) != manifest.params.get(key)}
        for reason in _differences("params", manifest.params, plain, _json):
            if reason.name in gone and reason.now is not None:
                yield Reason("params", reason.name, reason.was, f"{reason.now} (the override is gone)")
            else:
                yield reason

    def _models(self, manifest: Manifest, now: Observation) -> Iterator[Reason]:
        if any(trouble.kind == "model" for trouble in now.troubles):
            return
        for name in sorted(manifest.models.keys() | now.model_digests.keys()):
            was, is_now = manifest.models.get(name), now.model_digests.get(name)
            unknown = was == "" or is_now == ""  # a hub's model that is not on this machine: only its name counts
            if was != is_now and not (unknown and was is not None and is_now is not None):
                yield Reason("model", name, _short(was), _short(is_now))


def input_differences(was: Mapping[str, Files], now: Mapping[str, Files]) -> Iterator[Reason]:
    """Input by input and file by file: added, removed, changed."""
    for name in sorted(was.keys() | now.keys()):
        before, after = was.get(name, {}), now.get(name, {})
        for path in sorted(before.keys() | after.keys()):
            if path not in after:
                yield Reason("inputs", f"{name}: {path}", now="removed")
            elif path not in before:
                yield Reason("inputs", f"{name}: {path}", now="added")
            elif before[path] != after[path]:
                yield Reason("inputs", f"{name}: {path}", _short(before[path]), _short(after[path]))


def _added_outputs(task: Task, manifest: Manifest) -> Iterator[Reason]:
    """Files that somebody put into an output that is a directory, and is handed on with all it holds."""
    for name, pattern in task.stage.outputs.items():
        recorded = manifest.outputs.get(name, {})
        if not any(path.startswith(pattern + "/") for path in recorded):
            continue
        with contextlib.suppress(OSError):  # what is missing is reported file by file
            for path, _ in files_below(task.directory / pattern):
                if f"{pattern}/{path}" not in recorded:
                    yield Reason("outputs", f"{pattern}/{path}", now="added")


def _differences(kind: ReasonKind, was: Mapping[str, Any], now: Mapping[str, Any], text: Any) -> Iterator[Reason]:
    """Field by field; order never counts."""
    for key in sorted(was.keys() | now.keys()):
        if key not in now:
            yield Reason(kind, key, text(was[key]), None)
        elif key not in was:
            yield Reason(kind, key, None, f"{text(now[key])} (added)")
        elif _json(was[key]) != _json(now[key]):  # as text: 1, 1.0 and true are equal in Python
            yield Reason(kind, key, text(was[key]), text(now[key]))


def _json(value: Any) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


def _code_text(value: str) -> str:
    return _short(value) or value


def _short(digest: str | None) -> str | None:
    """`blake3:12ab34cd56ef…`; other texts as they are."""
    if digest is None:
        return None
    algorithm, colon, hexadecimal = digest.partition(":")
    if not colon or algorithm not in ("blake3", "sha256"):
        return digest
    return f"{algorithm}:{hexadecimal[:SHORT_HEX]}…"
