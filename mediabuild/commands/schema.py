"""JSON Schemas of what the project reads and writes, generated from the typed definitions.

`python -m mediabuild.commands.schema docs` writes them; a test keeps them current. The first line of
`pipeline.toml` (`#:schema …`) gives completion in an editor.

Not here: the definitions themselves (`tables`, `manifest`, `events`, `status`, `findings`, and those of `media/`).
"""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from mediabuild.commands.asking.found import Findings
from mediabuild.commands.asking.status import TaskStatus
from mediabuild.media import formats
from mediabuild.media.muxing import losses
from mediabuild.media.subtitles import quality, subtitle_files
from mediabuild.media.text import repairs
from mediabuild.media.translation import adherence
from mediabuild.pipeline.code_of_stages.loading import builtin_stages_dir, load_stage, stage_files
from mediabuild.pipeline.tables import CacheTable, JobTable, PipelineTable, StageTable
from mediabuild.reporting.events import AnyEvent
from mediabuild.store.manifest import Manifest

DIALECT = "https://json-schema.org/draft/2020-12/schema"
REF = "#/$defs/{name}"

# What the media stages write: in which file, and its definition.
DOCUMENTS: dict[str, tuple[str, type[msgspec.Struct]]] = {
    "probe": ("demux/probe.json", formats.Probe),
    "segments": ("detect_speech/segments.json", formats.Speech),
    "transcript": ("transcript.json of transcribe, align and glossary", formats.Transcript),
    "corrections": ("glossary/corrections.json", repairs.Corrections),
    "translation": ("translate/LANGUAGE/translation.json", formats.Translation),
    "translation-report": ("translate/LANGUAGE/report.json", adherence.Report),
    "words": ("subtitles/subtitles.LANGUAGE.words.json", subtitle_files.Words),
    "qc": ("subtitles/subtitles.qc.json", quality.Quality),
    "mux-report": ("mux/mux.report.json", losses.Report),
}


def pipeline_schema() -> dict[str, Any]:
    """`pipeline.toml`; the params of each built-in stage are known under its name."""
    declared = {name: load_stage(file) for name, file in stage_files(builtin_stages_dir().parent).items()}
    kinds = [PipelineTable, StageTable, JobTable, CacheTable, *(stage.params for stage in declared.values())]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=REF)
    table, stage_table, job_table, cache_table = schemas[:4]
    stages = {
        name: {"allOf": [stage_table], "properties": {"params": _partial(params, components)}, "description": s.summary}
        for (name, s), params in zip(declared.items(), schemas[4:], strict=True)
    }
    return {
        "$schema": DIALECT,
        "title": "mediabuild pipeline.toml",
        "type": "object",
        "additionalProperties": False,
        "required": ["pipeline", "stages"],
        "properties": {
            "pipeline": table,
            "stages": {"type": "object", "properties": stages, "additionalProperties": stage_table},
            "cache": cache_table,
            "jobs": {"type": "object", "additionalProperties": job_table},
            "params": {"type": "object", "description": "Values for several stages' params: {params.NAME}"},
        },
        "$defs": components,
    }


def _partial(reference: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    """The reference to a stage's params, checked to be one that `components` holds."""
    assert reference["$ref"].rpartition("/")[2] in components
    return reference


def schema_of(kind: Any, title: str) -> dict[str, Any]:
    """The schema of one definition."""
    (schema,), components = msgspec.json.schema_components([kind], ref_template=REF)
    return {"$schema": DIALECT, "title": title, **schema, "$defs": components}


def _dedented(schema: Any) -> Any:
    """The schema with docstrings as Python 3.13 keeps them: without their indentation."""
    if isinstance(schema, list):
        return [_dedented(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: inspect.cleandoc(value) if key == "description" and isinstance(value, str) else _dedented(value)
        for key, value in schema.items()
    }


def all_schemas() -> dict[str, str]:
    """File name → content, the same under every Python."""
    found = {
        "pipeline.schema.json": pipeline_schema(),
        "manifest.schema.json": schema_of(Manifest, "a stage's manifest.json"),
        "events.schema.json": schema_of(AnyEvent, "a line of --events"),
        "status.schema.json": schema_of(list[TaskStatus], "status --json, explain --json, check --json"),
        "doctor.schema.json": schema_of(Findings, "doctor --json"),
        **{f"{name}.schema.json": schema_of(kind, title) for name, (title, kind) in DOCUMENTS.items()},
    }
    return {name: json.dumps(_dedented(schema), indent=2, sort_keys=True) + "\n" for name, schema in found.items()}


if __name__ == "__main__":
    for file_name, content in all_schemas().items():
        (Path(sys.argv[1]) / file_name).write_text(content, encoding="utf-8")
