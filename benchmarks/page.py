"""Writes a page of docs/: no line of text over 120 characters, as a test of the docs wants it.

Not here: what it says (each benchmark's own).
"""

from __future__ import annotations

import textwrap
from pathlib import Path

WIDTH = 120


def write_page(path: Path, text: str) -> None:
    """Write a page; long lines of text and of lists are wrapped, tables and headings stay."""
    path.write_text("\n".join(map(_wrapped, text.split("\n"))), encoding="utf-8")


def _wrapped(line: str) -> str:
    if len(line) <= WIDTH or line.startswith(("|", "#", "!")):
        return line
    indent = "  " if line.startswith("- ") else ""
    return textwrap.fill(line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
