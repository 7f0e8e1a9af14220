"""Rows of a CSV file, as spreadsheets write them.

Not here: what the columns mean (`text.terms`), the file's encoding (`textfiles`).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

from mediabuild.errors import StageError

SEPARATOR_LINE = re.compile(r"sep=(.)")  # Excel's first line, which names the separator
LONGEST_CELL = 1 << 24  # of characters; the csv module's own limit is 131,072


def table_rows(name: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file, each with the number of its first line; Excel's `sep=;` is heeded and left out."""
    header, _, rest = text.partition("\n")
    line = 1
    named = SEPARATOR_LINE.match(header)
    if named:
        text, line = rest, 2
    separator = named[1] if named else max(",;\t", key=header.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    offset, limit = line - 1, csv.field_size_limit(LONGEST_CELL)
    try:
        for row in rows:
            yield line, row
            line = rows.line_num + offset + 1
    except csv.Error as error:
        raise StageError(f"{name}:{line}: no CSV: {error}") from error
    finally:
        csv.field_size_limit(limit)
