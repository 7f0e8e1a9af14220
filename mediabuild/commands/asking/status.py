"""`status`, `explain` and `check`: what is stale, and why.

Not here: what they look at (`build`), `run`, and what all share (`base`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import msgspec
from doit.exceptions import InvalidCommand

from mediabuild.build import Build
from mediabuild.commands.asking.table import print_table
from mediabuild.commands.base import PipelineCommand
from mediabuild.freshness.orphans import Orphan, Withdrawn
from mediabuild.freshness.verdicts import Verdict
from mediabuild.machine.visible import one_line
from mediabuild.reporting.console import program
from mediabuild.schedule.loader import option
from mediabuild.schedule.state import pipeline_task


class Status(PipelineCommand):
    """Jobs × stages."""

    name = "status"
    doc_purpose = "show which stages are fresh, stale, failed"
    doc_usage = "[TASK ...]"
    doc_description = None
    cmd_options = (option("as_json", "json", "as JSON", bool, False),)

    def may_narrow(self, params: Any) -> bool:
        """The table only says that they are fresh."""
        return not params["as_json"]

    def _execute(self, as_json: bool, pos_args: list[str]) -> int:
        verdicts = self.foreseen(self.select())
        whole = self.build.options.selection.is_empty and not self.sel_tasks
        orphans, withdrawn = (self.build.orphans(), self.build.withdrawn()) if whole else ([], [])
        if as_json:
            print(plan_json(self.build, verdicts, orphans, withdrawn))
            return 0
        if self.build.left_out or any(name in self.build.tasks for name in verdicts):
            print_table(self.build, verdicts)
        print_own(self.build, verdicts)
        for orphan in orphans:
            why = f"{one_line(orphan.source)} is gone" if orphan.source else "nothing but its state is left"
            print(f"{orphan.job}: orphaned, {why}; {program()} clean --orphans removes it")
        for task in withdrawn:
            print(f"{task.name}: withdrawn, the pipeline has it no more; {program()} clean --orphans removes it")
        for unread in self.build.unread() if whole else ():
            print(one_line(f"unread: {unread}"))
        return 0


class Explain(PipelineCommand):
    """Every reason of a task."""

    name = "explain"
    doc_purpose = "say why a task would run: every reason, was → now"
    doc_usage = "TASK ..."
    doc_description = None
    cmd_options = (option("as_json", "json", "as JSON", bool, False),)

    def _execute(self, as_json: bool, pos_args: list[str]) -> int:
        if not pos_args and not self.build.options.sources and self.build.options.selection.is_empty:
            raise InvalidCommand("explain: which task?\n  hint: doit list --all")
        verdicts = self.foreseen(self.select())
        named = {task.name for task in self.named_tasks(pos_args)}
        shown = {name: verdicts[name] for name in verdicts if name in named}
        if as_json:
            print(plan_json(self.build, shown))
            return 0
        for name, verdict in shown.items():
            print(f"{name}: {STATE_WORDS[verdict.state]}{f' ({verdict.message})' if verdict.message else ''}")
            for reason in verdict.reasons:
                print(f"  {reason}")
        return 0


class Check(PipelineCommand):
    """For CI: would anything run?"""

    name = "check"
    doc_purpose = "run nothing; exit 1 and the reasons if anything selected would run"
    doc_usage = "[TASK ...]"
    doc_description = None
    cmd_options = (
        option("as_json", "json", "as JSON", bool, False),
        option(
            "manifests_only", "manifests-only", "the media is not here: compare manifests, params and code", bool, False
        ),
        option("read", "read", "read every file, also where size and times say that it is the same", bool, False),
    )

    def may_narrow(self, params: Any) -> bool:
        """They are only counted."""
        return not (params["as_json"] or params["read"])

    def _execute(self, as_json: bool, manifests_only: bool, read: bool, pos_args: list[str]) -> int:
        if read and manifests_only:
            raise InvalidCommand("check: --read and --manifests-only are opposites")
        names = self.select()
        if names is None:
            self.warn_of_unread()
        if manifests_only:  # what the user's own tasks read may not be here
            names = [task.name for task in self.named_tasks(names or []) if pipeline_task(task)]
        verdicts = self.foreseen(names)
        stale = {name: v for name, v in verdicts.items() if v.state not in ("fresh", "ignored")}
        if as_json:
            print(plan_json(self.build, verdicts))
        else:
            print_plan(self.build, verdicts, sys.stdout)
        return 1 if stale else 0


STATE_WORDS = {
    "fresh": "up to date",
    "stale": "would run",
    "follows": "would follow, if what it reads changes",
    "failed": "failed last time, would run",
    "blocked": "blocked by a failure",
    "ignored": "ignored",
}


def print_plan(build: Build, verdicts: dict[str, Verdict], stream: Any) -> int:
    """What would run and why, a line each."""
    for name, verdict in verdicts.items():
        if verdict.state in ("fresh", "ignored"):
            continue
        word = "FOLLOW" if verdict.state in ("follows", "blocked") else "RUN"
        more = f"  (+{len(verdict.reasons) - 1} more)" if len(verdict.reasons) > 1 else ""
        why = f"{verdict.reasons[0]}{more}" if verdict.reasons else one_line(verdict.message)
        stream.write(f"{word:<7} {name}{f'  {why}' if why and word != 'FOLLOW' else ''}\n")
    left_out = len(build.left_out_tasks)
    fresh = sum(verdict.state == "fresh" for verdict in verdicts.values()) + left_out
    stream.write(f"{fresh} of {len(verdicts) + left_out} up to date\n")
    return 0


class TaskStatus(msgspec.Struct):
    """One task in the JSON of `status`, `explain` and `check`."""

    task: str
    stage: str
    job: str
    state: str
    reasons: list[dict[str, Any]]
    message: str = ""
    timestamp: float | None = None
    last_checked_ts: float | None = None
    duration_s: float | None = None
    device: str | None = None


def plan_json(
    build: Build, verdicts: dict[str, Verdict], orphans: Iterable[Orphan] = (), withdrawn: Iterable[Withdrawn] = ()
) -> str:
    """The JSON of `status`, `explain` and `check`: tasks, orphaned jobs, withdrawn tasks; docs/status.schema.json."""
    from mediabuild.store.manifest import find_manifest

    found = []
    for name, verdict in verdicts.items():
        task = build.tasks.get(name)
        if task is None:  # the user's own
            found.append(TaskStatus(name, "", "", verdict.state, [], verdict.message))
            continue
        manifest = find_manifest(task.directory)
        facts: tuple[Any, ...] = ()
        if manifest:
            checked_ts = max(manifest.last_checked_ts, build.bulk.looked_ts(task.job))
            facts = (manifest.timestamp, checked_ts, manifest.duration_s, manifest.device)
        reasons = [msgspec.to_builtins(reason) for reason in verdict.reasons]
        found.append(TaskStatus(name, task.stage.name, task.job, verdict.state, reasons, verdict.message, *facts))
    found += [TaskStatus("", "", o.job, "orphaned", [], f"{o.source} is gone") for o in orphans]
    found += [TaskStatus(w.name, w.key.partition("@")[0], w.job, "withdrawn", []) for w in withdrawn]
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()


def print_own(build: Build, verdicts: dict[str, Verdict]) -> None:
    """The user's own tasks that would run, a line each."""
    for name, verdict in verdicts.items():
        if name not in build.tasks and verdict.state not in ("fresh", "ignored"):
            why = f" ({one_line(verdict.message)})" if verdict.message else ""
            print(f"{name}: {STATE_WORDS[verdict.state]}{why}")
