"""Each example is built by real programs, and edited: a param, a source, one added, renamed, removed."""

from __future__ import annotations

import contextlib
import html
import json
import os
import re
import shutil
import signal
import subprocess
import time
import tomllib
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import pytest

from mediabuild.media.ffmpeg import ffmpeg_path
from tests.e2e.conftest import Project

EXAMPLES = Path(__file__).parents[2] / "examples"


def other(*filters: str) -> Callable[[Path, Path], None]:
    """A way to make another recording or picture of one."""

    def make(source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        new = target.with_name(f"new{target.suffix}")
        command = [ffmpeg_path(), "-nostdin", "-v", "error", "-y", "-i", source, *filters, "-bitexact", new]
        subprocess.run(command, check=True)
        new.rename(target)

    return make


def edited(old: str, new: str) -> Callable[[Path, Path], None]:
    """A way to make another text of one."""

    def make(source: Path, target: Path) -> None:
        text = source.read_text()
        assert old in text
        target.write_text(text.replace(old, new))

    return make


LOUDER = other("-af", "volume=0.4")
NEGATIVE = other("-vf", "negate", "-frames:v", "1", "-update", "1")
SHORT = other("-vf", "negate", "-t", "0.8", "-c:v", "libx264", "-preset", "ultrafast", "-threads", "1", "-c:a", "aac")
FILM = other("-vf", "negate", "-c:v", "ffv1", "-c:a", "pcm_s16le")


@dataclass(frozen=True)
class Case:
    """An example, its edits, and which tasks run for each; what isn't named doesn't.

    Args:
        files: some of what is delivered. param: on the command line. source: the one that is edited.
        by_param, by_source, by_new, by_name: what runs for another param, another source, a new job, its other name.
            For its end nothing does.
    """

    files: tuple[str, ...]
    param: str
    by_param: str
    source: str
    change: Callable[[Path, Path], None]
    by_source: str
    new: str
    by_new: str
    name: str
    by_name: str = ""
    needs: str = "python3"


CASES = {
    "podcast": Case(
        files=("feed/one.mp3", "feed/two.mp3"),
        param="params.lufs=-20",
        by_param="measure:one measure:two level:one level:two mp3:one mp3:two",
        source="episodes/one.flac",
        change=LOUDER,
        by_source="join:one measure:one level:one chapters:one mp3:one",
        new="episodes/three.flac",
        by_new="join:three measure:three level:three chapters:three mp3:three",
        name="episodes/four.flac",
    ),
    "dataset": Case(
        files=("corpus/wavs/talk1/a.wav", "corpus/wavs/talk2/c.wav", "corpus/train.csv", "corpus/test.csv"),
        param="metadata.test_percent=50",
        by_param="metadata:.all",
        source="recordings/talk1.wav",
        change=LOUDER,
        by_source="cut:talk1",
        new="recordings/talk3.wav",
        by_new="cut:talk3 lines:talk3 metadata:.all",
        name="recordings/talk4.wav",
        by_name="lines:talk4 metadata:.all",
    ),
    "karaoke": Case(
        files=("out/it's a [live], one.mp4", "out/plain.mp4"),
        param="video.font_size=20",
        by_param="video:it's a [live], one video:plain",
        source="songs/plain.flac",
        change=LOUDER,
        by_source="accompaniment:plain video:plain",
        new="songs/third.flac",
        by_new="accompaniment:third video:third",
        name="songs/it's the fourth.flac",
    ),
    "photos": Case(
        files=("site/img2-32.jpg", "site/summer/at the sea-64.jpg", "site/sheet1.jpg", "site/index.html"),
        param="web.quality=9",
        by_param="web:img2:32 web:img2:64 web:img10:32 web:img10:64 web:summer/at the sea:32 "
        "web:summer/at the sea:64 thumb:img2 thumb:img10 thumb:summer/at the sea sheet:.all page:.all",
        source="album/img2.jpg",
        change=NEGATIVE,
        by_source="web:img2:32 web:img2:64 thumb:img2 sheet:.all page:.all",
        new="album/img3.jpg",
        by_new="web:img3:32 web:img3:64 thumb:img3 sheet:.all page:.all",
        name="album/img30.jpg",
        by_name="sheet:.all page:.all",
    ),
    "archive": Case(
        files=("bag/talk.framemd5", "bag/1999/film.framemd5", "proxy/talk.mp4", "bag/manifest-sha256.txt"),
        param="proxy.height=18",
        by_param="proxy:talk proxy:1999/film",
        source="",
        change=FILM,
        by_source="",
        new="master/new.mkv",
        by_new="frames:new proxy:new checksum:new manifest:.all",
        name="master/newer.mkv",
        by_name="checksum:newer manifest:.all",
        needs="sha256sum",
    ),
    "game": Case(
        files=("voice/tavern/greet.opus", "voice/gate/halt.opus", "voice/tavern.json"),
        param="encode.bitrate=16k",
        by_param="encode:tavern encode:gate",
        source="lines/tavern.csv",
        change=edited("Good bye.", "Farewell."),
        by_source="speak:tavern encode:tavern lengths:tavern",
        new="lines/cave.csv",
        by_new="speak:cave encode:cave lengths:cave",
        name="lines/hole.csv",
        by_name="lengths:hole",
        needs="espeak-ng",
    ),
}

CASES |= {
    "hls": Case(
        files=("site/one/master.m3u8", "site/one/36p/index.m3u8", "site/show/two/72p/seg001.ts", "site/one/poster.jpg"),
        param="params.gop=5",
        by_param="rendition:one:36p rendition:one:72p rendition:show/two:36p rendition:show/two:72p "
        "master:one master:show/two",
        source="media/one.mp4",
        change=SHORT,
        by_source="rendition:one:36p rendition:one:72p master:one poster:one",
        new="media/three.mp4",
        by_new="rendition:three:36p rendition:three:72p master:three poster:three",
        name="media/it's four.mp4",
        by_name="master:it's four",
    ),
    "lectures": Case(
        files=("site/l01.mp4", "site/l02.mp4", "site/l10.mp4", "site/l10.sprite.1.jpg", "site/l02.png"),
        param="every_s=0.25",
        by_param="sprite:l01 sprite:l02 sprite:l10",
        source="lectures/l02/camera.mp4",
        change=SHORT,
        by_source="composite:l02 sprite:l02",
        new="lectures/l03/camera.mp4",
        by_new="composite:l03 sprite:l03",
        name="lectures/l 4/",
    ),
    "audiobook": Case(
        files=("out/emma.m4b", "out/persuasion.m4b", "out/emma.jpg"),
        param="book.bitrate=32k",
        by_param="book:emma book:persuasion",
        source="books/emma/ch2.flac",
        change=LOUDER,
        by_source="chapter:emma:ch2 marks:emma book:emma",
        new="books/lady susan/ch1.flac",
        by_new="chapter:lady susan:ch1 marks:lady susan book:lady susan",
        name="books/susan/",
        by_name="marks:susan",
    ),
    "music": Case(
        files=("out/first/track1.opus", "out/first/track2.opus", "out/second/track1.png"),
        param="opus.bitrate=48k",
        by_param="opus:first:track1 opus:first:track2 opus:first:track10 opus:second:track1",
        source="albums/first/track2.flac",
        change=other("-af", "volume=0.97"),
        by_source="loudness:first:track2 gain:first opus:first:track2 waveform:first:track2",
        new="albums/third/track1.flac",
        by_new="loudness:third:track1 gain:third opus:third:track1 waveform:third:track1",
        name="albums/it's 4/",
    ),
}


def started(project: Project, name: str) -> Project:
    """A copy of an example, with its small inputs."""
    if shutil.which(CASES[name].needs) is None:
        pytest.skip(f"{CASES[name].needs} isn't installed")
    assert project.command("init", "--example", name).status == 0
    env = {**project.env, "FFMPEG": ffmpeg_path()}
    subprocess.run(["sh", "make_inputs.sh"], cwd=project.root, env=env, check=True)
    return project


def names(text: str, project: Project) -> set[str]:
    """The tasks in a text: each is a stage and what follows up to the next stage."""
    stages = tomllib.loads(project.read("pipeline.toml"))["stages"]
    found: list[str] = []
    for word in text.split():
        if word.partition(":")[0] in stages and ":" in word:
            found.append(word)
        else:
            found[-1] += f" {word}"
    return set(found)


def beside(source: Path, target: Path) -> None:
    """What belongs to a source comes along under its new name."""
    for suffix in (".txt", ".csv", ".srt"):
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix != suffix and source.with_suffix(suffix).exists() and not target.with_suffix(suffix).exists():
            shutil.copyfile(source.with_suffix(suffix), target.with_suffix(suffix))


def first_source(root: Path, case: Case) -> str:
    """Where no source is edited, the first that is like the new one."""
    found = sorted((root / case.new).parent.glob(f"*{Path(case.new).suffix}"))
    return str(found[0].relative_to(root))


@pytest.mark.parametrize("name", CASES)
def test_an_example_and_its_edits(project: Project, name: str) -> None:
    """Each edit runs what follows from it, and nothing else; what is withdrawn goes."""
    case = CASES[name]
    started(project, name)
    root = project.root

    def runs(expected: str, *args: str) -> None:
        run = project.run(*args)
        assert run.status == 0, run.out
        assert set(run.ran) == names(expected, project), run.out

    first = project.run()
    assert first.status == 0, first.out
    for file in case.files:
        assert (root / file).stat().st_size > 0, file
    if name == "podcast":
        assert "END=1600\n" in project.read("jobs/one/chapters/meta.txt"), "the last chapter ends with the sound"
    runs("")
    runs(case.by_param, case.param)
    runs("")
    if case.source:
        before = {path: path.read_bytes() for path in map(root.joinpath, case.files)}
        case.change(root / case.source, root / case.source)
        runs(case.by_source)
        assert any(path.read_bytes() != content for path, content in before.items())
    source, new, renamed = (root / name for name in (case.source or first_source(root, case), case.new, case.name))
    beside(source, new)
    change = edited("stranger", "friend") if new.suffix == ".csv" else case.change
    change(source, new)
    runs(case.by_new)
    beside(new, renamed)
    (new.parent if case.name.endswith("/") else new).rename(renamed)
    runs(case.by_name)
    shutil.rmtree(renamed) if renamed.is_dir() else renamed.unlink()
    runs("")  # what is over all jobs comes back as it was
    said = project.command("clean", "--orphans")
    assert said.status == 0
    assert not [path for path in root.rglob(f"*{Path(case.name).stem}*") if "jobs" in path.parts and path.is_dir()]
    runs("")


def test_the_sheet_shows_all_photos(project: Project) -> None:
    """Of any size: none of the first three places is black; where they don't fit, there is another sheet."""
    started(project, "photos")
    assert project.run("sheet").status == 0
    command = [
        ffmpeg_path(),
        "-v",
        "error",
        "-i",
        project.root / "site/sheet1.jpg",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "gray",
        "-",
    ]
    grey = subprocess.run(command, capture_output=True, check=True).stdout
    width, height = 32, 24
    for place in range(3):
        rows = [grey[y * 3 * width + place * width :][:width] for y in range(height)]
        assert sum(map(sum, rows)) / (width * height) > 20, place
    assert project.run("page", "sheet.tile=2x1").status == 0, "more photos than places"
    assert re.findall(r'"(sheet\d\.jpg)"', project.read("site/index.html")) == ["sheet1.jpg", "sheet2.jpg"]
    assert (project.root / "site/sheet2.jpg").stat().st_size > 0


@pytest.mark.parametrize("name", CASES)
def test_an_example_that_is_killed_goes_on(project: Project, name: str) -> None:
    """The same files in the end, and what was done is not done again."""
    started(project, name)
    run = project.start()

    def done() -> int:
        count = 0
        for folder, below, files in os.walk(project.root / "jobs"):  # which takes no offence at what has just gone
            below[:] = [name for name in below if name != ".mediabuild"]
            if "manifest.json" in files:
                with contextlib.suppress(FileNotFoundError):
                    count += '"outputs"' in Path(folder, "manifest.json").read_text()  # a job's summary has none
        return count

    while not done():
        time.sleep(0.02)
        assert run.poll() is None
    run.send_signal(signal.SIGKILL)
    run.communicate()
    before = done()
    again = project.run()
    assert again.status == 0, again.out
    assert len(again.ran) <= again.events[0]["tasks"] - before
    for file in CASES[name].files:
        assert (project.root / file).stat().st_size > 0, file
    assert project.run().ran == []


def test_a_dialogue_with_dashes_in_a_table_of_a_spreadsheet(project: Project) -> None:
    """A byte order mark, CRLF, and lines that begin as options do."""
    started(project, "game")
    table = "\ufeffid,voice,text,comment\r\nask,en,-- What?,\r\nno,en,-v never,\r\n"
    (project.root / "lines/tavern.csv").write_text(table, newline="")
    run = project.run("lengths:tavern")
    assert run.status == 0, run.out
    lengths = json.loads(project.read("jobs/tavern/lengths/lengths.json"))
    assert {key: line["text"] for key, line in lengths.items()} == {"ask": "-- What?", "no": "-v never"}
    assert all(line["ms"] > 300 for line in lengths.values())


def test_slides_that_begin_late_and_end_early_stay_on_show(tmp_path: Path) -> None:
    """The picture lasts as long as the camera's; a camera without sound is fine."""
    for name, length in (("camera", 2), ("slides", 1)):
        made = ("-f", "lavfi", "-i", f"color=size=32x18:rate=5:duration={length}", "-pix_fmt", "yuv420p")
        command = [ffmpeg_path(), "-nostdin", "-v", "error", *made, tmp_path / f"{name}.mp4"]
        subprocess.run(command, check=True)
    for offset_s in ("0.4", "-0.4"):
        out = tmp_path / f"{offset_s}.mp4"
        script(
            "lectures/composite.py",
            ffmpeg_path(),
            "18",
            offset_s,
            out,
            tmp_path / "camera.mp4",
            tmp_path / "slides.mp4",
        )
        with av.open(str(out)) as video:
            assert (video.streams.video[0].frames, len(video.streams)) == (10, 1)


NAME = "1; 50% = #2 \\ it's new"


def script(path: str, *args: str | Path) -> str:
    """What a script of an example prints."""
    command = ["python3", EXAMPLES / path, *args]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout


def test_names_and_texts_of_people_get_into_pages_and_chapters(tmp_path: Path) -> None:
    """What means something in a web address, in ffmpeg's metadata or in a table means nothing in a name."""
    in_path = NAME.replace("%", "%25").replace("=", "%3D")
    script("photos/page.py", tmp_path / "page.html", f"jobs/{in_path}/web/32/web.jpg")
    page = html.unescape((tmp_path / "page.html").read_text())
    (address,) = re.findall(r'srcset="(\S+) 32w"', page)
    assert (urllib.parse.unquote(address), f'alt="{NAME}"' in page) == (f"{NAME}-32.jpg", True)
    sound = tmp_path / f"{NAME}.wav"
    made = ("-f", "lavfi", "-i", "anullsrc=r=8000", "-t", "1", sound)
    subprocess.run([ffmpeg_path(), "-nostdin", "-v", "error", *made], check=True)
    (tmp_path / "notes.txt").write_text(f"\ufeff0 {NAME}\n1\n")
    script("audiobook/marks.py", tmp_path / "book.meta", tmp_path / "list", sound)
    script("podcast/chapters.py", tmp_path / "notes.txt", sound, tmp_path / "show.meta")
    for meta, titles in (("book.meta", [NAME]), ("show.meta", [NAME, None])):
        with av.open(str(tmp_path / meta)) as read:
            assert [chapter["metadata"].get("title") or None for chapter in read.chapters()] == titles
    (tmp_path / "notes.txt").write_text("0:00.5 A b\n1:00:01 D\n0:01 C\n")
    script("podcast/chapters.py", tmp_path / "notes.txt", sound, tmp_path / "show.meta")
    assert re.findall("START=(.*)", (tmp_path / "show.meta").read_text()) == ["500", "1000", "3601000"]
    for name, loudness in (("a", "-21"), ("silent", "-inf")):
        (tmp_path / name).write_text(json.dumps({"input_i": loudness}))
    assert script("music/gain.py", "-18", tmp_path / "a", tmp_path / "silent") == '{"db": 3}\n'
    assert script("music/gain.py", "-18", tmp_path / "silent") == '{"db": 0}\n'
    (tmp_path / "seg0.ts").write_bytes(bytes(1000))
    (tmp_path / "index.m3u8").write_text("#EXTM3U\n#EXTINF:2.000000,\nseg0.ts\n")
    script("hls/master.py", tmp_path / "master.m3u8", tmp_path / "index.m3u8")
    assert "BANDWIDTH=4000," in (tmp_path / "master.m3u8").read_text(), "a segment of two seconds"
    (tmp_path / "table.csv").write_text('\ufeffid,text\na,"two\nlines"\n')
    assert script("dataset/lines.py", "job", tmp_path / "table.csv") == "job/a|two lines\n"


def test_the_examples_are_small_and_need_no_shell() -> None:
    """At most 40 lines, and at most three shells in all their commands."""
    shells = 0
    for file in sorted(EXAMPLES.glob("*/pipeline.toml")):
        text = file.read_text()
        assert len(text.splitlines()) <= 40, file
        assert file.with_name("README.md").exists()
        assert file.parent.name in CASES
        shells += sum(
            table.get("command", [""])[0] in ("sh", "bash") for table in tomllib.loads(text)["stages"].values()
        )
    assert shells <= 3
    assert len(CASES) == len(list(EXAMPLES.glob("*/pipeline.toml")))


def test_init_knows_its_examples(project: Project) -> None:
    """An unknown one names the nearest; what is there stays."""
    said = project.command("init", "--example", "podcats")
    assert (said.status, list(project.root.iterdir())) == (3, [])
    assert "did you mean 'podcast'?" in said.err
    project.write("pipeline.toml", "mine")
    assert project.command("init", "--example=podcast").status == 0
    assert project.read("pipeline.toml") == "mine"
    said = project.command("init", "--example")
    assert (said.status, "NAME is one of archive, audiobook, " in said.err) == (3, True)
    assert project.command("init", "hls").status == 0, "as people type it"
    assert (project.root / "master.py").exists()
