"""How near a run comes to what no schedule can beat: sixteen cores on paper, stages that sleep, real runs.

    python benchmarks/sixteen.py [--shelf NAME] [--no-docs]

`resources = { cpu = 16 }` says how many cores there are, and whoever sleeps needs none. So a small machine shows the
order in which a large one would work, and what mediabuild itself takes on the way. Each shelf (`shelves.py`) is built
twice: for the first time, when only the sizes of the recordings are known, and again with `--force`, when it is known
how long each task takes. It prints seconds from the start of the first task to the end of the last, divided by the
lower bound of `shelves.py`, and writes a section of docs/BENCHMARKS_MACHINE.md. At most 1.1 is wanted.

Not here: what a real machine of many cores shares besides (memory's bandwidth, the disk).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from machine import write_section
from shelves import SHELVES, Shelf
from workers import timed

WITHIN = 1.1
ENDS = ("stage_completed", "stage_failed")


def took_s(folder: Path, *arguments: str) -> float:
    """A run: seconds from the start of the first task to the end of the last."""
    events = folder / "events.jsonl"
    timed([sys.executable, "-m", "mediabuild.commands.main", f"--events={events}", *arguments], folder)
    found = [json.loads(line) for line in events.read_text().splitlines()]
    events.unlink()
    starts = (event["ts"] for event in found if event["event"] == "stage_cache_miss")
    return max(event["ts"] for event in found if event["event"] in ENDS) - min(starts)


def ratios(shelf: Shelf) -> tuple[float, float]:
    """A first run, and one that knows how long tasks take: each divided by the lower bound."""
    with tempfile.TemporaryDirectory(prefix="sixteen.") as folder:
        shelf.write(Path(folder))
        first, again = took_s(Path(folder)), took_s(Path(folder), "--force")
    return first / shelf.bound_s(), again / shelf.bound_s()


def main() -> int:
    """Measure, print, write; exit status 1 where a run is more than a tenth above the bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shelf", choices=SHELVES, help="only this one")
    parser.add_argument("--no-docs", action="store_true", help="only print")
    options = parser.parse_args()
    rows = ["| recordings | lower bound s | first run | known durations |", "| --- | --- | --- | --- |"]
    holds = True
    for name in [options.shelf] if options.shelf else SHELVES:
        first, again = ratios(SHELVES[name])
        holds &= max(first, again) <= WITHIN
        rows.append(f"| {name} | {SHELVES[name].bound_s():.1f} | {first:.2f} | {again:.2f} |")
        print(rows[-1], f"load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    print("\n".join(rows))
    if not (options.no_docs or options.shelf):
        intro = "Stages that sleep, on sixteen cores on paper (`benchmarks/sixteen.py`): seconds ÷ lower bound."
        write_section("Sixteen cores", [f"{intro} Measured on {os.cpu_count()}.", "", *rows])
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
