"""Times commands in turn, and says which bounds hold.

Not here: which commands (`copies`, `shelf`, `projects`).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

BUILDS = 3  # of mediabuild, until nothing is left to do: it looks once more, and notes that in the manifests
ENV = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"DVC_NO_ANALYTICS": "1"}


@dataclass
class Cost:
    """Wall seconds of each round, and the most memory of one, in MB."""

    seconds: list[float] = field(default_factory=list)
    memory_mb: float = 0.0

    @property
    def median_s(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.seconds)


def run(command: Sequence[str], folder: Path, cost: Cost | None = None) -> float:
    """Run a command to its end; returns wall seconds.

    Raises:
        SystemExit: it failed.
    """
    with tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said, stdin=subprocess.DEVNULL, env=ENV)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{folder}: {' '.join(command)}: status {process.returncode}\n{said.read().decode()}")
    if cost is not None:
        cost.seconds.append(seconds)
        cost.memory_mb = max(cost.memory_mb, usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3))
    return seconds


def in_turn(ways: Mapping[str, tuple[Sequence[str], Path]], rounds: int) -> dict[str, Cost]:
    """Run each way's command in its folder, in turn, round after round."""
    costs = {way: Cost() for way in ways}
    for number in range(rounds):
        for way in rotated(list(ways), number):
            run(*ways[way], costs[way])
    return costs


def rotated(items: list[str], number: int) -> list[str]:
    """Another order each round, so that nothing always comes first."""
    return items[number % len(items) :] + items[: number % len(items)]


@dataclass
class Bound:
    """A promise and what was measured."""

    promise: str
    most: float
    found: float

    @property
    def kept(self) -> bool:
        """Whether it holds."""
        return self.found <= self.most

    @property
    def row(self) -> tuple[str, ...]:
        """A line of the table."""
        return self.promise, f"{self.most:.2f}", f"{self.found:.2f}", "kept" if self.kept else "**missed**"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, figures to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
