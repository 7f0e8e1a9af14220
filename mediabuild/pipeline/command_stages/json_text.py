"""JSON that a program printed, maybe among other lines; and a value in it.

Not here: which values a command names (`placeholders`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mediabuild.errors import StageError
from mediabuild.pipeline.mistakes import nearest

BEGINNING = re.compile(r"^[ \t]*([{\[])", re.MULTILINE)


def last_json(text: str) -> str | None:
    """The JSON in a text: all of it, or the last object or list that begins a line; None where there is none.

    ffmpeg's loudnorm prints an object among the lines of its log.
    """
    if _parsed(text) is not None:
        return text
    found, end = None, 0
    for match in BEGINNING.finditer(text):
        if match.start(1) < end:
            continue  # inside of the one before
        try:
            _, end = json.JSONDecoder().raw_decode(text, match.start(1))
        except (ValueError, RecursionError):
            continue
        found = text[match.start(1) : end]
    return None if found is None else found + "\n"


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def value_in(name: str, files: Sequence[Path], keys: str) -> Any:
    """A value of an input that is one JSON file: `streams.0.codec_name`.

    Raises:
        StageError: it is no such file, or has no such value; names the nearest.
    """
    where = f"inputs.{name}"
    if len(files) != 1:
        raise StageError(f"{where}: {len(files)} files, and a value of one is asked for: {{inputs.{name}.{keys}}}")
    try:
        value = _parsed(files[0].read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        value = None
    if value is None:
        raise StageError(f"{where}: {files[0].name} is no JSON, and {{inputs.{name}.{keys}}} is a value of it")
    for key in keys.split("."):
        inside = value if isinstance(value, dict) else {}
        if isinstance(value, list) and key.isdecimal():
            inside = {key: value[int(key)]} if int(key) < len(value) else {}
        if key not in inside:
            known = [str(k) for k in value] if isinstance(value, dict) else []
            raise StageError(
                f"{where}: {files[0].name} has no {key!r} for {{inputs.{name}.{keys}}}", nearest(key, known)
            )
        value = inside[key]
    return "" if value is None else value
