"""Adopting the outputs that are there as the result of the present facts (`doit reset-dep`).

Not here: building (`executor`).
"""

from __future__ import annotations

from mediabuild.errors import StageError
from mediabuild.execution.executor import Executor, refuse_troubles
from mediabuild.execution.outcome import Ran
from mediabuild.freshness.producers import deleted_outputs
from mediabuild.pipeline.model import Task
from mediabuild.store import marks, places
from mediabuild.store.manifest import Manifest, find_manifest, write_manifest


def adopt(executor: Executor, task: Task) -> list[str]:
    """Record the outputs that are there as the result of the present facts.

    Returns:
        The outputs, relative to the stage's directory.

    Raises:
        StageError: a required output or an input is missing.
    """
    recorder = executor.recorder
    with executor.holding(task):
        now = executor.freshness.observer.observe(task, adopting=True)
        refuse_troubles(task, now)
        if not task.directory.is_dir():
            raise StageError(f"{task.name}: there are no outputs to adopt", f"doit {task.name}")
        earlier = find_manifest(task.directory)
        if earlier is not None and deleted_outputs(task):
            outputs = earlier.outputs
        else:
            outputs = recorder.digest_outputs(task, task.directory, None, earlier)
        manifest = recorder.manifest(task, now.facts, outputs, Ran(), 0.0)
        manifest.adopted = _written_by_hand(earlier, manifest)
        write_manifest(task.directory, manifest, places.part(task))
        marks.clear(task, "forgotten", "failed")
        executor.delivery.bring(task, manifest)
        return sorted(manifest.output_files())


def _written_by_hand(earlier: Manifest | None, now: Manifest) -> list[str]:
    """The outputs that no run of the stage made: adopted now, or adopted before and still the same."""
    made = earlier.output_files() if earlier is not None else {}
    before = earlier.adopted if earlier is not None else []
    return sorted(path for path, digest in now.output_files().items() if made.get(path) != digest or path in before)
