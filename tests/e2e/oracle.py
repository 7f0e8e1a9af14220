"""What a run must do, and every byte that it must leave: plain Python over the files that are there.

It shares nothing with the engine but the manifest's documented form, so that both would have to be wrong in the
same way.

Not here: which histories are tried (`history`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from os.path import splitext
from pathlib import Path, PurePath
from typing import Any

from tests.e2e.trees import File, alike, labelled, plain, read_file, read_tree, same_file, same_files
from tests.e2e.world import ALL, CODE, Point, World, natural
from tests.e2e.written import Item, Outputs, text, written


@dataclass
class Plan:
    """What a run must do.

    Args:
        error: nothing runs, since a range needs something that is not there.
        runs: tasks that run, or whose earlier outputs come back. fails, blocked: tasks.
        unstarted: of those that fail, the ones that miss a file.
        again: of these, temp tasks that are made again → the tasks that read them and are about to run.
        delivers: tasks that copy their outputs. forced: tasks that must really run.
        outputs, copies: what is there afterwards.
        held: tasks that fail or wait for one that does, in this run or the last that tried.
        absent: these, and what was never built: a task over all jobs is made without them.
    """

    error: bool = False
    runs: set[str] = field(default_factory=set)
    again: dict[str, set[str]] = field(default_factory=dict)
    fails: set[str] = field(default_factory=set)
    unstarted: set[str] = field(default_factory=set)
    blocked: set[str] = field(default_factory=set)
    delivers: set[str] = field(default_factory=set)
    outputs: dict[Point, Outputs] = field(default_factory=dict)
    copies: dict[Path, bytes] = field(default_factory=dict)
    forced: set[str] = field(default_factory=set)
    held: set[Point] = field(default_factory=set)
    absent: set[Point] = field(default_factory=set)

    def hold(self, point: Point) -> None:
        """A task fails, or waits for one that does."""
        self.held.add(point)
        self.absent.add(point)

    @property
    def stopped(self) -> set[str]:
        """The tasks that fail or wait for one that does."""
        return self.fails | self.blocked

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.runs or self.fails or self.delivers)

    def spared(self, restored: set[str]) -> set[str]:
        """The temp tasks that needn't be made again, since all that would read them come back or are spared, too."""
        found: set[str] = set()
        while more := {name for name, readers in self.again.items() if readers <= restored | found} - found:
            found |= more
        return found


def compact(value: Any) -> str:
    """JSON as manifests hold it in a text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Oracle(World):
    """A project, and what is to become of it."""

    def inputs(self, point: Point, plan: Plan) -> list[list[Item]]:
        """What its inputs hold."""
        return [list(self.read(point, reference, plan)) for reference in self.nodes[point.stage].reads]

    def read(self, point: Point, reference: str, plan: Plan) -> Iterator[Item]:
        """All that a reference hands over, in order."""
        reference = reference.removeprefix("?")
        for label, file in self.files(point, reference):
            yield Item(label, plain(read_tree(file)), "" if file.is_dir() else file.stem)
        if "/" not in reference and reference != "source":
            _, _, output = reference.partition(".")
            for producer in self.taken(point, reference, plan.absent):
                folder = f"{producer.job}/" * (producer.job != point.job) + producer.folder
                of_job = point.job == ALL != producer.job
                above = ":".join([producer.job] * of_job + [producer.value] * self.fans_in(point, producer))
                made = plan.outputs[producer]
                handed = [item for name in ([output] if output else sorted(made)) for item in made.get(name, [])]
                for path, tree in handed:
                    inside = "" if above and output and len(handed) == 1 else splitext(path)[0]
                    place = str(PurePath(above, inside)) if above else PurePath(path).stem * (path != "parts")
                    yield Item(f"{folder}/{path}", tree, place)

    def compute(self, point: Point, plan: Plan, times: dict[str, int]) -> Outputs | None:
        """What the task's program writes; None where it fails."""
        params, inputs = self.params(point, times), self.inputs(point, plan)
        return written(self.nodes[point.stage], dict(point.at), params, inputs, self.salts)

    def manifest(self, point: Point) -> dict[str, Any] | None:
        """The recorded facts, if they are sound."""
        try:
            found = json.loads((self.directory(point) / "manifest.json").read_bytes())
        except (OSError, ValueError):
            return None
        if not isinstance(found, dict) or "inputs" not in found:
            return None
        lines = sorted(
            f"{name} {json.dumps(path, ensure_ascii=False)} {value}\n"
            for name, files in found["inputs"].items()
            for path, value in files.items()
        )
        checksum = "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()
        return found if checksum == found["inputs_checksum"] else None

    def on_disk(self, point: Point, manifest: dict[str, Any]) -> Outputs | None:
        """The outputs that are there, or None when they aren't what the manifest records.

        Of a temp stage some may have been deleted; then the record stands for all of them.
        """
        folder = self.directory(point)
        if self.nodes[point.stage].temp and self.gone(point, manifest):
            return self.recorded(point, manifest)
        found: Outputs = {}
        recorded: dict[str, str] = {}
        declared = self.nodes[point.stage].outputs
        for name, files in manifest["outputs"].items():
            recorded |= files
            directory = declared.get(name, "")
            paths = [directory] if directory == "parts" else sorted(files, key=natural)
            try:
                found[name] = [(path, read_tree(folder / path)) for path in paths]
            except OSError:
                return None
        actual = {k: v for files in found.values() for path, tree in files for k, v in labelled(path, tree).items()}
        return found if same_files(actual, recorded) else None

    def gone(self, point: Point, manifest: dict[str, Any]) -> bool:
        """Whether a recorded output isn't there."""
        paths = [path for files in manifest["outputs"].values() for path in files]
        return not all((self.directory(point) / path).exists() for path in paths)

    def recorded(self, point: Point, manifest: dict[str, Any]) -> Outputs | None:
        """The digests that stand for deleted outputs, or None where one that is there is another."""
        folder, declared = self.directory(point), self.nodes[point.stage].outputs
        for name, files in manifest["outputs"].items():
            for path, value in files.items():
                if (folder / path).is_file() and not same_file(read_file(folder / path), value):
                    return None
            there = folder / declared.get(name, "none")
            below = there.rglob("*") if any(path.startswith(there.name + "/") for path in files) else ()
            if any(file.is_file() and str(file.relative_to(folder)) not in files for file in below):
                return None
        return {name: list(files.items()) for name, files in manifest["outputs"].items()}

    def deleted(self, point: Point, plan: Plan) -> list[Point]:
        """The tasks whose deleted outputs a task reads."""
        outputs = {p: plan.outputs.get(p, {}).values() for p in self.all_read(point, plan.absent)}
        return [p for p in outputs if any(isinstance(tree, str) for files in outputs[p] for _, tree in files)]

    def lacks(self, point: Point, plan: Plan, selected: set[str] | None) -> bool:
        """Whether a task reads deleted outputs that this run may not make again."""
        found = self.deleted(point, plan)
        return selected is not None and any(p.name not in selected or self.lacks(p, plan, selected) for p in found)

    def make_again(self, point: Point, plan: Plan, times: dict[str, int]) -> None:
        """What the task reads was deleted, and it is about to run."""
        for producer in self.all_read(point, plan.absent):
            if producer.name in plan.again:  # another reader has asked for it
                plan.again[producer.name].add(point.name)
        for producer in self.deleted(point, plan):
            self.make_again(producer, plan, times)
            plan.again[producer.name] = {point.name}
            plan.runs.add(producer.name)
            made = self.compute(producer, plan, times)
            assert made is not None, "it was made before, from the same"
            plan.outputs[producer] = made

    def copies(self, point: Point, outputs: Outputs) -> dict[Path, bytes]:
        """The copies that `deliver` asks for."""
        node = self.nodes[point.stage]
        if not node.deliver:
            return {}
        name = f"{'all' if node.collect else point.job}-{point.stage}" + (f"-{point.value}" if point.value else "")
        found = {}
        for path, tree in outputs["out"]:
            assert isinstance(tree, bytes)
            found[self.root / "out" / (f"{name}/{path}" if node.in_pieces else name + path[path.index(".") :])] = tree
        return found

    def plan(
        self,
        selected: set[str] | None = None,
        *,
        ranged: bool = False,
        forced: set[str] | None = None,
        times: dict[str, int] | None = None,
    ) -> Plan:
        """What a run must do now.

        Args:
            selected: names of tasks; None for all. ranged: they bring no dependencies.
            forced: tasks under `--force`. times: stage → `times` from the command line.
        """
        if selected is not None and not selected:
            return Plan(error=True)  # such as a range of stages that the job doesn't have
        plan = Plan(forced=forced or set())
        may_run: set[Point] = set()  # in a range: as far as can be told before anything runs
        for point in self.points():
            manifest = self.manifest(point)
            there = self.on_disk(point, manifest) if manifest is not None else None
            producers, params = self.all_read(point, plan.absent), self.params(point, times or {})
            known = all(p in plan.outputs for p in producers)
            sound = manifest is not None and there is not None and known and not self.misses(point, plan.absent)
            fresh = sound and self.same(point, manifest, params, self.inputs(point, plan))
            if any(p in plan.held and not self.may_lack(point, p) for p in producers):
                plan.hold(point)
            if selected is not None and point.name not in selected:
                if there is not None:
                    plan.outputs[point] = there
                if self.failed_before(point) and not fresh:
                    plan.hold(point)
                if manifest is None:
                    plan.absent.add(point)
                continue
            if ranged and any(p in may_run for p in producers):
                may_run.add(point)
                plan.error = plan.error or self.lacks(point, plan, selected)
            if any(p not in plan.outputs and p.name not in plan.stopped for p in producers):
                assert ranged, "a task is planned before what it reads"
                plan.error = True
                continue
            if any(p.name in plan.stopped for p in producers or (self.all_read(point, ()) if point.job == ALL else ())):
                plan.blocked.add(point.name)
                plan.hold(point)
                continue
            if there is not None and fresh and point.name not in plan.forced:
                plan.outputs[point] = there
                self.note_copies(point, plan)
                continue
            may_run.add(point)
            plan.error = plan.error or self.lacks(point, plan, selected)
            if plan.error:
                continue
            self.make_again(point, plan, times or {})
            misses = self.misses(point, plan.absent)
            made = None if misses else self.compute(point, plan, times or {})
            if made is None:
                plan.fails.add(point.name)
                plan.unstarted |= {point.name} if misses else set()
                plan.hold(point)
                continue
            plan.runs.add(point.name)
            plan.outputs[point] = made
            self.note_copies(point, plan)
        if plan.error:
            return Plan(error=True)
        return plan

    def clean(self) -> dict[Point, Outputs]:
        """What a clean build makes of the sources, files and the pipeline that are there now."""
        plan = Plan()
        for point in self.points():
            can = all(p in plan.outputs for p in self.all_read(point, plan.absent))
            made = self.compute(point, plan, {}) if can and not self.misses(point, plan.absent) else None
            if made is None:
                plan.absent.add(point)
            else:
                plan.outputs[point] = made
        return plan.outputs

    def note_copies(self, point: Point, plan: Plan) -> None:
        """The copies that are to be there, and whether the task has any to make."""
        for copy, content in self.copies(point, plan.outputs[point]).items():
            plan.copies[copy] = content
            if not copy.is_file() or not alike(read_tree(copy), content):
                plan.delivers.add(point.name)

    def same(self, point: Point, manifest: dict[str, Any], params: dict[str, Any], inputs: list[list[Item]]) -> bool:
        """Whether the recorded facts are the present ones."""
        node = self.nodes[point.stage]
        if node.kind == "own":
            names = {"own.py": "file", **{name: f"stages/{name}" for name in CODE if name != "own.py"}}
            code: dict[str, File] = {fact: (self.root / "stages" / name).read_bytes() for name, fact in names.items()}
        else:
            code = {"command": compact(node.command()), "outputs": compact(dict(sorted(node.outputs.items())))}
            code |= ({"each": "i0"} if node.in_pieces else {}) | ({"isolate": "true"} if node.isolate else {})
        shown = json.dumps if node.kind == "own" else text  # a command gets 1 and "1" as the same; 1 == True in Python
        was = {name: fact for name, fact in manifest["code"].items() if name != "order"}  # it follows from the inputs
        then, now = ({name: shown(value) for name, value in of.items()} for of in (manifest["params"], params))
        read = {f"{name}: {path}": value for name, files in manifest["inputs"].items() for path, value in files.items()}
        there = {f"i{number}: {item.label}": item.tree for number, items in enumerate(inputs) for item in items}
        files = {label: file for name, tree in there.items() for label, file in labelled(name, tree).items()}
        return then == now and same_files(code, was) and same_files(files, read)
