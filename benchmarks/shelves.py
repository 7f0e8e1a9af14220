"""Shelves of made-up recordings whose stages sleep, and what no schedule of them can beat, on sixteen cores.

Not here: running them (`sixteen.py`; a test does, by a clock of its own).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

CORES, MEMORY_GB = 16, 32
SLEEP = """["sh", "-c", 'sleep "$0"; cp "$1" "$2"', "{params.seconds}", "{inputs.given}", "{outputs.out}"]"""
UNITS = '''
import time

from mediabuild.stage import Context, stage
import msgspec


class Params(msgspec.Struct, forbid_unknown_fields=True):
    seconds: float = 0.0
    units: int = 1


@stage(version=1, inputs={{"given": "anything"}}, outputs={{"out": "out"}}, lanes=True)
def {name}(ctx: Context, params: Params) -> None:
    """Sleep in units."""

    def make(number: int) -> bytes:
        time.sleep(params.seconds / params.units)
        return b"slept"

    slept = sum(1 for _ in ctx.each_unit(range(params.units), make))
    ctx.output("out").write_text(str(slept))
'''


@dataclass(frozen=True)
class Shelf:
    """Recordings, what is to be done with each, and how long that takes.

    Args:
        jobs: job → stage → seconds on one core; a job's stages are a chain, in this order, from the first stage on.
        memory_gb: stage → what a task of it takes.
        units: stage → of how many units a task consists, which may be made at once on cores that are spare.
    """

    jobs: dict[str, dict[str, float]]
    memory_gb: dict[str, int] = field(default_factory=dict)
    units: dict[str, int] = field(default_factory=dict)

    @property
    def stages(self) -> list[str]:
        """All of them, in order."""
        return sorted({stage for chain in self.jobs.values() for stage in chain})

    def write(self, root: Path) -> None:
        """Write the project; a recording is as large as its work is long."""
        lines = [f'[pipeline]\nsources = "media/*"\nresources = {{ cpu = {CORES}, memory_gb = {MEMORY_GB} }}']
        for number, stage in enumerate(self.stages):
            needs = f"{self.stages[number - 1]}.out" if number else "source"
            lines.append(f'[stages.{stage}]\ninputs = {{ given = "{needs}" }}')
            lines.append(f"resources = {{ memory_gb = {self.memory_gb.get(stage, 0)} }}")
            if stage in self.units:
                (root / "stages").mkdir(exist_ok=True)
                (root / f"stages/{stage}.py").write_text(UNITS.format(name=stage))
                lines.append(f"params = {{ units = {self.units[stage]} }}")
            else:
                argv = (
                    '["sh", "-c", \'sleep "$0"; cp "$1" "$2"\', "{params.seconds}", "{inputs.given}", "{outputs.out}"]'
                )
                lines.append(f'command = {argv}\noutputs = {{ out = "out" }}\nparams = {{ seconds = 0.0 }}')
        (root / "media").mkdir()
        for job, chain in self.jobs.items():
            (root / f"media/{job}").write_bytes(b"x" * round(1000 * sum(chain.values())))
            lines.append(f"[jobs.{job}]\nskip = {[stage for stage in self.stages if stage not in chain]}")
            lines += [f"params.{stage} = {{ seconds = {seconds} }}" for stage, seconds in chain.items()]
        (root / "pipeline.toml").write_text("\n".join(lines))

    def bound_s(self) -> float:
        """What no order can beat: the longest chain; the work of one stage, or of all, with what is before and after.

        Work goes to all cores, as far as the memory allows.
        """
        pieces: list[tuple[str, float, float, float]] = []  # stage, seconds: before, of work, after
        for chain in self.jobs.values():
            least_s = [seconds / (CORES if stage in self.units else 1) for stage, seconds in chain.items()]
            for number, (stage, work_s) in enumerate(chain.items()):
                pieces.append((stage, sum(least_s[:number]), work_s, sum(least_s[number + 1 :])))
        chains_s = (b + work_s / (CORES if stage in self.units else 1) + a for stage, b, work_s, a in pieces)
        bounds_s = [max(chains_s), sum(work_s for _, _, work_s, _ in pieces) / CORES]
        for stage in self.stages:
            before_s, work_s, after_s = zip(*(piece[1:] for piece in pieces if piece[0] == stage), strict=True)
            at_once = min(CORES, MEMORY_GB // self.memory_gb.get(stage, 1))
            bounds_s.append(min(before_s) + sum(work_s) / at_once + min(after_s))
        return max(bounds_s)


def chains(count: int, lengths: tuple[int, int], seconds: tuple[float, float]) -> dict[str, dict[str, float]]:
    """Some jobs, each with so many stages (from, to) of so many seconds (from, to)."""
    dice = random.Random(1)
    return {
        f"j{job}": {f"s{stage}": round(dice.uniform(*seconds), 2) for stage in range(dice.randint(*lengths))}
        for job in range(count)
    }


SHELVES = {
    "100 short chains": Shelf(chains(100, (1, 1), (0.5, 4))),
    "24 chains of 8 stages": Shelf(chains(24, (8, 8), (0.5, 4))),
    "50 chains of 1 to 6 stages": Shelf(chains(50, (1, 6), (0.5, 4))),
    "one long chain, last by name, among 120 short ones": Shelf(
        {**chains(120, (1, 1), (1, 3)), "z": {f"s{number}": 3.0 for number in range(6)}}
    ),
    "one long task, last by name, among 90 short ones": Shelf({**chains(90, (1, 1), (1, 2)), "z": {"s0": 9.0}}),
    "40 chains, bound by memory": Shelf(chains(40, (3, 3), (1, 2)), memory_gb={"s1": 8}),
    "60 chains, bound by memory and cores": Shelf(chains(60, (3, 3), (1, 2)), memory_gb={"s1": 4}),
    "one recording of 400 units": Shelf({"a": {"s0": 160.0}}, units={"s0": 400}),
    "three recordings of 100 units": Shelf(
        {job: {"s0": 2.0, "s1": 50.0, "s2": 1.0} for job in "abc"}, units={"s1": 100}
    ),
    "one recording of 400 units beside 60 chains": Shelf(
        {**chains(60, (2, 2), (0.5, 2)), "a": {"s0": 1.0, "s1": 1.0, "s2": 120.0}}, units={"s2": 400}
    ),
}
