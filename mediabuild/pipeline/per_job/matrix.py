"""The keys of a matrix: a list of values, a table of them with the params that each sets, or a job's files.

Not here: which combinations there are and what they set (`values`), the command line's (`pipeline.overrides`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mediabuild.pipeline.mistakes import Mistakes, nearest
from mediabuild.pipeline.params import plain_table, same_type
from mediabuild.pipeline.per_job.axis import Axis, Scalar
from mediabuild.pipeline.per_job.values import fields_of, table_params
from mediabuild.pipeline.placeholders import text_of
from mediabuild.pipeline.typed import meant, toml_type
from mediabuild.stage import Stage

Written = list[Scalar] | str | dict[str, dict[str, Any]]


def axes_of(
    where: str, table: Mapping[str, Written], params: Mapping[str, Any], declaration: Stage | None, mistakes: Mistakes
) -> dict[str, Axis]:
    """The keys of a stage's matrix, as they are written.

    Args:
        params: of the stage's table: where one value of a table sets no such param, these count.
    """
    known = fields_of(declaration)
    found: dict[str, Axis] = {}
    for key, written in table.items():
        place = f"{where}.matrix.{key}"
        if key == "job":
            mistakes.add(place, "{job} is the job's name", "name the key otherwise: file")
        if isinstance(written, str):
            found[key] = _of_files(place, written, mistakes)
        elif isinstance(written, dict):
            found[key] = _of_table(place, written, params, declaration, mistakes)
        else:
            if known is not None and key not in known:
                mistakes.add(place, "the stage has no such param", nearest(key, known))
            elif declaration is not None:
                for value in written:
                    mistakes.fields(f"{where}.matrix", {key: value}, declaration.params)
            found[key] = Axis(matrix_values(place, written, mistakes))
    taken: dict[str, str] = {}
    for key, axis in found.items():
        for name in table_params(axis):
            if name in found:
                mistakes.add(f"{where}.matrix.{key}", f"{name} is a key of the matrix itself", "remove one")
            elif taken.setdefault(name, key) != key:
                mistakes.add(f"{where}.matrix.{key}", f"{name} is set by the key {taken[name]!r} already", "remove one")
    return found


def matrix_values(where: str, values: Iterable[Scalar], mistakes: Mistakes) -> tuple[Scalar, ...]:
    """The values of a matrix, checked as names; none at all leaves the stage without tasks."""
    texts = [text_of(value) for value in values]
    if len(set(texts)) != len(texts):
        mistakes.add(where, "a value stands there twice")
    for text in texts:
        if text in ("", ".", "..") or "/" in text:
            is_glob = text.startswith(("source/", "./")) or "*" in text
            hint = f'"{text}" without [ ] is a glob of files' if is_glob else "a name without /"
            mistakes.add(where, f"{text!r} can't be the name of a directory", hint)
    return tuple(values)


def _of_files(where: str, pattern: str, mistakes: Mistakes) -> Axis:
    if "/" not in pattern:
        hint = f'["{pattern}"], or "source/*.wav" for the files of a folder'
        mistakes.add(where, "expected a list, a table of tables, or a path or glob with a /", hint)
    return Axis(files=pattern)


def _of_table(
    where: str,
    table: Mapping[str, Mapping[str, Any]],
    params: Mapping[str, Any],
    declaration: Stage | None,
    mistakes: Mistakes,
) -> Axis:
    found: dict[str, dict[str, Any]] = {}
    for value, sets in table.items():
        good = sets if declaration is None else mistakes.fields(f"{where}.{value}", dict(sets), declaration.params)
        found[value] = plain_table(f"{where}.{value}", good, mistakes)
    example = {name: (of, value) for of, sets in reversed(found.items()) for name, value in sets.items()}
    for value, sets in found.items() if declaration is None else ():
        for name in example.keys() - sets.keys() - params.keys():
            hint = f"params = {{ {name} = … }} is for those that don't set it"
            mistakes.add(f"{where}.{value}", f"{name} is missing, which {example[name][0]!r} sets", hint)
        for name in sets:
            other = example[name][1]
            if not same_type(sets[name], other):
                what = f"expected {toml_type(other)} as {example[name][0]!r} has it, got {toml_type(sets[name])}"
                mistakes.add(f"{where}.{value}.{name}", what, meant(sets[name], type(other), ()))
    return Axis(matrix_values(where, list(table), mistakes), params=found)
