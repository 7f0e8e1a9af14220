"""`[pipeline] jobs`: params of single jobs from a table."""

from __future__ import annotations

import json
import os

import pytest

from tests.e2e.conftest import Project, Ran

PIPELINE = """
[pipeline]
sources = ["lectures/*/"]
jobs    = "lectures.csv"

[stages.composite]
command = ["sh", "-c", 'echo "$@" > "$0"', "{outputs.o}", "{params.offset_s}", "{params.title}", "{params.wide}"]
inputs  = { camera = "source" }
outputs = { o = "o.txt" }
params  = { offset_s = 0.0, title = "none", wide = false }

[stages.all]
collect = true
command = ["sh", "-c", 'cat "$@" > "$0"', "{outputs.o}", "{inputs.texts}"]
inputs  = { texts = "composite.o" }
outputs = { o = "all.txt" }
"""
TABLE = 'job,composite.offset_s,composite.title,composite.wide\nl1,1.5,One,true\nl2,,"Two, too",\n'


def once(project: Project, *args: str) -> Ran:
    """A run that does one thing after the other."""
    return project.run("-n", "1", *args)


@pytest.fixture
def lectures(project: Project) -> Project:
    """Three lectures, two of them with a row; built once."""
    project.write("pipeline.toml", PIPELINE)
    project.write("lectures.csv", TABLE)
    for name in ("l1", "l2", "l3"):
        project.write(f"lectures/{name}/a.txt", name)
    assert once(project).status == 0
    return project


def made(project: Project, job: str) -> str:
    """What a job's stage wrote."""
    return project.read(f"jobs/{job}/composite/o.txt").strip()


def test_a_row_sets_a_jobs_params(lectures: Project) -> None:
    """By their types; an empty cell says nothing; another row, another job; a spreadsheet's table is read as it is."""
    assert [made(lectures, job) for job in ("l1", "l2", "l3")] == [
        "1.5 One true",
        "0.0 Two, too false",
        "0.0 none false",
    ]
    assert not once(lectures).ran
    lectures.write("lectures.csv", TABLE.replace("1.5", "2.5"))
    ran = once(lectures)
    assert ran.ran == ["composite:l1", "all:.all"]
    assert ran.reasons("composite:l1") == ["params.offset_s"]
    excel = "sep=;\r\njob;composite.offset_s;composite.title;composite.wide\r\nl2;;Two, too;\r\nl1;2.5;One;true\r\n"
    lectures.write("lectures.csv", excel.encode("utf-16"))
    assert not once(lectures).ran
    assert not once(lectures).ran


def test_tables_of_jobs_are_stronger(lectures: Project) -> None:
    """`[jobs]` wins, param by param; a TOML file says the same as a CSV file."""
    lectures.write("pipeline.toml", PIPELINE + '[jobs."l1"]\nparams.composite = { title = "Uno" }\n')
    assert once(lectures).ran == ["composite:l1", "all:.all"]
    assert made(lectures, "l1") == "1.5 Uno true"
    lectures.write("pipeline.toml", PIPELINE.replace(".csv", ".toml"))
    lectures.write(
        "lectures.toml",
        '[l1]\nparams.composite = { offset_s = 1.5, title = "One", wide = true }\n'
        '[l2.params.composite]\ntitle = "Two, too"\n',
    )
    assert once(lectures).tasks("stage_restored") == ["composite:l1", "all:.all"]
    assert not once(lectures).ran


def test_rows_without_a_source_are_warned_about(lectures: Project) -> None:
    """With the nearest name, by the run and by `status`; nothing stops."""
    lectures.write("lectures.csv", TABLE.replace("l1", "l11"))
    ran = once(lectures)
    assert ran.status == 0
    assert "lectures.csv:2: there is no job 'l11'; did you mean 'l1'?" in ran.out
    assert "'l11'" in lectures.command("status").out
    assert made(lectures, "l1") == "0.0 none false"
    rows = "".join(f"talk{number},,,\n" for number in range(5000))  # the table of all that there ever was
    lectures.write("lectures.csv", TABLE + rows)
    said = [line for line in once(lectures).out.splitlines() if line.startswith("UNREAD")]
    assert len(said) == 4
    assert said[-1].endswith("lectures.csv:7 and 4996 more: no such jobs"), said


def test_only_params_are_facts(lectures: Project) -> None:
    """A column of defaults, or a comment's row of empty cells, changes nothing."""
    lectures.write("lectures.csv", TABLE + "l3,0.0,,\n,,,\n")
    assert not once(lectures).ran
    assert "lectures" not in json.dumps(json.loads(lectures.read("jobs/l1/composite/manifest.json"))["code"])


MISTAKES = [
    ("job,", "jobb,", "lectures.csv:1: no column 'job' (did you mean"),
    (
        "composite.title",
        "composite.titel",
        "the column 'composite.titel' is no STAGE.PARAM (did you mean 'composite.title'?)",
    ),
    ("composite.title", "title", "the column 'title' is no STAGE.PARAM"),
    ("composite.title", "composite.offset_s", "the column 'composite.offset_s' is there twice"),
    ("l1,1.5", "l1,x", "lectures.csv:2: composite.offset_s: expected a number, got a string"),
    ("l2,", "l1,", "lectures.csv:3: the job 'l1' is there already: lectures.csv:2"),
    ("l2,", ",", "lectures.csv:3: no job is named"),
    ("true\n", "true,1,2\n", "lectures.csv:2: 6 cells under 4 columns"),
    ('"Two', '"Two"x', "no CSV"),
]


@pytest.mark.parametrize(("was", "becomes", "says"), MISTAKES)
def test_mistakes_of_the_table(lectures: Project, was: str, becomes: str, says: str) -> None:
    """Each is said with its line."""
    text = TABLE.replace(was, becomes, 1)
    assert text != TABLE
    lectures.write("lectures.csv", text)
    said = lectures.command("validate")
    assert said.status == 3
    assert says in said.err


def test_a_mistake_in_every_row_is_no_flood(lectures: Project) -> None:
    """As of decimal commas."""
    rows = "".join(f'talk{number},"1,5",,\n' for number in range(1000))
    lectures.write("lectures.csv", TABLE.partition("\n")[0] + "\n" + rows)
    said = lectures.command("validate").err
    assert "1000 mistakes\n" in said
    assert (len(said.splitlines()), said.splitlines()[-1]) == (32, "  … and 970 more")


def test_mistakes_of_the_key(lectures: Project) -> None:
    """A table that isn't there, or is no table; of a TOML file, as of `[jobs]`."""
    for name, says in (("lecture.csv", "no such file: lecture.csv"), ("a.xlsx", "is neither .csv nor .toml")):
        lectures.write("pipeline.toml", PIPELINE.replace("lectures.csv", name))
        assert says in lectures.command("validate").err
    os.mkfifo(lectures.root / "pipe.csv")  # which would never end
    lectures.write("pipeline.toml", PIPELINE.replace("lectures.csv", "pipe.csv"))
    assert "pipe.csv can't be read: not a regular file" in lectures.command("validate").err
    lectures.write("pipeline.toml", PIPELINE.replace(".csv", ".toml"))
    lectures.write("lectures.toml", "[l1.params.composit]\ntitle = 1\n[l2.params.composite]\ntitle = 1\n")
    said = lectures.command("validate").err
    assert "there is no stage 'composit' (did you mean 'composite'?)" in said
    assert "expected a string, got an integer" in said
