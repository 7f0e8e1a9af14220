"""mediabuild beside make, ninja, doit alone, DVC and Snakemake: the same small stages, the same run.

    python benchmarks/peers.py [--rounds 5] [--jobs 1 100 1000] [--large 10000] [--folders 1000] [--hash-gib 4]

Each job is a text file that eight stages copy, one after the other (`cp`): 1,000 jobs are 8,000 stages. What is
measured is what the tools add. Every tool has a folder of its own with the same files, is built once, and then
asked again in turn, round after round; medians of wall seconds. DVC and Snakemake are installed from PyPI into a
venv in the scratch folder; make, ninja and b3sum must be there (`apt-get install make ninja-build b3sum`).

- no-op: nothing changed. `mediabuild`, `doit` (the same pipeline through doit's own command line) and the peers.
- one changed source: a line is appended to one file; its eight stages run.
- first build: overhead per stage over the same commands in one `sh` script, at 100 jobs.
- one job: the no-op of `doit` beside `doit list` on an empty dodo file.
- hashing: one large file, beside `b3sum --no-mmap --num-threads 1` and `sha256sum`.
- asking: `check`, `status`, `explain` and the peers' dry runs.
- folders: `--folders 1000` sources that are folders of 20 files, a task for each file, beside the same files as
  sources. Building 40,000 stages takes its time; `--folders 0` leaves it out.

It writes docs/BENCHMARKS.md and docs/benchmarks.svg. Exit status 1 if a bound is missed; the bounds are ratios,
held against medians of one run. DVC is asked at up to 100 jobs, since it needs minutes for more. Its outputs and
Snakemake's are made by `sh`: Snakemake accepts them by their times, DVC with `dvc commit`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from page import write_page

ROOT = Path(__file__).parents[1]
PAGE, PLOT = ROOT / "docs/BENCHMARKS.md", ROOT / "docs/benchmarks.svg"
STAGES = 8
FIRST_JOBS = 100
TRACKS = 20  # files in a folder
OF_ALL = ("mediabuild", "doit", "ninja", "make", "doit alone", "Snakemake", "DVC")
MOST_JOBS = {"DVC": 100, "Snakemake": 1000, "doit alone": 1000}
PEERS = ("dvc==3.67.1", "snakemake==9.27.1", "matplotlib==3.10.7")
BUILT_BY_SH = {"Snakemake", "DVC"}
ENV = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"DVC_NO_ANALYTICS": "1"}


@dataclass
class Cost:
    """Wall seconds of each round, and the most memory of one, in MB."""

    seconds: list[float] = field(default_factory=list)
    memory_mb: float = 0.0

    @property
    def median_s(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.seconds)


def run(command: Sequence[str], folder: Path, cost: Cost | None = None) -> float:
    """Run a command to its end; returns wall seconds.

    Raises:
        SystemExit: it failed.
    """
    with tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said, stdin=subprocess.DEVNULL, env=ENV)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{folder}: {' '.join(command)}: status {process.returncode}\n{said.read().decode()}")
    if cost is not None:
        cost.seconds.append(seconds)
        cost.memory_mb = max(cost.memory_mb, usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3))
    return seconds


def steps(jobs: int) -> list[tuple[str, str]]:
    """(from, to) of every copy, job by job."""
    places = ["media", *(f"out/s{number}" for number in range(STAGES))]
    return [
        (f"{places[k]}/r{job:05}.txt", f"{places[k + 1]}/r{job:05}.txt") for job in range(jobs) for k in range(STAGES)
    ]


def pipeline_toml() -> str:
    """The same graph for mediabuild."""
    tables = ['[pipeline]\nsources = ["media/*.txt"]\n']
    for number in range(STAGES):
        source = f"s{number - 1}.copy" if number else "source"
        tables.append(
            f'[stages.s{number}]\ncommand = ["cp", "{{inputs.text}}", "{{outputs.copy}}"]\n'
            f'inputs = {{ text = "{source}" }}\noutputs = {{ copy = "copy.txt" }}\n'
        )
    return "\n".join(tables)


def doit_table() -> str:
    """The `[tool.doit]` of the project, so that `doit` finds the pipeline."""
    text = (ROOT / "pyproject.toml").read_text()
    assert tomllib.loads(text)["tool"]["doit"]["loader"] == "mediabuild"
    return "[tool.doit" + text.partition("[tool.doit")[2].partition("\n[tool.ruff")[0]


def dodo(jobs: int) -> str:
    """The same graph for doit alone, with its md5 checker."""
    return (
        f"STEPS = {steps(jobs)!r}\n\n"
        "def task_copy():\n"
        "    for one, other in STEPS:\n"
        "        yield {'name': other, 'actions': [['cp', one, other]], 'file_dep': [one], 'targets': [other]}\n"
    )


def snakefile(jobs: int) -> str:
    """The same graph for Snakemake."""
    rules = [f'rule all:\n    input: expand("out/s{STAGES - 1}/r{{n}}.txt", n=[f"{{i:05}}" for i in range({jobs})])\n']
    for number in range(STAGES):
        source = f"out/s{number - 1}" if number else "media"
        rules.append(
            f"rule s{number}:\n    input: '{source}/r{{n}}.txt'\n    output: 'out/s{number}/r{{n}}.txt'\n"
            "    shell: 'cp {input} {output}'\n"
        )
    return "\n".join(rules)


def dvc_yaml(jobs: int) -> str:
    """The same graph for DVC, as JSON, which is YAML."""
    stages = {
        other.replace("/", "-").removesuffix(".txt"): {"cmd": f"cp {one} {other}", "deps": [one], "outs": [other]}
        for one, other in steps(jobs)
    }
    return json.dumps({"stages": stages})


def files_of(tool: str, jobs: int) -> dict[str, str]:
    """The tool's own files."""
    copies = steps(jobs)
    last = [other for one, other in copies if other.startswith(f"out/s{STAGES - 1}/")]
    if tool == "make":
        rules = "".join(f"{other}: {one}\n\tcp $< $@\n" for one, other in copies)
        return {"Makefile": f"all: {' '.join(last)}\n{rules}"}
    if tool == "ninja":
        return {"build.ninja": "rule cp\n command = cp $in $out\n" + "".join(f"build {b}: cp {a}\n" for a, b in copies)}
    if tool == "doit alone":
        return {"dodo.py": dodo(jobs)}
    if tool == "Snakemake":
        return {"Snakefile": snakefile(jobs)}
    if tool == "DVC":
        return {"dvc.yaml": dvc_yaml(jobs)}
    return {"pipeline.toml": pipeline_toml(), "pyproject.toml": doit_table()}


def write(home: Path, jobs: int, files: dict[str, str]) -> None:
    """The sources, the same copies as a script, and a tool's own files."""
    for name in ("media", *(f"out/s{number}" for number in range(STAGES))):
        (home / name).mkdir(parents=True)
    for job in range(jobs):
        (home / f"media/r{job:05}.txt").write_text(f"recording {job}\n" * 10)
    script = "".join(f"cp {one} {other}\n" for one, other in steps(jobs))
    for name, content in {"copy.sh": script, **files}.items():
        (home / name).write_text(content)


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
                write(home, self.jobs, files_of(tool, self.jobs))
                if tool == "DVC":
                    run([command[0], "init", "--no-scm", "-q"], home)
                if tool in BUILT_BY_SH:
                    run(["sh", "-e", "copy.sh"], home)
                if tool == "DVC":
                    run([command[0], "commit", "-f", "-q"], home)
            for _ in range(3 if tool == "mediabuild" else 1):
                run([*command, "-n", "2"] if tool == "mediabuild" else command, home)
            print(f"  built {tool}, {self.jobs} jobs", file=sys.stderr, flush=True)

    def last_output(self, tool: str, job: int) -> Path:
        """What the last stage of a job makes."""
        if tool in ("mediabuild", "doit"):
            return self.home(tool) / f"jobs/r{job:05}/s{STAGES - 1}/copy.txt"
        return self.home(tool) / f"out/s{STAGES - 1}/r{job:05}.txt"

    def noops(self, rounds: int) -> dict[str, Cost]:
        """Ask each tool in turn."""
        costs = {tool: Cost() for tool in self.programs}
        before = {tool: self.last_output(tool, 0).stat().st_mtime_ns for tool in self.programs}
        for number in range(rounds):
            for tool in rotated(list(self.programs), number):
                run(self.programs[tool], self.home(tool), costs[tool])
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
        costs = {said: Cost() for said in commands}
        for number in range(rounds):
            for said in rotated(list(commands), number):
                tool, more = commands[said]
                run([*self.programs[tool], *more], home(tool), costs[said])
        return costs


def rotated(items: list[str], number: int) -> list[str]:
    """Another order each round, so that nothing always comes first."""
    return items[number % len(items) :] + items[: number % len(items)]


def first_builds(scratch: Path, mediabuild: list[str], rounds: int) -> dict[str, Cost]:
    """The same 800 commands: from `sh`, and as stages one and two at a time."""
    ways = {"sh": ["sh", "-e", "copy.sh"], "mediabuild": mediabuild, "mediabuild -n 2": [*mediabuild, "-n", "2"]}
    costs = {way: Cost() for way in ways}
    for number in range(rounds):
        for way in rotated(list(ways), number):
            home = scratch / "first" / f"{number}-{way.replace(' ', '')}"
            write(home, FIRST_JOBS, {"pipeline.toml": pipeline_toml()})
            run(ways[way], home, costs[way])
            shutil.rmtree(home)
    return costs


def folders(scratch: Path, mediabuild: list[str], count: int, rounds: int) -> dict[str, Cost]:
    """The no-op of a task for each of the same files: in folders that are sources, and as sources themselves."""
    ways = {
        "folders": ("albums/*/", "source/{track}.txt", '\nmatrix = { track = "source/*.txt" }'),
        "files": ("albums/*/*.txt", "source", ""),
    }
    homes = {way: scratch / f"{way}{count}" for way in ways}
    for way, (sources, track, matrix) in ways.items():
        for folder in range(count):
            (homes[way] / f"albums/a{folder:04}").mkdir(parents=True)
            for number in range(TRACKS):
                (homes[way] / f"albums/a{folder:04}/t{number:02}.txt").write_text(f"track {folder} {number}\n")
        (homes[way] / "pipeline.toml").write_text(
            f'[pipeline]\nsources = ["{sources}"]\n\n[stages.copy]\ncommand = ["cp", "{{inputs.track}}", '
            f'"{{outputs.copy}}"]\ninputs = {{ track = "{track}" }}\noutputs = {{ copy = "copy.txt" }}{matrix}\n'
        )
        for _ in range(3):
            run(mediabuild, homes[way])
        print(f"  built {count} folders as {way}", file=sys.stderr, flush=True)
    costs = {way: Cost() for way in ways}
    for number in range(rounds):
        for way in rotated(list(ways), number):
            run(mediabuild, homes[way], costs[way])
    return costs


def hashed(scratch: Path, gib: float, rounds: int) -> dict[str, Cost]:
    """One large file, by each program; read once before, so that each finds the same page cache."""
    file = scratch / "large.bin"
    block = os.urandom(1 << 24)
    with file.open("wb") as stream:
        for _ in range(int(gib * 64)):
            stream.write(block)
    code = (
        "import sys; from pathlib import Path; from mediabuild.machine.hashing import hash_file; "
        "hash_file(Path(sys.argv[1]), sys.argv[2])"
    )
    ways = {
        "mediabuild, blake3": [sys.executable, "-c", code, str(file), "blake3"],
        "b3sum": ["b3sum", "--no-mmap", "--num-threads", "1", str(file)],
        "mediabuild, sha256": [sys.executable, "-c", code, str(file), "sha256"],
        "sha256sum": ["sha256sum", str(file)],
    }
    costs = {way: Cost() for way in ways}
    run(["cat", str(file)], scratch)
    for number in range(rounds):
        for way in rotated(list(ways), number):
            run(ways[way], ROOT, costs[way])
    file.unlink()
    return costs


def install_peers(scratch: Path) -> Path:
    """A venv with the peers from PyPI; returns its folder of programs."""
    venv = scratch / "peers"
    if not (venv / "bin/snakemake").exists():
        print("installing DVC and Snakemake …", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin/pip", "install", "--quiet", *PEERS], check=True)
    return venv / "bin"


@dataclass
class Bound:
    """A promise and what was measured."""

    promise: str
    most: float
    found: float

    @property
    def kept(self) -> bool:
        """Whether it holds."""
        return self.found <= self.most

    @property
    def row(self) -> tuple[str, ...]:
        """A line of the table."""
        return self.promise, f"{self.most:.2f}", f"{self.found:.2f}", "kept" if self.kept else "**missed**"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, figures to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


INTRODUCTION = """# Benchmarks

Written by `python benchmarks/peers.py`, which says how it measures. {machine}. Medians of {rounds} rounds, the
tools in turn. Every job is a text file that eight command stages copy; what is measured is what the tools add.
Contents are vouched for by size, mtime, ctime and inode; make, ninja and Snakemake compare mtimes only.
Memory is at most what is shown: a program that takes less than the one that measures shows that one's.

"""
PLOTTER = """
import json, sys
import matplotlib
matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "mediabuild"
import matplotlib.pyplot as plt
lines, out = json.load(sys.stdin), sys.argv[1]
figure, axes = plt.subplots(figsize=(7, 4))
for tool, points in lines.items():
    own = tool in ("mediabuild", "doit")
    axes.loglog(*zip(*points), marker="o", label=tool, linewidth=2.5 if own else 1.2, linestyle="-" if own else "--")
axes.set_xlabel("fresh stages")
axes.set_ylabel("no-op, seconds")
axes.grid(True, which="major", alpha=0.3)
axes.legend(fontsize="small")
figure.tight_layout()
figure.savefig(out, metadata={"Date": None})
"""


def measure(args: argparse.Namespace, scratch: Path) -> tuple[str, list[Bound], dict[str, list[tuple[int, float]]]]:
    """Everything; returns the page, the bounds and the plot's lines."""
    peers = install_peers(scratch)
    own = Path(sys.executable).parent
    programs = {
        "mediabuild": [str(own / "mediabuild")],
        "doit": [str(own / "doit")],
        "ninja": ["ninja"],
        "make": ["make"],
        "doit alone": [str(own / "doit")],
        "Snakemake": [str(peers / "snakemake"), "--cores", "2", "--quiet", "all"],
        "DVC": [str(peers / "dvc"), "repro", "-q"],
    }
    noop: dict[int, dict[str, Cost]] = {}
    shelves = [Shelf(scratch, jobs, programs) for jobs in args.jobs]
    for shelf in shelves:
        shelf.build()
        noop[shelf.jobs] = shelf.noops(args.rounds)
    largest = shelves[-1]
    changed, asked = largest.one_changed(args.rounds), largest.asked(args.rounds)
    built = first_builds(scratch, programs["mediabuild"], min(3, args.rounds))
    empty = scratch / "empty"
    empty.mkdir(exist_ok=True)
    (empty / "dodo.py").touch()
    listed, one = Cost(), Cost()
    for _ in range(2 * args.rounds):
        run([str(own / "doit"), "list"], empty, listed)
        run(programs["doit"], shelves[0].home("doit"), one)
    if args.large:
        some = {tool: programs[tool] for tool in ("mediabuild", "doit", "ninja", "make")}
        shelf = Shelf(scratch, args.large, some)
        shelf.build()
        noop[shelf.jobs] = shelf.noops(args.rounds)
    albums = folders(scratch, programs["mediabuild"], args.folders, args.rounds) if args.folders else {}
    hashes = hashed(scratch, args.hash_gib, min(3, args.rounds)) if args.hash_gib else {}

    one_built = Cost()
    for _ in range(args.rounds):  # mediabuild's own start and eight stages
        home = scratch / "one"
        write(home, 1, {"pipeline.toml": pipeline_toml()})
        run(programs["mediabuild"], home, one_built)
        shutil.rmtree(home)
    at, count = noop[largest.jobs], largest.jobs * STAGES
    overhead_s = (built["mediabuild"].median_s - built["sh"].median_s) / (FIRST_JOBS * STAGES)
    bounds = [
        Bound(f"no-op of {count:,} stages: `mediabuild` ÷ ninja", 4, at["mediabuild"].median_s / at["ninja"].median_s),
        Bound(f"no-op of {count:,} stages: `doit` ÷ ninja", 6, at["doit"].median_s / at["ninja"].median_s),
        Bound("no-op of one job: `doit` ÷ `doit list` on an empty file", 1.3, one.median_s / listed.median_s),
        Bound("one changed source ÷ (the no-op + a run that builds one job)", 1.2,
              changed["mediabuild"].median_s / (at["mediabuild"].median_s + one_built.median_s)),
        Bound("first build: overhead of a stage ÷ 15 ms", 1, overhead_s / 0.015),
    ]  # fmt: skip
    if "doit alone" in at:
        with_md5 = at["doit"].median_s / at["doit alone"].median_s
        bounds.append(Bound("the no-op: `doit` ÷ doit alone with md5", 1 / 2.5, with_md5))
    if albums:
        dearer = albums["folders"].median_s / albums["files"].median_s
        bounds.append(Bound(f"no-op of {args.folders * TRACKS:,} files in folders ÷ as sources", 1.3, dearer))
    if hashes:
        slower = hashes["mediabuild, blake3"].median_s / hashes["b3sum"].median_s
        bounds.append(Bound("hashing a large file: `mediabuild` ÷ `b3sum --no-mmap --num-threads 1`", 1 / 0.8, slower))
    if args.large:
        linear = noop[args.large]["mediabuild"].median_s / at["mediabuild"].median_s / (args.large / largest.jobs)
        memory = max(noop[args.large][tool].memory_mb for tool in ("mediabuild", "doit"))
        bounds.append(Bound(f"{args.large * STAGES:,} stages: time ÷ linear", 1, linear))
        bounds.append(Bound(f"{args.large * STAGES:,} stages: memory ÷ 1 GB", 1, memory / 1000))
    parts = [
        INTRODUCTION.format(machine=machine(), rounds=args.rounds),
        "## Bounds\n\n",
        table(("bound", "at most", "found", ""), [b.row for b in bounds]),
        "\n## No-op\n\nMedian seconds, and the most memory.\n\n",
        table(("", *(f"{jobs * STAGES:,} stages" for jobs in noop)),
              [(tool, *(shown(costs.get(tool)) for costs in noop.values())) for tool in OF_ALL]),
        f"\n![No-op times](benchmarks.svg)\n\n## One changed source among {largest.jobs:,}\n\n",
        table(("", "median s", "÷ its no-op"),
              [(t, f"{c.median_s:.2f}", f"{c.median_s / at[t].median_s:.1f}") for t, c in changed.items()]),
        f"\nA run of mediabuild that builds one job and nothing else takes {one_built.median_s:.2f} s.\n",
        f"\n## First build of {FIRST_JOBS * STAGES} stages\n\n",
        table(("", "median s", "over `sh`, ms a stage"),
              [(way, f"{c.median_s:.2f}", f"{(c.median_s - built['sh'].median_s) / FIRST_JOBS / STAGES * 1e3:.1f}")
               for way, c in built.items()]),
        f"\n## Asking, at {count:,} stages\n\n",
        table(("", "median s"), [(f"`{said}`", f"{c.median_s:.2f}") for said, c in asked.items()]),
    ]  # fmt: skip
    if hashes:
        rates = [(way, f"{args.hash_gib * 1.073741824 / c.median_s:.2f}") for way, c in hashes.items()]
        parts += [f"\n## Hashing {args.hash_gib:g} GiB\n\n", table(("", "GB/s"), rates)]
    lines = {
        tool: [(jobs * STAGES, costs[tool].median_s) for jobs, costs in noop.items() if tool in costs]
        for tool in OF_ALL
    }
    return "".join(parts), bounds, lines


def shown(cost: Cost | None) -> str:
    """A no-op in the table."""
    return f"{cost.median_s:.3f} s, {cost.memory_mb:.0f} MB" if cost else "not asked"


def machine() -> str:
    """What it ran on, in words."""
    return f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 100, 1000])
    parser.add_argument("--large", type=int, default=0, help="once more with this many jobs: 10000 takes half an hour")
    parser.add_argument("--folders", type=int, default=1000, help="sources that are folders")
    parser.add_argument("--hash-gib", type=float, default=4.0)
    parser.add_argument("--scratch", type=Path, help="a folder to work in [default: a temporary one]")
    parser.add_argument("--no-docs", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        scratch = (args.scratch or Path(temporary)).absolute()
        page, bounds, lines = measure(args, scratch)
        print(page)
        if not args.no_docs:
            write_page(PAGE, page)
            plot = [str(scratch / "peers/bin/python"), "-c", PLOTTER, str(PLOT)]
            subprocess.run(plot, input=json.dumps(lines), text=True, check=True)
    missed = [bound for bound in bounds if not bound.kept]
    for bound in missed:
        print(f"missed: {bound.promise}: {bound.found:.2f}, at most {bound.most:.2f}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
