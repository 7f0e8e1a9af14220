"""A folder as a source: its parts are inputs, its files may be a matrix, and its name is no fact."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import Project, Ran

LECTURES = """
[pipeline]
sources = ["lectures/*/", "!lectures/drafts"]

[stages.composite]
command = ["sh", "-c", 'cat "$1" $2 > "$0"', "{outputs.text}", "{inputs.camera}", "{inputs.slides}"]
inputs  = { camera = "source/camera.*", slides = "?source/slides.*" }
outputs = { text = "lecture.txt" }
deliver = "site/{job}/"

[stages.all]
command = ["sh", "-c", 'find "$1" -type f | wc -l > "$0"', "{outputs.count}", "{inputs.folder}"]
inputs  = { folder = "source" }
outputs = { count = "count.txt" }
"""
ALBUMS = """
[pipeline]
sources = ["albums/*/"]

[stages.loudness]
command = ["sh", "-c", 'wc -c < "$1" > "$0"', "{outputs.n}", "{inputs.sound}"]
inputs  = { sound = "source/{track}.{flac,wav}" }
outputs = { n = "{track}.txt" }
matrix  = { track = "source/*.{flac,wav}" }

[stages.album]
command = ["sh", "-c", 'cat "$@" > "$0"', "{outputs.gain}", "{inputs.tracks}"]
inputs  = { tracks = "loudness.n" }
outputs = { gain = "gain.txt" }

[stages.opus]
command = ["sh", "-c", 'cat "$@" > "$0"', "{outputs.opus}", "{inputs.sound}", "{inputs.mine}", "{inputs.gain}"]
inputs  = { sound = "source/{track}.{flac,wav}", mine = "loudness.n", gain = "album.gain" }
outputs = { opus = "{track}.opus" }
matrix  = { track = "source/*.{flac,wav}" }
deliver = "opus/{job}/"
"""
OWN = '''"""Counts the letters of a lecture."""

import msgspec

from mediabuild.stage import Context, stage


class LettersParams(msgspec.Struct, forbid_unknown_fields=True):
    """None."""


@stage(version=1, inputs={"parts": "of the lecture"}, outputs={"n": "n.txt"})
def letters(ctx: Context, params: LettersParams) -> None:
    parts = ctx.inputs("parts")
    ctx.output("n").write_text(" ".join(f"{key}={len(path.read_bytes())}" for key, path in parts.items()))
'''


def once(project: Project, *args: str) -> Ran:
    """A run that does one thing after the other."""
    return project.run("-n", "1", *args)


@pytest.fixture
def lectures(project: Project) -> Project:
    """Three lectures, the second one without slides; built once."""
    project.write("pipeline.toml", LECTURES)
    for number in (1, 2, 10):
        project.write(f"lectures/l{number}/camera.txt", f"camera {number}\n")
        project.write(f"lectures/l{number}/notes/note.md", "note\n")
    for number in (1, 10):
        project.write(f"lectures/l{number}/slides.txt", f"slides {number}\n")
    project.write("lectures/drafts/camera.txt", "no\n")
    project.write("lectures/readme.txt", "a file is no lecture\n")
    assert once(project).status == 0
    return project


@pytest.fixture
def albums(project: Project) -> Project:
    """Two albums, with three tracks and with two; built once."""
    project.write("pipeline.toml", ALBUMS)
    for name in ("ch1", "ch2", "ch10"):
        project.write(f"albums/one/{name}.flac", f"{name}\n")
    for name in ("a", "b"):
        project.write(f"albums/it's a [live] one/{name}.wav", f"{name}\n")
    assert once(project).status == 0
    return project


def test_a_folder_is_a_job_and_its_parts_are_inputs(lectures: Project) -> None:
    """Files in it are called by the way from there; a second run is a no-op, also where file managers left a file."""
    assert lectures.read("site/l1/lecture.txt") == "camera 1\nslides 1\n"
    assert lectures.read("site/l2/lecture.txt") == "camera 2\n"
    assert {path.name for path in (lectures.root / "site").iterdir()} == {"l1", "l2", "l10"}
    manifest = json.loads(lectures.read("jobs/l1/composite/manifest.json"))
    assert {name: list(files) for name, files in manifest["inputs"].items()} == {
        "camera": ["source/camera.txt"],
        "slides": ["source/slides.txt"],
    }
    whole = json.loads(lectures.read("jobs/l1/all/manifest.json"))["inputs"]["folder"]
    assert list(whole) == ["source/camera.txt", "source/notes/note.md", "source/slides.txt"]
    assert not once(lectures).ran
    lectures.write("lectures/l1/.DS_Store", "x")
    assert not once(lectures).ran


def test_edits_run_what_follows_from_them(lectures: Project) -> None:
    """Of a part: who reads it. Of another file: who reads the whole folder. A part that comes or goes counts."""
    lectures.write("lectures/l1/slides.txt", "other slides\n")
    assert once(lectures).ran == ["composite:l1", "all:l1"]
    lectures.write("lectures/l1/notes/more.md", "more\n")
    assert once(lectures).ran == ["all:l1"]
    lectures.write("lectures/l2/slides.txt", "slides\n")
    ran = once(lectures)
    assert ran.ran == ["composite:l2", "all:l2"]
    assert ran.reasons("composite:l2") == ["inputs.slides: source/slides.txt"]
    (lectures.root / "lectures/l2/slides.txt").unlink()
    ran = once(lectures)
    assert (ran.ran, ran.tasks("stage_restored")) == ([], ["composite:l2", "all:l2"])


def test_a_missing_part_is_that_jobs_trouble(lectures: Project) -> None:
    """Its stage fails and names the part; the others are built, and those who ask are told."""
    (lectures.root / "lectures/l2/camera.txt").unlink()
    lectures.write("lectures/l10/camera.txt", "new\n")
    ran = once(lectures)
    assert ran.status == 1
    assert ran.ran == ["all:l2", "composite:l10", "all:l10"]
    assert "inputs.camera: source/camera.*" in ran.out
    assert "source/camera.* missing" in lectures.command("status").out.replace("camera.*: missing", "camera.* missing")
    assert "composite:l2: inputs.camera: nothing is at source/camera.*" in lectures.command("validate").out
    assert once(lectures, "--job", "l1").status == 0


def test_a_renamed_folder_costs_python_stages_nothing(project: Project) -> None:
    """Its name is no fact: outputs are copied, and the job of the old name is an orphan; so with a second copy."""
    project.write("stages/letters.py", OWN)
    project.write(
        "pipeline.toml",
        '[pipeline]\nsources = ["lectures/*/"]\n[stages.letters]\ninputs = { parts = "source/*.txt" }\n',
    )
    project.write("lectures/l1/a.txt", "abc")
    project.write("lectures/l1/b.txt", "abcd")
    assert once(project).ran == ["letters:l1"]
    assert project.read("jobs/l1/letters/n.txt") == "source/a.txt=3 source/b.txt=4"
    (project.root / "lectures/l1").rename(project.root / "lectures/l2 [new]")
    ran = once(project)
    assert (ran.ran, ran.tasks("stage_restored")) == ([], ["letters:l2 [new]"])
    assert next(e for e in ran.events if e["event"] == "jobs_orphaned")["jobs"] == ["l1"]
    shutil.copytree(project.root / "lectures/l2 [new]", project.root / "lectures/l3.x")
    assert once(project).tasks("stage_restored") == ["letters:l3.x"]
    assert "l1" in project.command("clean", "--orphans").out
    assert not (project.root / "jobs/l1").exists()


def test_a_renamed_folder_costs_isolated_commands_nothing(albums: Project) -> None:
    """They are told no name of it, so their results come back, for each track; what reads all tracks follows."""
    albums.write("pipeline.toml", ALBUMS.replace("[pipeline]", "[pipeline]\nisolate = true"))
    once(albums)
    (albums.root / "albums/one").rename(albums.root / "albums/two")
    ran = once(albums)
    assert (ran.ran, len(ran.tasks("stage_restored"))) == ([], 7)
    assert albums.read("opus/two/ch2.opus") == "ch2\n4\n4\n4\n5\n"


def test_one_folder_by_itself(lectures: Project) -> None:
    """`--source` takes a folder, `--job` its name; a file, or what isn't there, is refused."""
    lectures.write("elsewhere/x.y/camera.txt", "elsewhere\n")
    ran = once(lectures, "--source", "elsewhere/x.y")
    assert ran.ran == ["composite:x.y", "all:x.y"]
    assert once(lectures, "--job", "l*", "--force").ran[:2] == ["composite:l1", "all:l1"]
    refused = once(lectures, "--source", "lectures/readme.txt")
    assert refused.status == 3 and "is a file, and the pipeline's sources are folders" in refused.err
    refused = once(lectures, "--source", "lectures/none")
    assert refused.status == 3 and "no such folder" in refused.err


def test_params_of_one_folder(lectures: Project) -> None:
    """`[jobs]` goes by the folder's name; one that isn't there is named, and stops nothing."""
    text = lectures.read("pipeline.toml").replace('deliver = "site/{job}/"', "params = { x = 1 }")
    lectures.write("pipeline.toml", text + '[jobs."l2"]\nparams.composite = { x = 2 }\n')
    assert once(lectures).status == 0
    assert json.loads(lectures.read("jobs/l2/composite/manifest.json"))["params"] == {"x": 2}
    (lectures.root / "lectures/l2").rename(lectures.root / "lectures/l3")
    ran = once(lectures)
    assert ran.status == 0
    assert '[jobs."l2"]: there is no job ' in ran.out
    assert '[jobs."l2"]: there is no job ' in lectures.command("status").out


def test_tracks_of_each_folder_are_a_matrix(albums: Project) -> None:
    """In natural order, with the track's own name; who has no such key reads all tracks of its folder, and no other."""
    assert albums.read("opus/one/ch2.opus") == "ch2\n4\n4\n4\n5\n"
    assert albums.read("jobs/one/album/gain.txt") == "4\n4\n5\n"
    assert albums.read("opus/it's a [live] one/a.opus") == "a\n2\n2\n2\n"
    assert not once(albums).ran
    names = [line.strip() for line in albums.command("list", "--all", "--quiet", "opus").out.splitlines()]
    assert "opus:one:ch2" in names and "opus:it's a [live] one:b" in names


def test_a_track_whose_suffix_is_in_capitals(project: Project) -> None:
    """What the matrix finds in any case, the input finds, too, by the name that it has there."""
    project.write("pipeline.toml", ALBUMS.replace("{flac,wav}", "flac"))
    project.write("albums/one/a.flac", "a")
    project.write("albums/one/b.FLAC", "bc")
    run = once(project)
    assert run.status == 0, run.out
    assert project.read("opus/one/b.opus").split()[0] == "bc2"
    assert not once(project).ran
    (project.root / "albums/one/b.FLAC").write_text("bcd")
    assert sorted(once(project).ran) == ["album:one", "loudness:one:b", "opus:one:a", "opus:one:b"]


def test_names_of_files_are_names_of_outputs(albums: Project) -> None:
    """Whatever a file name may hold; only tasks' names and directories are encoded. A star makes no pattern."""
    albums.write("albums/one/100%: a=b {x} [y].flac", "special\n")
    albums.write("albums/one/a*b.flac", "star\n")
    assert once(albums).status == 0
    assert albums.read("opus/one/100%: a=b {x} [y].opus").startswith("special\n8\n")
    assert albums.read("opus/one/a%2Ab.opus").startswith("star\n5\n")
    assert "opus:one:100%25%3A a%3Db {x} [y]" in albums.command("list", "--all", "--quiet", "opus").out
    assert not once(albums).ran


def test_folders_outside_of_the_project(project: Project, tmp_path: Path) -> None:
    """They are called by the way below the glob; no path of theirs is a fact, and what lies in them is read."""
    text = LECTURES.replace(', "!lectures/drafts"', "")
    project.write("pipeline.toml", text.replace("lectures/*/", f"{tmp_path}/elsewhere/*/"))
    (tmp_path / "elsewhere/l1").mkdir(parents=True)
    (tmp_path / "elsewhere/l1/camera.txt").write_text("c\n")
    ran = once(project)
    assert (ran.ran, "UNREAD" in ran.out) == (["composite:l1", "all:l1"], False)
    assert str(tmp_path) not in json.dumps(json.loads(project.read("jobs/l1/all/manifest.json")))
    assert not once(project).ran
    (tmp_path / "elsewhere/l1").rename(tmp_path / "elsewhere/l2")
    assert "ORPHAN  l1" in once(project).out


def test_another_albums_tracks_are_left_alone(albums: Project) -> None:
    """A track that changes, comes or goes: its folder's tasks run, and its copies go with it."""
    albums.write("albums/one/ch3.flac", "three\n")
    ran = once(albums)
    assert ran.ran[:2] == ["loudness:one:ch3", "album:one"]
    assert {name.split(":")[1] for name in ran.ran} == {"one"}
    assert albums.read("jobs/one/album/gain.txt") == "4\n4\n6\n5\n"
    (albums.root / "albums/one/ch1.flac").unlink()
    ran = once(albums)
    assert {name.split(":")[1] for name in ran.ran} == {"one"}
    assert not (albums.root / "opus/one/ch1.opus").exists()
    assert "opus:one:ch1: withdrawn" in albums.command("status").out
    assert not once(albums).ran
    albums.command("clean", "--orphans")
    assert not (albums.root / "jobs/one/opus/ch1").exists()
    assert not once(albums).ran


def test_a_folder_without_tracks(albums: Project) -> None:
    """Who reads all tracks fails and says what is missing; the other album is built."""
    albums.write("albums/empty/cover.jpg", "x")
    ran = once(albums)
    assert ran.status == 1
    assert "inputs.tracks: source/*.{flac,wav}" in ran.out
    assert ran.tasks("stage_failed") == ["album:empty"]


def test_the_command_line_chooses_tracks(albums: Project) -> None:
    """By their names, in each folder that has them."""
    ran = once(albums, "--force", "track=ch2,b", "loudness")
    assert sorted(ran.ran) == ["loudness:it's a [live] one:b", "loudness:one:ch2"]


def test_a_folder_whose_only_run_was_killed_is_known(project: Project) -> None:
    """The job names its folder before its first task runs, also where no stage reads all of it."""
    text = LECTURES.partition("[stages.all]")[0]
    project.write("pipeline.toml", text.replace('cat "$1" $2 > "$0"', "kill -9 $PPID"))
    project.write("lectures/l1/camera.txt", "c\n")
    assert once(project).status == -9
    (project.root / "lectures/l1").rename(project.root / "lectures/l2")
    project.write("pipeline.toml", text)
    assert "ORPHAN  l1: no source any more" in once(project).out


MISTAKES = [
    ("source/camera.*", "source/../camera.*", "leads outside the job's folder"),
    ('"source/camera.*"', '"source/{track}.txt"', "{track} is no placeholder"),
    ('sources = ["lectures/*/"', 'sources = ["lectures/*"', "to make folders jobs"),
    ('sources = ["lectures/*/"', 'sources = ["lectures/none/"', "no such folder: lectures/none/"),
    ('sources = ["lectures/*/"', 'sources = ["./"', "holds the jobs directory"),
    ('deliver = "site/{job}/"', 'deliver = "lectures/{job}/"', "would deliver lectures/l1/lecture.txt into a source"),
    ('deliver = "site/{job}/"', 'matrix = { track = "source/../*.txt" }', "leads outside the job's folder"),
    ('deliver = "site/{job}/"', 'matrix = { track = "*.txt" }', "a path or glob with a /"),
    ('deliver = "site/{job}/"', 'matrix = { track = "source/{tack}.txt" }', "{tack} is no placeholder"),
    ('deliver = "site/{job}/"', 'matrix = { job = ["x"] }', "{job} is the job's name"),
    ('{ text = "lecture.txt" }', '{ text = "{track}.txt" }', "{track} is no placeholder"),
    ("[stages.all]", "[stages.all]\ncollect = true", "a collect stage has no source of its own"),
]


@pytest.mark.parametrize(("was", "becomes", "says"), MISTAKES)
def test_mistakes_of_folders(lectures: Project, was: str, becomes: str, says: str) -> None:
    """Each is said with its table and key, before anything runs."""
    text = lectures.read("pipeline.toml")
    assert was in text
    lectures.write("pipeline.toml", text.replace(was, becomes, 1))
    said = lectures.command("validate")
    assert said.status == 3
    assert says in said.err


def test_a_folder_of_copies_is_no_source(project: Project) -> None:
    """Nor is the jobs directory: the pipeline never feeds on what it makes, and the second run has nothing to do."""
    project.write("pipeline.toml", GREEDY)
    project.write("a/x.txt", "x")
    project.write("b/deep/y.txt", "y")
    assert sorted(project.run().ran) == ["names:a", "names:b"]
    assert project.read("out/b.txt").split() == ["deep", "deep/y.txt"]
    assert sorted(project.run().skipped) == ["names:a", "names:b"]


GREEDY = """
[pipeline]
sources = ["*/"]

[stages.names]
command = ["sh", "-c", 'cd "$1" && find * | sort', "names", "{inputs.all}"]
inputs  = { all = "source" }
stdout  = "text"
outputs = { text = "list.txt" }
deliver = "out/{job}"
"""
