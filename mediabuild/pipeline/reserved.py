"""Names that mediabuild keeps for itself below the jobs directory, and how a name is spelt in a task's name.

Not here: what lies below them (`store.places`). Next to nothing is imported: the no-op reads this.
"""

from __future__ import annotations

import re

LONGEST_NAME = 200  # bytes, of what we name a file after: endings are appended, and disks take 255
MANIFEST_NAME = "manifest.json"
STATE_DIR = ".mediabuild"  # inside a job's directory: logs, locks, marks, temporary directories
ALL_JOBS = ".all"  # stands for the job in a task over all jobs, and is its directory


# patterns that are compiled when they are first used: not in the no-op
RESERVED = r"[%:=*\x00-\x1f\x7f]"
ENCODED = "%(25|3A|3D|2A|0[1-9A-F]|1[0-9A-F]|7F)"  # never a NUL or a slash, whoever made the folder


def encode_name(text: str) -> str:
    """A job's or value's name for doit and the jobs directory: `% : = *` and control characters become `%XX`.

    The mapping is one to one, since `%` itself is encoded.
    """
    return re.sub(RESERVED, lambda match: f"%{ord(match[0]):02X}", text)


def own_name(job: str) -> str:
    """A job's name as its recording has it, which `{job}` stands for in paths and commands: back from `encode_name`."""
    return re.sub(ENCODED, lambda match: chr(int(match[1], 16)), job)
