"""What somebody laid down for the pipeline and nothing reads is named, once, with the nearest name."""

from __future__ import annotations

from tests.e2e.conftest import CHAIN, Project

PIPELINE = CHAIN.replace(
    'inputs  = { text = "B.text" }', 'inputs  = { text = "B.text", note = "?./notes/{job}.{txt,md}" }'
).replace('["media/*.txt"]', '["media/**/*.txt", "!media/drafts"]')


def unread(project: Project) -> list[tuple[list[str], str]]:
    """What a run says of files that nothing reads."""
    run = project.run()
    assert run.status == 0, run.out + run.err
    return [(e["names"], e["message"]) for e in run.events if e["event"] == "inputs_unread"]


def test_files_that_no_pattern_matches_are_named_once(project: Project) -> None:
    """In the folders of the sources, not hidden or excluded ones; another one is named when it comes."""
    project.write("pipeline.toml", PIPELINE)
    people = ("README.md", "one.en.srt", "one.nfo")  # a note, and what goes with a source
    for name in ("one.txt", "two.doc", "deep/three.mpx", ".hidden", "drafts/x.doc", "Thumbs.db", *people):
        project.write(f"media/{name}", "x\n")
    assert unread(project) == [(["media/deep/three.mpx", "media/two.doc"], "no pattern of [pipeline] sources matches")]
    assert unread(project) == []
    project.write("media/one.txt", "changed\n")
    assert unread(project) == []
    project.write("media/four.doc", "x\n")
    assert unread(project) == [(["media/four.doc"], "no pattern of [pipeline] sources matches")]
    assert "unread: media/deep/three.mpx, media/four.doc, media/two.doc: no pattern" in project.command("status").out


def test_names_of_no_job(project: Project) -> None:
    """A correction and a table whose job doesn't exist: with the nearest one, also where nothing else changed."""
    project.write("pipeline.toml", PIPELINE)
    for name in ("media/sample.txt", "media/season/ep01.txt", "notes/season/ep01.md"):
        project.write(name, "x\n")
    assert unread(project) == []
    project.write("notes/smaple.txt", "x\n")
    why = "there is no job 'smaple'; did you mean 'sample'?"
    assert unread(project) == [(["notes/smaple.txt"], why)]
    project.write("notes/season/ep1.txt", "x\n")
    (missing,) = unread(project)
    assert missing == (["notes/season/ep1.txt"], "there is no job 'season/ep1'; did you mean 'season/ep01'?")
    project.write("pipeline.toml", PIPELINE + '[jobs."sampel"]\nparams.B = { times = 3 }\n')
    assert unread(project) == [(['[jobs."sampel"]'], "there is no job 'sampel'; did you mean 'sample'?")]
    (project.root / "notes/smaple.txt").rename(project.root / "notes/sample.txt")
    assert unread(project) == []


def test_a_suffix_that_no_input_reads(project: Project) -> None:
    """A job's file beside those that are read, with a language or without; not a copy that an editor left."""
    project.write("pipeline.toml", PIPELINE)
    for name in ("media/ep1.txt", "media/ep2.txt", "notes/ep1.md", "notes/ep1.md.bak", "notes/ep1.md~", "notes/x.doc"):
        project.write(name, "x\n")
    assert unread(project) == []
    for name in ("notes/ep1.ass", "notes/ep2.en.srt"):
        project.write(name, "x\n")
    assert unread(project) == [
        (["notes/ep1.ass"], "for the job 'ep1' only this is read: notes/ep1.txt, notes/ep1.md"),
        (["notes/ep2.en.srt"], "for the job 'ep2' only this is read: notes/ep2.txt, notes/ep2.md"),
    ]
    assert unread(project) == []


def test_what_an_input_reads_is_not_named(project: Project) -> None:
    """Whatever it is called by: a path, one that leads up, a folder with all that lies in it; a source itself."""
    project.write(
        "pipeline.toml",
        """
[pipeline]
sources = ["media/*/camera.txt", "frames/*.job"]
[stages.A]
command = ["touch", "{outputs.out}"]
inputs.media = "source"
inputs.cover = "./media/cover.jpg"
inputs.slides = "?./media/{job}/../slides.doc"
inputs.frames = "?./frames/{job}"
outputs = { out = "out" }
""",
    )
    read = ("media/l01/camera.txt", "media/l01/slides.doc", "media/cover.jpg", "frames/sky.job", "frames/sky/1.jpg")
    for name in (*read, "frames/sky/deep/2.jpg", "frames/wlak/1.jpg", "frames/wlak/2.jpg", "media/l01/left.doc"):
        project.write(name, "x\n")
    project.write("frames/walk.job", "")
    assert unread(project) == [
        (["frames/wlak"], "there is no job 'wlak'; did you mean 'walk'?"),
        (["media/l01/left.doc"], "no pattern of [pipeline] sources matches"),
    ]


def test_what_nothing_reads_is_named_by_who_is_asked(project: Project) -> None:
    """`validate`, `check` and a plan name it each time; it changes no exit status."""
    pipeline = PIPELINE.replace(', "!media/drafts"', "")
    project.write("pipeline.toml", pipeline + '[jobs."my talk (take 2)"]\nparams.B = { times = 3 }\n')
    project.write("media/my talk (take 1).txt", "x\n")
    project.write("notes/my tlak (take 1).txt", "x\n")
    wrong = [
        "WARNING: [jobs.\"my talk (take 2)\"]: there is no job 'my talk (take 2)'; did you mean 'my talk (take 1)'?",
        "WARNING: notes/my tlak (take 1).txt: there is no job 'my tlak (take 1)'; did you mean 'my talk (take 1)'?",
    ]
    assert project.run().status == 0
    for asked in ("validate", "check", "--dry-run"):
        for _ in range(2):
            said = project.command(asked)
            assert said.err.splitlines() == wrong, said.err
            assert said.status == 0
    assert project.command("check", "A:*").err == "", "other tasks were asked for"


def test_leftovers_of_a_removed_stage(chain: Project) -> None:
    """They are shown, and `clean --orphans` removes them, with all that was kept of them."""
    chain.write("pipeline.toml", CHAIN[: CHAIN.index("[stages.C]")])
    assert chain.run().status == 0
    assert "C:one: withdrawn, the pipeline has it no more; mediabuild clean --orphans" in chain.command("status").out
    assert chain.command("clean", "--orphans").status == 0
    left = [str(path.relative_to(chain.root)) for path in (chain.root / "jobs/one").rglob("*") if path.name[:1] == "C"]
    assert [path for path in left if not path.endswith(".lock")] == []
    assert "withdrawn" not in chain.command("status").out
