"""`mediabuild talk.wav` where no project is, and files and folders of a project on the command line.

Not here: what the stages make of a recording (`tests/stages`), a fresh venv (`test_wheel`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import CHAIN, PATH, Project
from tests.e2e.crash import Launcher

Typed = Callable[..., subprocess.CompletedProcess[str]]

SPEECH = Path(__file__).parents[1] / "speech/sense_and_sensibility_01_austen_64kb-0880.wav"
BESIDE = ["talk.en.srt", "talk.en.txt", "talk.en.vtt", "talk.subtitled.mkv", "talk.wav"]


@pytest.fixture
def mediabuild(launcher: Launcher) -> Typed:
    """``mediabuild(folder, "talk.wav")``: what the console script does there, forked from a warm process."""

    def run(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "NO_COLOR": "1", "PATH": PATH}
        status = launcher.run(folder, *args, env=environment, module="mediabuild.__main__")
        return subprocess.CompletedProcess(args, status, launcher.out.read_text(), launcher.err.read_text())

    return run


def beside(folder: Path) -> list[str]:
    """What lies in a folder and isn't hidden."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_a_recording_without_a_project(mediabuild: Typed, tmp_path: Path) -> None:
    """Subtitles and a video beside it, nothing else but `.mediabuild`; from anywhere the second call is a no-op."""
    shutil.copy(SPEECH, tmp_path / "talk.wav")
    (tmp_path / "dodo.py").write_text("raise SystemExit('somebody else's')")
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/demux.py").write_text("raise SystemExit('somebody else's')")
    first = mediabuild(tmp_path, "talk.wav")
    assert first.returncode == 0, first.stdout + first.stderr
    assert beside(tmp_path) == sorted([*BESIDE, "dodo.py", "stages"])
    assert "young man" in (tmp_path / "talk.en.srt").read_text()
    assert first.stdout.splitlines()[-4:] == [f"        {name}" for name in BESIDE[:-1]]
    assert "hint: mediabuild talk.wav transcribe.language=en\n" in first.stdout
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(".")} == {".mediabuild"}
    (tmp_path / "elsewhere").mkdir()
    again = mediabuild(tmp_path / "elsewhere", "../talk.wav")
    assert "7 up to date" in again.stdout, again.stdout + again.stderr
    everything = mediabuild(tmp_path, *BESIDE)
    assert "7 up to date" in everything.stdout, everything.stdout + everything.stderr
    assert "talk" in mediabuild(tmp_path, "status", "talk.wav").stdout
    assert mediabuild(tmp_path, "talk.wav", "check").returncode == 0
    for typed in (["explain", "talk.wav"], ["talk.wav", "explain"]):
        explained = mediabuild(tmp_path, *typed).stdout.splitlines()
        assert len(explained) == 7 and "mux:talk: up to date" in explained, explained
    assert "ignoring mux:talk" in mediabuild(tmp_path, "ignore", "talk.wav").stdout
    assert "forgetting mux:talk" in mediabuild(tmp_path, "forget", "talk.wav").stdout
    assert mediabuild(tmp_path, "talk.wav").returncode == 0
    hinted = mediabuild(tmp_path, "talk.wav", "transcribe.language=en", "--dry-run")
    assert "params.language: null" in hinted.stdout
    if shutil.which("apertium", path=PATH):
        spanish = mediabuild(tmp_path, "talk.wav", "--language", "es")
        assert spanish.returncode == 0, spanish.stdout
        assert (tmp_path / "talk.es.srt").exists()
        assert "8 up to date" in mediabuild(tmp_path, "talk.wav").stdout, "a language that was asked for stays"
        for ended in (["--language="], ["--language", ""], ["language="]):
            assert mediabuild(tmp_path, *ended, "talk.wav").returncode == 0
            assert not (tmp_path / "talk.es.srt").exists()
            assert "7 up to date" in mediabuild(tmp_path, "talk.wav").stdout, "a language that was ended is gone"
            assert not (tmp_path / "talk.es.srt").exists()
            assert mediabuild(tmp_path, "talk.wav", "--language", "es").returncode == 0
        assert mediabuild(tmp_path, "talk.wav", "--language=", "--dry-run").returncode == 0
        assert "8 up to date" in mediabuild(tmp_path, "talk.wav").stdout, "a plan ends nothing"
        assert mediabuild(tmp_path, "talk.wav", "--language=").returncode == 0
    assert mediabuild(tmp_path, "clean", "talk.wav").returncode == 0
    assert beside(tmp_path) == ["dodo.py", "elsewhere", "stages", "talk.wav"]


def test_several_recordings_in_several_folders(mediabuild: Typed, tmp_path: Path) -> None:
    """Each folder by itself, suffixes in any case; the exit status is the worst; one of a project is built there."""
    for name in ("a/x.WAV", "a/y.wav", "b/z.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        with wave.open(str(tmp_path / name), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes(bytes(32000))
    (tmp_path / "b/bad.wav").write_bytes(b"no sound")
    run = mediabuild(tmp_path, "a/x.WAV", "a/y.wav")
    assert run.returncode == 0, run.stdout + run.stderr
    made = ["x.WAV", "x.subtitled.mkv", "y.subtitled.mkv", "y.wav"]
    assert beside(tmp_path / "a") == made
    for named in (made, ["x.subtitled.mkv"]):  # a file that was made is no recording; it stands for its own
        again = mediabuild(tmp_path, *(f"a/{name}" for name in named))
        assert f"{'14' if named == made else '7'} up to date" in again.stdout, again.stdout + again.stderr
        assert beside(tmp_path / "a") == made
    project = Project(tmp_path / "project")
    project.write("pipeline.toml", CHAIN.replace("*.txt", "*.wav"))
    shutil.copy(tmp_path / "a/y.wav", project.write("media/own.wav", ""))
    run = mediabuild(tmp_path, "b/z.wav", "project/media/own.wav", "b/bad.wav")
    assert run.returncode == 1, run.stdout + run.stderr
    assert "hint: mediabuild bad.wav ignore " in run.stdout, "the one that it is about"
    assert beside(tmp_path / "b") == ["bad.wav", "z.subtitled.mkv", "z.wav"]
    assert (project.root / "jobs/own/A/a.txt").exists()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("tlak.wav", "tlak.wav: there is no such file; did you mean 'talk.wav'?"),
        ("./nowhere/below/talk.wav", "./nowhere/below/talk.wav: there is no such file\n  hint: ls .\n"),
        ("notes.txt", "notes.txt: is no recording (3gp, aac, ac3, aif, "),
        ("./folder", "./folder: is a folder\n  hint: mediabuild ./folder/*"),
        ("--source=none.wav", "none.wav: there is no such file"),
        ("status", "pipeline.toml: not found in "),
    ],
)
def test_slips_without_a_project(mediabuild: Typed, tmp_path: Path, typed: str, said: str) -> None:
    """One line with what to type; nothing is written."""
    for name in ("talk.wav", "notes.txt"):
        (tmp_path / name).write_text("")
    (tmp_path / "folder").mkdir()
    ran = mediabuild(tmp_path, typed)
    assert ran.returncode == 3
    assert said in ran.stderr and "hint: " in ran.stderr
    assert len(ran.stderr) <= 400
    assert beside(tmp_path) == ["folder", "notes.txt", "talk.wav"]


def test_params_and_a_clip_stay_until_they_are_ended(mediabuild: Typed, tmp_path: Path) -> None:
    """As languages do: for every command, for that recording alone; `NAME=` ends one, and it stays ended."""
    for name in ("a.wav", "b.wav"):
        with wave.open(str(tmp_path / name), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes(bytes(32000))
    assert mediabuild(tmp_path, "b.wav").returncode == 0
    assert mediabuild(tmp_path, "a.wav", "--clip-end", "0:00.5", "max_line_chars=30").returncode == 0
    again = mediabuild(tmp_path, "a.wav", "b.wav").stdout
    assert "14 up to date" in again, again
    assert "as before: demux.clip_end_s=0.5, subtitles.max_line_chars=30   (NAME= ends it)" in again
    assert mediabuild(tmp_path, "check", "a.wav").returncode == 0
    ended = mediabuild(tmp_path, "a.wav", "clip_end_s=").stdout
    assert "demux:a" in ended and "as before: subtitles.max_line_chars=30   (" in ended, ended
    plain = mediabuild(tmp_path, "a.wav").stdout
    assert "7 up to date" in plain and "clip_end_s" not in plain, plain


def test_what_was_made_of_a_recording_that_is_gone(mediabuild: Typed, tmp_path: Path) -> None:
    """It is no recording by itself, and is left out beside others."""
    for name in ("a.wav", "b.wav"):
        with wave.open(str(tmp_path / name), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes(bytes(16000))
    assert mediabuild(tmp_path, "a.wav", "b.wav").returncode == 0
    (tmp_path / "b.wav").unlink()
    refused = mediabuild(tmp_path, "b.subtitled.mkv")
    assert refused.returncode == 3
    assert "ERROR: b.subtitled.mkv: was made of b.wav, which is gone\n  hint: mv b.sub" in refused.stderr
    assert "7 up to date" in mediabuild(tmp_path, "a.wav", "a.subtitled.mkv", "b.subtitled.mkv").stdout


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("talkk.mp4", "talkk.mp4: there is no such file; did you mean 'media/talk.mp4'?\n  hint: mediabuild media/"),
        ("media/tlk.mp4", "media/tlk.mp4: there is no such file; did you mean 'media/talk.mp4'?"),
        ("TALK.mov", "TALK.mov: there is no such file; did you mean 'media/talk.mp4'?"),
        ("other.mp4", "other.mp4: there is no such file\n  hint: ls\n"),
        ("../nothere/other.mp4", "../nothere/other.mp4: there is no such file\n  hint: ls ..\n"),
    ],
)
def test_a_recording_of_a_project_that_is_not_there(mediabuild: Typed, project: Project, typed: str, said: str) -> None:
    """The nearest one, as it would be typed here; no list of tasks."""
    project.write("pipeline.toml", CHAIN.replace("*.txt", "*.mp4"))
    project.write("media/talk.mp4", "")
    ran = mediabuild(project.root, typed)
    assert (ran.returncode, ran.stderr[: 7 + len(said)]) == (3, f"ERROR: {said}")
    assert len(ran.stderr.splitlines()) == 2
    below = mediabuild(project.root / "media", "tlk.mp4")
    assert "tlk.mp4: there is no such file; did you mean 'talk.mp4'?" in below.stderr


def test_files_of_a_project(chain: Project) -> None:
    """A recording means its job's tasks, a copy the task that delivers it; another file is refused."""
    chain.write("pipeline.toml", CHAIN + 'deliver = "out/{job}"\n')
    chain.write("media/two.txt", "two\n")
    assert chain.run("media/two.txt").ran == ["A:two", "B:two", "C:two"]
    assert chain.run("out/two.txt").tasks("stage_skipped") == ["A:two", "B:two", "C:two"]
    assert chain.command("explain", str(chain.root / "out/two.txt")).out == "C:two: up to date\n"
    chain.write("other.txt", "x\n")
    refused = chain.command("other.txt")
    assert refused.status == 3
    assert "'other.txt' is no recording of this project" in refused.err
    assert "hint: mediabuild --source other.txt" in refused.err
    assert chain.run("--source", "other.txt").ran == ["A:other", "B:other", "C:other"]


def test_in_a_folder_of_a_project(mediabuild: Typed, chain: Project) -> None:
    """The project is found from below; paths that are typed mean what is there."""
    chain.write("media/two.txt", "two\n")
    media, deep = chain.root / "media", chain.root / "media/deep/er"
    deep.mkdir(parents=True)
    built = mediabuild(media, "two.txt", "--events", "events.jsonl", "-o", "said.log")
    assert built.returncode == 0, built.stderr
    assert "3 built" in (media / "said.log").read_text()
    assert "stage_running" in (media / "events.jsonl").read_text()
    assert mediabuild(deep).stdout.splitlines()[-1].startswith("        6 up to date")
    assert "│ two" in mediabuild(deep, "status").stdout
    assert mediabuild(deep, "explain", "../../../jobs/two/C/c.txt").stdout == "C:two: up to date\n"
    chain.write("media/deep/er/three.txt", "3\n")
    assert mediabuild(deep, "--source", "three.txt", "--job-dir", "here").returncode == 0
    assert (deep / "here/C/c.txt").exists()
    (deep / "none.wav").write_text("")
    assert "is no recording of this project" in mediabuild(deep, "none.wav").stderr
    assert mediabuild(deep, "init").returncode == 0, "a project of its own"
    assert (deep / "pipeline.toml").exists()


def test_doit_after_init(mediabuild: Typed, tmp_path: Path) -> None:
    """`init` writes doit's wiring: `doit` is the same program there, and nothing is left of doit's own help."""
    assert mediabuild(tmp_path, "init").returncode == 0
    (tmp_path / "pipeline.toml").write_text(CHAIN)
    (tmp_path / "media/one.txt").write_text("x\n")

    def doit(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "doit", *args]
        environment = {**os.environ, "NO_COLOR": "1", "PATH": PATH}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    built = doit()
    assert "3 built" in built.stdout, built.stdout + built.stderr
    assert "3 up to date" in doit("--log-level=DEBUG", "-j", "2").stdout
    assert doit("explain", "C:one").stdout == "C:one: up to date\n"
    assert "mediabuild is make for media" in doit("help").stdout
    assert "3 up to date" in mediabuild(tmp_path).stdout
