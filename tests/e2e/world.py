"""A project on disk with a random graph: its files, its tasks, and what lies in its jobs.

Not here: what a run must do with it (`oracle`).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from tests.e2e.graphs import FILES, MODULE, OWN_STAGE, Node

CODE = {"own.py": OWN_STAGE, "_shared.py": MODULE, "_hidden.py": MODULE}  # file in stages/ → its text, with a salt


At = tuple[tuple[str, str], ...]  # key of a matrix, and the value that it takes
ALL = ".all"  # stands for the job in a task over all jobs


@dataclass(frozen=True)
class Point:
    """A task: a stage of a job, or of all jobs, and of matrix values."""

    stage: str
    job: str
    at: At = ()

    @property
    def value(self) -> str:
        """The name of its matrix values."""
        return "-".join(value for _, value in self.at)

    @property
    def name(self) -> str:
        """As doit calls it."""
        return ":".join(filter(None, (self.stage, self.job, self.value)))

    @property
    def key(self) -> str:
        """What the names of its state begin with."""
        return "@".join(filter(None, (self.stage, self.value)))

    @property
    def folder(self) -> str:
        """Its directory, relative to the job's."""
        return "/".join(filter(None, (self.stage, self.value)))


def natural(name: object) -> list[int | str]:
    """A key for sorting: numbers by what they are."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", str(name))]


def by_value(at: At) -> list[list[int | str]]:
    """A key for sorting combinations of matrix values."""
    return [natural(value) for _, value in at]


class World:
    """The project on disk, and the graph that its `pipeline.toml` declares.

    Args:
        root: the project's directory.
        folders: its sources are folders, each with a file `main.txt` and maybe others.
    """

    def __init__(self, root: Path, nodes: list[Node], *, folders: bool = False) -> None:
        self.root = root
        self.folders = folders
        self.nodes = {node.name: node for node in nodes}
        self.job_times: dict[tuple[str, str], int] = {}
        self.checksum = "blake3"
        self.salts = dict.fromkeys(CODE, "salt")

    def save(self) -> None:
        """Write `pipeline.toml` and the project's own stage."""
        first = self.nodes[self.order()[0]]
        first.when = first.collect = False  # so that each job has a task
        first.values = FILES if first.of_files else first.values
        for node in self.nodes.values():
            node.settle(folders=self.folders)
        jobs: dict[str, Any] = {}
        for (job, stage), times in self.job_times.items():
            if not self.nodes[stage].collect:
                jobs.setdefault(job, {"params": {}})["params"][stage] = {"times": times}
        stages = {node.name: node.in_toml() for node in self.nodes.values()}
        document = {
            "pipeline": {"sources": ["media/*/" if self.folders else "media/**/*.txt"], "checksum": self.checksum},
            "stages": stages,
            "jobs": jobs,
        }
        (self.root / "pipeline.toml").write_text(tomli_w.dumps(document))
        if any(node.kind == "own" for node in self.nodes.values()):
            (self.root / "stages").mkdir(exist_ok=True)
            for name, text in CODE.items():
                (self.root / "stages" / name).write_text(text.format(salt=self.salts[name]))

    def reload_code(self) -> None:
        """Which salts the files in stages/ have, whoever wrote them."""
        for name in CODE:
            file = self.root / "stages" / name
            if file.exists():
                self.salts[name] = file.read_text().partition('SALT = "')[2].partition('"')[0]

    def jobs(self) -> dict[str, Path]:
        """Job → source."""
        media = self.root / "media"
        if self.folders:
            return {folder.name: folder for folder in sorted(media.iterdir()) if folder.is_dir()}
        return {str(file.relative_to(media))[:-4]: file for file in sorted(media.rglob("*.txt"))}

    def source_name(self, job: str) -> str:
        """The file that makes a job, or makes its folder one."""
        return f"media/{job}/main.txt" if self.folders else f"media/{job}.txt"

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
        return {text.removeprefix("?").split(".")[0] for text in self.nodes[stage].reads} & self.nodes.keys()

    def points(self) -> list[Point]:
        """All tasks, dependencies first."""
        places = [(stage, job) for stage in self.order() for job in self.places(stage)]
        points = [Point(stage, job, at) for stage, job in places for at in self.combinations(stage, job)]
        return [point for point in points if self.exists(point)]

    def places(self, stage: str) -> list[str]:
        """The jobs of a stage, or what stands for all of them."""
        return [ALL] if self.nodes[stage].collect else sorted(self.jobs(), key=natural)

    def combinations(self, stage: str, job: str) -> list[At]:
        """The combinations of the values of a stage's matrix in a job; without a matrix, an empty one."""
        node = self.nodes[stage]
        choices: dict[str, list[str]] = {"v": [*node.listed], "u": [*node.more]}
        if isinstance(node.values, str):
            choices["v"] = [file.stem for _, file in self.files(Point(stage, job), node.values)]
        of_keys = [choices[key] for key in node.keys]
        return [tuple(zip(node.keys, values, strict=True)) for values in itertools.product(*of_keys)]

    def exists(self, point: Point) -> bool:
        """Whether the job has the stage: its condition holds, and what it can't do without is there."""
        node = self.nodes[point.stage]
        if node.conditional and not (self.producers(point, node.reads[0]) or self.files(point, node.reads[0])):
            return False
        needed = [text for text in node.reads if node.needs_input(text) and self.declared(point, text)]
        return all(self.producers(point, text) for text in needed)

    def misses(self, point: Point, absent: Collection[Point] = ()) -> bool:
        """Whether it fails, since a file is not there that it reads, or that a task would be of which it reads.

        Args:
            absent: tasks that others may be made without; of each kind they need one.
        """
        node = self.nodes[point.stage]
        needed = [text for text in node.reads if node.needs_input(text)]
        if any(self.producers(point, text) and not self.taken(point, text, absent) for text in needed):
            return True
        needed = [text for text in needed if "/" in text or not node.collect]
        return not all(self.declared(point, text) or self.files(point, text) for text in needed)

    def taken(self, point: Point, reference: str, absent: Collection[Point]) -> list[Point]:
        """The tasks behind a reference, without those that the task is made without."""
        return [p for p in self.producers(point, reference) if p not in absent or not self.may_lack(point, p)]

    def may_lack(self, point: Point, producer: Point) -> bool:
        """Whether a task is made without one that fails: over all jobs that of a job, of all values an optional one."""
        if point.job == ALL:
            return producer.job != ALL
        return self.nodes[producer.stage].optional and self.fans_in(point, producer)

    def fans_in(self, point: Point, producer: Point) -> bool:
        """Whether a task reads all values of a key of the producer's matrix."""
        return not dict(producer.at).keys() <= dict(point.at).keys()

    def files(self, point: Point, reference: str) -> list[tuple[str, Path]]:
        """What a path or glob matches, in order: what manifests call it, and where it is."""
        reference, source = reference.removeprefix("?"), self.jobs().get(point.job, self.root)
        inside = self.folders and reference.startswith("source")
        if reference == "source":
            return [("source" if inside else str(source.relative_to(self.root)), source)]
        if "/" not in reference:
            return []
        base = source if inside else self.root
        pattern = reference.removeprefix("source/").removeprefix("./")
        pattern = pattern.replace("{job}", point.job).replace("{v}", dict(point.at).get("v", ""))
        files = sorted(base.glob(pattern), key=natural) if "*" in pattern else [base / pattern]
        return [("source/" * inside + str(file.relative_to(base)), file) for file in files if file.exists()]

    def producers(self, point: Point, reference: str) -> list[Point]:
        """The tasks behind a reference, by job and value; a matrix that the reader lacks gives all values."""
        return [producer for producer in self.declared(point, reference) if self.exists(producer)]

    def declared(self, point: Point, reference: str) -> list[Point]:
        """Those, and what would be if the job had the stage."""
        stage = reference.removeprefix("?").partition(".")[0]
        if stage not in self.nodes:
            return []
        places = self.places(stage)
        jobs = places if ALL in (point.job, *places) else [point.job]
        found = [Point(stage, job, at) for job in jobs for at in sorted(self.combinations(stage, job), key=by_value)]
        own = dict(point.at)
        return [producer for producer in found if all(own.get(key, value) == value for key, value in producer.at)]

    def all_read(self, point: Point, absent: Collection[Point]) -> list[Point]:
        """The tasks that a task reads."""
        return [producer for text in self.nodes[point.stage].reads for producer in self.taken(point, text, absent)]

    def closure(self, names: list[str]) -> set[str]:
        """The tasks and all that they need."""
        found: set[str] = set()
        for point in reversed(self.points()):
            if point.name in names or point.name in found:
                found.add(point.name)
                found |= {producer.name for producer in self.all_read(point, ())}
        return found

    def directory(self, point: Point) -> Path:
        """Where its outputs and its manifest are."""
        return self.root / "jobs" / point.job / point.folder

    def params(self, point: Point, times: dict[str, int]) -> dict[str, Any]:
        """The effective params."""
        node, at = self.nodes[point.stage], dict(point.at)
        params = {"times": node.times, "word": node.word_of(at.get("v", ""))}
        if (point.job, point.stage) in self.job_times:
            params["times"] = self.job_times[point.job, point.stage]
        if point.stage in times:
            params["times"] = times[point.stage]
        return params | (dict.fromkeys("uv", "") if node.kind == "own" else {}) | at

    def leftovers(self, withdrawn: bool = False) -> list[str]:
        """What a finished run must not leave behind: temporary directories, and hidden files beside results.

        Args:
            withdrawn: also of tasks that are no more, which `clean --orphans` removes.
        """
        left = []
        for job in (*self.jobs(), ALL):
            ours = tuple(f"{point.key}." for point in self.points() if point.job == job)
            folders = [self.root / "jobs" / job / ".mediabuild" / name for name in ("tmp", "swap")]
            paths = [path for folder in folders if folder.exists() for path in folder.iterdir()]
            left += [path for path in paths if withdrawn or path.name.startswith(ours)]
        places = [*map(self.directory, self.points()), *(copy.parent for copy in (self.root / "out").rglob("*"))]
        left += [path for place in places for path in place.glob(".*")]
        left += [path for path in (self.root / "deep", self.root / "link") if path.is_symlink() or path.exists()]
        return sorted(str(path.relative_to(self.root)) for path in left)

    def failed_before(self, point: Point) -> bool:
        """Whether it is noted that the task failed last time."""
        return (self.root / "jobs" / point.job / ".mediabuild/marks" / f"{point.key}.failed").exists()

    def contents(self) -> set[bytes]:
        """The content of every file in the jobs' directories and among the copies."""
        places = (self.root / "jobs", self.root / "out")
        return {file.read_bytes() for place in places for file in place.rglob("*") if file.is_file()}
