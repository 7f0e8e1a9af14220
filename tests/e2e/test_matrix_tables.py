"""A matrix that is a table: each value sets params; one value of a matrix as an input; keys in paths and names."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Project, Ran

LADDER = """
[pipeline]
sources = ["media/*.txt"]

[stages.rendition]
command = ["sh", "-c", 'echo "$@" > "$0"', "{outputs.list}", "{params.rung}", "{params.height}", "{params.rate}"]
inputs  = { media = "source" }
outputs = { list = "{rung}.m3u8" }
params  = { rate = 44100 }
deliver = "site/{job}/"

[stages.rendition.matrix.rung]
1080p = { height = 1080, rate = 48000 }
240p  = { height = 240 }
480p  = { height = 480 }

[stages.master]
command = ["sh", "-c", 'cat "$@" > "$0"', "{outputs.list}", "{inputs.renditions}"]
inputs  = { renditions = "rendition.list" }
outputs = { list = "master.m3u8" }

[stages.poster]
command = ["cp", "{inputs.small}", "{outputs.o}"]
inputs  = { small = "rendition.list:240p" }
outputs = { o = "poster.txt" }

[stages.dash]
command = ["sh", "-c", 'cat "$1" $2 > "$0"', "{outputs.o}", "{inputs.mine}", "{inputs.mark}"]
inputs  = { mine = "rendition.list", mark = "?./marks/{rung}.txt" }
outputs = { o = "dash.{rung}.txt" }
matrix  = { rung = ["240p", "480p"] }
"""
OWN = '''"""Encodes."""

import msgspec

from mediabuild.stage import Context, stage


class EncodeParams(msgspec.Struct, forbid_unknown_fields=True):
    """Of a rung."""

    height: int
    video: str = "1M"


@stage(version=1, inputs={"media": ""}, outputs={"o": "o.txt"})
def encode(ctx: Context, params: EncodeParams) -> None:
    ctx.output("o").write_text(f"{params.height} {params.video}")
'''


def once(project: Project, *args: str) -> Ran:
    """A run that does one thing after the other."""
    return project.run("-n", "1", *args)


@pytest.fixture
def ladder(project: Project) -> Project:
    """One recording, three rungs; built once."""
    project.write("pipeline.toml", LADDER)
    project.write("media/a.txt", "a\n")
    assert once(project).status == 0
    return project


def test_values_set_params(ladder: Project) -> None:
    """A value is the task's and its directory's name; fan-ins take them in natural order; one is read by its name."""
    assert ladder.read("jobs/a/rendition/240p/240p.m3u8") == "240p 240 44100\n"
    assert ladder.read("site/a/1080p.m3u8") == "1080p 1080 48000\n"
    assert ladder.read("jobs/a/master/master.m3u8").split()[::3] == ["240p", "480p", "1080p"]
    assert ladder.read("jobs/a/poster/poster.txt") == "240p 240 44100\n"
    assert ladder.read("jobs/a/dash/480p/dash.480p.txt") == "480p 480 44100\n"
    assert not once(ladder).ran


def test_one_rungs_change_runs_one_rung(ladder: Project) -> None:
    """Under the same name, over the same copy; a param that a value sets itself isn't the stage's; a rung may go."""
    ladder.write("pipeline.toml", LADDER.replace("height = 480", "height = 482"))
    ran = once(ladder)
    assert ran.ran == ["rendition:a:480p", "master:a", "dash:a:480p"]
    assert ran.reasons("rendition:a:480p") == ["params.height"]
    assert ladder.read("site/a/480p.m3u8") == "480p 482 44100\n"
    ladder.write("pipeline.toml", LADDER.replace("rate = 44100", "rate = 22050"))
    assert [name for name in once(ladder).ran if name.startswith("rendition")] == [
        "rendition:a:240p",
        "rendition:a:480p",
    ]
    ladder.write("pipeline.toml", LADDER.replace("1080p = { height = 1080, rate = 48000 }\n", ""))
    once(ladder)
    assert not (ladder.root / "site/a/1080p.m3u8").exists()
    assert not once(ladder).ran


def test_order_and_new_rungs_run_nothing_else(ladder: Project) -> None:
    """A table in another order is the same; a rung more is one task more, and what reads all of them."""
    lines = LADDER.replace("240p  = { height = 240 }\n", "").replace(
        "480p  = { height = 480 }", "480p  = { height = 480 }\n240p = { height = 240 }"
    )
    ladder.write("pipeline.toml", lines)
    assert not once(ladder).ran
    ladder.write("pipeline.toml", LADDER.replace("480p  = {", "360p = { height = 360 }\n480p  = {"))
    assert once(ladder).ran == ["rendition:a:360p", "master:a"]


def test_the_command_line_chooses_rungs(ladder: Project) -> None:
    """By their names; a value that the table lacks is a mistake; a param over all of them is one for this run."""
    ran = once(ladder, "rendition", "rung=240p", "--force")
    assert ran.ran == ["rendition:a:240p"]
    wrong = once(ladder, "rendition.rung=240")
    assert wrong.status == 3 and "the matrix has no '240' (did you mean '240p'?" in wrong.err
    ran = once(ladder, "rendition", "rendition.height=100")
    assert len(ran.ran) == 3
    assert ladder.read("site/a/1080p.m3u8") == "1080p 100 48000\n"
    assert once(ladder, "rendition").tasks("stage_restored")
    assert ladder.read("site/a/1080p.m3u8") == "1080p 1080 48000\n"


def test_a_python_stage_need_not_declare_the_key(project: Project) -> None:
    """Its params are the table's; their bounds and names are checked, value by value."""
    project.write("stages/encode.py", OWN)
    project.write("a.txt", "a")
    text = (
        '[pipeline]\nsources = ["a.txt"]\n[stages.encode]\ninputs = { media = "source" }\n[stages.encode.matrix.rung]\n'
    )
    project.write("pipeline.toml", text + 'low = { height = 240 }\nhigh = { height = 720, video = "2M" }\n')
    assert once(project).ran == ["encode:a:low", "encode:a:high"]
    assert project.read("jobs/a/encode/high/o.txt") == "720 2M"
    assert json.loads(project.read("jobs/a/encode/low/manifest.json"))["params"] == {"height": 240, "video": "1M"}
    project.write("pipeline.toml", text + 'low = { heigt = 240 }\nhigh = { height = "x" }\n')
    said = project.command("validate")
    assert said.status == 3
    assert "stages.encode.matrix.rung.low.heigt: unknown key (did you mean 'height'?)" in said.err
    assert "stages.encode.matrix.rung.high.height: expected an integer" in said.err


MISTAKES = [
    ("240p  = { height = 240 }", "240p  = { rate = 1 }", "matrix.rung.240p: height is missing, which '1080p' sets"),
    (
        "240p  = { height = 240 }",
        '240p  = { height = "240" }',
        "rung.240p.height: expected an integer as '1080p' has it",
    ),
    ("240p  = { height = 240 }", "240p  = 240", "stages.rendition.matrix"),
    ("240p  = { height = 240 }", '"a/b"  = { height = 240 }', "'a/b' can't be the name of a directory"),
    ("240p  = { height = 240 }", "240p  = { height = 240, rung = 1 }", "rung is a key of the matrix itself"),
    ("list:240p", "list:24p", "rendition has no '24p' (did you mean '240p'?)"),
    ('"rendition.list:240p"', '"?rendition.list:24p"', "rendition has no '24p' (did you mean '240p'?)"),
    ("rendition.list:240p", "master.list:240p", "'master' has no matrix, so no value '240p'"),
    ("list:240p", "lst:240p", "'rendition' has no output 'lst' (did you mean 'list'?)"),
    ('rung = ["240p", "480p"]', 'rung = ["240p", "48p"]', "rendition has no '48p', which dash would read"),
    ("{rung}.m3u8", "{run}.m3u8", "stages.rendition.outputs.list: {run} is no placeholder (did you mean '{rung}'?"),
    (
        "./marks/{rung}.txt",
        "./marks/{rng}.txt",
        "stages.dash.inputs.mark: {rng} is no placeholder (did you mean '{rung}'?",
    ),
    ('"{params.height}"', '"{params.heigth}"', "{params.heigth} is not declared (did you mean '{params.height}'?"),
]


@pytest.mark.parametrize(("was", "becomes", "says"), MISTAKES)
def test_mistakes_of_tables(ladder: Project, was: str, becomes: str, says: str) -> None:
    """Each is said with its table and key, and the nearest name."""
    text = LADDER.replace(was, becomes, 1)
    assert text != LADDER
    ladder.write("pipeline.toml", text)
    said = ladder.command("validate")
    assert said.status == 3
    assert says in said.err
