"""What a run must do, and every byte that it must leave: plain Python over the files that are there.

It shares nothing with the engine but the manifest's documented form, so that both would have to be wrong in the
same way.

Not here: which histories are tried (`history`).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import blake3

from tests.e2e.world import CODE, Point, World

Tree = bytes | dict[str, bytes] | str  # a file, a directory (relative path → bytes), or the digest of a deleted file
Outputs = dict[str, list[tuple[str, Tree]]]  # output name → its paths in the stage's directory


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


def digest(content: bytes) -> str:
    """As in manifests."""
    return "blake3:" + blake3.blake3(content).hexdigest()


class Program(bytes):
    """The content of an executable."""


class Link(bytes):
    """The content behind a link, and what the link says."""

    to = ""
    program = False

    @classmethod
    def of(cls, content: bytes, to: str) -> Link:
        """A link to a file with this content."""
        link = cls(content)
        link.to, link.program = to, isinstance(content, Program)
        return link


def flat(tree: Tree) -> bytes:
    """All bytes of a file or directory, in the order of names."""
    assert not isinstance(tree, str), "a program reads what was deleted"
    if isinstance(tree, bytes):
        return bytes(tree)
    return b"".join(tree[name] for name in sorted(tree, key=lambda name: name.split("/")))


def plain(tree: Tree) -> Tree:
    """What a person gives: only the bytes count."""
    if isinstance(tree, dict):
        return {name: bytes(content) for name, content in tree.items()}
    return bytes(tree) if isinstance(tree, bytes) else tree


def labelled(label: str, tree: Tree) -> dict[str, str]:
    """Label → digest, as a manifest records a file or directory."""
    if isinstance(tree, str):
        return {label: tree}
    if isinstance(tree, bytes):
        mode = "+x" if isinstance(tree, Program) or getattr(tree, "program", False) else ""
        return {label: digest(tree) + mode + (f"+link:{tree.to}" if isinstance(tree, Link) else "")}
    found = {k: v for name, content in tree.items() for k, v in labelled(f"{label}/{name}", content).items()}
    return found or {label + "/": digest(b"")}


def alike(one: Tree, other: Tree) -> bool:
    """Whether two files or directories are the same: bytes, executables and links."""
    return labelled("", one) == labelled("", other)


def read_tree(path: Path) -> Tree:
    """A file or directory on disk."""
    if path.is_dir():
        files = {str(file.relative_to(path)): read_file(file) for file in path.rglob("*") if file.is_file()}
        empty = [folder for folder in path.rglob("*") if folder.is_dir() and not any(folder.iterdir())]
        return files | {f"{folder.relative_to(path)}/": b"" for folder in empty}  # that they are there is content too
    return read_file(path)


def read_file(path: Path) -> bytes:
    """A file's content, as an executable's or behind a link where it is one."""
    content = Program(path.read_bytes()) if os.access(path, os.X_OK) else path.read_bytes()
    return Link.of(content, os.readlink(path)) if path.is_symlink() else content


def text(value: Any) -> str:
    """A param's value as a command gets it."""
    return value if isinstance(value, str) else json.dumps(value)


def compact(value: Any) -> str:
    """JSON as manifests hold it in a text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Oracle(World):
    """A project, and what is to become of it."""

    def read(self, point: Point, reference: str, made: dict[Point, Outputs]) -> Iterator[tuple[str, Tree]]:
        """(label, content) of all that a reference hands over, in order."""
        reference = reference.removeprefix("?")
        for label, file in self.files(point, reference):
            yield label, plain(read_tree(file))
        if "/" not in reference and reference != "source":
            _, _, output = reference.partition(".")
            for producer in self.producers(point, reference):
                for name in [output] if output else sorted(made[producer]):
                    for path, tree in made[producer].get(name, []):
                        yield f"{producer.folder}/{path}", tree

    def compute(self, point: Point, params: dict[str, Any], inputs: list[list[tuple[str, Tree]]]) -> Outputs:
        """What the task's program writes."""
        node = self.nodes[point.stage]
        content = b"".join(flat(tree) for files in inputs for _, tree in files)
        times, word = params["times"], (text(params["word"]) + point.value).encode()
        joined: Tree = content * times + word + b"\n"
        path = node.outputs["out"]
        if node.kind == "head":
            return {"out": [(path, content[:times])]}
        if node.kind == "count":
            return {"out": [(path, f"{len(content)}\n".encode())]}
        if node.kind == "split":
            parts: Tree = {f"d{n}/part": content + str(n).encode() + word + b"\n" for n in range(times)}
            return {"out": [(path, parts)]}
        if node.kind == "exec":
            return {"out": [(path, Program(joined))]}
        if node.kind == "tools":
            run = Program(joined)
            return {"out": [(path, {"part": joined, "run": run, "link": Link.of(joined, "part"),
                                    "d/up": Link.of(run, "../run")})]}  # fmt: skip
        if node.kind == "pair":
            return {"out": [(path, joined)], "size": [("sub/size", f"{len(content)}\n".encode())]}
        if node.kind == "many":
            each = [(f"p{n}.txt", content + str(n).encode() + word + b"\n") for n in range(times)]
            return {"out": [(path, f"{len(content)}\n".encode())], "each": each}
        if node.kind == "own":
            salts = self.salts["own.py"] + point.value + self.salts["_shared.py"] + self.salts["_hidden.py"]
            return {"out": [(path, content * times + salts.encode())]}
        return {"out": [(path, joined)]}

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
            whole = directory and (folder / directory).is_dir()
            paths = [directory] if whole else sorted({p.split("/")[0] if p.startswith("parts/") else p for p in files})
            try:
                found[name] = [(path, read_tree(folder / path)) for path in paths]
            except OSError:
                return None
        actual = {k: v for files in found.values() for path, tree in files for k, v in labelled(path, tree).items()}
        return found if actual == recorded else None

    def gone(self, point: Point, manifest: dict[str, Any]) -> bool:
        """Whether a recorded output isn't there."""
        paths = [path for files in manifest["outputs"].values() for path in files]
        return not all((self.directory(point) / path).exists() for path in paths)

    def recorded(self, point: Point, manifest: dict[str, Any]) -> Outputs | None:
        """The digests that stand for deleted outputs, or None where one that is there is another."""
        folder, declared = self.directory(point), self.nodes[point.stage].outputs
        for name, files in manifest["outputs"].items():
            for path, value in files.items():
                if (folder / path).is_file() and labelled("", read_file(folder / path))[""] != value:
                    return None
            there = folder / declared.get(name, "none")
            below = there.rglob("*") if any(path.startswith(there.name + "/") for path in files) else ()
            if any(file.is_file() and str(file.relative_to(folder)) not in files for file in below):
                return None
        return {name: list(files.items()) for name, files in manifest["outputs"].items()}

    def deleted(self, point: Point, plan: Plan) -> list[Point]:
        """The tasks whose deleted outputs a task reads."""
        producers = [p for text in self.nodes[point.stage].reads for p in self.producers(point, text)]
        outputs = {p: plan.outputs.get(p, {}).values() for p in producers}
        return [p for p in outputs if any(isinstance(tree, str) for files in outputs[p] for _, tree in files)]

    def lacks(self, point: Point, plan: Plan, selected: set[str] | None) -> bool:
        """Whether a task reads deleted outputs that this run may not make again."""
        found = self.deleted(point, plan)
        return selected is not None and any(p.name not in selected or self.lacks(p, plan, selected) for p in found)

    def make_again(self, point: Point, plan: Plan, times: dict[str, int]) -> None:
        """What the task reads was deleted, and it is about to run."""
        for text in self.nodes[point.stage].reads:
            for producer in self.producers(point, text):
                if producer.name in plan.again:  # another reader has asked for it
                    plan.again[producer.name].add(point.name)
        for producer in self.deleted(point, plan):
            self.make_again(producer, plan, times)
            plan.again[producer.name] = {point.name}
            inputs = [list(self.read(producer, text, plan.outputs)) for text in self.nodes[producer.stage].reads]
            plan.runs.add(producer.name)
            plan.outputs[producer] = self.compute(producer, self.params(producer, times), inputs)

    def copies(self, point: Point, outputs: Outputs) -> dict[Path, bytes]:
        """The copies that `deliver` asks for."""
        node = self.nodes[point.stage]
        if not node.deliver:
            return {}
        path, tree = outputs["out"][0]
        assert isinstance(tree, bytes)
        name = f"{point.job}-{point.stage}" + (f"-{point.value}" if point.value else "")
        return {self.root / "out" / (name + path[path.index(".") :]): tree}

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
        plan, stopped = Plan(forced=forced or set()), set()
        may_run: set[Point] = set()  # in a range: as far as can be told before anything runs
        for point in self.points():
            manifest = self.manifest(point)
            there = self.on_disk(point, manifest) if manifest is not None else None
            if selected is not None and point.name not in selected:
                if there is not None:
                    plan.outputs[point] = there
                continue
            node = self.nodes[point.stage]
            producers = [p for reference in node.reads for p in self.producers(point, reference)]
            if ranged and any(p in may_run for p in producers):
                may_run.add(point)
                plan.error = plan.error or self.lacks(point, plan, selected)
            if any(p in stopped for p in producers):
                plan.blocked.add(point.name)
                stopped.add(point)
                continue
            if any(p not in plan.outputs for p in producers):
                assert ranged, "a task is planned before what it reads"
                plan.error = True
                continue
            params = self.params(point, times or {})
            inputs = [list(self.read(point, reference, plan.outputs)) for reference in node.reads]
            sound = manifest is not None and there is not None and not self.misses(point)
            fresh = sound and self.same(point, manifest, params, inputs)
            if there is not None and fresh and point.name not in plan.forced:
                plan.outputs[point] = there
                self.note_copies(point, plan)
                continue
            may_run.add(point)
            plan.error = plan.error or self.lacks(point, plan, selected)
            if plan.error:
                continue
            self.make_again(point, plan, times or {})
            if node.broken or self.misses(point):
                plan.fails.add(point.name)
                plan.unstarted |= {point.name} if self.misses(point) else set()
                stopped.add(point)
                continue
            plan.runs.add(point.name)
            inputs = [list(self.read(point, reference, plan.outputs)) for reference in node.reads]
            plan.outputs[point] = self.compute(point, params, inputs)
            self.note_copies(point, plan)
        if plan.error:
            return Plan(error=True)
        return plan

    def clean(self) -> dict[Point, Outputs]:
        """What a clean build makes of the sources, files and the pipeline that are there now."""
        made: dict[Point, Outputs] = {}
        for point in self.points():
            reads = self.nodes[point.stage].reads
            fails = self.nodes[point.stage].broken or self.misses(point)
            if not fails and all(p in made for r in reads for p in self.producers(point, r)):
                inputs = [list(self.read(point, reference, made)) for reference in reads]
                made[point] = self.compute(point, self.params(point, {}), inputs)
        return made

    def note_copies(self, point: Point, plan: Plan) -> None:
        """The copies that are to be there, and whether the task has any to make."""
        for copy, content in self.copies(point, plan.outputs[point]).items():
            plan.copies[copy] = content
            if not copy.is_file() or not alike(read_tree(copy), content):
                plan.delivers.add(point.name)

    def same(
        self, point: Point, manifest: dict[str, Any], params: dict[str, Any], inputs: list[list[tuple[str, Tree]]]
    ) -> bool:
        """Whether the recorded facts are the present ones."""
        node = self.nodes[point.stage]
        if node.kind == "own":
            names = {"own.py": "file", **{name: f"stages/{name}" for name in CODE if name != "own.py"}}
            code = {fact: digest((self.root / "stages" / name).read_bytes()) for name, fact in names.items()}
        else:
            code = {"command": compact(node.command()), "outputs": compact(dict(sorted(node.outputs.items())))}
        files = {f"i{n}": {k: v for f in found for k, v in labelled(*f).items()} for n, found in enumerate(inputs)}
        facts = json.dumps([code, params, files], sort_keys=True)  # as text: 1, 1.0 and true are equal in Python
        was = {name: fact for name, fact in manifest["code"].items() if name != "order"}  # it follows from the inputs
        return facts == json.dumps([was, manifest["params"], manifest["inputs"]], sort_keys=True)
