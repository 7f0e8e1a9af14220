"""What a run would do with each task, and why: what `status`, `explain`, `check` and `--dry-run` show.

Not here: the reasons (`rebuilder`), the look of the tables (`commands.status`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mediabuild.pipeline.model import Produced, Reason, Task

State = Literal["fresh", "stale", "follows", "failed", "blocked", "ignored", "orphaned"]


@dataclass(frozen=True)
class Verdict:
    """What a run would do with a task, and why.

    Args:
        state: `fresh`; `stale`: it would run; `follows`: something upstream would run, and this
            only if that changes its inputs; `failed`: stale, and failed last time; `blocked`: something
            upstream failed last time; `ignored`: doit ignore. `orphaned` is said of a job: its recording is gone.
    """

    state: State
    reasons: tuple[Reason, ...] = ()
    message: str = ""


def _is_upstream(task: Task, reason: Reason) -> bool:
    """Whether a reason is about what another task makes, and may go away when that one runs."""
    references = task.inputs.get(reason.name.partition(":")[0], ())
    return reason.kind == "inputs" and any(isinstance(reference, Produced) for reference in references)
