"""Params: checked against a stage's declaration, put together from defaults, the file, the job and the line.

A value of the table `[params]` may stand in several stages' params, as `{params.NAME}`.

Not here: NAME=VALUE on the command line (`overrides`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from mediabuild.pipeline.document import check_values
from mediabuild.pipeline.mistakes import Mistakes, nearest
from mediabuild.pipeline.model import StageSpec
from mediabuild.pipeline.per_job.axis import Axis
from mediabuild.pipeline.per_job.values import example, params_set
from mediabuild.pipeline.placeholders import text_of
from mediabuild.pipeline.typed import meant, sentence, toml_text, toml_type
from mediabuild.stage import Stage

OF_COMMAND = re.compile(r"\{((inputs|outputs|row)\.[^{}]+|out|job|device|ffmpeg|piece)\}")
SHARED = re.compile(r"(?<!\{)\{params\.([A-Za-z_][A-Za-z0-9_-]*)\}(?!\})")


def shared_uses(document: Mapping[str, Any]) -> dict[str, tuple[tuple[str, str], ...]]:
    """A value of `[params]` → the params of stages that are this value, as the file says: (stage, param)."""
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for where, table in _param_tables({"stages": document.get("stages")}):
        for param, value in table.items():
            match = SHARED.fullmatch(value) if isinstance(value, str) else None
            if match and where.endswith(".params"):
                stage = where.removeprefix("stages.").removesuffix(".params")
                found[match[1]] = (*found.get(match[1], ()), (stage, param))
    return found


def fill_shared(document: Mapping[str, Any], mistakes: Mistakes) -> None:
    """Put the values of `[params]` in the place of `{params.NAME}` in params and matrices, in the document.

    A text that is nothing else becomes the value itself, of whatever type it is.
    """
    shared = document.get("params", {})
    if not isinstance(shared, dict):
        mistakes.add("params", f"expected a table, got {toml_type(shared)}", "[params] NAME = VALUE")
        return
    for key, value in shared.items():
        if isinstance(value, str) and SHARED.search(value):
            mistakes.add(f"params.{key}", "a value of [params] can't be made of others", "write it out")
    for where, table in _param_tables(document):
        for key, value in table.items():
            table[key] = _filled(f"{where}.{key}", value, shared, mistakes)


def _param_tables(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where each table of params is, and the table; what is no table is somebody else's to say."""
    for name, stage in _tables(document.get("stages")):
        yield from ((f"stages.{name}.{key}", t) for key, t in _tables(stage) if key in ("params", "matrix"))
    for name, job in _tables(document.get("jobs")):
        for key, stages in _tables(job):
            yield from ((f'jobs."{name}".params.{n}', t) for n, t in _tables(stages) if key == "params")


def _tables(value: Any) -> list[tuple[str, dict[str, Any]]]:
    return [(k, v) for k, v in value.items() if isinstance(v, dict)] if isinstance(value, dict) else []


def _filled(where: str, value: Any, shared: Mapping[str, Any], mistakes: Mistakes) -> Any:
    if isinstance(value, list):
        return [_filled(where, item, shared, mistakes) for item in value]
    if isinstance(value, dict):
        return {key: _filled(f"{where}.{key}", item, shared, mistakes) for key, item in value.items()}
    if not isinstance(value, str):
        return value
    written = re.sub(r"\A\$?[{<]{0,2} *(params?\.)?| *[}>]{0,2}\Z", "", value)  # as it is written elsewhere
    if written in shared and value != written and not SHARED.fullmatch(value):
        mistakes.add(where, f"{value!r} stays as it is", f'"{{params.{written}}}" is the value in [params]')
    elif OF_COMMAND.fullmatch(value):
        mistakes.add(where, f"{value} is filled in in a command, not in a param", f'command = ["…", "{value}"]')
    for name in SHARED.findall(value):
        if name not in shared:
            hint = nearest(name, shared) or f"[params] {name} = …"
            mistakes.add(where, f"{{params.{name}}} is not in [params]", hint)
            return value
    whole = SHARED.fullmatch(value)
    return shared[whole[1]] if whole else SHARED.sub(lambda match: text_of(shared[match[1]]), value)


def plain(where: str, value: Any, mistakes: Mistakes) -> Any:
    """A param's value as a manifest holds it and a program is given it: dates are texts.

    What JSON can't hold is a mistake: recorded as nothing, nan and inf would be the same.
    """
    value = msgspec.to_builtins(value)
    check_values({where: value}, mistakes)
    return value


def plain_table(where: str, table: Mapping[str, Any], mistakes: Mistakes) -> dict[str, Any]:
    return {key: plain(f"{where}.{key}", value, mistakes) for key, value in table.items()}


def stage_params(
    where: str, table: Mapping[str, Any], matrix: Mapping[str, Axis], declaration: Stage | None, mistakes: Mistakes
) -> dict[str, Any]:
    """A stage's params for every job; of those that its matrix sets, any value."""
    for key in table.keys() & matrix.keys():
        mistakes.add(f"{where}.params.{key}", "it is a key of the matrix already", "remove one")
    table = plain_table(f"{where}.params", table, mistakes)
    if declaration is None:
        return table
    any_value = example(matrix, declaration)
    good = mistakes.fields(f"{where}.params", table, declaration.params)
    if mistakes.says_of(f"{where}.matrix"):  # a value that is wrong would be said to be a wrong param, too
        any_value = {}
    effective = effective_params(f"{where}.params", any_value, good, declaration, mistakes)
    defaults = {key: value for key, value in effective.items() if key not in table}
    return effective | plain_table(f"{where}.params", defaults, mistakes)


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
    for key in params.keys() & params_set(spec.matrix).keys():
        mistakes.add(f"{where}.{key}", "it is a key of the matrix" if key in spec.matrix else "the matrix sets it")
    params = plain_table(where, params, mistakes)
    if spec.declaration is not None:
        good = mistakes.fields(where, dict(params), spec.declaration.params)
        effective_params(where, spec.params, good, spec.declaration, mistakes)
        return good
    first = f"[stages.{spec.name}] params = {{ … }} is where a command's params are declared"
    unsure = mistakes.says_of(f"stages.{spec.name}.params", f"stages.{spec.name}.param")
    for key, value in params.items() if not unsure else ():
        if key not in spec.params:
            mistakes.add(f"{where}.{key}", "unknown param", nearest(key, spec.params) or first)
        elif not same_type(value, spec.params[key]):
            mistakes.add(
                f"{where}.{key}",
                f"expected {toml_type(spec.params[key])}, got {toml_type(value)}",
                meant(value, type(spec.params[key]), ()) or f"as in {toml_text(spec.params[key])}",
            )
    return {key: value for key, value in params.items() if key in spec.params}


def same_type(value: Any, example: Any) -> bool:
    if isinstance(value, bool) or isinstance(example, bool):
        return type(value) is type(example)
    numbers = (int, float)
    return type(value) is type(example) or (isinstance(value, numbers) and isinstance(example, numbers))
