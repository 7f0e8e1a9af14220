"""`when` and `skip`: stages that only some jobs have, decided before anything runs."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Project, Ran

SHELF = """
[pipeline]
sources = ["media/*/"]

[stages.video]
command = ["cp", "{inputs.camera}", "{outputs.o}"]
inputs  = { camera = "source/camera.txt" }
outputs = { o = "video.txt" }

[stages.thumbs]
when    = "slides"
command = ["cp", "{inputs.slides}", "{outputs.o}"]
inputs  = { slides = "?source/slides.txt" }
outputs = { o = "thumbs.txt" }
deliver = "site/{job}/"

[stages.sprite]
command = ["cp", "{inputs.thumbs}", "{outputs.o}"]
inputs  = { thumbs = "thumbs.o" }
outputs = { o = "sprite.txt" }

[stages.page]
command = ["sh", "-c", 'cat "$1" $2 > "$0"', "{outputs.o}", "{inputs.video}", "{inputs.thumbs}"]
inputs  = { video = "video.o", thumbs = "?thumbs.o" }
outputs = { o = "page.txt" }

[stages.index]
collect = true
command = ["sh", "-c", 'cat "$@" > "$0"', "{outputs.o}", "{inputs.thumbs}"]
inputs  = { thumbs = "thumbs.o" }
outputs = { o = "index.txt" }
"""


def once(project: Project, *args: str) -> Ran:
    """A run that does one thing after the other."""
    return project.run("-n", "1", *args)


@pytest.fixture
def shelf(project: Project) -> Project:
    """Two talks with slides, one without; built once."""
    project.write("pipeline.toml", SHELF)
    for name in ("a", "b", "c"):
        project.write(f"media/{name}/camera.txt", f"camera {name}\n")
    for name in ("a", "c"):
        project.write(f"media/{name}/slides.txt", f"slides {name}\n")
    assert once(project).status == 0
    return project


def jobs_of(ran: list[str], stage: str) -> list[str]:
    """The jobs in which a stage ran."""
    return [name.split(":")[1] for name in ran if name.startswith(f"{stage}:")]


def test_a_stage_only_where_an_input_is_there(shelf: Project) -> None:
    """Who needs it isn't there either; who reads it with a ? gets nothing; who collects takes the others."""
    names = {line.strip() for line in shelf.command("list", "--all", "--quiet").out.splitlines()}
    assert {"thumbs:a", "sprite:a", "page:b", "thumbs:c"} <= names
    assert not {"thumbs:b", "sprite:b"} & names
    assert shelf.read("jobs/b/page/page.txt") == "camera b\n"
    assert shelf.read("jobs/a/page/page.txt") == "camera a\nslides a\n"
    assert shelf.read("jobs/.all/index/index.txt") == "slides a\nslides c\n"
    assert not once(shelf).ran
    rows = {line.split()[1]: line for line in shelf.command("status").out.splitlines() if line.startswith("│")}
    assert rows["b"].count("–") == 2 and "–" not in rows["a"]
    assert "thumbs (when slides)" in shelf.command("graph").out
    assert shelf.command("check").status == 0


def test_one_file_that_is_not_there_is_an_empty_argument(shelf: Project) -> None:
    """So that the arguments behind it keep their places; of a stage as of a path."""
    text = SHELF.replace('cat "$1" $2 > "$0"', 'echo "$1|$2|$3|$4" > "$0"')
    text = text.replace(
        '"{inputs.thumbs}"]\ninputs  = { video', '"{inputs.thumbs}", "{inputs.n}", "end"]\ninputs  = { video'
    )
    shelf.write("pipeline.toml", text.replace('"?thumbs.o"', '"?thumbs.o", n = "?source/notes.md"'))
    assert once(shelf).status == 0
    assert shelf.read("jobs/b/page/page.txt").strip().endswith("video.txt|||end")
    assert shelf.read("jobs/a/page/page.txt").strip().endswith("thumbs.txt||end")


def test_slides_that_come_and_go(shelf: Project) -> None:
    """They make tasks, and take them: copies of what went are removed, outputs stay until they are cleaned."""
    shelf.write("media/b/slides.txt", "slides b\n")
    ran = once(shelf)
    assert ran.ran == ["thumbs:b", "sprite:b", "page:b", "index:.all"]
    assert shelf.read("site/b/thumbs.txt") == "slides b\n"
    (shelf.root / "media/b/slides.txt").unlink()
    ran = once(shelf)
    assert sorted(ran.ran + ran.tasks("stage_restored")) == ["index:.all", "page:b"]
    assert shelf.read("jobs/.all/index/index.txt") == "slides a\nslides c\n"
    assert not (shelf.root / "site/b/thumbs.txt").exists()
    assert "thumbs:b: withdrawn" in shelf.command("status").out
    assert shelf.read("jobs/b/thumbs/thumbs.txt") == "slides b\n"
    shelf.command("clean", "--orphans")
    assert not (shelf.root / "jobs/b/thumbs").exists()
    assert not once(shelf).ran
    asked = shelf.run("--stages=thumbs", "--job=b")
    assert (asked.status, "thumbs: left out of these jobs, by `when` or `skip`" in asked.err) == (3, True)


def test_the_last_one_goes(shelf: Project) -> None:
    """Where no job has what it reads, a stage that collects has no task either; nothing fails."""
    for name in ("a", "c"):
        (shelf.root / f"media/{name}/slides.txt").unlink()
    ran = once(shelf)
    assert ran.status == 0
    assert sorted(ran.ran) == ["page:a", "page:c"]
    assert "index:.all: withdrawn" in shelf.command("status").out


def test_a_job_may_skip_a_stage(shelf: Project) -> None:
    """As if its condition didn't hold there."""
    shelf.write("pipeline.toml", SHELF + '[jobs."a"]\nskip = ["thumbs"]\n')
    ran = once(shelf)
    assert sorted(ran.ran) == ["index:.all", "page:a"]
    assert shelf.read("jobs/a/page/page.txt") == "camera a\n"
    assert not (shelf.root / "site/a/thumbs.txt").exists()
    shelf.write("pipeline.toml", SHELF)
    ran = once(shelf)
    assert "thumbs:a" not in ran.ran  # its outputs were there
    assert shelf.read("site/a/thumbs.txt") == "slides a\n"


def test_by_the_sources_name_and_by_what_lies_beside(project: Project) -> None:
    """A glob of names, and a path; also for sources that are files."""
    project.write(
        "pipeline.toml",
        """
[pipeline]
sources = ["shelf/*.{mp4,jpg}"]

[stages.sound]
when    = "*.{mp4,mkv}"
command = ["cp", "{inputs.media}", "{outputs.o}"]
inputs  = { media = "source" }
outputs = { o = "sound.txt" }

[stages.notes]
when    = "./notes/{job}.*"
command = ["cp", "{inputs.media}", "{outputs.o}"]
inputs  = { media = "source" }
outputs = { o = "notes.txt" }
""",
    )
    project.write("shelf/film.mp4", "film")
    project.write("shelf/photo.jpg", "photo")
    assert once(project).ran == ["sound:film"]
    assert not once(project).ran
    project.write("notes/photo.md", "x")
    assert once(project).ran == ["notes:photo"]
    assert not once(project).ran
    (project.root / "notes/photo.md").unlink()
    assert "notes:photo: withdrawn" in project.command("status").out


def test_a_condition_for_each_file(project: Project) -> None:
    """Of a matrix over files, value by value; what reads it follows."""
    project.write(
        "pipeline.toml",
        """
[pipeline]
sources = ["albums/*/"]

[stages.lyrics]
when    = "words"
command = ["cp", "{inputs.words}", "{outputs.o}"]
inputs  = { words = "?source/{track}.txt" }
outputs = { o = "o.txt" }
matrix  = { track = "source/*.flac" }

[stages.video]
command = ["cp", "{inputs.words}", "{outputs.o}"]
inputs  = { words = "lyrics.o", sound = "source/{track}.flac" }
outputs = { o = "o.txt" }
matrix  = { track = "source/*.flac" }
""",
    )
    for track in ("1", "2"):
        project.write(f"albums/x/{track}.flac", track)
    project.write("albums/x/2.txt", "la")
    assert once(project).ran == ["lyrics:x:2", "video:x:2"]
    assert not once(project).ran
    project.write("albums/x/1.txt", "lala")
    assert once(project).ran == ["lyrics:x:1", "video:x:1"]


def test_conditions_are_no_fact(shelf: Project) -> None:
    """Another condition that holds in the same jobs runs nothing."""
    shelf.write("pipeline.toml", SHELF.replace('when    = "slides"', 'when    = "source/slides.*"'))
    assert not once(shelf).ran
    shelf.write("pipeline.toml", SHELF.replace('when    = "slides"\n', "").replace("?source/slides", "source/slides"))
    ran = once(shelf)
    assert (ran.ran, ran.status) == ([], 1)
    assert ran.tasks("stage_failed")[0] == "thumbs:b"
    assert "when" not in json.loads(shelf.read("jobs/a/thumbs/manifest.json"))["code"]


MISTAKES = [
    (
        'when    = "slides"',
        'when    = "slide"',
        "has no input 'slide' (did you mean 'slides'?",
    ),
    ('when    = "slides"', 'when    = ""', "stages.thumbs.when"),
    ('when    = "slides"', "when    = 3", "stages.thumbs.when: expected a string"),
    ('when    = "slides"', 'when    = "!slides"', "there is no negation"),
    ('when    = "slides"', 'when    = "source/{tack}.txt"', "{tack} is no placeholder"),
    ('when    = "slides"', 'when    = "source/../x"', "leads outside the job's folder"),
    ('when    = "slides"', 'wen     = "slides"', "did you mean 'when'?"),
    ("collect = true", 'collect = true\nwhen = "*.mp4"', "a collect stage is of no single job"),
    ("[pipeline]", '[jobs."a"]\nskip = ["thumb"]\n[pipeline]', "there is no stage 'thumb' (did you mean 'thumbs'?"),
    ("[pipeline]", '[jobs."a"]\nskip = ["index"]\n[pipeline]', "'index' is a collect stage"),
    ("[pipeline]", '[jobs."a"]\nskip = "thumbs"\n[pipeline]', "skip: expected a list"),
]


@pytest.mark.parametrize(("was", "becomes", "says"), MISTAKES)
def test_mistakes_of_conditions(shelf: Project, was: str, becomes: str, says: str) -> None:
    """Each is said with its table and key, and the nearest name."""
    text = SHELF.replace(was, becomes, 1)
    assert text != SHELF
    shelf.write("pipeline.toml", text)
    said = shelf.command("validate")
    assert said.status == 3
    assert says in said.err
