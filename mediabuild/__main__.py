"""`python -m mediabuild`, and the console script: where nothing changed it loads nothing more.

Not here: the program (`main`).
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any


def leave(number: int, frame: Any) -> None:
    """Nothing runs yet, or no more: there is nothing to clean up."""
    os._exit(130)


def main() -> int:
    """Load the program and run it; returns its exit status."""
    signal.signal(signal.SIGINT, leave)
    from mediabuild.commands.noop import noop

    if sys.argv[1:] in ([], ["run"]) and noop():
        return 0
    from mediabuild.commands.main import main as program

    return program()


if __name__ == "__main__":
    raise SystemExit(main())
