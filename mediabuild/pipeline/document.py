"""Reading the text of `pipeline.toml`, and refusing values that can be right nowhere.

Not here: what each table may hold (`tables`, `config`).
"""

from __future__ import annotations

import math
import re
import tomllib
from pathlib import Path
from typing import Any

from mediabuild.errors import PipelineError
from mediabuild.machine.regular import check_readable
from mediabuild.machine.visible import visible
from mediabuild.pipeline.mistakes import Mistakes

ALONE_DIR = ".mediabuild"  # the jobs directory of recordings without a project, beside them
WIDTH = 100  # characters, of a line of the file that is shown
SHOWN = 5  # levels of what is nested too deep
DEEPEST = 32  # tables in tables; more is a mistake, and thousands would overflow the stack
ENDLESS = ("cache.max_gb",)  # where inf says "no limit"


def read_document(file: Path) -> dict[str, Any]:
    """The tables of a TOML file; the mark that some editors write at its beginning is skipped.

    Raises:
        PipelineError: it isn't there, is no UTF-8 or no TOML, or is nested too deep.
    """
    text = ""
    try:
        check_readable(file)
        text = file.read_text(encoding="utf-8-sig")
        document = tomllib.loads(text)
    except FileNotFoundError:
        where = f"{file.name}: not found in {file.parent.absolute()}"
        raise PipelineError(where, "mediabuild init   (or, without a project: mediabuild talk.mp4)") from None
    except UnicodeDecodeError as error:
        raise PipelineError(f"{file.name}: is no UTF-8 text (byte {error.start})", "save it as UTF-8") from None
    except OSError as error:
        raise PipelineError(f"{file.name}: {error.strerror or error}") from None
    except tomllib.TOMLDecodeError as error:
        raise PipelineError(f"{file.name}: {error}{_line_shown(text, str(error))}") from None
    except ValueError:  # of thousands of digits
        raise PipelineError(f"{file.name}: a number in it is too long") from None
    except RecursionError:
        raise PipelineError(f"{file.name}: nested too deep", f"at most {DEEPEST} levels") from None
    return document


def _line_shown(text: str, said: str) -> str:
    """The line that a message of tomllib is about, under it: with its number, no wider than 100 characters."""
    lines = text.rstrip().splitlines()
    place = re.search(r"\(at line (\d+), column \d+\)$", said)
    number = int(place[1]) if place else len(lines) if said.endswith("(at end of document)") else 0
    if not 0 < number <= len(lines):
        return ""
    line = f"  {number} | {visible(lines[number - 1])}".rstrip()
    return f"\n{line if len(line) <= WIDTH else line[: WIDTH - 2] + ' …'}"


def shipped(name: str) -> str:
    """A file of the project that the wheel carries too: from inside the wheel, or from the clone."""
    package = Path(__file__).parents[1]
    inside = package / "project" / Path(name).name
    return (inside if inside.exists() else package.parent / name).read_text(encoding="utf-8")


def document_alone() -> dict[str, Any]:
    """The built-in pipeline for recordings without a project: what is made lies beside them, all else in one folder."""
    document = tomllib.loads(shipped("pipeline.toml"))
    document["pipeline"] |= {"jobs_dir": ALONE_DIR}
    stages = document["stages"]
    del stages["separate"]
    stages["subtitles"]["deliver"] = {"srt": "{job}.*.srt", "vtt": "{job}.*.vtt", "text": "{job}.*.txt"}
    stages["mux"]["deliver"] = {"video": "{job}.subtitled.*"}
    return document


def check_values(document: dict[str, Any], mistakes: Mistakes) -> None:
    """Note what no program and no file name can hold: a NUL, a number that is none; and nesting that has no end."""
    waiting: list[tuple[str, Any, int]] = [("", document, 0)]
    while waiting:
        where, value, depth = waiting.pop()
        if depth > DEEPEST:
            mistakes.add(".".join(where.split(".")[:SHOWN]), f"nested deeper than {DEEPEST} levels")
        elif isinstance(value, dict):
            for key, inner in value.items():
                if "\x00" in key:
                    mistakes.add(where or repr(key), f"the key {key!r} holds a NUL character")
                waiting.append((_below(where, key), inner, depth + 1))
        elif isinstance(value, list):
            waiting += [(where, inner, depth + 1) for inner in value]
        elif isinstance(value, str) and "\x00" in value:
            mistakes.add(where, "holds a NUL character")
        elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
            mistakes.add(where, "a number that is too large: 64 bits hold it no more")
        elif isinstance(value, float) and not (math.isfinite(value) or (where in ENDLESS and value > 0)):
            mistakes.add(where, "nan and inf are no values that can be used", str(value))


def _below(where: str, key: str) -> str:
    """A key's place, spelt as in the file: a job's name is quoted."""
    if where == "jobs":
        return f'jobs."{key}"'
    return f"{where}.{key}" if where else key
