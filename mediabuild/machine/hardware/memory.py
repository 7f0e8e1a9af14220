"""How much memory this process may use.

Not here: sharing it among tasks (`slots`).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def memory_gb() -> float:
    """The machine's memory in gigabytes (10⁹ bytes), or less where a container has less.

    A container's limit is in bytes, or `max` (Linux, "cgroup-v2", `memory.max`).
    """
    there_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):
        return min(there_bytes, int(CGROUP_LIMIT.read_text())) / 1e9
    return there_bytes / 1e9
