"""How far an ffmpeg is, as it says itself with `-progress`, measured against the longest of its inputs.

Not here: showing it (`reporting`).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

DURATION = re.compile(rb"Duration: (\d+):(\d+):(\d+(?:\.\d+)?)")
TIME = re.compile(rb"out_time_us=(\d+)")
PROBE_S = 30.0
JOIN_S = 2.0


@dataclass
class Followed:
    """A command line that says how far it is.

    Args:
        argv: to be started instead. fds: what it inherits. started: to be called once it was started, or failed to.
    """

    argv: list[str]
    fds: tuple[int, ...] = ()
    started: Callable[[], None] = lambda: None


@contextlib.contextmanager
def followed(argv: list[str], folder: Path, report: Callable[[float, float], None]) -> Iterator[Followed]:
    """In this block, an ffmpeg command reports how far it is.

    Args:
        folder: where it starts.
        report: receives seconds done and in all; never where no input has a length.
    """
    total_s = max((_length(argv[0], file, folder) for file in _inputs(argv)), default=0.0)
    if not total_s:
        yield Followed(argv)
        return
    reading, writing = os.pipe()
    reader = threading.Thread(target=_read, args=(reading, total_s, report), daemon=True)
    reader.start()
    is_open = [True]

    def close() -> None:
        if is_open:
            is_open.clear()
            os.close(writing)

    try:
        yield Followed([argv[0], "-progress", f"pipe:{writing}", *argv[1:]], (writing,), close)
    finally:
        close()
        reader.join(JOIN_S)


def _inputs(argv: Sequence[str]) -> list[str]:
    """The files that a command line names as inputs."""
    return [item for before, item in itertools.pairwise(argv) if before == "-i"]


def _length(ffmpeg: str, file: str, folder: Path) -> float:
    """How long a file plays, in seconds; 0 where it has no length."""
    if not (folder / file).is_file():
        return 0.0
    command = [ffmpeg, "-nostdin", "-hide_banner", "-i", file]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        ran = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_S, check=False
        )
        match = DURATION.search(ran.stderr)
        if match:
            return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])
    return 0.0


def _read(descriptor: int, total_s: float, report: Callable[[float, float], None]) -> None:
    with open(descriptor, "rb") as lines:
        for line in lines:
            match = TIME.match(line)
            if match:
                report(round(min(int(match[1]) / 1e6, total_s), 3), total_s)
