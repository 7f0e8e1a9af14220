"""How many cores this process may use.

Not here: sharing them among tasks (`slots`).
"""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def cores() -> int:
    """The cores that this process may run on, at least 1: those it is bound to, or fewer where a container has less.

    A container's limit is `QUOTA PERIOD` in microseconds, or `max PERIOD` (Linux, "cgroup-v2", `cpu.max`).
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = CGROUP_LIMIT.read_text().split()
        if quota != "max":
            return max(1, min(bound, math.ceil(int(quota) / int(period))))
    return bound
