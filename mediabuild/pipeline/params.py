"""Params: checked against a stage's declaration, and put together from defaults, the file, the job and the line.

Not here: NAME=VALUE on the command line (`overrides`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mediabuild.pipeline.mistakes import Mistakes, nearest, sentence, toml_type
from mediabuild.pipeline.model import StageSpec
from mediabuild.pipeline.tables import Scalar
from mediabuild.stage import Stage


def matrix_of(where: str, table: Mapping[str, list[Scalar]], mistakes: Mistakes) -> dict[str, tuple[str, ...]]:
    return {key: matrix_values(f"{where}.matrix.{key}", [str(v) for v in vs], mistakes) for key, vs in table.items()}


def matrix_values(where: str, values: list[str], mistakes: Mistakes) -> tuple[str, ...]:
    """The values of a matrix, checked; none at all leaves the stage without tasks."""
    if len(set(values)) != len(values):
        mistakes.add(where, "a value stands there twice")
    for value in values:
        if value in ("", ".", "..") or "/" in value or "\x00" in value:
            mistakes.add(where, f"{value!r} can't be the name of a directory")
    return tuple(values)


def stage_params(
    where: str, table: Mapping[str, Any], matrix: Mapping[str, Any], declaration: Stage | None, mistakes: Mistakes
) -> dict[str, Any]:
    for key in table.keys() & matrix.keys():
        mistakes.add(f"{where}.params.{key}", "it is a key of the matrix already")
    if declaration is None:
        return dict(table)
    known = {f.name for f in msgspec.structs.fields(declaration.params)}
    for key in matrix.keys() - known:
        mistakes.add(f"{where}.matrix.{key}", "the stage has no such param", nearest(key, known))
    good = mistakes.fields(f"{where}.params", dict(table), declaration.params)
    return effective_params(f"{where}.params", {}, good, declaration, mistakes)


def effective_params(
    where: str, base: Mapping[str, Any], changes: Mapping[str, Any], declaration: Stage | None, mistakes: Mistakes
) -> dict[str, Any]:
    """`base` with `changes`, checked as a whole; plain values, in the order of the declaration."""
    merged = {**base, **changes}
    if declaration is None:
        return merged
    try:
        plain = msgspec.to_builtins(msgspec.convert(merged, declaration.params))
    except msgspec.ValidationError as error:
        mistakes.add(where, sentence(error))
        return dict(base)
    return dict(plain)


def check_params(where: str, params: Mapping[str, Any], spec: StageSpec, mistakes: Mistakes) -> dict[str, Any]:
    """The good ones among a job's params for a stage; the others are noted as mistakes."""
    for key in params.keys() & spec.matrix.keys():
        mistakes.add(f"{where}.{key}", "it is a key of the matrix")
    if spec.declaration is not None:
        good = mistakes.fields(where, dict(params), spec.declaration.params)
        effective_params(where, spec.params, good, spec.declaration, mistakes)
        return good
    for key, value in params.items():
        if key not in spec.params:
            mistakes.add(f"{where}.{key}", "unknown param", nearest(key, spec.params))
        elif not _same_type(value, spec.params[key]):
            mistakes.add(f"{where}.{key}", f"expected {toml_type(spec.params[key])}, got {toml_type(value)}")
    return {key: value for key, value in params.items() if key in spec.params}


def _same_type(value: Any, example: Any) -> bool:
    if isinstance(value, bool) or isinstance(example, bool):
        return type(value) is type(example)
    numbers = (int, float)
    return type(value) is type(example) or (isinstance(value, numbers) and isinstance(example, numbers))
