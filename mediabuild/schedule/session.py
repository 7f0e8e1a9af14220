"""A run from its start to its end: listeners, executor and runner are set up, tasks run, records are closed.

Not here: which tasks were asked for (`selected`), doit's options (`commands.run`).
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import IO, Any

from doit.task import Stream

from mediabuild import __version__
from mediabuild.build import Build
from mediabuild.execution.executor import Executor
from mediabuild.execution.removal import Removal
from mediabuild.execution.sweep import sweep
from mediabuild.machine import regular
from mediabuild.machine.files import write_atomically
from mediabuild.machine.hardware.slots import Slots
from mediabuild.machine.processes import Processes
from mediabuild.machine.signals import INTERRUPTED, heard_when_deaf
from mediabuild.pipeline.model import Given
from mediabuild.reporting.console import Steady
from mediabuild.reporting.eventlog import EventLog
from mediabuild.reporting.events import (
    Event,
    InputsUnread,
    JobsOrphaned,
    Listeners,
    RunStarted,
    StageSkipped,
    StageWarning,
)
from mediabuild.reporting.report import Report
from mediabuild.reporting.tally import Tally
from mediabuild.schedule.needs import Needs
from mediabuild.schedule.order import Forecast, Precedence
from mediabuild.schedule.runner import PipelineRunner
from mediabuild.schedule.turns import Turns
from mediabuild.store import places


@dataclass(frozen=True)
class RunOptions:
    """What the command line says about how to run.

    Args:
        output: a file for the console's lines; None for stdout, or stderr where stdout carries events.
        threads: how many tasks run at once at most. own_at_once: the user's own tasks, too; else one after the other,
            as doit runs them.
        always: run the selected tasks, fresh or not (`doit -a`).
        wait: False fails at once where another run holds a task's lock.
        log_level: as `Report` has it. events_to: a file for events, `-` for stdout.
        verbosity, force_verbosity, failure_verbosity: doit's, for the user's own tasks.
    """

    output: str | None = None
    threads: int = 1
    own_at_once: bool = False
    always: bool = False
    fail_fast: bool = False
    wait: bool = True
    log_level: str = "info"
    events_to: str | None = None
    verbosity: int | None = None
    force_verbosity: bool = False
    failure_verbosity: int = 0


class Session:
    """One run.

    Args:
        dep_manager: doit's records. reporter: doit's reporter class, for the user's own tasks.
        expected: how long tasks will take.
    """

    def __init__(
        self,
        build: Build,
        options: RunOptions,
        *,
        dep_manager: Any,
        reporter: Callable[[IO[str], dict[str, Any]], Any],
        expected: Forecast,
    ) -> None:
        self.build = build
        self.options = options
        self.dep_manager = dep_manager
        self.reporter = reporter
        self.expected = expected

    def run(
        self,
        dispatcher: Any,
        tasks: Collection[str],
        *,
        own: int,
        only: Collection[str] | None,
        whole: bool,
        alone: bool,
    ) -> int:
        """Run what doit's dispatcher hands out.

        Args:
            tasks: the pipeline's tasks that are selected. own: how many of the user's own tasks are.
            only: the tasks that may run at all; None for no such limit.
            whole: everything was asked for; then the index is written, and orphans are told of.
            alone: the user has no tasks of their own.

        Returns:
            The exit status: 0 done, 1 a stage failed, 2 an error while running, 130 interrupted.
        """
        build, started = self.build, time.monotonic()
        with contextlib.ExitStack() as opened:
            stream = self._stream(opened)
            log = EventLog(places.event_log(build.pipeline.jobs_dir), self.options.events_to)
            opened.enter_context(contextlib.closing(log))
            tally = Tally()
            emit = Listeners(log, tally, self._report(stream, tally)).emit
            emit(RunStarted(version=__version__, tasks=len(tasks) + own + len(build.left_out_tasks)))
            emit(*(StageSkipped(task=name, spared_s=spared_s) for name, spared_s in build.left_out_tasks.items()))
            executor = Executor(build.freshness, Processes(), emit, build.job_dirs, wait=self.options.wait, only=only)
            opened.enter_context(heard_when_deaf(executor.processes.stop_all))
            runner = self._runner(executor, emit, stream, tasks)
            status = 2
            try:
                sweep(build.pipeline, build.tasks.values())
                build.freshness.warm(build.tasks[name] for name in tasks)
                status = runner.run_all(dispatcher)
                if runner.interrupted:
                    status = INTERRUPTED
            finally:
                executor.close()
                with contextlib.suppress(OSError):  # a full disk: what matters is in the manifests
                    self._close(runner, emit, status, whole=whole, alone=alone)
                wanted = () if status == 0 else build.closure(tasks) if only is None else only
                emit(tally.finished(status, time.monotonic() - started, wanted))
        return status

    def _close(
        self, runner: PipelineRunner, emit: Callable[[Event], None], status: int, *, whole: bool, alone: bool
    ) -> None:
        """Write summaries and the index."""
        self.build.write_summaries(runner.touched)
        if not whole:
            return
        if status in (0, 1):
            self._withdraw(emit)
        orphans = self.build.orphaned()
        if orphans:
            emit(JobsOrphaned(jobs=orphans))
        self._tell_unread(emit)
        if status in (0, 1):
            self.build.record_fresh(alone=alone, orphans=orphans)

    def _tell_unread(self, emit: Callable[[Event], None]) -> None:
        """Name what nothing reads, each once."""
        file, told = places.told(self.build.pipeline.jobs_dir), {""}
        with contextlib.suppress(OSError):
            told |= set(os.fsdecode(regular.read_bytes(file)).split("\n"))
        found = self.build.unread()
        for unread in found:
            new = [name for name in unread.names if f"{name}: {unread.why}" not in told]
            if new:
                emit(InputsUnread(names=new, message=unread.why))
        now = sorted(f"{name}: {unread.why}" for unread in found for name in unread.names)
        if {"", *now} != told:
            write_atomically(file, os.fsencode("".join(f"{line}\n" for line in now)))

    def _withdraw(self, emit: Callable[[Event], None]) -> None:
        """Remove the copies of tasks that the pipeline has no more, and say so."""
        build = self.build
        withdrawn = build.withdrawn(copies_only=True)
        taken = build.delivered() if withdrawn else set()
        for task in withdrawn:
            said: list[str] = []
            Removal(build.pipeline, build.digests, taken, said.append, dry=False).withdraw(task, copies_only=True)
            lines = [line.removeprefix(f"{task.name} - ") for line in said]
            message = f"withdrawn, the pipeline has it no more: {'; '.join(lines) or 'its copies were gone'}"
            emit(StageWarning(task=task.name, message=message, hint="doit clean --orphans"))

    def _stream(self, opened: contextlib.ExitStack) -> Any:
        """Where the console's lines go."""
        if self.options.output is not None:
            return Steady(opened.enter_context(open(self.options.output, "w", encoding="utf-8")))
        return Steady(sys.stderr if self.options.events_to == "-" else sys.stdout)

    def _report(self, stream: IO[str], tally: Tally) -> Report:
        build = self.build
        return Report(
            stream,
            tally,
            level=self.options.log_level,
            total=len(build.tasks) + len(build.left_out_tasks),
            source_of=self._source_of,
            earlier=build.earlier_s,
        )

    def _source_of(self, name: str) -> str:
        """The file name of a task's recording; nothing where it reads none, in a project, or was withdrawn."""
        task = self.build.tasks.get(name)
        for references in task.inputs.values() if task else ():
            for reference in references:
                if isinstance(reference, Given) and reference.label:
                    return reference.pattern.rpartition("/")[2]
        given = self.build.jobs.get(task.job) if task and self.build.pipeline.alone else None
        return given.pattern.rpartition("/")[2] if given else ""

    def _runner(
        self, executor: Executor, emit: Callable[[Event], None], stream: IO[str], tasks: Collection[str]
    ) -> PipelineRunner:
        options = self.options
        slots = Slots(places.slots(self.build.pipeline.jobs_dir), self.build.capacity)
        executor.programs.slots = slots
        executor.programs.most_lanes = min(options.threads, slots.counts["cpu"])
        return PipelineRunner(
            self.dep_manager,
            self.reporter(stream, {"failure_verbosity": options.failure_verbosity}),
            not options.fail_fast,
            options.always,
            Stream(options.verbosity, options.force_verbosity),
            executor=executor,
            emit=emit,
            turns=Turns(
                slots,
                Needs(self.build.pipeline, self.build.devices),
                Precedence(self.expected, tasks, options.threads),
                executor.programs.workers,
                threads=options.threads,
                own_at_once=options.own_at_once,
            ),
        )
