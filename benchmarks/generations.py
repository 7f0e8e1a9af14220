"""Keeping earlier outputs: what it costs on a build, and what it spares when a param is changed back.

    python benchmarks/generations.py [--rounds 3] [--jobs 20] [--mb 20] [--no-docs]

Each job is a text that one command stage writes out many times (`--mb` a job), with a word at its end that is a
param. Four ways with the same commands, one after the other in each round, in an order that rotates:

    mediabuild            as it comes: earlier outputs move aside, by rename
    mediabuild, max_gb=0  keeps none, and so runs again
    DVC                   `dvc repro` with its run cache
    sh                    the bare commands

Each is built with the word `one` (first build), then with `two` (change), then with `one` again (back). Disk is what
the folder takes after that, beside the outputs alone. It writes docs/BENCHMARKS_GENERATIONS.md. Exit status 1 if going
back isn't at least as fast as with DVC, or runs anything.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from overhead.report import machine
from overhead.timing import rotated, run, table
from page import write_page
from peers import ROOT, install_peers

PAGE = ROOT / "docs/BENCHMARKS_GENERATIONS.md"
SCRIPT = 'i=0; while [ "$i" -lt "$3" ]; do cat "$1"; i=$((i+1)); done > "$2"; echo "$4" >> "$2"'
SOURCE_BYTES = 1_000_000
STEPS = ("one", "two", "one")
NAMES = ("first build", "change", "back")


class Way:
    """One way of building, in a folder of its own."""

    def __init__(self, name: str, home: Path, jobs: int, mb: int, dvc: Path) -> None:
        self.name, self.home, self.jobs, self.mb, self.dvc = name, home, jobs, mb, dvc
        (home / "media").mkdir(parents=True)
        (home / "out").mkdir()
        for job in range(jobs):
            (home / f"media/r{job:03}.txt").write_bytes(random.Random(job).randbytes(SOURCE_BYTES))
        if name == "DVC":
            subprocess.run([dvc, "init", "--no-scm", "-q"], cwd=home, check=True)

    def build(self, word: str) -> float:
        """Build everything with this word; wall seconds."""
        if self.name == "sh":
            lines = (["sh", "-c", SCRIPT, "expand", *self.arguments(job, word)] for job in range(self.jobs))
            return sum(run(line, self.home) for line in lines)
        if self.name == "DVC":
            self.write_dvc(word)
            return run([str(self.dvc), "repro", "-q"], self.home)
        self.write_pipeline(word)
        return run([str(Path(sys.executable).parent / "mediabuild")], self.home)

    def arguments(self, job: int, word: str) -> list[str]:
        """What the script is given."""
        return [f"media/r{job:03}.txt", f"out/r{job:03}.txt", str(self.mb), word]

    def write_pipeline(self, word: str) -> None:
        """mediabuild's own file."""
        command = ["sh", "-c", SCRIPT, "expand", "{inputs.text}", "{outputs.text}", str(self.mb), "{params.word}"]
        cache = "[cache]\nmax_gb = 0\n" if "max_gb" in self.name else ""
        (self.home / "pipeline.toml").write_text(
            f'[pipeline]\nsources = ["media/*.txt"]\n{cache}[stages.expand]\ncommand = {json.dumps(command)}\n'
            f'inputs = {{ text = "source" }}\noutputs = {{ text = "text" }}\nparams = {{ word = "{word}" }}\n'
        )

    def write_dvc(self, word: str) -> None:
        """DVC's own file, as JSON, which is YAML."""
        (self.home / "expand.sh").write_text(SCRIPT)
        stages = {}
        for job in range(self.jobs):
            source, target, mb, _ = self.arguments(job, word)
            command = f"sh ./expand.sh {source} {target} {mb} {word}"
            stages[f"r{job:03}"] = {"cmd": command, "deps": [source], "outs": [target]}
        (self.home / "dvc.yaml").write_text(json.dumps({"stages": stages}))

    def disk_mb(self) -> float:
        """What the folder takes beside the sources; blocks that two files share count twice."""
        files = [file for file in self.home.rglob("*") if file.is_file() and not file.is_symlink()]
        links = {(file.stat().st_ino, file.stat().st_blocks) for file in files if "media" not in file.parts}
        return sum(blocks for _, blocks in links) * 512 / 1e6

    def last(self) -> bytes:
        """The end of the last output."""
        job = self.jobs - 1
        ours = self.home / f"jobs/r{job:03}/expand/text"
        return (ours if self.name.startswith("mediabuild") else self.home / f"out/r{job:03}.txt").read_bytes()[-4:]


def ran_anything(home: Path) -> bool:
    """Whether the last run started a program."""
    events = [json.loads(line) for line in (home / "jobs/.mediabuild/events.jsonl").read_text().splitlines()]
    last = [event for event in events if event["run"] == events[-1]["run"]]
    return any(event["event"] == "stage_running" for event in last)


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--mb", type=int, default=20, help="what each job's output takes")
    parser.add_argument("--scratch", type=Path, help="a folder to work in [default: a temporary one]")
    parser.add_argument("--no-docs", action="store_true", help="only print")
    options = parser.parse_args()
    names = ("mediabuild", "mediabuild, max_gb=0", "DVC", "sh")
    seconds: dict[tuple[str, str], list[float]] = collections.defaultdict(list)
    disk_mb: dict[str, float] = {}
    idle = True
    with tempfile.TemporaryDirectory(prefix="generations.") as temporary:
        scratch = (options.scratch or Path(temporary)).absolute()
        dvc = install_peers(scratch) / "dvc"
        for number in range(options.rounds):
            places = {name: scratch / f"{number}" / name.replace(" ", "") for name in names}
            ways = [Way(name, places[name], options.jobs, options.mb, dvc) for name in names]
            for step, word in zip(NAMES, STEPS, strict=True):
                for way in rotated(ways, number):
                    seconds[way.name, step].append(way.build(word))
                    assert way.last() == f"{word}\n".encode()
                    print(f"  {way.name}, {step}: {seconds[way.name, step][-1]:.2f} s", file=sys.stderr, flush=True)
            idle &= not ran_anything(places["mediabuild"])
            disk_mb |= {way.name: way.disk_mb() for way in ways}
    medians = {key: statistics.median(found) for key, found in seconds.items()}
    rows = [(n, *(f"{medians[n, step]:.2f}" for step in NAMES), f"{disk_mb[n]:.0f}") for n in names]
    back = {name: medians[name, "back"] for name in names}
    keeping = medians["mediabuild", "change"] / medians["mediabuild, max_gb=0", "change"]
    page = (
        "# Keeping earlier outputs\n\n"
        f"Written by `python benchmarks/generations.py`, which says how it measures. {machine()}. Medians of "
        f"{options.rounds} rounds, {options.jobs} jobs of {options.mb} MB.\n\n"
        + table(("", *(f"{step}, s" for step in NAMES), "disk, MB"), rows)
        + f"\n- Keeping: the change takes {keeping:.2f} × what it takes without.\n"
        f"- Going back: {back['mediabuild, max_gb=0'] / back['mediabuild']:.1f} × as fast as running again, "
        f"{back['DVC'] / back['mediabuild']:.1f} × as fast as DVC. Programs started: {'none' if idle else 'some'}.\n"
    )
    print(page)
    if not options.no_docs:
        write_page(PAGE, page)
    return 0 if idle and back["mediabuild"] <= back["DVC"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
