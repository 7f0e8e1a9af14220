"""Random histories of a project: edits, runs, selections and kills, each run compared with the oracle.

Not here: the edits (`edits`), what must come of them (`oracle`).
"""

from __future__ import annotations

import os
import shutil
import sys
import traceback
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from tests.e2e.conftest import Ran, read_events
from tests.e2e.crash import Launcher, wait_for_end
from tests.e2e.disturbances import AT_ONCE, Disturbances
from tests.e2e.edits import INDEX
from tests.e2e.graphs import TIMES
from tests.e2e.oracle import Plan
from tests.e2e.trees import alike, labelled, read_tree, same_files
from tests.e2e.world import ALL

REMOVING = ("clean", "clean --orphans", "gc --all")


class AnyHistory(Disturbances):
    """One project and what happens to it."""

    launcher: Launcher
    histories = runs = kills = restored = 0

    @classmethod
    def statistics(cls) -> str:
        """What was tried so far."""
        return f"{cls.histories} histories, {cls.runs} runs, {cls.kills} kills, {cls.restored} tasks restored"

    def __init__(self) -> None:
        super().__init__()
        type(self).histories += 1
        self.env = {**os.environ, "LC_ALL": "C", "NO_COLOR": "1", "MEDIABUILD_TEST": self.base.name}

    def teardown(self) -> None:
        """End with a plain run; now and then compare the oracle itself with a clean build elsewhere."""
        error = sys.exc_info()[1]
        try:
            if isinstance(error, Exception):
                traceback.print_exc()  # now: a replay with other timing may not fail
            elif error is None and hasattr(self, "world"):
                self.build("-n1", look_first=True)
                self.clean_what_is_withdrawn()
                if self.count % 3 == 0:
                    self.compare_with_a_clean_build()
        finally:
            shutil.rmtree(self.base, ignore_errors=True)

    def launch(self, *args: str, env: dict[str, str] | None = None, **kill: Any) -> Ran:
        """A run, or another command, to its end; `kill` as in `Launcher.run`."""
        type(self).runs += 1
        events = self.base / "events.jsonl"
        events.unlink(missing_ok=True)
        asking = args[:1] in (("check",), ("validate",), ("gc",), ("clean",))
        words = [*args, *([] if asking else [f"--events={events}"])]
        status = self.launcher.run(self.world.root, *words, env={**self.env, **(env or {})}, **kill)
        out, err = self.launcher.out.read_text(), self.launcher.err.read_text()
        return Ran(status, out, err, read_events(events))

    @rule(at_once=AT_ONCE, look_first=st.booleans())
    def build(self, at_once: str, look_first: bool) -> None:
        """A plain run; after it nothing is left to do."""
        plan = self.verify_sound("before the run")
        if look_first:
            self.check(plan)
        self.verify(self.launch(*at_once.split()), plan)
        if not plan.fails:
            assert self.world.plan().idle, "the oracle itself sees more to do"
            self.verify_deleted()
            self.verify(self.launch(), Plan(outputs=plan.outputs, copies=plan.copies))
            self.verify_algorithm()
            self.check(Plan())

    @rule()
    def ask(self) -> None:
        """`check` at any moment."""
        self.check(self.world.plan())

    @rule(indexes=st.lists(INDEX, min_size=1, max_size=2), force=st.booleans())
    def build_named(self, indexes: list[int], force: bool) -> None:
        """Tasks by name: they bring what they need; `--force` means just them."""
        names = [self.point(index).name for index in indexes]
        plan = self.world.plan(self.world.closure(names), forced=set(names) if force else set())
        self.verify(self.launch(*names, *(["--force"] if force else [])), plan)

    @rule(first=INDEX, last=INDEX, job=st.none() | INDEX, force=st.booleans())
    def build_range(self, first: int, last: int, job: int | None, force: bool) -> None:
        """A range of stages: exactly these run, on what is there."""
        order, jobs = self.world.order(), list(self.world.jobs())
        start, stop = sorted((first % len(order), last % len(order)))
        chosen = None if job is None else jobs[job % len(jobs)]
        selected = {p.name for p in self.world.points() if p.stage in order[start : stop + 1]
                    and (chosen is None or p.job in (chosen, ALL))}  # fmt: skip
        plan = self.world.plan(selected, ranged=True, forced=selected if force else set())
        words = [f"--from={order[start]}", f"--to={order[stop]}", *(["--force"] if force else [])]
        self.verify(self.launch(*words, *([f"--job={chosen}"] if chosen else [])), plan)

    @rule(index=INDEX, times=TIMES)
    def build_overridden(self, index: int, times: int) -> None:
        """A param from the command line: it counts for this run only."""
        name = self.node(index).name
        plan = self.world.plan(times={name: times})
        self.verify(self.launch(f"{name}.times={times}"), plan)

    @rule(number=st.integers(1, 150), at_once=AT_ONCE, command=st.sampled_from(["", "", *REMOVING]))
    def kill_between_operations(self, number: int, at_once: str, command: str) -> None:
        """A run dies before its n-th file-system operation, or a command that removes; this can be done again."""
        words = (command or at_once).split()
        self.killed(*words, kill_at=number)
        if command:
            again = self.launch(*words)
            assert again.status == 0, again.out + again.err
            assert self.treasures <= self.world.contents(), again.out

    @rule(delay_ms=st.integers(20, 250), at_once=AT_ONCE)
    def kill_at_a_moment(self, delay_ms: int, at_once: str) -> None:
        """The run dies some time after its start."""
        self.killed(*at_once.split(), kill_after_s=delay_ms / 1000)

    def killed(self, *args: str, **kill: Any) -> None:
        """Whatever the kill cut off: what parses is whole, nobody's words are lost, no process stays."""
        type(self).kills += 1
        before = self.unsound()
        self.launcher.run(self.world.root, *args, env=self.env, **kill)
        assert wait_for_end(f"MEDIABUILD_TEST={self.base.name}") == []
        assert self.unsound() <= before or "clean" in args  # it removes the outputs before what vouches for them
        assert self.treasures <= self.world.contents()

    def unsound(self) -> set[tuple[str, str]]:
        """Manifests that parse and whose outputs are others."""
        found = set()
        for point in self.world.points():
            manifest = self.world.manifest(point)
            if manifest is not None and self.world.on_disk(point, manifest) is None:
                found.add((point.name, str(manifest["timestamp"])))
        return found

    # ---- what must hold ----

    def check(self, plan: Plan) -> None:
        """`check` exits 1 exactly when a run would do something."""
        asked = self.launch("check")
        assert asked.status == (0 if plan.idle else 1), f"{plan}\n{asked.out}{asked.err}"

    def verify_sound(self, story: str) -> Plan:
        """What is recorded as up to date is what a clean build makes of what is there now; returns what is to do."""
        plan, clean = self.world.plan(), self.world.clean()
        for point, outputs in plan.outputs.items():
            if point.name in plan.runs:
                continue
            assert point in clean, f"{point.name} can't be fresh\n{story}"
            for name, files in outputs.items():
                made = {k: v for path, tree in clean[point].get(name, ()) for k, v in labelled(path, tree).items()}
                there = {k: v for path, tree in files for k, v in labelled(path, tree).items()}
                assert same_files(there, made), f"{point.name} is recorded as up to date, and isn't\n{plan}\n{story}"
        return plan

    def verify(self, ran: Ran, plan: Plan) -> None:
        """The run did what had a reason and nothing else, and left what a clean build makes."""
        self.remember()
        story = f"{plan}\n{ran.out}{ran.err}"
        assert ran.status == (3 if plan.error else 1 if plan.fails else 0), story
        restored = ran.tasks("stage_restored")
        type(self).restored += len(restored)
        did = set(ran.ran + restored)
        assert len(did) == len(ran.ran + restored), story
        due = plan.runs | plan.fails - plan.unstarted
        assert due - plan.spared(set(restored)) <= did <= due, story  # what came back may have been seen too late
        assert not plan.forced & set(restored), story
        assert set(ran.tasks("stage_cache_miss")) == did | plan.unstarted | plan.delivers, story
        assert set(ran.tasks("stage_delivered")) == plan.delivers, story
        for number, event in enumerate(ran.events):
            if event["event"] == "stage_running":
                earlier = [e for e in ran.events[:number] if e["event"] == "stage_cache_miss"]
                assert any(e["task"] == event["task"] and e["reasons"] for e in earlier), story
        for point, outputs in plan.outputs.items():
            for path, tree in (item for files in outputs.values() for item in files):
                there = self.world.directory(point) / path
                if not self.world.nodes[point.stage].temp or (there.is_file() and isinstance(tree, bytes)):
                    assert alike(read_tree(there), tree), f"{point.name}: {path}\n{story}"
        for copy, content in plan.copies.items():
            assert alike(read_tree(copy), content), f"{copy}\n{story}"
        if not plan.error:
            left = self.world.leftovers()
            assert left == [], f"left over: {left}\n{story}"
        assert self.treasures <= self.world.contents(), story

    def verify_deleted(self) -> None:
        """After a build of everything, nothing is left of what was only for others to read."""
        nodes = self.world.nodes
        read = {p for point in self.world.points() for p in self.world.all_read(point, ())}
        for point in read:
            manifest = self.world.manifest(point) if nodes[point.stage].temp else None
            if manifest is not None:
                left = [path for files in manifest["outputs"].values() for path in files]
                left = [path for path in left if (self.world.directory(point) / path).exists()]
                assert left == [], f"{point.name} is temporary and still has {left}"

    def verify_algorithm(self) -> None:
        """After a build of everything, records have digests as `checksum` says; not of what was deleted meanwhile."""
        for point in self.world.points():
            manifest = self.world.manifest(point)
            touched = {point, *self.world.all_read(point, ())}
            if manifest is not None and not any(self.world.nodes[one.stage].temp for one in touched):
                files = [*manifest["inputs"].values(), *manifest["outputs"].values()]
                found = {value.partition(":")[0] for paths in files for value in paths.values()}
                assert found <= {self.world.checksum}, f"{point.name} has digests by {found}"

    def clean_what_is_withdrawn(self) -> None:
        """`clean --orphans` removes all that is left of tasks that are no more, and nothing of those that are."""
        before = self.world.plan()
        asked = self.launch("clean", "--orphans")
        assert asked.status == 0, asked.out + asked.err
        assert self.world.leftovers(withdrawn=True) == [], asked.out
        assert self.world.plan() == before, asked.out
        assert self.treasures <= self.world.contents(), asked.out

    def compare_with_a_clean_build(self) -> None:
        """The same sources in a fresh directory give the same bytes."""
        fresh = self.base / "fresh"
        shutil.copytree(self.world.root, fresh, ignore=shutil.ignore_patterns("jobs", "out", "__pycache__"))
        status = self.launcher.run(fresh, env=self.env)
        plan = self.world.plan()
        assert status == (1 if plan.fails else 0), self.launcher.out.read_text()
        for point, outputs in plan.outputs.items():
            for path, tree in (item for files in outputs.values() for item in files):
                if self.world.nodes[point.stage].temp:
                    continue
                assert alike(read_tree(fresh / "jobs" / point.job / point.folder / path), tree), point.name

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def no_process_is_left(self) -> None:
        """Between the steps nothing runs."""
        assert wait_for_end(f"MEDIABUILD_TEST={self.base.name}") == []
