"""Promise 2: after any sequence of edits, kills and reruns, the outputs are those of a clean build.

A state machine makes a random graph and a random history of it: edits that hide behind old times, tampered
outputs and manifests, garbage in derived files, selections, overrides, kills between any two operations.
What every run does is compared with an oracle (`history`): each task that ran had a reason, and each that was
skipped had none. MEDIABUILD_LONG=MINUTES looks longer, with new seeds; a seed that fails is printed.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.e2e.conftest import Ran, read_events
from tests.e2e.crash import Launcher, wait_for_end
from tests.e2e.history import FILE_KINDS, Node, Plan, Point, World, read_tree

LONG_MINUTES = float(os.environ.get("MEDIABUILD_LONG", "0"))
CI = settings(max_examples=8, stateful_step_count=18, deadline=None, derandomize=True, database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
LONG = settings(CI, max_examples=40, stateful_step_count=30, derandomize=False, print_blob=True)

JOBS = ("one", "two words", "sub/zwei ü")
CONTENTS = st.sampled_from([b"", b"a\n", b"b\n", b"ab\n", b"ba\n", b"hello\n", b"a\nlonger\ntext\n"])
WORDS = st.sampled_from(["", "w", "x", "1", 1, 1.0, True, "true", "-n", "$HOME"])
TIMES = st.integers(0, 3)
VALUES = st.sampled_from([(), (), (), ("x",), ("x", "y"), ("y", "x"), ("y",)])
FILES = ("words.txt", "extra/a.txt", "extra/b.txt", "tree/p", "tree/q/r", "notes/one.txt", "notes/two words.txt")
PATHS = ("./words.txt", "./extra/*.txt", "./tree", "?./notes/{job}.txt", "?./none/*")
GARBAGE = st.sampled_from([b"", b"\x00\xff garbage", b"{}", b"[1]\n", b'{"event":'])
INDEX = st.integers(0, 99)
WAYS = st.sampled_from(["plain", "hidden", "future", "past", "anew"])


@st.composite
def graphs(draw: st.DrawFn) -> list[Node]:
    """Two to five stages; each reads earlier stages, the source and files."""
    nodes: list[Node] = []
    for number in range(draw(st.integers(2, 5))):
        nodes.append(draw(stages(f"S{number}", nodes)))
    return nodes


@st.composite
def stages(draw: st.DrawFn, name: str, earlier: list[Node]) -> Node:
    """A stage that can stand behind the earlier ones."""
    kind = draw(st.sampled_from(["join", "join", "head", "count", "slow", "split", "pair", "own"]))
    values = draw(VALUES)
    readable = [node for node in earlier if fits(values, node)]
    reads = draw(st.lists(references(readable), min_size=1, max_size=3))
    deliver = kind not in ("split", "pair") and draw(st.booleans()) and draw(st.booleans())
    return Node(name, kind, reads, draw(TIMES), draw(WORDS), values, deliver=deliver)


def fits(values: tuple[str, ...], producer: Node) -> bool:
    """Whether a stage with these matrix values can read the producer, value by value."""
    return not values or not producer.values or set(values) <= set(producer.values)


def references(readable: list[Node]) -> st.SearchStrategy[str]:
    """What a stage can read: mostly other stages."""
    of_stages = [f"{node.name}{suffix}" for node in readable for suffix in ("", *(f".{out}" for out in node.outputs))]
    return st.sampled_from([*of_stages, *of_stages, "source", "source", *PATHS])


class AnyHistory(RuleBasedStateMachine):
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
        self.base = Path(tempfile.mkdtemp(prefix="history."))
        self.env = {**os.environ, "LC_ALL": "C", "NO_COLOR": "1", "MEDIABUILD_TEST": self.base.name}
        self.treasures: set[bytes] = set()
        self.count = 0

    def teardown(self) -> None:
        """End with a plain run; now and then compare the oracle itself with a clean build elsewhere."""
        error = sys.exc_info()[1]
        try:
            if isinstance(error, Exception):
                traceback.print_exc()  # now: a replay with other timing may not fail
            elif error is None and hasattr(self, "world"):
                self.build(1, look_first=True)
                if self.count % 3 == 0:
                    self.compare_with_a_clean_build()
        finally:
            shutil.rmtree(self.base, ignore_errors=True)

    # ---- the project ----

    @initialize(nodes=graphs(), jobs=st.integers(1, 2), content=CONTENTS)
    def begin(self, nodes: list[Node], jobs: int, content: bytes) -> None:
        """Write the project."""
        root = self.base / "project"
        root.mkdir()
        self.world = World(root, nodes)
        for job in JOBS[:jobs]:
            self.put(f"media/{job}.txt", content)
        for name in FILES[:4]:
            self.put(name, b"x\n")
        self.world.save()

    def put(self, name: str, content: bytes) -> None:
        """Write a file of the project."""
        path = self.world.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def own(self) -> bytes:
        """Words that nobody else wrote: they must never be lost."""
        self.count += 1
        return b"mine %d\n" % self.count

    def point(self, index: int) -> Point:
        """One of the tasks."""
        points = self.world.points()
        return points[index % len(points)]

    # ---- what people do to sources and files ----

    @rule(index=INDEX, content=CONTENTS, way=WAYS)
    def edit_file(self, index: int, content: bytes, way: str) -> None:
        """Other content (or the same again), and a time that says nothing or lies."""
        files = sorted(file for file in self.world.root.rglob("*") if file.is_file() and self.is_input(file))
        file = files[index % len(files)]
        times, old = file.stat(), file.read_bytes()
        if way == "hidden":
            content = bytes(byte ^ 1 for byte in old)  # same size, same time
        if way == "anew":
            file.unlink()
        file.write_bytes(content)
        shift = {"future": 10**9, "past": -(10**9)}.get(way, 0)
        if way in ("hidden", "future", "past"):
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns + shift * 10**9))

    def is_input(self, file: Path) -> bool:
        """Whether a file is one that stages read and people write."""
        return file.relative_to(self.world.root).parts[0] in ("media", "words.txt", "extra", "tree", "notes")

    @rule(index=INDEX, content=CONTENTS)
    def add_or_remove_a_file(self, index: int, content: bytes) -> None:
        """A glob or a directory gains or loses a file, an optional one comes or goes."""
        name = FILES[1 + index % (len(FILES) - 1)]
        path = self.world.root / name
        if not path.exists():
            self.put(name, content)
        elif len(list(path.parent.iterdir())) > 1 or name.startswith("notes"):
            path.unlink()

    @rule(index=INDEX, content=CONTENTS)
    def add_or_remove_a_source(self, index: int, content: bytes) -> None:
        """A job comes or goes; one always stays."""
        job = JOBS[index % len(JOBS)]
        if job not in self.world.jobs():
            self.put(f"media/{job}.txt", content)
        elif len(self.world.jobs()) > 1:
            self.world.jobs()[job].unlink()
            self.world.job_times = {k: v for k, v in self.world.job_times.items() if k[0] != job}
            self.world.save()

    # ---- what people do to the pipeline ----

    @rule(index=INDEX, times=TIMES, word=WORDS)
    def edit_params(self, index: int, times: int, word: Any) -> None:
        """A stage's params."""
        node = self.node(index)
        node.times, node.word = times, word
        self.world.save()

    @rule(index=INDEX, kind=st.sampled_from(FILE_KINDS), file=st.sampled_from(["out.txt", "new.txt"]))
    def edit_command(self, index: int, kind: str, file: str) -> None:
        """A stage's command and the name of its output."""
        node = self.node(index)
        if node.kind in FILE_KINDS:
            node.kind, node.file = kind, file
            self.world.save()

    @rule(index=INDEX)
    def break_or_mend(self, index: int) -> None:
        """A stage's program fails from now on, or no more."""
        node = self.node(index)
        if node.kind != "own":
            node.broken = not node.broken
            self.world.save()

    @rule(index=INDEX, data=st.data())
    def edit_inputs(self, index: int, data: st.DataObject) -> None:
        """What a stage reads: other references, or the same in another order."""
        node = self.node(index)
        order = self.world.order()
        earlier = [self.world.nodes[name] for name in order[: order.index(node.name)]]
        readable = [producer for producer in earlier if fits(node.values, producer)]
        node.reads = data.draw(st.lists(references(readable), min_size=1, max_size=3))
        self.world.save()

    @rule(index=INDEX, values=VALUES)
    def edit_matrix(self, index: int, values: tuple[str, ...]) -> None:
        """A matrix comes, goes, or changes its values or their order."""
        node = self.node(index)
        readers = [other for other in self.world.nodes.values() if node.name in self.world.needs(other.name)]
        producers = [self.world.nodes[name] for name in self.world.needs(node.name)]
        changed = Node(node.name, node.kind, [], values=values)
        if all(fits(reader.values, changed) for reader in readers) and all(fits(values, p) for p in producers):
            node.values = values
            self.world.save()

    @rule(index=INDEX, job=INDEX, times=st.none() | TIMES)
    def edit_job_params(self, index: int, job: int, times: int | None) -> None:
        """One job differs."""
        jobs = list(self.world.jobs())
        key = (jobs[job % len(jobs)], self.node(index).name)
        self.world.job_times.pop(key, None)
        if times is not None:
            self.world.job_times[key] = times
        self.world.save()

    @rule(index=INDEX)
    def deliver_or_not(self, index: int) -> None:
        """Copies are wanted, or no more."""
        node = self.node(index)
        if node.kind not in ("split", "pair"):
            node.deliver = not node.deliver
            self.world.save()

    @rule(seed=st.randoms(use_true_random=False))
    def shuffle_stages(self, seed: random.Random) -> None:
        """The order of the tables in the file."""
        names = list(self.world.nodes)
        seed.shuffle(names)
        self.world.nodes = {name: self.world.nodes[name] for name in names}
        self.world.save()

    @rule(salt=st.sampled_from(["salt", "pepper"]))
    def edit_the_stage_file(self, salt: str) -> None:
        """The code of the project's own Python stage."""
        self.world.salt = salt
        self.world.save()

    @rule(data=st.data())
    def add_or_remove_a_stage(self, data: st.DataObject) -> None:
        """A stage at the end of the graph."""
        read = set().union(*map(self.world.needs, self.world.nodes))
        unread = [name for name in self.world.nodes if name not in read]
        if len(self.world.nodes) > 3:
            name = data.draw(st.sampled_from(unread))
            del self.world.nodes[name]
            self.world.job_times = {k: v for k, v in self.world.job_times.items() if k[1] != name}
        else:
            name = next(f"S{n}" for n in range(9) if f"S{n}" not in self.world.nodes)
            self.world.nodes[name] = data.draw(stages(name, list(self.world.nodes.values())))
        self.world.save()

    def node(self, index: int) -> Node:
        """One of the stages."""
        return list(self.world.nodes.values())[index % len(self.world.nodes)]

    # ---- what happens to what the program wrote ----

    @rule(index=INDEX, way=st.sampled_from(["edit", "hidden", "truncate", "delete", "stray", "folder", "touch"]))
    def tamper(self, index: int, way: str) -> None:
        """An output is edited, cut off, deleted, or gets company."""
        folder = self.world.directory(self.point(index))
        files = sorted(f for f in folder.rglob("*") if f.is_file() and f.name != "manifest.json")
        if not files:
            return
        file = files[index % len(files)]
        times, words = file.stat(), self.own()
        if way == "edit":
            file.write_bytes(words)
        elif way == "hidden":
            file.write_bytes(bytes(byte ^ 1 for byte in file.read_bytes()))
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        elif way == "truncate":
            file.write_bytes(file.read_bytes()[:-1])
        elif way == "delete":
            file.unlink()
        elif way == "stray":
            file.with_name("stray").write_bytes(words)
        elif way == "folder":
            shutil.rmtree(folder)
        else:
            os.utime(file, (10**9, 10**9))
        self.note_treasures(words)

    @rule(index=INDEX, content=GARBAGE | st.none())
    def tamper_with_a_copy(self, index: int, content: bytes | None) -> None:
        """A delivered copy is edited or deleted."""
        copies = sorted(file for file in (self.world.root / "out").rglob("*") if file.is_file())
        if copies:
            words = self.own()
            copies[index % len(copies)].unlink()
            if content is not None:
                copies[index % len(copies)].write_bytes(words)
            self.note_treasures(words)

    @rule(index=INDEX, length=st.integers(0, 400), garbage=GARBAGE | st.none())
    def tamper_with_a_manifest(self, index: int, length: int, garbage: bytes | None) -> None:
        """A manifest is cut off, overwritten, or replaced by another job's."""
        file = self.world.directory(self.point(index)) / "manifest.json"
        others = sorted((self.world.root / "jobs").glob(f"*/{self.point(index).folder}/manifest.json"))
        if not file.exists():
            return
        if length > 300:
            file.write_bytes(others[length % len(others)].read_bytes() if others else b"")
        elif garbage is None:
            file.write_bytes(file.read_bytes()[:length])
        else:
            file.write_bytes(garbage)

    @rule(index=INDEX, garbage=GARBAGE | st.none())
    def spoil_what_is_derived(self, index: int, garbage: bytes | None) -> None:
        """The stat cache, a lock, a log, a record, a summary, an earlier output: damaged or gone."""
        jobs = self.world.root / "jobs"
        kinds = ("locks", "logs", "delivered")
        files = sorted(f for f in jobs.rglob("*") if f.is_file() and f.parent.name in (".mediabuild", *kinds))
        files += sorted(f for f in jobs.rglob(".mediabuild/generations/**/*") if f.is_file())
        files += sorted(f for job in self.world.jobs() for f in (jobs / job).glob("*.*") if f.is_file())
        if not files:
            return
        file = files[index % len(files)]
        file.unlink()
        if garbage is not None:
            file.write_bytes(garbage)

    def note_treasures(self, *words: bytes) -> None:
        """Which of a person's words are there, after a person's own doing."""
        self.treasures = (self.treasures | set(words)) & self.world.contents()

    # ---- runs ----

    def launch(self, *args: str) -> Ran:
        """A run, or another command, to its end."""
        type(self).runs += 1
        events = self.base / "events.jsonl"
        events.unlink(missing_ok=True)
        asking = args[:1] in (("check",), ("validate",))
        status = self.launcher.run(self.world.root, *args, *([] if asking else [f"--events={events}"]), env=self.env)
        out, err = self.launcher.out.read_text(), self.launcher.err.read_text()
        return Ran(status, out, err, read_events(events))

    @rule(threads=st.sampled_from([1, 1, 3]), look_first=st.booleans())
    def build(self, threads: int, look_first: bool) -> None:
        """A plain run; after it nothing is left to do."""
        plan = self.world.plan()
        if look_first:
            self.check(plan)
        self.verify(self.launch(f"-n{threads}"), plan)
        if not plan.fails:
            assert self.world.plan().idle, "the oracle itself sees more to do"
            self.verify(self.launch(), Plan(outputs=plan.outputs, copies=plan.copies))
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
                    and chosen in (None, p.job)}  # fmt: skip
        plan = self.world.plan(selected, ranged=True, forced=selected if force else set())
        words = [f"--from={order[start]}", f"--to={order[stop]}", *(["--force"] if force else [])]
        self.verify(self.launch(*words, *([f"--job={chosen}"] if chosen else [])), plan)

    @rule(index=INDEX, times=TIMES)
    def build_overridden(self, index: int, times: int) -> None:
        """A param from the command line: it counts for this run only."""
        name = self.node(index).name
        plan = self.world.plan(times={name: times})
        self.verify(self.launch(f"{name}.times={times}"), plan)

    @rule(number=st.integers(1, 150), threads=st.sampled_from([1, 3]))
    def kill_between_operations(self, number: int, threads: int) -> None:
        """The run dies before its n-th file-system operation."""
        self.killed(f"-n{threads}", kill_at=number)

    @rule(delay_ms=st.integers(20, 250), threads=st.sampled_from([1, 3]))
    def kill_at_a_moment(self, delay_ms: int, threads: int) -> None:
        """The run dies some time after its start."""
        self.killed(f"-n{threads}", kill_after_s=delay_ms / 1000)

    def killed(self, *args: str, **kill: float) -> None:
        """Whatever the kill cut off: what parses is whole, nobody's words are lost, no process stays."""
        type(self).kills += 1
        before = self.unsound()
        self.launcher.run(self.world.root, *args, env=self.env, **kill)
        assert wait_for_end(f"MEDIABUILD_TEST={self.base.name}") == []
        assert self.unsound() <= before
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

    def verify(self, ran: Ran, plan: Plan) -> None:
        """The run did what had a reason and nothing else, and left what a clean build makes."""
        story = f"{plan}\n{ran.out}{ran.err}"
        assert ran.status == (3 if plan.error else 1 if plan.fails else 0), story
        restored = ran.tasks("stage_restored")
        type(self).restored += len(restored)
        assert sorted(ran.ran + restored) == sorted(plan.runs | plan.fails), story
        assert not plan.forced & set(restored), story
        assert set(ran.tasks("stage_cache_miss")) == plan.runs | plan.fails | plan.delivers, story
        assert set(ran.tasks("stage_delivered")) == plan.delivers, story
        for number, event in enumerate(ran.events):
            if event["event"] == "stage_running":
                earlier = [e for e in ran.events[:number] if e["event"] == "stage_cache_miss"]
                assert any(e["task"] == event["task"] and e["reasons"] for e in earlier), story
        for point, outputs in plan.outputs.items():
            for files in outputs.values():
                for path, tree in files:
                    assert read_tree(self.world.directory(point) / path) == tree, f"{point.name}: {path}\n{story}"
        for copy, content in plan.copies.items():
            assert copy.read_bytes() == content, f"{copy}\n{story}"
        if not plan.error:
            assert self.world.leftovers() == [], story
        assert self.treasures <= self.world.contents(), story

    def compare_with_a_clean_build(self) -> None:
        """The same sources in a fresh directory give the same bytes."""
        fresh = self.base / "fresh"
        shutil.copytree(self.world.root, fresh, ignore=shutil.ignore_patterns("jobs", "out", "__pycache__"))
        status = self.launcher.run(fresh, env=self.env)
        plan = self.world.plan()
        assert status == (1 if plan.fails else 0), self.launcher.out.read_text()
        for point, outputs in plan.outputs.items():
            for path, tree in (item for files in outputs.values() for item in files):
                assert read_tree(fresh / "jobs" / point.job / point.folder / path) == tree, point.name

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def no_process_is_left(self) -> None:
        """Between the steps nothing runs."""
        assert wait_for_end(f"MEDIABUILD_TEST={self.base.name}") == []


@pytest.mark.skipif(LONG_MINUTES > 0, reason="the long mode runs instead")
def test_any_history_ends_with_a_clean_builds_bytes(launcher: Launcher) -> None:
    """Random histories, the same ones each time: nothing runs without a reason, nothing stale is skipped."""
    AnyHistory.launcher = launcher
    run_state_machine_as_test(AnyHistory, settings=CI)


@pytest.mark.skipif(not LONG_MINUTES, reason="MEDIABUILD_LONG=MINUTES runs it")
def test_new_histories_for_a_while(launcher: Launcher) -> None:
    """New random histories until the time is up."""
    AnyHistory.launcher = launcher
    deadline = time.monotonic() + LONG_MINUTES * 60
    while time.monotonic() < deadline:
        number = random.SystemRandom().randrange(2**32)
        print(f"seed {number}: after {AnyHistory.statistics()}", flush=True)
        hypothesis.seed(number)(AnyHistory)
        run_state_machine_as_test(AnyHistory, settings=LONG)
    print(AnyHistory.statistics())
