"""Builds one number of jobs of copies with each tool, and asks the tools again.

Not here: other projects (`projects`).
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

from overhead.copies import STAGES, files_of, pipeline_toml, write_copies
from overhead.timing import BUILDS, Cost, in_turn, rotated, run

FIRST_JOBS = 100
MOST_JOBS = {"DVC": 100, "Snakemake": 1000, "doit alone": 1000}
BUILT_BY_SH = {"Snakemake", "DVC"}


class Shelf:
    """One number of jobs, a folder for each tool.

    Args:
        programs: tool → its command. `doit` shares mediabuild's folder.
    """

    def __init__(self, scratch: Path, jobs: int, programs: dict[str, list[str]]) -> None:
        self.jobs = jobs
        self.folder = scratch / f"jobs{jobs}"
        self.programs = {t: c for t, c in programs.items() if jobs <= MOST_JOBS.get(t, sys.maxsize)}

    def home(self, tool: str) -> Path:
        """Where a tool works."""
        return self.folder / ("mediabuild" if tool == "doit" else tool.replace(" ", "-"))

    def build(self) -> None:
        """Write everything and build it once; mediabuild looks once more, and notes that in the manifests."""
        for tool, command in self.programs.items():
            home = self.home(tool)
            if tool != "doit":
                write_copies(home, self.jobs, files_of(tool, self.jobs))
                if tool == "DVC":
                    run([command[0], "init", "--no-scm", "-q"], home)
                if tool in BUILT_BY_SH:
                    run(["sh", "-e", "copy.sh"], home)
                if tool == "DVC":
                    run([command[0], "commit", "-f", "-q"], home)
            for _ in range(BUILDS if tool == "mediabuild" else 1):
                run(command, home)
            print(f"  built {tool}, {self.jobs} jobs", file=sys.stderr, flush=True)

    def last_output(self, tool: str, job: int) -> Path:
        """What the last stage of a job makes."""
        if tool in ("mediabuild", "doit"):
            return self.home(tool) / f"jobs/r{job:05}/s{STAGES - 1}/copy.txt"
        return self.home(tool) / f"out/s{STAGES - 1}/r{job:05}.txt"

    def noops(self, rounds: int) -> dict[str, Cost]:
        """Ask each tool in turn."""
        before = {tool: self.last_output(tool, 0).stat().st_mtime_ns for tool in self.programs}
        costs = in_turn({tool: (command, self.home(tool)) for tool, command in self.programs.items()}, rounds)
        assert before == {tool: self.last_output(tool, 0).stat().st_mtime_ns for tool in self.programs}
        return costs

    def one_changed(self, rounds: int) -> dict[str, Cost]:
        """Append a line to one source, and ask."""
        costs = {tool: Cost() for tool in self.programs}
        for number in range(rounds):
            for tool in rotated(list(self.programs), number):
                job = (number * 37 + 5 * (tool == "doit")) % self.jobs
                time.sleep(0.02)  # for those that compare times
                source = self.home(tool) / f"media/r{job:05}.txt"
                with source.open("a") as file:
                    file.write(f"more {number}\n")
                run(self.programs[tool], self.home(tool), costs[tool])
                assert self.last_output(tool, job).read_bytes() == source.read_bytes(), tool
                if tool in ("mediabuild", "doit"):
                    run(self.programs["mediabuild"], self.home(tool))  # notes the look
        return costs

    def asked(self, rounds: int) -> dict[str, Cost]:
        """Commands that look and run nothing."""
        home, name = self.home, f"s{STAGES - 1}:r{self.jobs // 2:05}"
        commands = {f"mediabuild {c}": ("mediabuild", c.split()) for c in ("check", "status", f"explain {name}")}
        commands |= {"ninja -n": ("ninja", ["-n"]), "make -q": ("make", ["-q"]), "snakemake -n": ("Snakemake", ["-n"])}
        commands = {said: (tool, more) for said, (tool, more) in commands.items() if tool in self.programs}
        ways = {said: ([*self.programs[tool], *more], home(tool)) for said, (tool, more) in commands.items()}
        return in_turn(ways, rounds)


def first_builds(scratch: Path, mediabuild: list[str], rounds: int) -> dict[str, Cost]:
    """The same 800 commands: from `sh`, and as stages, as many at once as there are cores, and one at a time."""
    ways = {"sh": ["sh", "-e", "copy.sh"], "mediabuild": mediabuild, "mediabuild -n 1": [*mediabuild, "-n", "1"]}
    costs = {way: Cost() for way in ways}
    for number in range(rounds):
        for way in rotated(list(ways), number):
            home = scratch / "first" / f"{number}-{way.replace(' ', '')}"
            write_copies(home, FIRST_JOBS, {"pipeline.toml": pipeline_toml()})
            run(ways[way], home, costs[way])
            shutil.rmtree(home)
    return costs


def one_job_built(scratch: Path, mediabuild: list[str], rounds: int) -> Cost:
    """A run that starts, builds the eight stages of one job, and ends."""
    cost = Cost()
    for _ in range(rounds):
        home = scratch / "one"
        write_copies(home, 1, {"pipeline.toml": pipeline_toml()})
        run(mediabuild, home, cost)
        shutil.rmtree(home)
    return cost
