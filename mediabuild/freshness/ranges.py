"""For `--from` and `--to`: what the range reads from stages outside it must exist and be whole.

Not here: which tasks a range selects (`pipeline.options`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from mediabuild.freshness.look import Freshness
from mediabuild.freshness.producers import deleted_outputs
from mediabuild.pipeline.mistakes import Mistakes
from mediabuild.pipeline.model import Task
from mediabuild.store.manifest import find_manifest


def check_missing(
    freshness: Freshness, tasks: Mapping[str, Task], picked: Collection[str], *, whatever: bool = False
) -> list[str]:
    """Look at what a range reads and doesn't make.

    Args:
        whatever: all of the range runs, fresh or not.

    Returns:
        A warning for each that is stale but whole.

    Raises:
        PipelineError: some are missing or not what their stage made; says which stages to add.
    """
    chosen, mistakes, warnings = set(picked), Mistakes("selection"), []
    outside = dict.fromkeys(
        p.name for name in picked for p in freshness.producers.of(tasks[name]) if p.name not in chosen
    )
    temporary = [name for name in outside if deleted_outputs(freshness.tasks[name])]
    needed_again = _needed_again(freshness, tasks, picked, whatever) if temporary else set()
    for name in outside:
        producer = freshness.tasks[name]
        manifest = find_manifest(producer.directory)
        broken = freshness.output_reasons(producer, manifest) if manifest else []
        if name in needed_again:
            mistakes.add(name, "its outputs are temporary and were deleted", f"add the stage: {producer.stage.name}")
        elif manifest is None:
            mistakes.add(name, "its outputs are needed and were never built", f"add the stage: {producer.stage.name}")
        elif broken:
            mistakes.add(name, str(broken[0]), f"add the stage: {producer.stage.name}")
        else:
            reasons = freshness.reasons(producer)
            warnings += [f"{name} is used as it is, though it is stale: {reasons[0]}"] if reasons else []
    mistakes.raise_if_any()
    return warnings


def _needed_again(freshness: Freshness, tasks: Mapping[str, Task], picked: Collection[str], whatever: bool) -> set[str]:
    """The temp tasks whose outputs are gone, and are read by a task of a range that may run."""
    running: set[str] = set()
    for name in picked:
        if whatever or freshness.reasons(tasks[name]) or not running.isdisjoint(tasks[name].needs):
            running.add(name)
    for name in reversed(list(picked)):
        if name in running:
            running |= {producer.name for producer in freshness.producers.of(tasks[name]) if deleted_outputs(producer)}
    return running
