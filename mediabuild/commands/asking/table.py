"""The table of `status`: jobs × stages; where that is too wide for the terminal, each job with its stages below.

Not here: what is stale (`freshness.verdicts`), the other lines of `status` (`status`).
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from mediabuild.machine.visible import one_line
from mediabuild.reporting.console import duration
from mediabuild.store.index import tasks_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from mediabuild.build import Build
    from mediabuild.freshness.verdicts import Verdict

STYLES = {
    "fresh": "green", "ignored": "dim", "follows": "dim", "stale": "yellow", "blocked": "red", "failed": "red",
}  # fmt: skip
WORST_LAST = tuple(STYLES)
UNBOUNDED = 100_000  # columns, of what is no terminal


def print_table(build: Build, verdicts: Mapping[str, Verdict]) -> None:
    """Jobs × stages, and how long what is fresh had taken; why each stale one is stale below.

    A job's name is always whole, and never markup.
    """
    from rich.console import Console

    verdicts = {name: verdict for name, verdict in verdicts.items() if name in build.tasks}
    console = Console(highlight=False, emoji=False, markup=False, width=None if sys.stdout.isatty() else UNBOUNDED)
    table = _table(build, verdicts)
    wanted = console.measure(table, options=console.options.update(width=UNBOUNDED)).maximum
    if wanted <= console.width:
        console.print(table)
    else:
        _print_jobs(console, build, verdicts)
    for name, verdict in verdicts.items():
        if verdict.state in ("stale", "failed"):
            said = [verdict.message] if verdict.message else []
            console.print(f"{name}: {'; '.join([*said, *map(str, verdict.reasons)])}", soft_wrap=True)


def _table(build: Build, verdicts: Mapping[str, Verdict]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table("job", *build.pipeline.stages, "spares")
    lacking = _lacking(build)
    for job, states, spared_s in _rows(build, verdicts):
        cells = [
            Text(states[stage], STYLES[states[stage]]) if stage in states else "–" * ((job, stage) in lacking)
            for stage in build.pipeline.stages
        ]
        table.add_row(Text(one_line(job), no_wrap=True, overflow="ignore"), *cells, duration(spared_s))
    return table


def _print_jobs(console: Console, build: Build, verdicts: Mapping[str, Verdict]) -> None:
    """Each job, and below it the stages in each state, the worst first."""
    from rich.text import Text

    for job, states, spared_s in _rows(build, verdicts):
        spared = f"  spares {duration(spared_s)}" if spared_s else ""
        if set(states.values()) == {"fresh"}:
            console.print(Text.assemble(one_line(job), "  ", ("fresh", STYLES["fresh"]), spared), soft_wrap=True)
            continue
        console.print(one_line(job) + spared, soft_wrap=True)
        for state in reversed(WORST_LAST):
            stages = ", ".join(stage for stage in build.pipeline.stages if states.get(stage) == state)
            for line in textwrap.wrap(stages, max(20, console.width - 10)):
                console.print(Text.assemble("  ", (f"{state:<8}", STYLES[state]), line), soft_wrap=True)


def _left_out(build: Build) -> Iterator[tuple[str, str]]:
    """Job and stage of each task that wasn't made, since all of its job is fresh."""
    for job in build.left_out:
        yield from ((job, name.partition(":")[0]) for name in tasks_of([build.bulk.known.jobs[job]]))


def _lacking(build: Build) -> set[tuple[str, str]]:
    """Job and stage, where a job hasn't a stage that others may have: `when`, `skip`, an empty matrix."""
    has = {*_left_out(build), *((task.job, task.stage.name) for task in build.tasks.values())}
    stages = [spec.name for spec in build.pipeline.stages.values() if not spec.collect]
    return {(job, stage) for job in build.jobs for stage in stages} - has


def _rows(build: Build, verdicts: Mapping[str, Verdict]) -> Iterator[tuple[str, dict[str, str], float]]:
    """Job, stage → its worst state, and the seconds that what is fresh had taken."""
    found = dict.fromkeys(_left_out(build), "fresh")
    spared_s = dict.fromkeys(build.shelf, 0.0)
    spared_s |= {job: build.bulk.known.jobs[job].spared_s for job in build.left_out}
    for name, verdict in verdicts.items():
        job, stage = build.tasks[name].job, build.tasks[name].stage.name
        found[job, stage] = max(found.get((job, stage), "fresh"), verdict.state, key=WORST_LAST.index)
        spared_s[job] += (build.earlier_s(name) or 0.0) if verdict.state == "fresh" else 0.0
    for job in build.shelf:
        states = {stage: found[job, stage] for stage in build.pipeline.stages if (job, stage) in found}
        if states:
            yield job, states, spared_s[job]
