"""The combinations of a matrix's values: which there are, what they are called, and the params that they set.

Not here: reading a matrix (`matrix`).
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from mediabuild.machine.listing import printable
from mediabuild.machine.natural import natural
from mediabuild.pipeline.mistakes import Mistakes
from mediabuild.pipeline.model import Given
from mediabuild.pipeline.paths import paths_of
from mediabuild.pipeline.per_job.axis import Axis, Scalar
from mediabuild.pipeline.placeholders import text_of
from mediabuild.pipeline.reserved import encode_name
from mediabuild.stage import Stage

At = Mapping[str, Scalar]  # key of a matrix → value


def value_of(at: At) -> str:
    """The name of a combination of matrix values."""
    return encode_name("-".join(map(text_of, at.values())))


def combinations(matrix: Mapping[str, Axis], values: Mapping[str, Sequence[Scalar]] | None = None) -> Iterator[At]:
    """Each combination of a matrix's values.

    Args:
        values: of the keys whose values depend on the job.
    """
    choices = [(values or {}).get(key, axis.values) for key, axis in matrix.items()]
    for chosen in itertools.product(*choices):
        yield dict(zip(matrix, chosen, strict=True))


def place(at: At) -> list[tuple[float, object]]:
    """A key that sorts combinations of matrix values: numbers by what they are, texts in natural order.

    A list in another order is the same matrix.
    """
    return [(math.inf, natural(text_of(v))) if isinstance(v, str | bool) else (v, "") for v in at.values()]


def fields_of(declaration: Stage | None) -> list[str] | None:
    """The names of the params that a Python stage declares; None for a command, which takes any."""
    return None if declaration is None else [field.name for field in msgspec.structs.fields(declaration.params)]


def table_params(axis: Axis) -> list[str]:
    """The params that the values of a table set."""
    return list(dict.fromkeys(name for sets in axis.params.values() for name in sets))


def params_set(matrix: Mapping[str, Axis]) -> dict[str, str]:
    """Param → the key of the matrix that sets it, the keys themselves among them."""
    return {name: key for key, axis in matrix.items() for name in (key, *table_params(axis))}


def params_at(matrix: Mapping[str, Axis], at: Mapping[str, Scalar], declaration: Stage | None) -> dict[str, Any]:
    """The params that a combination of values sets; a Python stage need not declare the key of a table or of files."""
    known = fields_of(declaration)
    found: dict[str, Any] = {}
    for key, value in at.items():
        if known is None or key in known:
            found[key] = value
        found |= matrix[key].params.get(text_of(value), {})
    return found


def example(matrix: Mapping[str, Axis], declaration: Stage | None) -> dict[str, Any]:
    """The params of any combination: of the first values."""
    first = {key: axis.values[0] if axis.values else "any" for key, axis in matrix.items() if axis.values or axis.files}
    return params_at(matrix, first, declaration)


def stems(where: str, axis: Axis, given: Given, root: Path, mistakes: Mistakes) -> tuple[str, ...]:
    """The values that a job's files stand for: their names without folder and suffix, in natural order.

    Raises:
        OSError: their folder can't be listed.
    """
    found: dict[str, str] = {}
    for path in paths_of(given, root):
        stem = os.path.splitext(path.rpartition("/")[2])[0]
        try:
            stem.encode()
        except UnicodeEncodeError:
            mistakes.add(where, f"the name of {printable(path)} is not UTF-8", "rename it")
            continue
        if stem in found:
            mistakes.add(where, f"two files are called {stem!r}: {found[stem]} and {path}", "rename one")
        found[stem] = path
    return tuple(stem for stem in found if axis.only is None or stem in axis.only)
