"""A job's summary: `manifest.json`, its stages at a glance, and `job.toml`, the pipeline as resolved for it.

Not here: the manifests of its stages (`manifest`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mediabuild.pipeline.model import Given, Pipeline
from mediabuild.pipeline.reserved import MANIFEST_NAME


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
        summary = json.loads((directory / MANIFEST_NAME).read_bytes())
        if str(summary["job"]) != job:
            return None
        label = str(summary["source"])
        return Given(pattern=str(summary.get("source_path", label)), label=label)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None  # a stage's manifest, or damaged


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _without_none(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value is not None}
