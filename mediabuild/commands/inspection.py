"""Commands that look at files and the graph: `validate`, `graph`, `cache` and `gc`.

Not here: whether stages are stale (`commands`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mediabuild.commands.asking.idle import find_idle
from mediabuild.commands.base import PipelineCommand
from mediabuild.errors import PipelineError
from mediabuild.pipeline.model import Given, StageSpec, Task
from mediabuild.pipeline.paths import in_source, label_of, may_be_there, meets
from mediabuild.pipeline.placeholders import text_of
from mediabuild.pipeline.references import needed_stages
from mediabuild.pipeline.reserved import MANIFEST_NAME
from mediabuild.reporting.console import program
from mediabuild.schedule.loader import option
from mediabuild.store import generations, owners, places
from mediabuild.store.generations import Kept
from mediabuild.store.manifest import Manifest, find_manifest, problems
from mediabuild.store.traces import Traces

ROWS = 12  # of `cache`; where there are more, what is little is summed up
LITTLE_BYTES, LITTLE_S = 100_000, 1.0


class Validate(PipelineCommand):
    """The pipeline file, and every manifest against the schema and the files."""

    name = "validate"
    doc_purpose = "check pipeline.toml, and every manifest against the schema and the files"
    doc_usage = ""
    doc_description = None
    cmd_options = (
        option("manifests_only", "manifests-only", "the outputs are not here: the manifests alone", bool, False),
    )

    def _execute(self, manifests_only: bool, pos_args: list[str]) -> int:
        found: list[str] = []
        count = 0
        for task in self.build.tasks.values():
            found += [] if manifests_only else self._missing(task)
            file = task.directory / MANIFEST_NAME
            if not file.exists():
                continue
            count += 1
            shown = os.path.relpath(file, self.build.pipeline.root)
            found += [f"{shown}: {problem}" for problem in problems(file)]
            manifest = find_manifest(task.directory)
            if manifest is None:
                continue
            if manifest.task != task.name:
                found.append(f"{shown}: is the manifest of {manifest.task}")
            if not manifests_only:
                found += [f"{shown}: {reason}" for reason in self.build.freshness.output_reasons(task, manifest)]
        build = self.build
        for line in () if manifests_only else find_idle(build.pipeline, build.jobs, build.tasks):
            self.outstream.write(f"{line}\n")
        self.warn_of_unread()
        for gone in self.build.withdrawn():
            self.outstream.write(f"{gone.name}: withdrawn, the pipeline has it no more; {program()} clean --orphans\n")
        for line in found:
            self.outstream.write(line + "\n")
        self.outstream.write(f"{self.build.pipeline.file.name} and {count} manifests: {len(found) or 'no'} problems\n")
        return 1 if found else 0

    def _missing(self, task: Task) -> list[str]:
        """The paths that a job's task reads and that aren't there."""
        given = [(n, r) for n, references in task.inputs.items() for r in references if isinstance(r, Given)]
        root, targets = self.build.pipeline.root, [target for own in self.own for target in own.targets]
        given = [(n, r) for n, r in given if not (r.optional or any(meets(r, root, path) for path in targets))]
        gone = [(n, r) for n, r in given if not may_be_there(r, root)]
        return [
            f"{task.name}: inputs.{name}: nothing is at {label_of(reference, reference.pattern)}"
            for name, reference in gone
        ]


class Graph(PipelineCommand):
    """The pipeline as a picture's source."""

    name = "graph"
    doc_purpose = "print the pipeline's stages as DOT or Mermaid, matrices collapsed"
    doc_usage = ""
    doc_description = None
    cmd_options = (option("style", "format", "dot or mermaid", str, "dot"),)

    def _execute(self, style: str, pos_args: list[str]) -> int:
        if style not in ("dot", "mermaid"):
            raise PipelineError(f"--format: {style!r} is neither dot nor mermaid", "doit graph --format mermaid")
        edges: list[tuple[str, str]] = []
        labels: dict[str, str] = {"source": "source"}
        for spec in self.build.pipeline.stages.values():
            labels[spec.name] = _label(spec)
            reads_source = any(in_source(text.removeprefix("?")) for text in spec.inputs.values())
            edges += [("source", spec.name)] if reads_source else []
            edges += [(need, spec.name) for need in dict.fromkeys(needed_stages(spec))]
        write: Any = self.outstream.write
        if style == "dot":
            write("digraph pipeline {\n  rankdir=LR;\n  node [shape=box];\n")
            for name, label in labels.items():
                write(f'  "{name}" [label="{label}"];\n')
            for one, other in edges:
                write(f'  "{one}" -> "{other}";\n')
            write("}\n")
            return 0
        write("flowchart LR\n")
        for name, label in labels.items():
            write(f'  {name.replace("-", "_")}["{label}"]\n')
        for one, other in edges:
            write(f"  {one.replace('-', '_')} --> {other.replace('-', '_')}\n")
        return 0


def _label(spec: StageSpec) -> str:
    """A stage's name, its matrix, and in which jobs it is."""
    said = ["all jobs"] * spec.collect
    said += [f"{key}: {axis.files or ', '.join(map(text_of, axis.values))}" for key, axis in spec.matrix.items()]
    said += [f"when {spec.when}"] * bool(spec.when)
    return f"{spec.name} ({'; '.join(said)})" if said else spec.name


class Cache(PipelineCommand):
    """What is kept of earlier outputs."""

    name = "cache"
    doc_purpose = "list the earlier outputs that are kept: for which facts, how large, what they spare"
    doc_usage = ""
    doc_description = None
    cmd_options = ()

    def _execute(self, pos_args: list[str]) -> int:
        found = generations.kept(owners.keeping(self.build.pipeline, self.build.job_dirs))
        little = list(filter(_is_little, found)) if len(found) > ROWS else []
        makers = {places.units(task): task.name for task in self.build.tasks.values()}
        for one in reversed(found):
            if not (little and _is_little(one)):
                self.outstream.write(f"{self._described(one, makers)}\n")
        if little:
            size, limit_each = sized(sum(one.size_bytes for one in little)), sized(LITTLE_BYTES)
            self.outstream.write(f"and {len(little)} of less than {limit_each} and {LITTLE_S:g} s, {size} together\n")
        total = sum(one.size_bytes for one in found)
        limit = self.build.pipeline.cache_bytes / 1e9
        spares = sum(manifest.duration_s for manifest in (one.manifest for one in found) if manifest)
        self.outstream.write(f"{len(found)} kept, {sized(total)} of {limit:g} GB, {spares:.1f} s of work\n")
        return 0

    def _described(self, one: Kept, makers: Mapping[Path, str]) -> str:
        size, manifest = sized(one.size_bytes), one.manifest
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(manifest.timestamp if manifest else one.used_ts))
        if manifest is None:
            return f"{makers.get(one.path, one.path)}  {when}  {size}  {'units' if one.is_units else 'damaged'}"
        params = ", ".join(f"{k}={v}" for k, v in manifest.params.items() if v != self._present(manifest).get(k, v))
        return f"{manifest.task}  {when}  {size}  {manifest.duration_s:.1f} s  {params}"

    def _present(self, manifest: Manifest) -> Mapping[str, Any]:
        task = self.build.tasks.get(manifest.task)
        return task.params if task else {}


def _is_little(one: Kept) -> bool:
    """Whether it is neither large, nor known to have taken long; what is damaged is shown in any case."""
    quick = one.manifest.duration_s < LITTLE_S if one.manifest else one.is_units
    return one.size_bytes < LITTLE_BYTES and quick


def sized(count: float) -> str:
    """A size in bytes for people: `12 B`, `3.4 kB`, `1.2 MB`, `20.0 GB`."""
    for unit in ("B", "kB", "MB"):
        if count < 999.95:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


class Gc(PipelineCommand):
    """Make room."""

    name = "gc"
    doc_purpose = "delete earlier outputs beyond [cache] max_gb, the least recently used first; all with --all"
    doc_usage = ""
    doc_description = None
    cmd_options = (option("gc_all", "all", "keep none", bool, False),)

    def _execute(self, gc_all: bool, pos_args: list[str]) -> int:
        limit = 0.0 if gc_all else self.build.pipeline.cache_bytes
        pipeline = self.build.pipeline
        own = owners.own(pipeline, self.build.job_dirs)
        for job_dir in self.build.job_dirs:
            if job_dir not in own and job_dir.exists():
                self.outstream.write(f"{job_dir}: left alone, it isn't this pipeline's\n")
        gone = generations.collect(own, limit)
        Traces(pipeline.jobs_dir).prune()
        size = sum(one.size_bytes for one in gone)
        self.outstream.write(f"{len(gone)} deleted, {sized(size)}\n")
        left = [one for one in generations.kept(own) if gc_all]
        for one in left:
            self.outstream.write(f"{one.path}: can't be deleted\n")
        return 1 if left else 0


def validate_files(files: list[Path]) -> int:
    """`python -m mediabuild.commands.inspection FILE…`: manifests against the schema, for hooks and CI."""
    status = 0
    for file in files:
        for problem in problems(file):
            print(f"{file}: {problem}")
            status = 1
    return status


if __name__ == "__main__":
    import sys

    raise SystemExit(validate_files([Path(name) for name in sys.argv[1:]]))
