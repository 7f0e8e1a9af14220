"""A project whose every byte can be foretold: a random graph of small stages, an oracle, and what a run must do.

The oracle is plain Python over the files that are there. It shares nothing with the engine but the
manifest's documented form, so that both would have to be wrong in the same way.

Not here: which histories are tried (`test_any_history`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import blake3
import tomli_w

Tree = bytes | dict[str, bytes]  # a file, or a directory: relative path → bytes
Outputs = dict[str, list[tuple[str, Tree]]]  # output name → its paths in the stage's directory

ALL = (
    'show() { if [ -d "$1" ]; then for x in "$1"/*; do if [ -e "$x" ]; then show "$x"; fi; done; else cat "$1"; fi; }\n'
    'all() { for f in "$@"; do show "$f"; done; }\n'
    'repeat() { n=$1; shift; i=0; while [ "$i" -lt "$n" ]; do all "$@"; i=$((i+1)); done; }\n'
)
SCRIPTS = {  # $1 … are: the output, times, word, value, the inputs
    "join": 'o=$1 n=$2 w=$3 v=$4; shift 4; { repeat "$n" "$@"; printf "%s\\n" "$w$v"; } > "$o"',
    "head": 'o=$1 n=$2; shift 4; all "$@" | head -c "$n" > "$o"',
    "count": 'o=$1; shift 4; all "$@" | wc -c > "$o"',
    "slow": 'o=$1 n=$2 w=$3 v=$4; shift 4; echo part > "$o"; sleep 0.03; '
    '{ repeat "$n" "$@"; printf "%s\\n" "$w$v"; } > "$o"',
    "split": 'o=$1 n=$2 w=$3 v=$4; shift 4; mkdir "$o"; i=0; while [ "$i" -lt "$n" ]; do mkdir "$o/d$i"; '
    '{ all "$@"; printf "%s\\n" "$i$w$v"; } > "$o/d$i/part"; i=$((i+1)); done',
    "pair": 'o=$1 n=$2 w=$3 v=$4; shift 4; { repeat "$n" "$@"; printf "%s\\n" "$w$v"; } > "$o"; '
    'all "$@" | wc -c > "${o%out.txt}sub/size"',
}
BROKEN = "exit 7; "
FILE_KINDS = ("join", "head", "count", "slow")
OWN_STAGE = '''"""A stage of the project's own."""

import msgspec

from mediabuild.stage import Context, stage

SALT = "{salt}"


class OwnParams(msgspec.Struct, forbid_unknown_fields=True):
    times: int = 1
    word: str | bool | int | float = ""
    v: str = ""


@stage(version=1, inputs={{}}, optional={{"i0": "", "i1": "", "i2": "", "i3": ""}}, outputs={{"out": "out.txt"}})
def own(ctx: Context, params: OwnParams) -> None:
    found = b""
    for name in ("i0", "i1", "i2", "i3"):
        for path in ctx.inputs(name).values():
            files = sorted(path.rglob("*"), key=lambda p: p.parts) if path.is_dir() else [path]
            found += b"".join(file.read_bytes() for file in files if file.is_file())
    ctx.output("out").write_bytes(found * params.times + f"{{SALT}}{{params.v}}".encode())
'''


@dataclass
class Node:
    """A stage of the random graph.

    Args:
        reads: references, as `pipeline.toml` writes them; the input names are i0, i1 …
        values: its matrix over `v`; empty for none.
        file: the name of its output file.
    """

    name: str
    kind: str
    reads: list[str]
    times: int = 1
    word: Any = "w"
    values: tuple[str, ...] = ()
    file: str = "out.txt"
    deliver: bool = False
    broken: bool = False

    @property
    def outputs(self) -> dict[str, str]:
        """As `pipeline.toml` writes them."""
        return {
            "split": {"out": "parts"},
            "pair": {"out": "out.txt", "size": "sub/size"},
            "own": {"out": "out.txt"},
        }.get(self.kind, {"out": self.file})

    def command(self) -> list[str]:
        """The argv of a command stage, with its placeholders."""
        script = ALL + (BROKEN if self.broken else "") + SCRIPTS[self.kind]
        value = "{params.v}" if self.values else ""
        inputs = [f"{{inputs.i{number}}}" for number in range(len(self.reads))]
        return ["sh", "-c", script, self.name, "{outputs.out}", "{params.times}", "{params.word}", value, *inputs]

    def table(self) -> dict[str, Any]:
        """Its table in `pipeline.toml`."""
        table: dict[str, Any] = {"inputs": {f"i{n}": text for n, text in enumerate(self.reads)}}
        table["params"] = {"times": self.times, "word": self.word}
        if self.kind == "own":
            table["uses"] = "own"
        else:
            table |= {"command": self.command(), "outputs": self.outputs}
        if self.values:
            table["matrix"] = {"v": list(self.values)}
        if self.deliver:
            table["deliver"] = f"out/{{job}}-{self.name}" + ("-{v}" if self.values else "")
        return table


@dataclass(frozen=True)
class Point:
    """A task: a stage of a job, and of a matrix value."""

    stage: str
    job: str
    value: str = ""

    @property
    def name(self) -> str:
        """As doit calls it."""
        return ":".join(filter(None, (self.stage, self.job, self.value)))

    @property
    def folder(self) -> str:
        """Its directory, relative to the job's."""
        return "/".join(filter(None, (self.stage, self.value)))


@dataclass
class Plan:
    """What a run must do.

    Args:
        error: nothing runs, since a range needs something that is not there.
        runs: tasks that run, or whose earlier outputs come back. fails, blocked: tasks.
        delivers: tasks that copy their outputs. forced: tasks that must really run.
        outputs, copies: what is there afterwards.
    """

    error: bool = False
    runs: set[str] = field(default_factory=set)
    fails: set[str] = field(default_factory=set)
    blocked: set[str] = field(default_factory=set)
    delivers: set[str] = field(default_factory=set)
    outputs: dict[Point, Outputs] = field(default_factory=dict)
    copies: dict[Path, bytes] = field(default_factory=dict)
    forced: set[str] = field(default_factory=set)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.runs or self.fails or self.delivers)


def digest(content: bytes) -> str:
    """As in manifests."""
    return "blake3:" + blake3.blake3(content).hexdigest()


def flat(tree: Tree) -> bytes:
    """All bytes of a file or directory, in the order of names."""
    if isinstance(tree, bytes):
        return tree
    return b"".join(tree[name] for name in sorted(tree, key=lambda name: name.split("/")))


def labelled(label: str, tree: Tree) -> dict[str, str]:
    """Label → digest, as a manifest records a file or directory."""
    if isinstance(tree, bytes):
        return {label: digest(tree)}
    return {f"{label}/{name}": digest(content) for name, content in tree.items()} or {label + "/": digest(b"")}


def read_tree(path: Path) -> Tree:
    """A file or directory on disk."""
    if path.is_dir():
        return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}
    return path.read_bytes()


def text(value: Any) -> str:
    """A param's value as a command gets it."""
    return value if isinstance(value, str) else json.dumps(value)


class World:
    """The project on disk, and the graph that its `pipeline.toml` declares.

    Args:
        root: the project's directory.
    """

    def __init__(self, root: Path, nodes: list[Node]) -> None:
        self.root = root
        self.nodes = {node.name: node for node in nodes}
        self.job_times: dict[tuple[str, str], int] = {}
        self.salt = "salt"

    def save(self) -> None:
        """Write `pipeline.toml` and the project's own stage."""
        jobs: dict[str, Any] = {}
        for (job, stage), times in self.job_times.items():
            jobs.setdefault(job, {"params": {}})["params"][stage] = {"times": times}
        stages = {node.name: node.table() for node in self.nodes.values()}
        document = {"pipeline": {"sources": ["media/**/*.txt"]}, "stages": stages, "jobs": jobs}
        (self.root / "pipeline.toml").write_text(tomli_w.dumps(document))
        own = OWN_STAGE.format(salt=self.salt)
        if any(node.kind == "own" for node in self.nodes.values()):
            (self.root / "stages").mkdir(exist_ok=True)
            (self.root / "stages" / "own.py").write_text(own)

    def jobs(self) -> dict[str, Path]:
        """Job → source."""
        media = self.root / "media"
        return {str(file.relative_to(media))[:-4]: file for file in sorted(media.rglob("*.txt"))}

    def order(self) -> list[str]:
        """The canonical order of the stages: topological, ties in the order of the file."""
        waiting, order = dict(self.nodes), []
        while waiting:
            name = next(n for n in waiting if not self.needs(n) & waiting.keys())
            order.append(name)
            del waiting[name]
        return order

    def needs(self, stage: str) -> set[str]:
        """The stages that a stage reads."""
        return {text.split(".")[0] for text in self.nodes[stage].reads} & self.nodes.keys()

    def points(self) -> list[Point]:
        """All tasks, dependencies first."""
        stages = [(stage, self.nodes[stage].values or ("",)) for stage in self.order()]
        return [Point(stage, job, value) for job in self.jobs() for stage, values in stages for value in values]

    def producers(self, point: Point, reference: str) -> list[Point]:
        """The tasks behind a reference; a matrix that the reader lacks gives them all, by value."""
        stage = reference.partition(".")[0]
        if stage not in self.nodes:
            return []
        values = self.nodes[stage].values or ("",)
        if point.value and values != ("",):
            values = (point.value,)
        return [Point(stage, point.job, value) for value in sorted(values)]

    def closure(self, names: list[str]) -> set[str]:
        """The tasks and all that they need."""
        found: set[str] = set()
        for point in reversed(self.points()):
            if point.name in names or point.name in found:
                found.add(point.name)
                found |= {p.name for text in self.nodes[point.stage].reads for p in self.producers(point, text)}
        return found

    def directory(self, point: Point) -> Path:
        """Where its outputs and its manifest are."""
        return self.root / "jobs" / point.job / point.folder

    def params(self, point: Point, times: dict[str, int]) -> dict[str, Any]:
        """The effective params."""
        node = self.nodes[point.stage]
        params = {"times": node.times, "word": node.word}
        if (point.job, point.stage) in self.job_times:
            params["times"] = self.job_times[point.job, point.stage]
        if point.stage in times:
            params["times"] = times[point.stage]
        if point.value or node.kind == "own":
            params["v"] = point.value
        return params

    def read(self, point: Point, reference: str, made: dict[Point, Outputs]) -> Iterator[tuple[str, Tree]]:
        """(label, content) of all that a reference hands over, in order."""
        reference = reference.removeprefix("?")
        if reference == "source":
            source = self.jobs()[point.job]
            yield str(source.relative_to(self.root)), source.read_bytes()
        elif "/" in reference:
            pattern = reference.replace("{job}", point.job).removeprefix("./")
            files = sorted(self.root.glob(pattern)) if "*" in pattern else [self.root / pattern]
            for file in files:
                if file.exists():
                    yield str(file.relative_to(self.root)), read_tree(file)
        else:
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
        if node.kind == "pair":
            return {"out": [(path, joined)], "size": [("sub/size", f"{len(content)}\n".encode())]}
        if node.kind == "own":
            return {"out": [(path, content * times + (self.salt + point.value).encode())]}
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
        """The outputs that are there, or None when they aren't what the manifest records."""
        folder, found, recorded = self.directory(point), Outputs(), {}
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
        plan, stopped = Plan(forced=forced or set()), set()
        for point in self.points():
            manifest = self.manifest(point)
            there = self.on_disk(point, manifest) if manifest is not None else None
            if selected is not None and point.name not in selected:
                if there is not None:
                    plan.outputs[point] = there
                continue
            node = self.nodes[point.stage]
            producers = [p for reference in node.reads for p in self.producers(point, reference)]
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
            fresh = manifest is not None and there is not None and self.same(point, manifest, params, inputs)
            if there is not None and fresh and point.name not in plan.forced:
                plan.outputs[point] = there
            elif node.broken:
                plan.fails.add(point.name)
                stopped.add(point)
                continue
            else:
                plan.runs.add(point.name)
                plan.outputs[point] = self.compute(point, params, inputs)
            for copy, content in self.copies(point, plan.outputs[point]).items():
                plan.copies[copy] = content
                if not copy.is_file() or copy.read_bytes() != content:
                    plan.delivers.add(point.name)
        if plan.error:
            return Plan(error=True)
        return plan

    def same(
        self, point: Point, manifest: dict[str, Any], params: dict[str, Any], inputs: list[list[tuple[str, Tree]]]
    ) -> bool:
        """Whether the recorded facts are the present ones."""
        node = self.nodes[point.stage]
        if node.kind == "own":
            code = {"file": digest((self.root / "stages/own.py").read_bytes())}
        else:
            written = {"ensure_ascii": False, "separators": (",", ":")}
            outputs = json.dumps(node.outputs, sort_keys=True, **written)
            code = {"command": json.dumps(node.command(), **written), "outputs": outputs}
        files = {f"i{n}": {k: v for f in found for k, v in labelled(*f).items()} for n, found in enumerate(inputs)}
        facts = json.dumps([code, params, files], sort_keys=True)  # as text: 1, 1.0 and true are equal in Python
        return facts == json.dumps([manifest["code"], manifest["params"], manifest["inputs"]], sort_keys=True)

    def leftovers(self) -> list[str]:
        """What a finished run must not leave behind: temporary directories, and hidden files beside results."""
        states = [self.root / "jobs" / job / ".mediabuild" for job in self.jobs()]
        folders = [state / name for state in states for name in ("tmp", "swap")]
        left = [path for folder in folders if folder.exists() for path in folder.iterdir()]
        places = [*map(self.directory, self.points()), *(copy.parent for copy in (self.root / "out").rglob("*"))]
        left += [path for place in places for path in place.glob(".*")]
        return sorted(str(path.relative_to(self.root)) for path in left)

    def contents(self) -> set[bytes]:
        """The content of every file in the jobs' directories and among the copies."""
        places = (self.root / "jobs", self.root / "out")
        return {file.read_bytes() for place in places for file in place.rglob("*") if file.is_file()}
