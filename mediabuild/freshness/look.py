"""Looks at one task once: reads its record, takes the facts, compares; the result is passed on.

Whoever acts on a task (the executor, the restorer, the recorder, the index) uses the look that found it stale,
instead of looking again.

Not here: how facts are taken (`observation`) and compared (`rebuilder`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from mediabuild.errors import StageError
from mediabuild.freshness import rebuilder
from mediabuild.freshness.observation import Observation, Observer
from mediabuild.freshness.presence import copies_there, outputs_there
from mediabuild.freshness.producers import Producers, deleted_outputs
from mediabuild.machine.hardware.device import Devices
from mediabuild.pipeline.deliveries import clash, deliveries
from mediabuild.pipeline.model import Given, Pipeline, Reason, Task
from mediabuild.pipeline.paths import paths_of
from mediabuild.pipeline.reserved import ALL_JOBS, MANIFEST_NAME
from mediabuild.store import marks, places
from mediabuild.store.digest import Digests
from mediabuild.store.manifest import Manifest, find_manifest, read_manifest
from mediabuild.store.stats import ABSENT, Stats, stats_or_absent

RECENT_S = 1.0


@dataclass(frozen=True)
class Look:
    """What was seen of a task.

    Args:
        reasons: every reason to run it; none means that it is up to date.
        observation: its facts; None where the index vouches for it, and nothing was looked at.
        recorded: the stats of its manifest before it was read.
        taken_s: when, on the monotonic clock.
    """

    reasons: tuple[Reason, ...]
    observation: Observation | None
    recorded: Stats = ABSENT
    taken_s: float = field(default_factory=time.monotonic)

    def still_holds(self, task: Task) -> bool:
        """Whether it was taken a moment ago, and nobody has built the task since."""
        recent = self.observation is not None and time.monotonic() - self.taken_s < RECENT_S
        return recent and self.recorded == stats_or_absent(task.directory / MANIFEST_NAME)

    @property
    def is_forced(self) -> bool:
        """Whether the task is to run whatever its record says."""
        return any(reason.kind == "forced" for reason in self.reasons)


class Freshness:
    """Looks at the tasks of a pipeline.

    Args:
        tasks: all tasks of the pipeline, to find what makes an input.
        known: jobs of which the index vouches for everything.
        sources: of all jobs, also of those without tasks.
        left_out: names of the tasks that there are besides, of jobs that are all fresh.
        decided_by: job → what decided which tasks it has.
        media_present: False trusts the manifests for what files hold (`check --manifests-only`).

    Attributes:
        unmade: names of temp tasks whose outputs this run could not make again.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        tasks: Mapping[str, Task],
        digests: Digests,
        devices: Devices,
        *,
        known: Collection[str] = (),
        sources: Collection[Given] = (),
        left_out: Collection[str] = (),
        decided_by: Mapping[str, Sequence[Given]] = {},
        media_present: bool = True,
    ) -> None:
        self.pipeline = pipeline
        self.tasks = tasks
        self.digests = digests
        self.sources = sources
        self.left_out = left_out
        self.decided_by = decided_by
        self.known = set(known) if media_present else set()
        self.producers = Producers(tasks, pipeline.jobs_dir, self.is_held_up)
        self.observer = Observer(pipeline, digests, devices, self.producers, media_present=media_present)
        self.unmade: set[str] = set()
        self._forced: frozenset[str] = frozenset()

    def force(self, names: Iterable[str]) -> None:
        """These tasks are to run whatever their manifests say."""
        self._forced = frozenset(names)

    def look(self, task: Task, *, forced: bool = True) -> Look:
        """Look at a task. Never raises.

        Args:
            forced: whether `--force` and `forget` count.
        """
        reasons: list[Reason] = []
        observation, recorded = None, ABSENT
        if task.job not in self.known:
            with contextlib.suppress(OSError):  # what is wrong with it becomes a reason
                recorded = stats_or_absent(task.directory / MANIFEST_NAME)
            observation, reasons = self._looked_at(task)
        if forced and task.name in self._forced:
            reasons.append(Reason("forced"))
        elif forced and marks.is_set(task, "forgotten"):
            reasons.append(Reason("forced", now="forgotten with doit forget"))
        return Look(tuple(reasons), observation, recorded)

    def reasons(self, task: Task, *, forced: bool = True) -> tuple[Reason, ...]:
        """Every reason to run the task; none means that it is up to date. Never raises."""
        return self.look(task, forced=forced).reasons

    def _looked_at(self, task: Task) -> tuple[Observation, list[Reason]]:
        try:
            places.check(task)
            manifest = read_manifest(task.directory)
        except StageError as error:
            return self._never_run(task, Reason("never_run", now=error.message))
        except FileNotFoundError:
            return self._never_run(task, Reason("never_run"))
        except (OSError, msgspec.DecodeError) as error:
            return self._never_run(task, Reason("never_run", now=f"the manifest can't be read: {error}"))
        now = self.observer.observe(task, manifest)
        found = list(rebuilder.fact_reasons(manifest, now, by_device=bool(task.stage.devices)))
        if self.observer.media_present:
            found += self.output_reasons(task, manifest)
            found += self._copy_reasons(task, manifest)
        return now, found

    def _never_run(self, task: Task, reason: Reason) -> tuple[Observation, list[Reason]]:
        now = self.observer.observe(task)
        return now, [reason, *now.troubles]

    def output_reasons(self, task: Task, manifest: Manifest) -> list[Reason]:
        """What is wrong with the outputs that a manifest records."""
        try:
            places.check(task)
        except StageError as error:
            return [Reason("outputs", now=error.message)]
        now = outputs_there(self.digests, task, manifest)
        return list(rebuilder.output_reasons(task.stage.outputs, task.stage.temp, manifest, now))

    def _copy_reasons(self, task: Task, manifest: Manifest) -> list[Reason]:
        if task.stage.deliver is None:
            return []
        outputs = manifest.copied_files()
        wanted = {copy: outputs[output] for copy, output in deliveries(self.pipeline, task, outputs).items()}
        shared = clash(self.pipeline, task, outputs)
        found = [Reason("outputs", shared[0], now=rebuilder.SHARED)] if shared else []
        return found + list(rebuilder.copy_reasons(wanted, copies_there(self.pipeline, self.digests, task, manifest)))

    def no_longer_known(self, task: Task) -> None:
        """What the index vouches for is to be looked at again where this task's run may matter."""
        if task.stage.collect:
            self.known.clear()
        self.known -= {task.job, ALL_JOBS}

    def has_failed(self, task: Task) -> bool:
        """Whether the task failed last time, and what it was to make is still wanting."""
        return marks.is_set(task, "failed") and bool(self.reasons(task) or deleted_outputs(task))

    def is_held_up(self, task: Task) -> bool:
        """Whether the task, or one that it needs, failed last time and would run again, or is ignored.

        Of a temp task whose outputs were deleted the manifest stands for them, until making them again fails.
        """
        waiting, seen = [task], set()
        while waiting:
            task = waiting.pop()
            if task.name in seen:
                continue
            seen.add(task.name)
            if marks.is_set(task, "ignored") or task.name in self.unmade:
                return True
            if marks.is_set(task, "failed") and self.reasons(task):
                return True
            needs = (self.tasks[name] for name in task.needs)
            waiting += [need for need in needs if not self.producers.may_lack(task, need)]
        return False

    def warm(self, tasks: Iterable[Task]) -> None:
        """Hash what these tasks' manifests will be compared with and nobody remembers, files in parallel."""
        paths: dict[Path, None] = {}
        for task in tasks:
            manifest = find_manifest(task.directory)
            if manifest is None or task.job in self.known or not self.observer.media_present:
                continue
            paths |= dict.fromkeys(task.directory / path for path in manifest.output_files())
            for given in (r for references in task.inputs.values() for r in references if isinstance(r, Given)):
                with contextlib.suppress(OSError):  # it is reported when the task is looked at
                    paths |= dict.fromkeys(self.pipeline.root / path for path in paths_of(given, self.pipeline.root))
        self.digests.warm(paths)
