"""The pieces of a command that runs once for each file of an input, or once for each row of a table.

Not here: running it (`execution.command_stages.pieces`).
"""

from __future__ import annotations

import csv
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mediabuild.errors import StageError
from mediabuild.machine.listing import files_below, refuse_unprintable
from mediabuild.pipeline.mistakes import nearest
from mediabuild.pipeline.model import Produced, StageSpec, Task
from mediabuild.pipeline.placeholders import names_in
from mediabuild.pipeline.reserved import LONGEST_NAME

ID = "id"  # the column that names a row's piece


@dataclass(frozen=True)
class Piece:
    """One of a task's pieces.

    Args:
        name: what the `*` of the outputs stands for. file: the one that it is of; None for a row.
        cells: column → text of a row, of the columns that the command uses.
    """

    name: str
    file: Path | None = None
    cells: Mapping[str, str] = field(default_factory=dict)


def columns_used(spec: StageSpec) -> set[str]:
    """The columns that a command names as `{row.NAME}`; none where its pieces are files."""
    return {name.removeprefix("row.") for name in _names(spec) if name.startswith("row.")}


def is_told_its_name(spec: StageSpec) -> bool:
    """Whether a command is told what its piece is called."""
    return "piece" in _names(spec)


def _names(spec: StageSpec) -> list[str]:
    return [name for word in (*spec.command, *spec.running.env.values()) for name in names_in(word)]


def pieces_of(task: Task, handed: Mapping[str, Path]) -> list[Piece]:
    """The pieces of a task, in order.

    Args:
        handed: the files of the input that it has pieces of: key → path.

    Raises:
        StageError: a table is none, has no such column, or two pieces have one name.
    """
    columns = columns_used(task.stage)
    where = f"inputs.{task.stage.running.each}"
    found = list(_rows(where, list(handed.values()), columns) if columns else _files(task, handed))
    names: dict[str, Piece] = {}
    for piece in found:
        _check_name(where, piece.name)
        if piece.name in names:
            raise StageError(f"{where}: two pieces are called {piece.name!r}", "each needs a name of its own")
        names[piece.name] = piece
    return found


def _files(task: Task, handed: Mapping[str, Path]) -> Iterator[Piece]:
    references = task.inputs[task.stage.running.each]
    fan_in = {reference.key for reference in references if isinstance(reference, Produced) and reference.key}
    for key, path in handed.items():
        whole = key in fan_in or path.is_dir()  # a job or value with one file has no suffix: `ep1.5`
        above = (key if whole else os.path.splitext(key)[0]) if fan_in else ""
        if path.is_dir():
            for name, file in files_below(path):
                if not name.endswith("/"):
                    yield Piece(os.path.join(above, os.path.splitext(name)[0]), file)
        else:
            yield Piece(above or os.path.splitext(path.name)[0], path)


def _rows(where: str, files: Sequence[Path], columns: Collection[str]) -> Iterator[Piece]:
    if len(files) != 1:
        raise StageError(
            f"{where}: {len(files)} files, and rows of one table are asked for", 'each = "INPUT" of one .csv'
        )
    try:
        with open(files[0], encoding="utf-8-sig", newline="") as stream:
            table = csv.DictReader(stream, delimiter="\t" if files[0].suffix.lower() == ".tsv" else ",", strict=True)
            known = list(table.fieldnames or ())
            for column in sorted({ID, *columns} - set(known)):
                what = f"{where}: {files[0].name} has no column {column!r}"
                apart = next((mark for mark in (";", "\t", ",") if len(known) == 1 and mark in known[0]), "")
                hint = f"save it with commas (.csv) or tabs (.tsv), not {apart!r}" if apart else nearest(column, known)
                raise StageError(what + (", which names the pieces" if column == ID else ""), hint)
            for row in table:
                cells = {column: row[column] or "" for column in columns}
                yield Piece((row[ID] or "").strip(), cells=cells)
    except UnicodeDecodeError as error:
        raise StageError(
            f"{where}: {files[0].name} is no UTF-8 text (byte {error.start})", "save it as UTF-8"
        ) from None
    except csv.Error as error:
        raise StageError(f"{where}: {files[0].name}: {error}") from None


def _check_name(where: str, name: str) -> None:
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise StageError(f"{where}: {name!r} can't be the name of a file")
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in parts):
        raise StageError(f"{where}: {name[:20]!r}… is too long a name: at most {LONGEST_NAME} bytes")
    try:
        refuse_unprintable(name)
    except OSError as error:
        raise StageError(f"{where}: {error}") from None
