"""What was measured, as the page docs/BENCHMARKS.md and its plot.

Not here: measuring (`shelf`, `projects`), and what is promised (`peers.py`).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from overhead.copies import STAGES
from overhead.projects import TRACKS
from overhead.shelf import FIRST_JOBS
from overhead.timing import Bound, Cost, table

OF_ALL = ("mediabuild", "doit", "ninja", "make", "doit alone", "Snakemake", "DVC")
Costs = dict[str, Cost]

# one line, which `page.write_page` breaks
INTRODUCTION = (
    "# Benchmarks\n\n"
    "Written by `python benchmarks/peers.py`, which says how it measures. {machine}. Medians of {rounds} rounds, the "
    "tools in turn. Every job is a text file that eight command stages copy, so the figures show the tools' own cost; "
    "stages with models and devices are those of the default pipeline, and ninja looks at the same files. mediabuild "
    "trusts a file whose size, mtime, ctime and inode are unchanged. make, ninja and Snakemake compare mtimes only. "
    "The memory shown is an upper bound: a program that takes less than the measuring program shows that program's "
    "memory.\n\n"
)

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


@dataclass
class Found:
    """What was measured.

    Args:
        jobs: the number of jobs that most of it is about. noop: number of jobs → tool → cost.
        media_stages: how many stages of the default pipeline were fresh.
    """

    jobs: int = 0
    noop: dict[int, Costs] = field(default_factory=dict)
    changed: Costs = field(default_factory=dict)
    asked: Costs = field(default_factory=dict)
    built: Costs = field(default_factory=dict)
    one_built: Cost = field(default_factory=Cost)
    one_asked: Costs = field(default_factory=dict)
    media: Costs = field(default_factory=dict)
    media_stages: int = 0
    albums: Costs = field(default_factory=dict)
    hashes: Costs = field(default_factory=dict)


def page(found: Found, kept: list[Bound], args: argparse.Namespace) -> str:
    """docs/BENCHMARKS.md."""
    at, count, noop = found.noop[found.jobs], found.jobs * STAGES, found.noop
    sh_s = found.built["sh"].median_s
    parts = [
        INTRODUCTION.format(machine=machine(), rounds=args.rounds),
        "## Bounds\n\n",
        table(("bound", "at most", "found", ""), [bound.row for bound in kept]),
        "\nHow recordings fare is in [BENCHMARKS_MACHINE](BENCHMARKS_MACHINE.md), an hour of speech among them.\n",
        "\n## No-op\n\nMedian seconds, and the most memory.\n\n",
        table(("", *(f"{jobs * STAGES:,} stages" for jobs in noop)),
              [(tool, *(shown(costs.get(tool)) for costs in noop.values())) for tool in OF_ALL]),
        "\n![No-op times](benchmarks.svg)\n\n",
        f"## One changed source among {found.jobs:,}\n\n",
        table(("", "median s", "÷ its no-op"),
              [(t, f"{c.median_s:.2f}", f"{c.median_s / at[t].median_s:.1f}") for t, c in found.changed.items()]),
        f"\nA run of mediabuild that builds one job and nothing else takes {found.one_built.median_s:.2f} s.\n",
        f"\n## First build of {FIRST_JOBS * STAGES} stages\n\n",
        table(("", "median s", "over `sh`, ms a stage"),
              [(way, f"{c.median_s:.2f}", f"{(c.median_s - sh_s) / FIRST_JOBS / STAGES * 1e3:.1f}")
               for way, c in found.built.items()]),
        f"\n## Asking, at {count:,} stages\n\n",
        table(("", "median s"), [(f"`{said}`", f"{c.median_s:.2f}") for said, c in found.asked.items()]),
    ]  # fmt: skip
    others = {f"No-op of {found.media_stages:,} stages with models and devices": found.media}
    others |= {f"No-op of {args.folders * TRACKS:,} tasks over files": found.albums}
    for title, costs in others.items():
        rows = [(way, shown(cost)) for way, cost in costs.items()]
        parts += [f"\n## {title}\n\n", table(("", "median s, memory"), rows)] if rows else []
    if found.hashes:
        rates = [(way, f"{args.hash_gib * 1.073741824 / c.median_s:.2f}") for way, c in found.hashes.items()]
        parts += [f"\n## Hashing {args.hash_gib:g} GiB\n\n", table(("", "GB/s"), rates)]
    return "".join(parts)


def shown(cost: Cost | None) -> str:
    """A no-op in the table."""
    return f"{cost.median_s:.3f} s, {cost.memory_mb:.0f} MB" if cost else "not asked"


def machine() -> str:
    """What it ran on, in words."""
    return f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"


def draw(found: Found, plot: Path, python: Path) -> None:
    """docs/benchmarks.svg: the no-ops, a line for each tool."""
    lines = {
        tool: [(jobs * STAGES, costs[tool].median_s) for jobs, costs in found.noop.items() if tool in costs]
        for tool in OF_ALL
    }
    subprocess.run([str(python), "-c", PLOTTER, str(plot)], input=json.dumps(lines), text=True, check=True)
