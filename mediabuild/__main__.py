"""`python -m mediabuild`, and the console script: where nothing changed it loads nothing more.

Not here: the program (`main`).
"""

from __future__ import annotations

import os
import sys

from mediabuild.machine.signals import leave_at_interrupt
from mediabuild.reporting.console import open_missing


def main() -> int:
    """Load the program and run it; returns its exit status."""
    open_missing()
    leave_at_interrupt()
    from mediabuild.commands.noop import noop
    from mediabuild.machine.here import enter_project

    if sys.argv[1:2] != ["init"]:
        enter_project(sys.argv[1:])
    if sys.argv[1:] in ([], ["run"]) and noop():
        os._exit(0)  # all is written, nothing runs: taking apart what was read would be a tenth of the time
    from mediabuild.commands.main import main as program

    return program()


if __name__ == "__main__":
    raise SystemExit(main())
