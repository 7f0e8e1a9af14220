"""A key of a matrix, as plain data.

Not here: reading it (`matrix`), its combinations (`values`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Scalar = str | int | float | bool


@dataclass(frozen=True)
class Axis:
    """A key of a matrix and the values that it takes.

    Args:
        values: as they are written; of a table, its keys. Empty where files are the values.
        params: value → the params that it sets, where the values are a table.
        files: the path or glob whose matches in a job are its values, by their stems; empty for the other kinds.
        only: the stems that the command line chose; None for all.
    """

    values: tuple[Scalar, ...] = ()
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    files: str = ""
    only: tuple[str, ...] | None = None
