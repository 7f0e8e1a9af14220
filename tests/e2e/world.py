"""A project on disk with a random graph: its files, its tasks, and what lies in its jobs.

Not here: what a run must do with it (`oracle`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from tests.e2e.graphs import MODULE, OWN_STAGE, Node

CODE = {"own.py": OWN_STAGE, "_shared.py": MODULE, "_hidden.py": MODULE}  # file in stages/ → its text, with a salt


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


class World:
    """The project on disk, and the graph that its `pipeline.toml` declares.

    Args:
        root: the project's directory.
    """

    def __init__(self, root: Path, nodes: list[Node]) -> None:
        self.root = root
        self.nodes = {node.name: node for node in nodes}
        self.job_times: dict[tuple[str, str], int] = {}
        self.salts = dict.fromkeys(CODE, "salt")

    def save(self) -> None:
        """Write `pipeline.toml` and the project's own stage."""
        jobs: dict[str, Any] = {}
        for (job, stage), times in self.job_times.items():
            jobs.setdefault(job, {"params": {}})["params"][stage] = {"times": times}
        stages = {node.name: node.table() for node in self.nodes.values()}
        document = {"pipeline": {"sources": ["media/**/*.txt"]}, "stages": stages, "jobs": jobs}
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
