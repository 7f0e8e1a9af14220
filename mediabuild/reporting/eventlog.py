"""Where events are written: always to `events.jsonl` in the jobs directory, rotated by size, and to `--events FILE`.

Not here: what the events are (`events`). Only the standard library is imported, and little of it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from _thread import allocate_lock  # of the standard library's low level: `threading` takes a while to import

from mediabuild.errors import MediabuildError
from mediabuild.machine import regular

TYPE_CHECKING = False  # not from typing, which takes a while, too
if TYPE_CHECKING:
    from typing import IO

    from mediabuild.reporting.events import Event

LOG_BYTES = 8_000_000  # about 40,000 events
LOGS_KEPT = 3


class EventLog:
    """Writes lines, from any thread.

    Args:
        log: the file in the jobs directory; trouble with it never stops a run.
        target: `--events`: a file that is written anew, `-` for stdout, or None.

    Raises:
        MediabuildError: the target can't be written.
    """

    def __init__(self, log: str | os.PathLike[str], target: str | None = None) -> None:
        self.to_stdout = target == "-"
        self.run = f"{int(time.time()):x}-{os.urandom(3).hex()}"
        self._lock = allocate_lock()
        self._files: list[IO[bytes]] = []
        with contextlib.suppress(OSError):
            rotate(os.fspath(log))
            os.makedirs(os.path.dirname(log), exist_ok=True)
            self._files.append(regular.open_file(log, "ab", buffering=0))
        if self.to_stdout:
            self._files.append(open(os.dup(sys.stdout.fileno()), "wb", buffering=0))
        elif target:
            try:
                self._files.append(open(os.path.expanduser(target), "wb", buffering=0))
            except OSError as error:
                raise MediabuildError(f"--events: {target}: {error.strerror}", "doit --events=events.jsonl") from None

    def hear(self, *events: Event) -> None:
        """Write events, a line each."""
        from mediabuild.reporting.events import encode  # only here: the no-op reads this module

        self.write(encode(events, self.run))

    def write(self, lines: bytes) -> None:
        """Write whole lines everywhere, as one write each."""
        with self._lock:
            for file in self._files:
                with contextlib.suppress(OSError):  # a full disk or a closed pipe
                    file.write(lines)

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()


def rotate(log: str) -> None:
    """Move a log that has grown too large aside: `.1` is the newest of the old ones."""
    if not os.path.exists(log) or os.stat(log).st_size < LOG_BYTES:
        return
    for number in range(LOGS_KEPT, 0, -1):
        newer = f"{log}.{number - 1}" if number > 1 else log
        if os.path.exists(newer):
            os.replace(newer, f"{log}.{number}")
