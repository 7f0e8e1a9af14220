"""Names that mediabuild keeps for itself below the jobs directory.

Not here: what lies below them (`store.places`). Nothing is imported: the no-op reads this.
"""

from __future__ import annotations

LONGEST_NAME = 200  # bytes, of what we name a file after: endings are appended, and disks take 255
MANIFEST_NAME = "manifest.json"
STATE_DIR = ".mediabuild"  # inside a job's directory: logs, locks, marks, temporary directories
ALL_JOBS = ".all"  # stands for the job in a task over all jobs, and is its directory
