"""What a new file doesn't hold as its recording did: said on the console, and kept for a report.

Not here: deciding what is kept (the `mux` stage).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from mediabuild.errors import StageError
from mediabuild.media.formats import SCHEMA_VERSION

# What ffmpeg says where a time doesn't fit into the file, which then shows the wrong thing; and where something is
# missing from it, but the rest is right.
WRONG = re.compile(r"is out of range")
LESS = re.compile(r"[Ee]rror|has no value|Invalid UTF-8|[Cc]orrupt|Invalid data|are unset")
# Of one packet at an end it harms nothing.
ORDER = re.compile(r"[Nn]on.monoton")
FEW = 2
ADDRESS = re.compile(r"^(\[[^\]]* @ 0x[0-9a-f]+\] ?)+")


class Report(msgspec.Struct):
    """`mux.report.json`: what the new file doesn't hold as the recording did, as it was said on the console."""

    not_kept: list[str]
    schema_version: int = SCHEMA_VERSION


@dataclass
class Told:
    """What the user is told of one recording: each once, and kept for the report."""

    name: str
    warn: Callable[[str], None]
    stage: str = "mux"
    lines: list[str] = field(default_factory=list)

    def tell(self, line: str) -> None:
        """Say it."""
        if line not in self.lines:
            self.lines.append(line)
            self.warn(f"{self.name}: {line}")


def heard(said: str, told: Told, suffix: str) -> None:
    """Read what ffmpeg said while it wrote a file, and tell where something may be missing.

    Raises:
        StageError: a time didn't fit, so the file shows something at the wrong time.
    """
    lines = [ADDRESS.sub("", line).strip() for line in said.splitlines()]
    wrong = [line for line in lines if WRONG.search(line)]
    if wrong:
        raise StageError(
            f"{told.name}: a time doesn't fit into {suffix}: {wrong[0]}", f"doit {told.stage}.container=mkv"
        )
    less = [line for line in lines if LESS.search(line)]
    disorder = [line for line in lines if ORDER.search(line)]
    less += disorder if len(disorder) > FEW else []
    if less:
        told.tell(f"ffmpeg had {len(less)} complaints, so something may be missing; the first: {less[0]}")
