"""Names of recordings: copies and corrections have the recording's own, whatever characters it holds."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from tests.e2e.conftest import Project

PIPELINE = """
[pipeline]
sources = ["media/**/*.txt"]

[stages.A]
command = ["sh", "-c", 'cat "$@" > "$0"; printf %s "$1" >> "$0"', "{outputs.text}", "{inputs.media}", "{inputs.notes}"]
inputs  = { media = "source", notes = "?./notes/{job}.{srt,vtt}" }
outputs = { text = "a.en.txt" }
deliver = "out/{job}"

[stages.B]
command = [
    "sh", "-c", 'printf %s "$2" > "$1"; [ -z "$3" ] || cat "$3" >> "$1"', "B",
    "{outputs.text}", "{job}", "{inputs.more}"]
inputs  = { text = "A.text", more = "?./more/{job}" }
outputs = { text = "b.txt" }
"""
NAMES = [
    "talk's 100%",
    "talk: one",
    "a=b * c",
    "100%25",
    "[2024] what? {a,b} !x",
    "-n",
    "trailing ",
    "dots...",
    "two\nlines\t",
    "season.../ep 1",
    unicodedata.normalize("NFD", "café"),
]


def test_a_copy_has_the_recordings_own_name(project: Project) -> None:
    """So a player finds the subtitles; a correction and `{job}` in a command have it, too, and all is fresh then."""
    project.write("pipeline.toml", PIPELINE)
    for name in NAMES:
        project.write(f"media/{name}.txt", "spoken ")
        project.write(f"notes/{name}.srt", f"corrected {name} ")
        project.write(f"more/{name}", " more")
    run = project.run()
    assert run.status == 0, run.out + run.err
    made = {file.read_text() for file in (project.root / "jobs").rglob("b.txt")}
    assert made == {f"{name} more" for name in NAMES}
    for name in NAMES:
        assert project.read(f"out/{name}.en.txt") == f"spoken corrected {name} media/{name}.txt"
    assert project.run().ran == []
    assert project.command("check").status == 0
    assert project.command("validate").status == 0


def test_jobs_of_before_stay_fresh(project: Project) -> None:
    """The jobs directory and tasks' names are encoded as ever, for doit's sake; a job is found under both names."""
    project.write("pipeline.toml", PIPELINE)
    project.write("media/talk: 100%.txt", "spoken")
    project.write("media/other.txt", "other")
    assert project.run("--job", "talk: 100%").ran == ["A:talk%3A 100%25", "B:talk%3A 100%25"]
    assert (project.root / "jobs/talk%3A 100%25/A/a.en.txt").exists()
    assert project.run("--job", "talk%3A*", "--force").ran == ["A:talk%3A 100%25", "B:talk%3A 100%25"]
    assert project.run("A:talk%3A 100%25").skipped == ["A:talk%3A 100%25"]


def test_names_that_look_encoded_are_told_apart(project: Project) -> None:
    """`a%3Ab` and `a:b` are two recordings; each has the copies and the corrections that bear its name, no other."""
    project.write("pipeline.toml", PIPELINE)
    for name in ("a:b", "a%3Ab"):
        project.write(f"media/{name}.txt", f"spoken {name} ")
        project.write(f"notes/{name}.srt", f"notes of {name} ")
    assert project.run().status == 0
    for name in ("a:b", "a%3Ab"):
        assert f"notes of {name} " in project.read(f"out/{name}.en.txt")
    (project.root / "media/a:b.txt").unlink()
    assert project.command("clean", "--orphans").status == 0
    assert {path.name for path in (project.root / "out").iterdir()} == {"a%3Ab.en.txt"}


def test_a_copy_under_the_encoded_name_gives_way(project: Project) -> None:
    """What was delivered as `100%25` goes when the copy gets its own name, and nothing runs for it."""
    project.write("pipeline.toml", PIPELINE.replace("out/{job}", "out/100%25"))
    project.write("media/100%.txt", "spoken")
    assert project.run().status == 0 and (project.root / "out/100%25.en.txt").exists()
    project.write("pipeline.toml", PIPELINE)
    run = project.run()
    assert run.ran == [] and run.tasks("stage_delivered") == ["A:100%25"]
    assert [path.name for path in (project.root / "out").iterdir()] == ["100%.en.txt"]


def test_names_are_shown_and_not_obeyed(project: Project) -> None:
    """A line end or a terminal's code in a recording's name forges no line of what is said about its copy."""
    project.write("pipeline.toml", PIPELINE)
    name = "x\nDONE  all\x1b[2J"
    project.write(f"media/{name}.txt", "spoken")
    project.write("media/other.txt", "other")
    assert project.run().status == 0
    (project.root / f"out/{name}.en.txt").unlink()
    said = [project.command("check").out, project.run().out, project.command("clean", "--dry-run").out]
    (project.root / f"media/{name}.txt").unlink()
    said += [project.command("status").out, project.command("clean", "--orphans").out]
    for text in said:
        assert "x" in text and "\x1b" not in text and "\nDONE  all" not in text, text
    assert [path.name for path in (project.root / "out").iterdir()] == ["other.en.txt"]


def test_a_recording_beside_the_pipeline_is_never_a_url(project: Project) -> None:
    """`talk: one.wav` in the project's own folder is no protocol for ffmpeg, and `..x` lies in no other folder."""
    command = '["{ffmpeg}", "-loglevel", "error", "-i", "{inputs.media}", "-f", "wav", "{outputs.sound}"]'
    project.write("pipeline.toml", f"""
[pipeline]
sources = ["talk*.wav", "..x.wav"]
[stages.A]
command = {command}
inputs  = {{ media = "source" }}
outputs = {{ sound = "a.wav" }}
""")  # fmt: skip
    silence(project.root / "talk: one.wav")
    silence(project.root / "..x.wav")
    run = project.run()
    assert run.status == 0, run.out + run.err


def silence(path: Path) -> None:
    """A tenth of a second of nothing."""
    import wave

    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(1600))
