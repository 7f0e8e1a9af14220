"""What recordings without a project were made with: languages and params stay until `NAME=` ends them.

A project says them in its `pipeline.toml`. Without one, the manifests of what was made remember them, and nothing else
does: what failed isn't tried again.

Not here: what the command line says (`pipeline.overrides`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mediabuild.freshness.orphans import recorded_copies
from mediabuild.pipeline.model import Pipeline
from mediabuild.pipeline.sources import find_sources
from mediabuild.store.manifest import Manifest, find_manifest
from mediabuild.store.summaries import recorded_values

MATRIX, KEY = "translate", "language"


def with_languages(pipeline: Pipeline, files: Iterable[str], variables: Mapping[str, str]) -> Mapping[str, str]:
    """NAME=VALUE of the command line, with the languages that the recordings were translated into before."""
    asked = variables.get(KEY)
    if not pipeline.alone or (asked is not None and not asked.strip(" ,")):
        return variables
    languages = (asked or "").split(",")
    for job in find_sources(pipeline, tuple(files), copies=lambda: recorded_copies(pipeline)):
        job_dir = pipeline.jobs_dir / job
        there = {str(manifest.params.get(KEY, "")) for manifest in _made(job_dir / MATRIX)}
        languages += [value for value in recorded_values(job_dir, MATRIX, KEY) if value in there]
    return {**variables, KEY: ",".join(dict.fromkeys(filter(None, languages)))}


def params_before(pipeline: Pipeline, jobs: Iterable[str]) -> dict[str, dict[str, dict[str, Any]]]:
    """Job → stage → the params that the command line gave when it was made, as far as they aren't the stage's own."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for job in jobs if pipeline.alone else ():
        for spec in pipeline.stages.values():
            said: dict[str, Any] = {}
            for manifest in _made(pipeline.jobs_dir / job / spec.name):
                said |= manifest.overrides
            kept = {k: v for k, v in said.items() if k in spec.params and k not in spec.matrix and v != spec.params[k]}
            if kept:
                found.setdefault(job, {})[spec.name] = kept
    return found


def _made(folder: Path) -> Iterator[Manifest]:
    """The manifests of a stage in a job, of all values of its matrix."""
    for place in (folder, *sorted(folder.glob("*"))):
        manifest = find_manifest(place)
        if manifest is not None:
            yield manifest
