"""What the pipeline says of single jobs: `[jobs."NAME"]` with params and `skip`, and the table `[pipeline] jobs`.

The table is a CSV file with a column `job` and columns called `STAGE.PARAM`, or a TOML file in which each table says
what `[jobs."NAME"]` would. `[jobs]` is stronger. Only effective params are facts: a changed row is one job's matter.

Not here: which jobs there are (`pipeline.sources`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from mediabuild.errors import PipelineError, StageError
from mediabuild.machine.regular import check_readable
from mediabuild.machine.visible import same_text
from mediabuild.media.tables import table_rows
from mediabuild.media.textfiles import read_text
from mediabuild.pipeline.document import check_values, read_document
from mediabuild.pipeline.mistakes import Mistakes, nearest
from mediabuild.pipeline.model import StageSpec
from mediabuild.pipeline.overrides import params_of, value_of_text
from mediabuild.pipeline.params import check_params
from mediabuild.pipeline.paths import closest_path
from mediabuild.pipeline.per_job.values import params_set
from mediabuild.pipeline.tables import JobTable, elsewhere
from mediabuild.pipeline.typed import toml_text, toml_type

JOB = "job"  # the column of names
JOB_KEYS = {field.name for field in msgspec.structs.fields(JobTable)}


@dataclass
class OneJob:
    """What is said of one job.

    Args:
        where: what messages call the place. params: stage → params. skip: the stages that it hasn't.
    """

    where: str
    params: dict[str, dict[str, Any]] = field(default_factory=dict)
    skip: tuple[str, ...] = ()


def jobs_of(tables: Any, file: Path | None, stages: Mapping[str, StageSpec], mistakes: Mistakes) -> dict[str, OneJob]:
    """Job, as it is written, in one form of Unicode → what is said of it.

    Args:
        tables: of `[jobs]`. file: of `[pipeline] jobs`; None where there is none.
    """
    found = _of_file(file, stages, mistakes) if file is not None else {}
    if not isinstance(tables, dict):
        mistakes.add("jobs", f"expected a table, got {toml_type(tables)}", '[jobs."ep01"]')
        return found
    for job, one in _of_tables(tables, "jobs.", stages, mistakes):
        weaker = found.get(job, OneJob("")).params
        one.params = {s: {**weaker.get(s, {}), **one.params.get(s, {})} for s in {**weaker, **one.params}}
        one.skip = tuple(dict.fromkeys((*found.get(job, OneJob("")).skip, *one.skip)))
        found[job] = one
    return found


def _of_tables(
    tables: Mapping[str, Any], place: str, stages: Mapping[str, StageSpec], mistakes: Mistakes
) -> Iterator[tuple[str, OneJob]]:
    for job, table in tables.items():
        one = OneJob(f'{place}"{job}"')
        if job in JOB_KEYS and not isinstance(table, dict):
            mistakes.add(f"{place}{job}", "a job's name is missing", f'[jobs."JOB"] {job} = {toml_text(table)}')
            continue
        written = {s: f"params.{s} = {{ PARAM = VALUE }}" for s in stages}
        given = mistakes.fields(one.where, table, JobTable, {**elsewhere(JobTable), **written})
        for stage, params in given.get("params", {}).items():
            where = f"{one.where}.params.{stage}"
            if _is_of_a_job(where, stage, stages, mistakes):
                one.params[stage] = check_params(where, params, stages[stage], mistakes)
        one.skip = tuple(s for s in given.get("skip", ()) if _is_of_a_job(f"{one.where}.skip", s, stages, mistakes))
        yield same_text(job), one


def _is_of_a_job(where: str, stage: str, stages: Mapping[str, StageSpec], mistakes: Mistakes) -> bool:
    if stage not in stages:
        mistakes.add(where, f"there is no stage {stage!r}", nearest(stage, stages))
    elif stages[stage].collect:
        mistakes.add(where, f"{stage!r} is a collect stage, of no single job", f"[stages.{stage}]")
    return stage in stages and not stages[stage].collect


def _of_file(file: Path, stages: Mapping[str, StageSpec], mistakes: Mistakes) -> dict[str, OneJob]:
    where = "pipeline.jobs"
    try:
        if file.suffix.lower() == ".toml":
            document = read_document(file)
            check_values(document, mistakes)
            return dict(_of_tables(document, f"{file.name}: ", stages, mistakes))
        if file.suffix.lower() == ".csv":
            check_readable(file)
            return _of_rows(file, stages, mistakes)
        mistakes.add(where, f"{file.name} is neither .csv nor .toml", 'jobs = "jobs.csv"')
    except FileNotFoundError:
        close = closest_path(file.name, file.parent)
        hint = f'did you mean "{close}"?' if close else "a column job, and columns STAGE.PARAM"
        mistakes.add(where, f"no such file: {file.name}", hint)
    except OSError as error:
        mistakes.add(where, f"{file.name} can't be read: {error.strerror or error}")
    except (PipelineError, StageError) as error:
        mistakes.add(where, error.message, error.hint or 'a cell that holds a comma or a quote: "a, ""b"""')
    return {}


def _of_rows(file: Path, stages: Mapping[str, StageSpec], mistakes: Mistakes) -> dict[str, OneJob]:
    rows = table_rows(file.name, read_text(file, file.name))
    line, header = next(rows, (1, []))
    columns = [cell.strip() for cell in header]
    while columns and not columns[-1]:
        columns.pop()
    where = f"{file.name}:{line}"
    if JOB not in columns:
        mistakes.add(where, f"no column {JOB!r}", nearest(JOB, columns) or "job,STAGE.PARAM")
        return {}
    twice = [column for place, column in enumerate(columns) if column in columns[:place]]
    if twice:
        mistakes.add(where, f"the column {twice[0]!r} is there twice", "remove one")
        return {}
    known = _columns(where, (column for column in columns if column != JOB), stages, mistakes)
    found: dict[str, OneJob] = {}
    for line, row in rows:
        cells = dict(zip(columns, map(str.strip, row), strict=False))
        where = f"{file.name}:{line}"
        if not any(cell.strip() for cell in row):
            continue
        if any(cell.strip() for cell in row[len(columns) :]):
            mistakes.add(where, f"{len(row)} cells under {len(columns)} columns", 'a cell with a comma: "a, b"')
        job = same_text(cells[JOB])
        if not job or job in found:
            said = f"the job {job!r} is there already: {found[job].where}" if job else "no job is named"
            mistakes.add(where, said, "remove one" if job else f"fill in the column {JOB!r}")
            continue
        found[job] = OneJob(where, _params(where, cells, known, stages, mistakes))
    return found


def _columns(
    where: str, columns: Iterable[str], stages: Mapping[str, StageSpec], mistakes: Mistakes
) -> dict[str, tuple[str, str]]:
    """Column → stage and param, of those that mean one."""
    known = {f"{s.name}.{param}": (s.name, param) for s in stages.values() if not s.collect for param in params_of(s)}
    for column in columns:
        if column not in known:
            mistakes.add(where, f"the column {column!r} is no STAGE.PARAM", _no_column(column, known, stages))
    return known


def _no_column(column: str, known: Iterable[str], stages: Mapping[str, StageSpec]) -> str:
    """What to do about a column that sets no param of single jobs."""
    stage, _, param = column.partition(".")
    if column == "skip":
        return '[jobs."JOB"] skip = ["STAGE"], or a table in .toml'
    if stage in stages and stages[stage].collect:
        return f"{stage!r} is a collect stage, of no single job"
    if stage in stages and param in params_set(stages[stage].matrix):
        return f"the matrix of {stage!r} sets it"
    return nearest(column, known)


def _params(
    where: str,
    cells: Mapping[str, str],
    known: Mapping[str, tuple[str, str]],
    stages: Mapping[str, StageSpec],
    mistakes: Mistakes,
) -> dict[str, dict[str, Any]]:
    """Stage → params, of a row; an empty cell says nothing."""
    found: dict[str, dict[str, Any]] = {}
    for column, text in cells.items():
        if text and column in known:
            stage, param = known[column]
            value = value_of_text(f"{where}: {column}", text, stages[stage], param, mistakes)
            if not mistakes.says_of(f"{where}: {column}"):
                found.setdefault(stage, {})[param] = value
    return {
        stage: check_params(f"{where}: {stage}", params, stages[stage], mistakes) for stage, params in found.items()
    }
