"""What a stage is for, reads and writes, and its params: default, range or choices, and what `pipeline.toml` says.

Not here: the state of a stage's tasks (`status`), the help of commands (`help`).
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from mediabuild.machine.here import PIPELINE
from mediabuild.pipeline.config import load_pipeline
from mediabuild.pipeline.model import StageSpec
from mediabuild.pipeline.per_job.values import params_set
from mediabuild.reporting.console import program

WIDTH = 100
BOUNDS = (("minimum", "at least"), ("exclusiveMinimum", "more than"), ("maximum", "at most"),
          ("exclusiveMaximum", "less than"))  # fmt: skip


def stage_here(name: str, root: Path) -> StageSpec | None:
    """A stage of the project in a folder; without a project, of the pipeline for single recordings.

    Raises:
        PipelineError: `pipeline.toml` has mistakes.
    """
    file = root / PIPELINE
    return load_pipeline(file, alone=not file.exists()).stages.get(name)


def of_stage(spec: StageSpec) -> str:
    """The text of `help STAGE`, at most 100 characters wide."""
    summary = spec.declaration.summary if spec.declaration else f"run {spec.command[0]}"
    lines = textwrap.wrap(f"{spec.name}: {summary}", WIDTH)
    for title, rows in (("inputs", _inputs(spec)), ("outputs", spec.outputs.items()), ("params", _params(spec))):
        lines += _table(title, list(rows))
    example = next((name for name in spec.params if name not in params_set(spec.matrix)), "")
    if example:
        lines += ["", f"for one run: {program()} {spec.name}.{example}=VALUE", "for all runs, in pipeline.toml:"]
        lines += [f"  [stages.{spec.name}.params]", f"  {example} = VALUE"]
    return "\n".join(lines)


def _table(title: str, rows: list[tuple[str, str]]) -> list[str]:
    """A list of names and texts; the texts stand below each other."""
    if not rows:
        return []
    start = min(max(len(name) for name, _ in rows), 34) + 4
    lines = ["", f"{title}:"]
    for name, text in rows:
        wrapped = textwrap.wrap(text, WIDTH - start) or [""]
        if len(name) + 4 > start:
            lines.append(f"  {name}")
        else:
            lines.append(f"  {name:<{start - 2}}{wrapped.pop(0)}".rstrip())
        lines += [" " * start + line for line in wrapped if line]
    return lines


def _inputs(spec: StageSpec) -> Iterator[tuple[str, str]]:
    """Each input, and what it is; those that the pipeline leaves out too."""
    if spec.declaration is None:
        yield from spec.inputs.items()
        return
    declared = {**spec.declaration.inputs, **spec.declaration.optional}
    for name, text in declared.items():
        wired = f", from {spec.inputs[name].lstrip('?')}" if name in spec.inputs else ", left out"
        yield name, text + wired + (" (may be missing)" if name in spec.declaration.optional else "")


def _params(spec: StageSpec) -> Iterable[tuple[str, str]]:
    """Each param with its default, and what is known of it."""
    if spec.declaration is None:
        return [(f"{name} = {_text(value)}", "") for name, value in spec.params.items()]
    kind = spec.declaration.params
    (reference,), components = msgspec.json.schema_components([kind])
    properties = components[reference["$ref"].rpartition("/")[2]]["properties"]
    defaults = {field.encode_name: _default(field) for field in msgspec.structs.fields(kind)}
    of_matrix = params_set(spec.matrix)
    rows = []
    for name, schema in properties.items():
        here = spec.params.get(name, defaults[name])
        said = [*_range(schema), _described(schema)]
        if name in of_matrix:
            said.insert(0, "set by the matrix")
        elif here != defaults[name]:
            said.insert(0, f"here {_text(here)}")
        rows.append((f"{name} = {_text(defaults[name])}", "; ".join(filter(None, said))))
    return rows


def _default(field: Any) -> Any:
    """A field's default as a plain value."""
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.to_builtins(field.default_factory())
    return None if field.default is msgspec.NODEFAULT else msgspec.to_builtins(field.default)


def _range(schema: Mapping[str, Any]) -> list[str]:
    """The bounds or choices of a param's JSON Schema."""
    said = []
    for part in (schema, *schema.get("anyOf", ())):
        if "enum" in part:
            said.append(", ".join(map(_text, part["enum"])))
        if "minimum" in part and "maximum" in part:
            said.append(f"{part['minimum']} to {part['maximum']}")
        else:
            said += [f"{word} {part[key]}" for key, word in BOUNDS if key in part]
    return said


def _described(schema: Mapping[str, Any]) -> str:
    """The description of a param, or of the value that it may have instead of none."""
    return next((str(part["description"]) for part in (schema, *schema.get("anyOf", ())) if "description" in part), "")


def _text(value: Any) -> str:
    """A value as it is typed on the command line."""
    if value is None:
        return "unset"
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
