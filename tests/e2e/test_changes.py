"""What runs after each change: the rows of the comparison with make, ninja, doit, DVC and Snakemake.

The chain is A → B → C, each a small command; what ran is read from the events.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import CHAIN, Project

SOURCE, FROM_A, FROM_B, FROM_C = "media/one.txt", "jobs/one/A/a.txt", "jobs/one/B/b.txt", "jobs/one/C/c.txt"
EVERY_FILE = [SOURCE, FROM_A, FROM_B, FROM_C]


def rewrite(path: Path, content: str) -> None:
    """Other content under the old mtime, as `cp -p` and rsync do it."""
    times = path.stat()
    path.write_text(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_a_first_run_runs_all_in_order(project: Project) -> None:
    """Without manifests everything is stale, for that reason, and runs in the canonical order."""
    project.write("pipeline.toml", CHAIN)
    project.write(SOURCE, "hello\n")
    first = project.run()
    assert first.status == 0
    assert first.ran == ["A:one", "B:one", "C:one"]
    assert [first.reasons(task)[0] for task in first.ran] == ["never_run"] * 3
    assert project.read(FROM_C) == "olleh\nolleh\n"


def test_touch_runs_nothing(chain: Project) -> None:
    """A new mtime over the same bytes is no change, for the source and for every stage's output."""
    for file in EVERY_FILE:
        os.utime(chain.root / file)
        assert chain.run().ran == []


def test_the_same_bytes_written_anew_run_nothing(chain: Project) -> None:
    """Another inode with the same content is no change."""
    for file in EVERY_FILE:
        content = (chain.root / file).read_bytes()
        (chain.root / file).unlink()
        chain.write(file, content)
    assert chain.run().ran == []


def test_an_identical_output_stops_the_rebuild(project: Project) -> None:
    """Early cutoff: A runs since its source changed, writes the same bytes, and B and C don't run."""
    project.write("pipeline.toml", CHAIN.replace('cp "$1" "$2"', 'head -1 "$1" > "$2"'))
    project.write(SOURCE, "hello\nignored\n")
    project.run()
    project.write(SOURCE, "hello\nalso ignored\n")
    second = project.run()
    assert second.ran == ["A:one"]
    assert second.skipped == ["B:one", "C:one"]
    assert second.reasons("A:one") == [f"inputs.media: {SOURCE}"]
    assert project.run().ran == []


def test_cutoff_in_the_middle_of_the_chain(project: Project) -> None:
    """A's output changes, B's doesn't: C is spared."""
    project.write("pipeline.toml", CHAIN.replace('cat "$1"', 'tr -d x < "$1"'))
    project.write(SOURCE, "hello\n")
    project.run()
    project.write(SOURCE, "hexllo\n")
    assert project.run().ran == ["A:one", "B:one"]


def test_a_new_source(chain: Project) -> None:
    """Other content under a new mtime runs the chain."""
    chain.write(SOURCE, "another\n")
    second = chain.run()
    assert second.ran == ["A:one", "B:one", "C:one"]
    assert chain.read(FROM_C) == "rehtona\nrehtona\n"


@pytest.mark.parametrize("content", ["HELLO\n", "longer than before\n"])
def test_an_edited_source_with_its_old_mtime(chain: Project, content: str) -> None:
    """mtime kept, size kept or not: the content decides, and A, B and C run."""
    rewrite(chain.root / SOURCE, content)
    assert chain.run().ran == ["A:one", "B:one", "C:one"]
    assert chain.read(FROM_C) == content.strip()[::-1].join(("", "\n")) * 2


def test_the_old_source_comes_back(chain: Project) -> None:
    """Replaced by the earlier file, mtime and all (as `git checkout` or a backup does): the chain is as it was."""
    old = (chain.root / SOURCE).read_bytes(), (chain.root / SOURCE).stat()
    chain.write(SOURCE, "another\n")
    chain.run()
    chain.write(SOURCE, old[0])
    os.utime(chain.root / SOURCE, ns=(old[1].st_atime_ns, old[1].st_mtime_ns))
    assert chain.run().tasks("stage_restored") == ["A:one", "B:one", "C:one"]
    assert chain.read(FROM_C) == "olleh\nolleh\n"


@pytest.mark.parametrize("content", ["HELLO\n", "longer than before\n"])
@pytest.mark.parametrize(("file", "ran"), [(FROM_A, ["A:one"]), (FROM_B, ["B:one"]), (FROM_C, ["C:one"])])
def test_an_output_under_its_old_mtime(chain: Project, file: str, ran: list[str], content: str) -> None:
    """An output that isn't what was recorded is made again, whatever its mtime says; nothing follows it."""
    clean = chain.read(file)
    rewrite(chain.root / file, content)
    second = chain.run()
    assert second.ran == ran
    assert second.reasons(ran[0]) == [f"outputs.{Path(file).name}"]
    assert chain.read(file) == clean


def test_a_param_and_back(chain: Project) -> None:
    """B's param changes: B and C run. Changed back, nothing runs: the earlier outputs are back, byte for byte."""
    first = {file: chain.read(file) for file in EVERY_FILE}
    chain.write("pipeline.toml", CHAIN.replace("times = 2", "times = 3"))
    changed = chain.run()
    assert changed.ran == ["B:one", "C:one"]
    assert changed.reasons("B:one") == ["params.times"]
    assert chain.read(FROM_B) == "hello\n" * 3
    chain.write("pipeline.toml", CHAIN)
    back = chain.run()
    assert back.ran == []
    assert back.tasks("stage_restored") == ["B:one", "C:one"]
    assert {file: chain.read(file) for file in EVERY_FILE} == first


def test_a_param_that_does_not_matter_downstream(chain: Project) -> None:
    """A changed param whose run makes the same bytes stops there."""
    doubled = CHAIN.replace("params  = { times = 2 }", 'params  = { times = 2, note = "no one reads me" }')
    chain.write("pipeline.toml", doubled)
    second = chain.run()
    assert second.ran == ["B:one"]
    assert second.reasons("B:one") == ["params.note"]


def test_a_param_removed(chain: Project) -> None:
    """A param that is gone is a reason too."""
    chain.write("pipeline.toml", CHAIN.replace("times = 2 }", "times = 2, note = 1 }"))
    chain.run()
    chain.write("pipeline.toml", CHAIN)
    assert chain.run().reasons("B:one") == ["params.note"]


def test_order_and_formatting_of_the_pipeline_never_count(project: Project) -> None:
    """Params in another order, comments, spaces and stages in another order run nothing."""
    table = 'params  = { times = 2, a = "x", deep = { one = 1, two = [1, 2] } }'
    project.write("pipeline.toml", CHAIN.replace("params  = { times = 2 }", table))
    project.write(SOURCE, "hello\n")
    project.run()
    again = 'params = { deep = { two = [1, 2], one = 1 }, a = "x", times = 2 }  # same'
    head, a, b, c = CHAIN.replace("params  = { times = 2 }", again).split("\n[stages")
    project.write("pipeline.toml", "# a comment\n" + "\n[stages".join([head, c, b, a]))
    second = project.run()
    assert second.ran == []
    assert second.skipped == ["A:one", "B:one", "C:one"]


def test_a_changed_command(chain: Project) -> None:
    """A command stage is its command: B and C run when B's argv changes, and the reason names the command."""
    chain.write("pipeline.toml", CHAIN.replace('cat "$1"', 'cat < "$1"'))
    second = chain.run()
    assert second.ran == ["B:one"]  # the same bytes: C is spared
    assert second.reasons("B:one") == ["stage.command"]


def test_a_renamed_output(chain: Project) -> None:
    """Another file name for an output runs the stage and what reads it; the old file is gone."""
    chain.write("pipeline.toml", CHAIN.replace('"b.txt"', '"bb.txt"'))
    second = chain.run()
    assert second.ran == ["B:one", "C:one"]
    assert second.reasons("B:one") == ["stage.outputs"]
    assert sorted(p.name for p in (chain.root / "jobs/one/B").iterdir()) == ["bb.txt", "manifest.json"]


def test_an_input_rewired(chain: Project) -> None:
    """C reads A instead of B: C alone runs, and B stays as it is."""
    head, a, b, c = CHAIN.split("\n[stages")
    chain.write("pipeline.toml", "\n[stages".join([head, a, b, c.replace("B.text", "A.text")]))
    second = chain.run()
    assert second.ran == ["C:one"]
    assert second.reasons("C:one") == ["inputs.text"]
    assert chain.read(FROM_C) == "olleh\n"


def test_an_environment_variable_nobody_declared(chain: Project) -> None:
    """The environment is no input."""
    chain.env["LC_ALL"] = "C"
    chain.env["SOMETHING"] = "else"
    assert chain.run().ran == []


def test_a_job_of_its_own_params(project: Project) -> None:
    """A job's table changes that job alone."""
    project.write("pipeline.toml", CHAIN)
    project.write(SOURCE, "hello\n")
    project.write("media/two.txt", "world\n")
    project.run()
    project.write("pipeline.toml", CHAIN + "\n[jobs.two]\nparams.B = { times = 1 }\n")
    second = project.run()
    assert second.ran == ["B:two", "C:two"]
    assert project.read("jobs/two/C/c.txt") == "dlrow\n"


def test_a_new_source_leaves_the_others_alone(chain: Project) -> None:
    """A recording that is added is a new job; nothing else runs."""
    chain.write("media/two.txt", "world\n")
    assert chain.run().ran == ["A:two", "B:two", "C:two"]


def test_a_moved_project_is_fresh(chain: Project) -> None:
    """No absolute path is part of any fact: the project moves, jobs and all, and nothing runs."""
    elsewhere = chain.root.with_name("elsewhere")
    chain.root.rename(elsewhere)
    chain.root = elsewhere
    assert chain.run().ran == []


def test_a_renamed_job(project: Project) -> None:
    """Source and job directory renamed: what reads the source or says the job's name runs, the rest is fresh."""
    named = CHAIN.replace('rev "$1" > "$2"', 'echo {job} > "$2"')
    project.write("pipeline.toml", named)
    project.write(SOURCE, "hello\n")
    project.run()
    (project.root / SOURCE).rename(project.root / "media/two.txt")
    (project.root / "jobs/one").rename(project.root / "jobs/two")
    second = project.run()
    assert second.ran == ["A:two", "C:two"]
    assert second.reasons("C:two") == ["stage.job"]
    assert project.read("jobs/two/C/c.txt") == "two\n"


def test_copied_jobs_are_fresh_without_any_database(chain: Project, tmp_path: Path) -> None:
    """Manifests and outputs alone are enough: no stat cache, no marks, other inodes and mtimes."""
    other = Project(tmp_path / "other")
    other.write("pipeline.toml", CHAIN)
    other.write(SOURCE, chain.read(SOURCE))
    for stage in "ABC":
        for file in (chain.root / "jobs/one" / stage).iterdir():
            other.write(f"jobs/one/{stage}/{file.name}", file.read_bytes())
    assert other.run().ran == []


def test_a_stage_in_the_middle_is_added(chain: Project) -> None:
    """A stage put between runs, and what now reads it."""
    between = (
        '\n[stages.M]\ncommand = ["sed", "-n", "w {outputs.text}", "{inputs.text}"]\n'
        'inputs = { text = "A.text" }\noutputs = { text = "m.txt" }\n'
    )
    head, a, b, c = CHAIN.split("\n[stages")
    chain.write("pipeline.toml", "\n[stages".join([head, a, b.replace("A.text", "M.text"), c]) + between)
    assert chain.run().ran == ["M:one", "B:one"]


def test_what_was_looked_at_is_noted_once_a_day(chain: Project) -> None:
    """`last_checked_ts` like relatime: a run refreshes it while it equals `timestamp`, then not for a day."""
    manifest = chain.root / "jobs/one/A/manifest.json"
    built = json.loads(manifest.read_text())
    assert built["last_checked_ts"] == built["timestamp"]
    chain.run()
    looked = json.loads(manifest.read_text())
    assert looked["last_checked_ts"] > looked["timestamp"] == built["timestamp"]
    chain.run()
    assert json.loads(manifest.read_text()) == looked
    looked["last_checked_ts"] -= 3 * 86_400
    looked["timestamp"] -= 4 * 86_400
    manifest.write_text(json.dumps(looked, indent=2, sort_keys=True) + "\n")
    assert chain.run().ran == []
    assert json.loads(manifest.read_text())["last_checked_ts"] > time.time() - 3600


SHOWN = """
[pipeline]
sources = ["media/*.txt"]
[stages.A]
command = ["sh", "-c", 'echo "$1" > "$2"', "A", "{params.value}", "{outputs.text}"]
inputs  = { text = "source" }
outputs = { text = "a.txt" }
params  = { value = VALUE }
"""


@pytest.mark.parametrize(
    ("value", "same", "given"),
    [
        ("{ a = 1, b = 2 }", "{ b = 2, a = 1 }", '{"a":1,"b":2}'),
        ("[{ a = { x = 1, y = [2] }, b = 2 }]", "[{ b = 2, a = { y = [2], x = 1 } }]", '[{"a":{"x":1,"y":[2]},"b":2}]'),
        ("2024-01-31", '"2024-01-31"', "2024-01-31"),
        ("2024-01-31T10:00:00Z", '"2024-01-31T10:00:00Z"', "2024-01-31T10:00:00Z"),
        ("[10:30:00]", '["10:30:00"]', '["10:30:00"]'),
        ("0x10", "16", "16"),
    ],
)
def test_equal_values_are_given_as_the_same_text(project: Project, value: str, same: str, given: str) -> None:
    """What the facts can't tell apart, a program can't either."""
    project.write("media/one.txt", "one\n")
    project.write("pipeline.toml", SHOWN.replace("VALUE", value))
    assert project.run().status == 0
    assert project.read("jobs/one/A/a.txt") == given + "\n"
    project.write("pipeline.toml", SHOWN.replace("VALUE", same))
    assert project.run().ran == []
    assert project.run("--force").status == 0
    assert project.read("jobs/one/A/a.txt") == given + "\n"


def test_values_that_look_alike_are_others(project: Project) -> None:
    """1, 1.0, true, a text with quotes: each is a change. A command that is given the same text does the same."""
    project.write("media/one.txt", "one\n")
    for value in ("1", "1.0", "true", '"\\"true\\""', "[1]", "[1.0]"):
        project.write("pipeline.toml", SHOWN.replace("VALUE", value))
        assert project.run().ran == ["A:one"], value
    project.write("pipeline.toml", SHOWN.replace("VALUE", '"[1.0]"'))
    assert project.run().ran == []


@pytest.mark.parametrize("value", ["nan", "-inf", "[1.0, inf]", "{ a = { b = nan } }"])
def test_a_number_that_is_none_is_a_mistake(project: Project, value: str) -> None:
    """nan and inf would be recorded as nothing, and changing one to the other would change nothing."""
    project.write("media/one.txt", "one\n")
    project.write("pipeline.toml", SHOWN.replace("VALUE", value))
    ran = project.command("validate")
    assert ran.status == 3
    assert "stages.A.params.value" in ran.err
    assert "nan and inf" in ran.err


def test_a_number_that_is_none_elsewhere(project: Project) -> None:
    """In a job's table, on the command line, in a matrix, as a default of a Python stage."""
    project.write("media/one.txt", "one\n")
    text = SHOWN.replace("VALUE", "1.0")
    places = {
        text + '[jobs."one"]\nparams.A = { value = inf }\n': 'jobs."one".params.A.value',
        text + "matrix = { v = [1.0, nan] }\n": "stages.A.matrix.v",
        text + '[stages.own]\ninputs = { text = "source" }\n': "stages.own.params.most",
    }
    project.write(
        "stages/own.py",
        """
import msgspec
from mediabuild.stage import Context, stage

class OwnParams(msgspec.Struct):
    most: float = float("inf")

@stage(version=1, inputs={"text": "a text"}, outputs={"text": "a.txt"})
def own(ctx: Context, params: OwnParams) -> None: ...
""",
    )
    for content, where in places.items():
        project.write("pipeline.toml", content)
        ran = project.command("validate")
        assert ran.status == 3, where
        assert f"{where}: nan and inf" in ran.err
    project.write("pipeline.toml", text)
    for word in ("A.value=nan", "value=-inf"):
        ran = project.run(word)
        assert (ran.status, ran.ran) == (3, [])
        assert "nan and inf" in ran.err
