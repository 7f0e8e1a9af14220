"""What the pipeline delivers, opened with the players and tools of a distribution: ffprobe, ffmpeg and mpv.

They are other versions than those in the wheels, and they decide by themselves what they show. Where they
aren't installed (`apt-get install ffmpeg mpv`) these tests are skipped.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mediabuild.media.ffmpeg import ffmpeg_path
from tests.e2e.conftest import Project

ROOT = Path(__file__).parents[2]
TOOLS = {name: shutil.which(name) for name in ("ffmpeg", "ffprobe", "mpv")}
pytestmark = pytest.mark.skipif(not TOOLS["ffprobe"], reason="no ffprobe on PATH: apt-get install ffmpeg mpv")
with_mpv = pytest.mark.skipif(not TOOLS["mpv"], reason="no mpv on PATH: apt-get install mpv")

STAGES = "demux,detect_speech,transcribe,align,glossary,translate,subtitles,mux"
SECONDS = "8"
SPOKEN = ("talk.mp4", "film.mkv", "voice.m4a", "phone.mp4")
NAMES = [("eng", "English (auto)"), ("spa", "Español (machine)")]


def ffmpeg(*args: str | Path) -> None:
    """Run the wheel's ffmpeg."""
    subprocess.run([ffmpeg_path(), "-loglevel", "error", "-y", *map(str, args)], check=True)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the first seconds of the sample as mp4, mkv, m4a and upright, and a silent film, built."""
    root = tmp_path_factory.mktemp("players") / "project"
    for part in ("stages", "glossary"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pipeline.toml", root)
    media = root / "media"
    media.mkdir()
    sample = ("-t", SECONDS, "-i", ROOT / "media/sample.mp4")
    ffmpeg(*sample, "-map", "0:v", "-map", "0:a", "-c", "copy", media / "talk.mp4")
    ffmpeg("-i", media / "talk.mp4", "-c", "copy", "-disposition:a", "0", media / "film.mkv")
    ffmpeg("-i", media / "talk.mp4", "-vn", "-c", "copy", media / "voice.m4a")
    ffmpeg("-f", "lavfi", "-i", "color=gray:s=270x480:r=25", *sample, "-map", "0", "-map", "1:a", "-t", SECONDS,
           "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", media / "phone.mp4")  # fmt: skip
    ffmpeg("-f", "lavfi", "-i", "color=gray:s=320x180:r=25", "-f", "lavfi", "-i", "anullsrc", "-t", "4",
           "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", media / "silent.mp4")  # fmt: skip
    run = Project(root).run("--stages", STAGES)
    assert run.status == 0, run.out + run.err
    return root


def built_with(built: Path, folder: Path, *args: str) -> Path:
    """A copy of the project in which one recording is built again with other params."""
    shutil.copytree(built, folder / "project")
    run = Project(folder / "project").run("--stages", STAGES, *args)
    assert run.status == 0, run.out + run.err
    return folder / "project"


def streams(path: Path) -> list[dict[str, Any]]:
    """What ffprobe says of each track."""
    command = [str(TOOLS["ffprobe"]), "-v", "error", "-show_streams", "-of", "json", str(path)]
    found: list[dict[str, Any]] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["streams"]
    return found


def tracks(path: Path, kind: str) -> list[tuple[str | None, str | None, bool]]:
    """Language, title and whether it is shown by default, of the tracks of a kind."""
    found = [stream for stream in streams(path) if stream["codec_type"] == kind]
    named = [(s.get("tags", {}), bool(s["disposition"]["default"])) for s in found]
    # Older versions of ffmpeg read no names of an mp4's tracks, but what handles them.
    return [(tags.get("language"), tags.get("title", tags.get("handler_name")), default) for tags, default in named]


def cues(text: str) -> list[tuple[str, str]]:
    """Times and text of each cue of an SRT."""
    blocks = [block.split("\n", 2) for block in text.replace("\r", "").strip().split("\n\n")]
    return [(times, re.sub(r"\s+", " ", words).strip()) for _, times, words in blocks]


def cues_of(path: Path, number: int) -> list[tuple[str, str]]:
    """The cues of a subtitle track, as the distribution's ffmpeg writes them; on the file's clock, which begins with
    the picture: sound may begin some milliseconds before it (what an encoder needs to warm up)."""
    command = [
        str(TOOLS["ffmpeg"]),
        "-v",
        "error",
        "-copyts",
        "-i",
        str(path),
        "-map",
        f"0:s:{number}",
        "-f",
        "srt",
        "-",
    ]
    return cues(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def shown_by_mpv(path: Path, *options: str) -> list[str]:
    """The subtitles that mpv finds for a file, `(+)` before what it shows; as if somebody opened it with a click."""
    command = [str(TOOLS["mpv"]), "--no-config", "--vo=null", "--ao=null", "--frames=1", *options, str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout
    return [line.strip() for line in said.splitlines() if re.match(r"\s*(\(\+\))?\s*Subs\b", line)]


def delivered(project: Path, name: str) -> Path:
    """The video or sound that was delivered for a recording."""
    stem = name.partition(".")[0]
    (path,) = [p for p in (project / "out").glob(f"{stem}.*") if p.suffix in (".mp4", ".mkv", ".m4a")]
    return path


@pytest.mark.parametrize("name", SPOKEN)
def test_tracks_have_languages_names_and_one_default(built: Path, name: str) -> None:
    """English is spoken, so it is shown; Spanish can be chosen; and a file keeps its kind."""
    path = delivered(built, name)
    assert path.name == name
    assert tracks(path, "subtitle") == [(*track, number == 0) for number, track in enumerate(NAMES)]
    assert [default for *_, default in tracks(path, "audio")] == [True]


@pytest.mark.parametrize("name", SPOKEN)
def test_tracks_show_what_the_files_say(built: Path, name: str) -> None:
    """Each cue at the same millisecond, with the same words."""
    for number, language in enumerate(("en", "es")):
        stem = name.partition(".")[0]
        text = (built / f"out/{stem}.{language}.srt").read_text(encoding="utf-8")
        assert cues_of(delivered(built, name), number) == cues(text)


@with_mpv
@pytest.mark.parametrize("name", SPOKEN)
def test_mpv_shows_what_is_spoken(built: Path, name: str) -> None:
    """Of the tracks in the file; with the files beside it, it is one of them in the same language."""
    inside = shown_by_mpv(delivered(built, name), "--sub-auto=no")
    assert len(inside) == len(NAMES)
    assert [line for line in inside if line.startswith("(+)")] == [inside[0]]
    assert "--slang=eng" in inside[0]
    assert "English (auto)" in inside[0] or name != "film.mkv"  # mpv takes no names from mp4
    (shown,) = [line for line in shown_by_mpv(delivered(built, name)) if line.startswith("(+)")]
    assert re.search(r"--slang=(eng|en)\b", shown)


@with_mpv
def test_nothing_is_shown_where_nobody_speaks(built: Path) -> None:
    """No track, no file, nothing to choose from."""
    path = delivered(built, "silent.mp4")
    assert tracks(path, "subtitle") == []
    assert shown_by_mpv(path) == []
    assert sorted(p.suffix for p in (built / "out").glob("silent.*.srt")) == []


@with_mpv
def test_burnt_in_text_is_not_covered(built: Path, tmp_path: Path) -> None:
    """The other language can be chosen and is not shown, and mpv doesn't take the files beside it for this film's."""
    project = built_with(built, tmp_path, "--job", "talk", "mux.burn_in=en")
    path = delivered(project, "talk.mp4")
    assert path.name == "talk.burnt-en.mp4"
    assert (project / "out/talk.en.ass").exists()
    assert tracks(path, "subtitle") == [(*NAMES[1], False)]
    found = shown_by_mpv(path)
    assert len(found) == 1
    assert not any(line.startswith("(+)") for line in found)


@pytest.mark.parametrize(
    ("name", "how"), [("talk.mp4", "encode"), ("talk.mp4", "copy"), ("film.mkv", "encode"), ("film.mkv", "copy")]
)
def test_a_clip_and_its_files_show_the_same_times(built: Path, tmp_path: Path, name: str, how: str) -> None:
    """Off a keyframe, encoded and copied; the file starts where its subtitles count from."""
    job = name.partition(".")[0]
    project = built_with(built, tmp_path, "--job", job, "--clip-start", "2.3", "--clip-end", "7", f"mux.clip={how}")
    path = delivered(project, name)
    for number, language in enumerate(("en", "es")):
        text = (project / f"out/{job}.{language}.srt").read_text(encoding="utf-8")
        assert cues_of(path, number) == cues(text)
    picture = next(stream for stream in streams(path) if stream["codec_type"] == "video")
    assert float(picture["start_time"]) == pytest.approx(0, abs=0.042)
    late_s = 0.05 if how == "encode" else 0.2  # a copy ends with pictures that others refer to
    assert float(picture.get("duration", 4.7)) == pytest.approx(4.7, abs=late_s)
