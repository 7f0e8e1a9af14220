"""What a run would do with each task, and why: what `status`, `explain`, `check` and `--dry-run` show.

Not here: the reasons (`rebuilder`), the look of the tables (`commands.asking.status`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from mediabuild.freshness.look import Freshness
from mediabuild.freshness.producers import deleted_outputs
from mediabuild.pipeline.model import Produced, Reason, Task
from mediabuild.store import marks

State = Literal["fresh", "stale", "follows", "failed", "blocked", "ignored", "orphaned", "withdrawn"]


@dataclass(frozen=True)
class Verdict:
    """What a run would do with a task, and why.

    Args:
        state: `fresh`; `stale`: it would run; `follows`: something upstream would run, and this
            only if that changes its inputs; `failed`: stale, and failed last time; `blocked`: something
            upstream failed last time; `ignored`: doit ignore. `orphaned` is said of a job: its recording is gone;
            `withdrawn` of a task that the pipeline has no more.
    """

    state: State
    reasons: tuple[Reason, ...] = ()
    message: str = ""


def verdicts(freshness: Freshness, tasks: Mapping[str, Task], names: Iterable[str]) -> dict[str, Verdict]:
    """What a run of these tasks would do, in canonical order; they bring no others."""
    wanted = set(names)
    freshness.warm(tasks[name] for name in wanted)
    found: dict[str, Verdict] = {}
    for task in tasks.values():
        if task.name in wanted:
            found[task.name] = _verdict(freshness, task, found)
    for name in reversed(found):
        _add_remakes(tasks, name, found)
    return found


def _verdict(freshness: Freshness, task: Task, earlier: Mapping[str, Verdict]) -> Verdict:
    producers = freshness.producers
    upstream = {name: earlier[name].state for name in task.needs if name in earlier}
    firm = [state for name, state in upstream.items() if not producers.may_lack(task, freshness.tasks[name])]
    if marks.is_set(task, "ignored") or "ignored" in firm:
        return Verdict("ignored")
    reasons = freshness.reasons(task)
    failure = marks.failure_of(task)
    if task.stage.collect and not producers.of(task):
        firm += upstream.values()
    if "failed" in firm or "blocked" in firm:
        return Verdict("blocked", reasons)
    if not {"failed", "blocked", "stale", "follows"}.isdisjoint(upstream.values()):
        own = tuple(reason for reason in reasons if not _is_upstream(task, reason))
        return Verdict("stale" if own else "follows", own or reasons)
    if reasons and failure:
        return Verdict("failed", reasons, failure)
    return Verdict("stale" if reasons else "fresh", reasons)


def _add_remakes(tasks: Mapping[str, Task], name: str, found: dict[str, Verdict]) -> None:
    """Temporary outputs that were deleted are made again for a task that would run."""
    would_run = found[name].state in ("stale", "failed", "follows")
    for need in tasks[name].needs if would_run else ():
        if need in found and found[need].state == "fresh":
            reasons = tuple(Reason("outputs", path, now=f"needed by {name}") for path in deleted_outputs(tasks[need]))
            if reasons:
                found[need] = Verdict("follows" if found[name].state == "follows" else "stale", reasons)


def _is_upstream(task: Task, reason: Reason) -> bool:
    """Whether a reason is about what another task makes, and may go away when that one runs."""
    if reason.name in task.inputs:  # wired to something else, whatever that holds
        return False
    references = task.inputs.get(reason.name.partition(":")[0], ())
    return reason.kind == "inputs" and any(isinstance(reference, Produced) for reference in references)
