"""Files that sum up a job: its own `manifest.json` (all stages) and `job.toml` (the pipeline as resolved for it).

Not here: the manifests of its stages (`manifest`).
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tomli_w

from mediabuild.errors import StageError
from mediabuild.machine import regular
from mediabuild.machine.files import write_atomically
from mediabuild.pipeline.model import Given, Pipeline, Task
from mediabuild.pipeline.reserved import ALL_JOBS, MANIFEST_NAME
from mediabuild.store import places
from mediabuild.store.manifest import find_manifest

JOB_NAME = "job.toml"


def recorded_sources(pipeline: Pipeline) -> dict[str, Given]:
    """Job name → its source, as the jobs' own summaries name them: where the recordings aren't."""
    found = {}
    for file in pipeline.jobs_dir.glob("**/" + MANIFEST_NAME):
        job = os.path.relpath(file.parent, pipeline.jobs_dir)
        source = recorded_source(file.parent, job)
        if source:
            found[job] = source
    return found


def recorded_source(directory: Path, job: str) -> Given | None:
    """The source that the summary in a job's directory names; None where there is no summary of this job."""
    try:
        summary = json.loads(regular.read_bytes(directory / MANIFEST_NAME))
        if str(summary["job"]) != job:
            return None
        label = str(summary["source"])
        path = str(summary.get("source_path", label))
        folder = path.rstrip("/") if path.endswith("/") else ""
        return Given(pattern=folder or path, label=label.rstrip("/"), folder=folder)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None  # a stage's manifest, or damaged


def recorded_values(directory: Path, stage: str, key: str) -> list[str]:
    """The values of a stage's matrix as a job's `job.toml` has them; none where there is no such file."""
    try:
        resolved = tomllib.loads(regular.read_bytes(directory / JOB_NAME).decode())
        return [str(value) for value in resolved["stages"][stage]["matrix"][key]]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return []  # no such values, or damaged


def begin_summary(task: Task) -> None:
    """Name a job's source before its first task runs: a run that is killed leaves no job that nobody knows of.

    Raises:
        OSError: it can't be written.
    """
    given = (r for references in task.inputs.values() for r in references if isinstance(r, Given))
    source = next((r for r in given if r.label or r.folder), None)
    if source is not None and not os.path.lexists(task.job_dir / MANIFEST_NAME):
        source = Given(source.folder, label=source.folder, folder=source.folder) if source.folder else source
        write_atomically(task.job_dir / MANIFEST_NAME, _json(_summary(task.job, source, [])))


def write_summaries(
    pipeline: Pipeline, tasks: Iterable[Task], sources: Mapping[str, Given], jobs: Iterable[str]
) -> None:
    """Write each job's `manifest.json` (its stages at a glance) and `job.toml` (the pipeline as resolved for it).

    Args:
        tasks: of all jobs. jobs: whose summaries are written.

    Raises:
        OSError: they can't be written.
    """
    wanted = set(jobs)
    by_job: dict[str, list[Task]] = {}
    for task in tasks:
        if task.job in wanted and task.job != ALL_JOBS:
            by_job.setdefault(task.job, []).append(task)
    for job, members in by_job.items():
        directory = members[0].job_dir
        try:
            places.check(members[0])
        except StageError:  # its tasks have said so
            continue
        write_atomically(directory / MANIFEST_NAME, _json(_summary(job, sources[job], members)))
        write_atomically(directory / JOB_NAME, tomli_w.dumps(_resolved(job, sources[job], members)).encode())


def remove_summaries(directory: Path) -> None:
    """Remove a job's two files, that which names its source last."""
    for name in (JOB_NAME, MANIFEST_NAME):
        (directory / name).unlink(missing_ok=True)


def _summary(job: str, source: Given, tasks: list[Task]) -> dict[str, Any]:
    stages = {}
    for task in tasks:
        manifest = find_manifest(task.directory)
        if manifest is not None:
            stages[task.name] = {
                "timestamp": manifest.timestamp,
                "duration_s": manifest.duration_s,
                "inputs_checksum": manifest.inputs_checksum,
                "outputs": sorted(manifest.output_files()),
            }
    end = "/" if source.folder else ""
    where = {"source_path": source.pattern + end} if os.path.isabs(source.pattern) else {}
    return {"job": job, "source": source.label + end, **where, "schema_version": 1, "stages": stages}


def _json(summary: dict[str, Any]) -> bytes:
    return json.dumps(summary, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _resolved(job: str, source: Given, tasks: list[Task]) -> dict[str, Any]:
    stages: dict[str, Any] = {}
    for task in tasks:
        table = stages.setdefault(task.stage.name, {"inputs": dict(task.stage.inputs)})
        table["params"] = _without_none(task.params)
        if task.overrides:
            table["overrides"] = _without_none(task.overrides)
        if task.stage.matrix:
            matrix = table.setdefault("matrix", {key: [] for key in task.at})
            for key, value in task.at.items():
                matrix[key] += [value] if value not in matrix[key] else []
    return {"job": job, "source": source.label, "device": tasks[0].device, "stages": stages}


def _without_none(table: Mapping[str, Any]) -> dict[str, Any]:
    """TOML has no null."""
    return {key: value for key, value in table.items() if value is not None}
