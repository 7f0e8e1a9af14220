"""Params: checked against a stage's declaration, and put together from defaults, the file, the job and the line.

Not here: NAME=VALUE on the command line (`overrides`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mediabuild.pipeline.document import check_values
from mediabuild.pipeline.mistakes import Mistakes, nearest, sentence, toml_type
from mediabuild.pipeline.model import Scalar, StageSpec
from mediabuild.pipeline.placeholders import text_of
from mediabuild.stage import Stage


def plain(where: str, value: Any, mistakes: Mistakes) -> Any:
    """A param's value as a manifest holds it and a program is given it: dates are texts.

    What JSON can't hold is a mistake: recorded as nothing, nan and inf would be the same.
    """
    value = msgspec.to_builtins(value)
    check_values({where: value}, mistakes)
    return value


def _plain_table(where: str, table: Mapping[str, Any], mistakes: Mistakes) -> dict[str, Any]:
    return {key: plain(f"{where}.{key}", value, mistakes) for key, value in table.items()}


def matrix_of(
    where: str, table: Mapping[str, list[Scalar]], declaration: Stage | None, mistakes: Mistakes
) -> dict[str, tuple[Scalar, ...]]:
    """The keys and values of a stage's matrix, as they are written; each must be a value of its param."""
    if declaration is not None:
        names = [field.name for field in msgspec.structs.fields(declaration.params)]
        for key, values in table.items():
            if key not in names:
                mistakes.add(f"{where}.matrix.{key}", "the stage has no such param", nearest(key, names))
                continue
            for value in values:
                mistakes.fields(f"{where}.matrix", {key: value}, declaration.params)
    return {key: matrix_values(f"{where}.matrix.{key}", values, mistakes) for key, values in table.items()}


def matrix_values(where: str, values: list[Scalar], mistakes: Mistakes) -> tuple[Scalar, ...]:
    """The values of a matrix, checked as names; none at all leaves the stage without tasks."""
    texts = [text_of(value) for value in values]
    if len(set(texts)) != len(texts):
        mistakes.add(where, "a value stands there twice")
    for text in texts:
        if text in ("", ".", "..") or "/" in text:
            mistakes.add(where, f"{text!r} can't be the name of a directory")
    return tuple(values)


def stage_params(
    where: str, table: Mapping[str, Any], matrix: Mapping[str, Any], declaration: Stage | None, mistakes: Mistakes
) -> dict[str, Any]:
    """A stage's params for every job; of the keys of its matrix, any value."""
    for key in table.keys() & matrix.keys():
        mistakes.add(f"{where}.params.{key}", "it is a key of the matrix already")
    table = _plain_table(f"{where}.params", table, mistakes)
    if declaration is None:
        return table
    known = [field.name for field in msgspec.structs.fields(declaration.params)]
    any_value = {key: values[0] for key, values in matrix.items() if values and key in known}
    good = mistakes.fields(f"{where}.params", table, declaration.params)
    effective = effective_params(f"{where}.params", any_value, good, declaration, mistakes)
    defaults = {key: value for key, value in effective.items() if key not in table}
    return effective | _plain_table(f"{where}.params", defaults, mistakes)


def effective_params(
    where: str, base: Mapping[str, Any], changes: Mapping[str, Any], declaration: Stage | None, mistakes: Mistakes
) -> dict[str, Any]:
    """`base` with `changes`, checked as a whole; plain values, in the order of the declaration."""
    merged = {**base, **changes}
    if declaration is None:
        return merged
    try:
        effective = msgspec.to_builtins(msgspec.convert(merged, declaration.params), order="deterministic")
    except msgspec.ValidationError as error:
        mistakes.add(where, sentence(error))
        return dict(base)
    return dict(effective)


def check_params(where: str, params: Mapping[str, Any], spec: StageSpec, mistakes: Mistakes) -> dict[str, Any]:
    """The good ones among a job's params for a stage; the others are noted as mistakes."""
    for key in params.keys() & spec.matrix.keys():
        mistakes.add(f"{where}.{key}", "it is a key of the matrix")
    params = _plain_table(where, params, mistakes)
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
