"""mediabuild beside make, ninja, doit alone, DVC and Snakemake: the same small stages, the same run.

    python benchmarks/peers.py [--rounds 5] [--jobs 1 100 1000] [--large 10000] [--media 1000] [--folders 1000]
        [--hash-gib 4]

Each job is a text file that eight stages copy, one after the other (`cp`): 1,000 jobs are 8,000 stages. What is
measured is what the tools add. Every tool has a folder of its own with the same files, is built once, and then
asked again in turn, round after round; medians of wall seconds. DVC and Snakemake are installed from PyPI into a
venv in the scratch folder; make, ninja and b3sum must be there (`apt-get install make ninja-build b3sum`).

- no-op: nothing changed. `mediabuild`, `doit` (the same pipeline through doit's own command line) and the peers.
- one changed source: a line is appended to one file; its eight stages run.
- first build: overhead per stage over the same commands in one `sh` script, at 100 jobs.
- one job: the no-op of `doit` with the default pipeline beside `doit list` on an empty dodo file.
- media: the no-op of the default pipeline, with its models and devices, for `--media 1000` recordings; ninja beside
  it, over the same files. One recording is built, the others hold the same. `--media 0` leaves it out.
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
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from overhead.copies import ROOT, STAGES
from overhead.projects import TRACKS, default_pipeline, folders, hashed, ninja_over
from overhead.report import Costs, Found, draw, page
from overhead.shelf import FIRST_JOBS, Shelf, first_builds, one_job_built
from overhead.timing import Bound, in_turn
from page import write_page

PAGE, PLOT = ROOT / "docs/BENCHMARKS.md", ROOT / "docs/benchmarks.svg"
PEERS = ("dvc==3.67.1", "snakemake==9.27.1", "matplotlib==3.10.7")


def install_peers(scratch: Path) -> Path:
    """A venv with the peers from PyPI; returns its folder of programs."""
    venv = scratch / "peers"
    if not (venv / "bin/snakemake").exists():
        print("installing DVC and Snakemake …", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin/pip", "install", "--quiet", *PEERS], check=True)
    return venv / "bin"


def measure(args: argparse.Namespace, scratch: Path) -> Found:
    """Everything that the options ask for."""
    peers, own = install_peers(scratch), Path(sys.executable).parent
    programs = {
        "mediabuild": [str(own / "mediabuild")],
        "doit": [str(own / "doit")],
        "ninja": ["ninja"],
        "make": ["make"],
        "doit alone": [str(own / "doit")],
        "Snakemake": [str(peers / "snakemake"), "--cores", "2", "--quiet", "all"],
        "DVC": [str(peers / "dvc"), "repro", "-q"],
    }
    found, mediabuild = Found(jobs=args.jobs[-1]), programs["mediabuild"]
    for jobs in args.jobs:
        shelf = Shelf(scratch, jobs, programs)
        shelf.build()
        found.noop[jobs] = shelf.noops(args.rounds)
    found.changed, found.asked = shelf.one_changed(args.rounds), shelf.asked(args.rounds)
    found.built = first_builds(scratch, mediabuild, min(3, args.rounds))
    found.one_built = one_job_built(scratch, mediabuild, args.rounds)
    one, empty = scratch / "default1", scratch / "empty"
    default_pipeline(one, mediabuild, 1)
    empty.mkdir()
    (empty / "dodo.py").touch()
    ways = {"doit": (programs["doit"], one), "doit list": ([*programs["doit alone"], "list"], empty)}
    found.one_asked = in_turn(ways, 2 * args.rounds)
    if args.large:
        some = {tool: programs[tool] for tool in ("mediabuild", "doit", "ninja", "make")}
        shelf = Shelf(scratch, args.large, some)
        shelf.build()
        found.noop[args.large] = shelf.noops(args.rounds)
    if args.media:
        home, other = scratch / "media/mediabuild", scratch / "media/ninja"
        found.media_stages = default_pipeline(home, mediabuild, args.media)
        ninja_over(home, other)
        found.media = in_turn({"mediabuild": (mediabuild, home), "ninja": (["ninja"], other)}, args.rounds)
    found.albums = folders(scratch, mediabuild, args.folders, args.rounds) if args.folders else {}
    found.hashes = hashed(scratch, args.hash_gib, min(3, args.rounds)) if args.hash_gib else {}
    return found


def ratio(costs: Costs, one: str, other: str) -> float:
    """How many times as long one took as the other, by their medians."""
    return costs[one].median_s / costs[other].median_s


def bounds(found: Found, args: argparse.Namespace) -> Iterator[Bound]:
    """What is promised, and what was found."""
    at, count = found.noop[found.jobs], found.jobs * STAGES
    yield Bound(f"no-op of {count:,} stages: `mediabuild` ÷ ninja", 3, ratio(at, "mediabuild", "ninja"))
    yield Bound(f"no-op of {count:,} stages: `doit` ÷ ninja", 6, ratio(at, "doit", "ninja"))
    if found.media:
        what = f"no-op of {found.media_stages:,} stages with models and devices: `mediabuild` ÷ ninja"
        yield Bound(what, 5, ratio(found.media, "mediabuild", "ninja"))
    what = "no-op of the default pipeline, one job: `doit` ÷ `doit list` on an empty file"
    yield Bound(what, 1.3, ratio(found.one_asked, "doit", "doit list"))
    least_s = at["mediabuild"].median_s + found.one_built.median_s
    what = "one changed source ÷ (the no-op + a run that builds one job)"
    yield Bound(what, 1.2, found.changed["mediabuild"].median_s / least_s)
    over_s = (found.built["mediabuild"].median_s - found.built["sh"].median_s) / (FIRST_JOBS * STAGES)
    yield Bound("first build: overhead of a stage ÷ 15 ms", 1, over_s / 0.015)
    if "doit alone" in at:
        yield Bound("the no-op: `doit` ÷ doit alone with md5", 1 / 2.5, ratio(at, "doit", "doit alone"))
    if found.albums:
        what = f"no-op of {args.folders * TRACKS:,} files in folders ÷ as sources"
        yield Bound(what, 1.3, ratio(found.albums, "folders", "files"))
    if found.hashes:
        what = "hashing a large file: `mediabuild` ÷ `b3sum --no-mmap --num-threads 1`"
        yield Bound(what, 1 / 0.8, ratio(found.hashes, "mediabuild, blake3", "b3sum"))
    if args.large:
        large = found.noop[args.large]
        linear = large["mediabuild"].median_s / at["mediabuild"].median_s / (args.large / found.jobs)
        memory = max(large[tool].memory_mb for tool in ("mediabuild", "doit"))
        yield Bound(f"{args.large * STAGES:,} stages: time ÷ linear", 1, linear)
        yield Bound(f"{args.large * STAGES:,} stages: memory ÷ 1 GB", 1, memory / 1000)


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 100, 1000])
    parser.add_argument("--large", type=int, default=0, help="once more with this many jobs: 10000 takes half an hour")
    parser.add_argument("--media", type=int, default=1000, help="recordings for the default pipeline")
    parser.add_argument("--folders", type=int, default=1000, help="sources that are folders")
    parser.add_argument("--hash-gib", type=float, default=4.0)
    parser.add_argument("--scratch", type=Path, help="a folder to work in [default: a temporary one]")
    parser.add_argument("--no-docs", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        scratch = (args.scratch or Path(temporary)).absolute()
        found = measure(args, scratch)
        kept = list(bounds(found, args))
        text = page(found, kept, args)
        print(text)
        if not args.no_docs:
            write_page(PAGE, text)
            draw(found, PLOT, scratch / "peers/bin/python")
    missed = [bound for bound in kept if not bound.kept]
    for bound in missed:
        print(f"missed: {bound.promise}: {bound.found:.2f}, at most {bound.most:.2f}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
