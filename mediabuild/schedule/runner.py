"""doit's Runner with threads that run stages, and signals.

doit's dispatcher says what is ready; this starts whose turn it is, and notes what became of it. The user's own Python
tasks run one at a time in the main thread, since doit's Python actions swap `sys.stdout`, which threads share.

Not here: whose turn it is (`turns`), making doit's tasks (`tasks`), what a run consists of besides (`session`).
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any

from doit.action import PythonAction
from doit.exceptions import BaseFail, UnmetDependency
from doit.runner import ERROR, FAILURE, Runner
from doit.task import Task as DoitTask

from mediabuild.errors import Interrupted, MediabuildError
from mediabuild.execution.executor import Executor
from mediabuild.execution.refresh import refresh
from mediabuild.execution.temporary import Temporary
from mediabuild.machine.signals import STOP
from mediabuild.machine.visible import visible_line
from mediabuild.pipeline.model import Reason, Task
from mediabuild.reporting.events import Event
from mediabuild.schedule.ahead import Ahead
from mediabuild.schedule.crew import Crew
from mediabuild.schedule.own import belonging
from mediabuild.schedule.state import is_group, is_remake, pipeline_task
from mediabuild.schedule.tasks import action_of
from mediabuild.schedule.telling import Telling
from mediabuild.schedule.turns import Turns
from mediabuild.store import marks

POLL_S = 0.05  # how often slots that another run holds are tried again
LOOK_S = 0.25  # how often the loop looks whether it was asked to stop


class PipelineRunner(Runner):  # type: ignore[misc]
    """Runs what doit's dispatcher hands out.

    Args:
        executor: runs the pipeline's tasks. emit: receives events.
        turns: whose turn it is, of those who are ready.
    """

    def __init__(
        self,
        *args: Any,
        executor: Executor,
        emit: Callable[[Event], None],
        turns: Turns,
    ) -> None:
        super().__init__(*args)
        self.executor = executor
        self.freshness = executor.freshness
        self.temporary = Temporary(executor.freshness)
        self.telling = Telling(emit, executor.pipeline.root)
        self.turns = turns
        self.ahead = Ahead(executor, turns, self.dep_manager.status_is_ignore)
        self.touched: set[str] = set()
        self.final_result: int
        self.interrupted = False

    def run_tasks(self, task_dispatcher: Any) -> None:
        """Pull ready tasks from doit, start what fits, report back what is done; until nothing is left."""
        crew = Crew(self.turns.threads, self.execute_task)
        try:
            self.schedule(task_dispatcher, crew)
            self.temporary.close()
        except (Interrupted, KeyboardInterrupt):
            STOP.cleaning_up = True
            self.interrupted = True
            self.executor.processes.stop_all()
        finally:
            crew.close()
            self.telling.close()
            self.turns.close()

    def schedule(self, dispatcher: Any, crew: Crew) -> None:
        """Start what is ready and fits, note what is done; until nothing is left."""
        inbox: deque[Any] = deque([None])  # what doit is to hear of: finished nodes, or None to ask for more
        ready: list[Any] = []
        while True:
            STOP.check()
            if self._stop_running:
                inbox.clear()
                ready.clear()
            if crew.running and self._finished(crew, inbox, 0.0):  # however much there is to look at
                continue
            if inbox and inbox[0] is not None:  # what follows from a finished task is among those that may start next
                self._pull(dispatcher, inbox, ready)
            elif crew.free and (node := self.turns.next(ready)) is not None:
                ready.remove(node)
                if self._in_main_thread(node.task):
                    self.process_task_result(node, self.execute_task(node.task))
                    inbox.append(node)
                else:
                    crew.start(node)
            elif inbox and not self.turns.crowded(ready) and (crew.free or self.turns.threads > 1):
                self._pull(dispatcher, inbox, ready)
            elif crew.running or ready:
                if not crew.free:
                    self.turns.keep_next_for(ready)
                elif not ready:
                    self.ahead.look(crew.nodes)
                self._finished(crew, inbox, POLL_S if ready and crew.free else LOOK_S)
            else:
                return

    def _finished(self, crew: Crew, inbox: deque[Any], timeout_s: float) -> bool:
        """Note what became of a task that ended within this time, if one did."""
        ended = crew.finished(timeout_s)
        if ended is None:
            return False
        self.process_task_result(*ended)
        inbox.appendleft(ended[0])
        return True

    def _pull(self, dispatcher: Any, inbox: deque[Any], ready: list[Any]) -> None:
        """Tell doit of one finished node, and take the next ready one that it hands out."""
        try:
            node = dispatcher.generator.send(inbox.popleft())
        except StopIteration:
            inbox.clear()
            return
        if node == "hold on":
            return
        if self.select_task(node, dispatcher.tasks):
            ready.append(node)
            inbox.append(None)
        elif node.run_status == "run":  # its setup tasks come first; doit has seen that by itself
            inbox.append(None)
        else:
            inbox.append(node)

    def _in_main_thread(self, task: DoitTask) -> bool:
        return pipeline_task(task) is None and any(isinstance(action, PythonAction) for action in task.actions)

    def select_task(self, node: Any, tasks_dict: Any) -> bool:
        """Whether the task is to run; in a fresh one's manifest it is noted that it was looked at."""
        task = pipeline_task(node.task)
        if task is not None and (not task.stage.collect or self.freshness.producers.of(task)):
            node.bad_deps = [bad for bad in node.bad_deps if not self._may_lack(task, bad.task)]
            node.ignored_deps = [bad for bad in node.ignored_deps if not self._may_lack(task, bad.task)]
        if node.run_status == "run" and node.bad_deps:  # what it needs could not be made again
            self._handle_task_error(node, UnmetDependency(" ".join(dep.task.name for dep in node.bad_deps)))
            return False
        chosen = bool(super().select_task(node, tasks_dict))
        if task is None:
            if node.run_status == "up-to-date":
                self.telling.own(node.task, "skipped")
            return chosen
        if node.run_status == "run" and not chosen:  # its setup tasks come first, unless it can do without
            look = action_of(node.task).look
            if not self.always_execute and self.executor.restorer.reads_nothing(task, look):
                node.task.setup_tasks = []
                return True
            for name in node.task.setup_tasks:
                action_of(tasks_dict[name]).wanted_by = task.name
        elif node.run_status == "up-to-date" and not is_remake(node.task):
            self._skipped(task, refresh(self.freshness, task))
        elif node.run_status == "ignore":
            self.telling.ignored(task)
        return chosen

    def _may_lack(self, task: Task, need: DoitTask) -> bool:
        """Whether the task is made without what failed."""
        ours = pipeline_task(need)
        return ours is not None and self.freshness.producers.may_lack(task, ours)

    def _skipped(self, task: Task, spared_s: float, *, settled: bool = True) -> None:
        """The task is up to date."""
        self.telling.skipped(task, spared_s)
        self.turns.precedence.done(task)
        if settled:
            self.temporary.settle(task)

    def execute_task(self, task: DoitTask) -> BaseFail | None:
        """Run a task's actions, on whichever thread."""
        ours = pipeline_task(task)
        if ours is None:
            with belonging(task.actions, self.executor.processes):
                return super().execute_task(task)
        action = action_of(task)
        self.telling.begins(ours, action.reasons or (Reason("forced", now="doit -a"),))
        action.gpus = self.turns.gpus_of(task.name)
        action.executor, action.always = self.executor, self.always_execute
        return action.execute()

    def teardown(self) -> None:
        """Run what the user's own tasks want to be run at the end; a stopped run waits for it, as doit does."""
        actions = [action for task in self.teardown_list for action in task.teardown]
        alone = not actions or self.executor.processes.stopping.is_set()
        with contextlib.nullcontext() if alone else belonging(actions, self.executor.processes):
            super().teardown()

    def process_task_result(self, node: Any, base_fail: BaseFail | None) -> None:
        """Note what became of a task, for the console, the events and the next run."""
        self.turns.over(node.task)
        super().process_task_result(node, base_fail)
        task = pipeline_task(node.task)
        if task is None and node.run_status == "successful":
            self.telling.own(node.task, "built")
        if task is None or base_fail is not None:
            return
        marks.clear(task, "failed")
        outcome = action_of(node.task).outcome
        if outcome.built or outcome.restored:
            self.touched.add(task.job)
        if outcome.built or outcome.restored or outcome.delivered:
            self.telling.done(task, outcome)
            if not is_remake(node.task):
                self.temporary.settle(task)
        else:
            self._skipped(task, 0.0, settled=not is_remake(node.task))

    def _handle_task_error(self, node: Any, base_fail: BaseFail) -> None:
        task = pipeline_task(node.task)
        if is_group(node.task):
            node.run_status = "failure"  # its tasks have said why
            return
        if task is None:
            super()._handle_task_error(node, base_fail)
            self.telling.own(node.task, "blocked" if isinstance(base_fail, UnmetDependency) else "failed")
            return
        node.run_status = "failure"
        busy = getattr(base_fail, "busy", False)
        self.final_result = max(self.final_result, ERROR if busy else FAILURE)
        if is_remake(node.task):
            self.freshness.unmade.add(task.name)
        if isinstance(base_fail, UnmetDependency):
            failed = [dep.task.name.removeprefix("_") for dep in node.bad_deps]
            if failed != [task.name]:  # of what failed itself this is told
                self.telling.blocked(task, failed)
            return
        if self.executor.processes.stopping.is_set() or STOP.asked:
            return
        if not busy:
            with contextlib.suppress(OSError, MediabuildError):
                marks.put(task, "failed", visible_line(base_fail.message))
        self.touched.add(task.job)
        self.telling.failed(task, base_fail.message, getattr(base_fail, "hint", ""))
        if not self.continue_:
            self._stop_running = True
