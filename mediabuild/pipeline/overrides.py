"""NAME=VALUE on the command line: which stage's param is meant, and what its text says.

Not here: doit's own variables; it hands them over as a dict.
"""

from __future__ import annotations

import re
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from mediabuild.machine.here import quoted
from mediabuild.pipeline.mistakes import Mistakes, nearest
from mediabuild.pipeline.model import Pipeline, StageSpec
from mediabuild.pipeline.params import plain
from mediabuild.pipeline.per_job.axis import Axis, Scalar
from mediabuild.pipeline.per_job.matrix import matrix_values
from mediabuild.pipeline.per_job.values import example, params_set
from mediabuild.pipeline.typed import hint_for, sentence

CLOCK = re.compile(r"(\d+:)?\d+:\d\d(\.\d+)?", re.ASCII)


def with_matrix_overrides(pipeline: Pipeline, variables: Mapping[str, str]) -> tuple[Pipeline, dict[str, str]]:
    """The pipeline with the matrices that the command line names, and the variables that are left.

    `translate.language=es,fr` (or `language=es,fr`) replaces a matrix's values for this run; nothing
    after the `=` leaves the stage without tasks.
    """
    stages, left = dict(pipeline.stages), {}
    mistakes = Mistakes("command line")
    for variable, text in variables.items():
        stage, _, key = variable.rpartition(".")
        owners = [spec for spec in stages.values() if key in spec.matrix and stage in ("", spec.name)]
        if not owners:
            left[variable] = text
        words = [word.strip() for word in text.split(",") if word.strip()]
        for spec in owners:
            kind = str if spec.matrix[key].files or spec.matrix[key].params else _type_of(spec, key)
            values = [_value(variable, word, kind, mistakes) for word in words]
            chosen = _chosen(variable, spec.matrix[key], tuple(words), values, mistakes)
            stages[spec.name] = replace(spec, matrix={**spec.matrix, key: chosen})
    mistakes.raise_if_any()
    return replace(pipeline, stages=stages), left


def _chosen(variable: str, axis: Axis, words: tuple[str, ...], values: list[Scalar], mistakes: Mistakes) -> Axis:
    """A key of a matrix with other values: of a table some of its own, of files those that have these names."""
    if axis.files:
        return replace(axis, only=words)
    for word in words if axis.params else ():
        if word not in axis.params:
            mistakes.add(variable, f"the matrix has no {word!r}", nearest(word, axis.params))
    return replace(axis, values=matrix_values(variable, values, mistakes))


def stage_overrides(
    pipeline: Pipeline, variables: Mapping[str, str], *, allow_unknown: bool = False
) -> dict[str, dict[str, Any]]:
    """Stage → param → value.

    Args:
        variables: `transcribe.beam_size` or, where one stage alone has it, `beam_size` → text. Without a project an
            empty one stands for the built-in value.
        allow_unknown: leave out names that no stage has; the dodo file may read them.

    Raises:
        PipelineError: an unknown or ambiguous name, a value of the wrong type; all at once.
    """
    mistakes = Mistakes("command line")
    found: dict[str, dict[str, Any]] = {}
    params = {spec.name: _param_names(spec) for spec in pipeline.stages.values()}
    dotted = [f"{stage}.{name}" for stage, names in params.items() for name in names]
    for variable, text in variables.items():
        stage, dot, name = variable.rpartition(".")
        owners = [stage] if dot and name in params.get(stage, ()) else []
        for shared in pipeline.shared.get(name, ()) if not owners and stage == "params" else ():
            spec = pipeline.stages[shared[0]]
            found.setdefault(shared[0], {})[shared[1]] = _value(variable, text, _type_of(spec, shared[1]), mistakes)
        if stage == "params" and not owners and name in pipeline.shared:
            continue
        if not dot:
            owners = [owner for owner, names in params.items() if name in names]
        if len(owners) > 1:
            names = [f"params.{name}"] * (name in pipeline.shared) + [f"{owner}.{name}" for owner in owners]
            mistakes.add(variable, "several stages have it", " or ".join(_typed(name, text) for name in names))
        elif owners:
            spec = pipeline.stages[owners[0]]
            if pipeline.alone and not text.strip():  # what was said before ends
                found.setdefault(spec.name, {})[name] = spec.params[name]
                continue
            found.setdefault(spec.name, {})[name] = _value(variable, text, _type_of(spec, name), mistakes)
        elif not allow_unknown:
            mistakes.add(variable, "no stage has such a param", nearest(variable, dotted if dot else _bare(params)))
    mistakes.raise_if_any()
    return found


def _typed(name: str, text: str) -> str:
    """NAME=VALUE as a shell takes it."""
    return f"{name}={quoted(text) if text else ''}"


def _bare(params: Mapping[str, list[str]]) -> list[str]:
    return sorted({name for names in params.values() for name in names})


def params_of(spec: StageSpec) -> list[str]:
    """The params of a stage that its matrix doesn't set."""
    return [name for name in spec.params if name not in params_set(spec.matrix)]


def value_of_text(where: str, text: str, spec: StageSpec, param: str, mistakes: Mistakes) -> Any:
    """A text as a stage's param wants it."""
    return _value(where, text, _type_of(spec, param), mistakes)


def _param_names(spec: StageSpec) -> list[str]:
    """The params that the command line may set: also for all values of a table."""
    return [name for name in dict.fromkeys((*spec.params, *params_set(spec.matrix))) if name not in spec.matrix]


def in_seconds(text: str) -> str:
    """A time that is written as on a clock, in seconds: `1:30` → `90.0`, `1:02:03.5` → `3723.5`; others as they are."""
    if not CLOCK.fullmatch(text):
        return text
    seconds = 0.0
    for part in text.split(":"):
        seconds = seconds * 60 + float(part)
    return str(seconds)


def _value(variable: str, text: str, kind: Any, mistakes: Mistakes) -> Any:
    """The text as the param's type wants it; lists and tables as in TOML.

    What may be a number or a text is a number where it looks like one; `null` is nothing, where that may be.
    """
    problem, value = "", None if text == "null" else _toml(text)
    for candidate in (text, value) if isinstance(value, str | list | dict) else (value, text):
        try:
            return plain(variable, msgspec.convert(candidate, kind, strict=False), mistakes)
        except msgspec.ValidationError as error:
            problem = sentence(error)
    mistakes.add(variable, problem, hint_for(kind, text, variable))
    return text


def _type_of(spec: StageSpec, name: str) -> Any:
    if spec.declaration is None:
        kind: Any = type({**spec.params, **example(spec.matrix, None)}.get(name, ""))
        return int | float if kind in (int, float) else kind
    return typing.get_type_hints(spec.declaration.params, include_extras=True)[name]


def _toml(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text
