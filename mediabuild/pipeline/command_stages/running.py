"""How a command runs, besides its words: where what it prints goes, its environment, its folder, how often.

Not here: checks of what a stage's table says of it (`checks`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

OUT = "out"  # the outputs' directory, in a folder of a command's own
KEYS = ("stdout", "stderr", "env", "progress", "isolate", "each")  # of a stage's table that only a command has


@dataclass(frozen=True)
class Running:
    """How a command runs.

    Args:
        stdout, stderr: the output that what it prints goes to; empty for the log.
        env: variables of its environment, besides those of the run.
        isolate: it starts in an empty folder with links that are called after its inputs.
        each: the input for each of whose files, or rows, it runs once; empty for once in all.
        progress: it is ffmpeg, and says how far it is. No fact.
        folders: the outputs that are directories and are made before it starts. No fact.
    """

    stdout: str = ""
    stderr: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    isolate: bool = False
    each: str = ""
    progress: bool = False
    folders: frozenset[str] = frozenset()

    def facts(self) -> dict[str, str]:
        """What of it belongs to the code of a result; what isn't said is no fact."""
        found = {"stdout": self.stdout, "stderr": self.stderr, "each": self.each}
        if self.env:
            found["env"] = msgspec.json.encode(self.env, order="sorted").decode()
        if self.isolate:
            found["isolate"] = "true"
        return {name: value for name, value in found.items() if value}
