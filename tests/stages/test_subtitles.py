"""Subtitles: the rules that every cue keeps, the files that players read, and the report of what can't be kept."""

from __future__ import annotations

import html
import json
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pysubs2
import pytest

from mediabuild.errors import StageError
from mediabuild.media import formats
from mediabuild.media.ffmpeg import ffmpeg_path
from mediabuild.media.formats import Probe, Segment, Sentence, Transcript, Translation, VideoTrack, Word
from mediabuild.media.subtitles.corrections import read_correction
from mediabuild.media.text.words import split_words, text_of

HARD = r"a <i>b</i> AT&T &lt; {x} {\an8}y \N \h 1 < n and m > 2 --> end <b"


def said(text: str, *, start_s: float = 0.5, word_s: float = 0.3, language: str = "en") -> Transcript:
    """A transcript of one segment, its words evenly spoken."""
    words = [
        Word(word, round(start_s + i * word_s, 3), round(start_s + (i + 0.9) * word_s, 3))
        for i, word in enumerate(text.split())
    ]
    segments = [Segment(0, words[0].start_s, words[-1].end_s, text, words=words)] if words else []
    return Transcript(language, "param", segments)


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def written(document: Any, name: str = "transcript.json") -> Path:
        formats.write(tmp_path / name, document)
        return tmp_path / name

    return written


def test_lines_break_where_the_sense_allows(run_stage: Any, write: Any) -> None:
    """A line ends at a comma rather than after an article, and a title is not torn from its name."""
    text = "When the winter came to the county at last, the family of Mr. Dashwood had gone to the far end of it."
    out = run_stage("subtitles", {"transcript": write(said(text, word_s=0.4))}).out
    cues = pysubs2.load(str(out / "subtitles.en.srt"))
    lines = [line for cue in cues for line in cue.plaintext.split("\n")]
    assert lines[0] == "When the winter came"
    assert lines[1] == "to the county at last,"
    assert not any(line.endswith((" the", "Mr.", " of")) for line in lines)


def test_a_long_pause_inside_a_sentence_ends_the_cue(run_stage: Any, write: Any) -> None:
    """Nothing is on the screen in the middle of a silence of two and a half seconds, in either language."""
    words = said("He was not an").segments[0].words + said("ill disposed young man.", start_s=4.2).segments[0].words
    transcript = Transcript("en", "param", [Segment(0, 0.5, 5.4, "", words=words)])
    spanish = Translation("es", [Sentence(0, "", "Él no era un joven mal dispuesto.", 0, 7)])
    inputs = {"transcript": write(transcript), "translations": {"es": write(spanish, "es.json")}}
    out = run_stage("subtitles", inputs).out
    for language in ("en", "es"):
        cues = pysubs2.load(str(out / f"subtitles.{language}.srt"))
        assert len(cues) == 2
        assert not any(cue.start < 3500 < cue.end for cue in cues)


def test_markup_in_the_text_is_shown_as_text(run_stage: Any, write: Any) -> None:
    """What looks like a tag, an entity or an override survives, as read by pysubs2 and through ffmpeg's decoders."""
    out = run_stage("subtitles", {"transcript": write(said(HARD, word_s=0.5))}, max_line_chars=100).out

    def shown(text: str) -> str:
        return " ".join(text.replace("\u2060", "").translate(str.maketrans("❴❵", "{}")).split())

    srt = pysubs2.load(str(out / "subtitles.en.srt"))
    assert shown(" ".join(cue.plaintext for cue in srt)) == HARD
    ass = pysubs2.load(str(out / "subtitles.en.ass"))
    assert shown(" ".join(cue.plaintext for cue in ass)) == HARD
    vtt = (out / "subtitles.en.vtt").read_text(encoding="utf-8")
    payload = [line for line in vtt.split("\n")[1:] if "-->" not in line]
    assert shown(html.unescape(" ".join(payload))) == HARD
    assert not set("<>") & set("".join(payload))
    for name in ("subtitles.en.srt", "subtitles.en.ass"):
        video = out.parent / "shown.mp4"
        command = [ffmpeg_path(), "-v", "error", "-y", "-i", out / name, "-c:s", "mov_text", video]
        subprocess.run(command, check=True)
        subprocess.run([ffmpeg_path(), "-v", "error", "-y", "-i", video, out.parent / "back.srt"], check=True)
        lines = (out.parent / "back.srt").read_text(encoding="utf-8").split("\n")
        kept = " ".join(line for line in lines if "-->" not in line or "end" in line)
        assert all(word in shown(kept) for word in ("<i>b</i>", "AT&T", "&lt;", "{x}", r"{\an8}y", r"\N", "-->"))


def test_every_format_in_every_language(run_stage: Any, write: Any) -> None:
    """One file per language and format, readable, with the words of both languages and the times of their cues."""
    transcript = said("Good morning, everybody. We start at once.")
    spanish = Translation(
        "es",
        [
            Sentence(0, "", "Buenos días a todos.", 0, 2),
            Sentence(1, "", "Empezamos enseguida, ¿no?", 3, 6),
        ],
    )
    inputs = {"transcript": write(transcript), "translations": {"es": write(spanish, "es.json")}}
    out = run_stage("subtitles", inputs).out
    suffixes = ("srt", "vtt", "ass", "txt", "words.json")
    expected = {f"subtitles.{language}.{suffix}" for language in ("en", "es") for suffix in suffixes}
    assert {path.name for path in out.iterdir()} == {*expected, "subtitles.qc.json"}
    srt = pysubs2.load(str(out / "subtitles.es.srt"))
    for suffix in ("vtt", "ass"):
        same = pysubs2.load(str(out / f"subtitles.es.{suffix}"))
        assert [cue.plaintext for cue in same] == [cue.plaintext for cue in srt]
        assert all(abs(a.start - b.start) < 10 and abs(a.end - b.end) < 10 for a, b in zip(same, srt, strict=True))
    assert (out / "subtitles.es.txt").read_text() == "Buenos días a todos.\nEmpezamos enseguida, ¿no?\n"
    words = json.loads((out / "subtitles.en.words.json").read_text())["words"]
    assert [word["text"] for word in words] == transcript.segments[0].text.split()
    assert words[3]["start_s"] == transcript.segments[0].words[3].start_s
    quality = json.loads((out / "subtitles.qc.json").read_text())
    assert [(line["language"], line["words"]) for line in quality["summary"]] == [("en", 7), ("es", 7)]


def test_no_cue_outlasts_the_recording(run_stage: Any, write: Any) -> None:
    """The last cue ends with the clip although it is too short to be read then, and the report says so."""
    probe = Probe("wav", 60.0, 10.0, 11.0, 0, None, [], [])
    inputs = {"transcript": write(said("Enough.", start_s=0.9)), "probe": write(probe, "probe.json")}
    out = run_stage("subtitles", inputs).out
    cue = pysubs2.load(str(out / "subtitles.en.srt"))[-1]
    assert (cue.start, cue.end) == (400, 1000)
    quality = json.loads((out / "subtitles.qc.json").read_text())
    assert [violation["rule"] for violation in quality["violations"]] == ["min_s"]


def test_slides_have_time_for_their_text(run_stage: Any, write: Any) -> None:
    """One picture in ten minutes: no cue of a millisecond, and none that starts after the end."""
    video = VideoTrack(0, "mjpeg", 640, 360, 0.0, 0.0015, False)
    probe = Probe("mp4", 40.0, 0.0, 40.0, 0, None, [], [video])
    inputs = {
        "transcript": write(said("One two three four five six seven. " * 18)),
        "probe": write(probe, "probe.json"),
    }
    cues = pysubs2.load(str(run_stage("subtitles", inputs).out / "subtitles.en.srt"))
    assert all(cue.duration >= 833 and cue.start < 40_000 for cue in cues)
    assert {b.start - a.end for a, b in pairwise(cues)} == {100}


def test_nothing_said_is_said_once_and_makes_no_files(run_stage: Any, write: Any) -> None:
    """A player would show empty tracks, and refuse an empty file."""
    inputs = {"transcript": write(said("")), "translations": {"es": write(Translation("es", []), "es.json")}}
    done = run_stage("subtitles", inputs)
    assert [path.name for path in done.out.iterdir()] == ["subtitles.qc.json"]
    assert [fields["message"] for _, fields in done.messages if "message" in fields] == [
        "subtitles: nothing is said in it, so there are none"
    ]


def test_files_without_text_are_valid_where_they_are_wanted(run_stage: Any, write: Any, tmp_path: Path) -> None:
    """Every format is read by pysubs2 and ffmpeg, and shows nothing."""
    inputs = {"transcript": write(said("")), "translations": {"es": write(Translation("es", []), "es.json")}}
    out = run_stage("subtitles", inputs, if_silent="empty").out
    for language in ("en", "es"):
        for suffix in ("srt", "vtt", "ass"):
            path = out / f"subtitles.{language}.{suffix}"
            assert not "".join(cue.plaintext for cue in pysubs2.load(str(path)))
            shown = tmp_path / "shown.vtt"
            subprocess.run([ffmpeg_path(), "-v", "error", "-y", "-i", path, shown], check=True)
            assert shown.read_text() == "WEBVTT\n"
    assert json.loads((out / "subtitles.en.words.json").read_text())["words"] == []


@pytest.mark.parametrize("suffix", ["srt", "vtt"])
@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", HARD + " 00:00:01,000 --> 00:00:02,000 ?a=1&section=2&copy=3 a<b and c>d ❴x❵ {y} \u2060."),
        ("ja", "今日はiPhone 15が とても良いので散歩に行きましょう。明日は「雨」が降ると思います。"),
        ("th", "วันนี้อากาศดีมากเรา ไปเดินเล่นกันเถอะ สวัสดีครับผมชื่อสมชาย"),
    ],
)
def test_what_was_written_comes_back_as_a_correction(
    run_stage: Any, write: Any, suffix: str, language: str, text: str
) -> None:
    """Letter for letter, with the spaces that there are and no others."""
    transcript = said(text, word_s=0.5, language=language)
    out = run_stage("subtitles", {"transcript": write(transcript)}).out
    path = out / f"subtitles.{language}.{suffix}"
    cues = [part.text for part in read_correction(path).segments]
    assert "".join("".join(cues).split()) == "".join(text.split())
    if language == "en":
        assert " ".join(cues) == " ".join(text.split())
    shown = [
        Word(piece.text, 0.5 * i, 0.5 * i + 0.4, True, piece.space_after)
        for i, piece in enumerate(split_words(text, language))
    ]
    one_cue = Transcript(language, "param", [Segment(0, 0.0, 9.0, text, words=shown[:6])])
    out = run_stage("subtitles", {"transcript": write(one_cue)}, max_pause_s=10, max_s=30, max_lines=3).out
    (back,) = read_correction(out / f"subtitles.{language}.{suffix}").segments
    assert back.text == text_of(shown[:6])


def test_a_line_of_times_is_text_for_players(run_stage: Any, write: Any, tmp_path: Path) -> None:
    """What looks like the beginning of a cue inside a text doesn't become one, through ffmpeg and in a track."""
    text = "So he read aloud: 00:00:01,000 --> 00:00:02,000 and 7 and so on."
    path = (
        run_stage("subtitles", {"transcript": write(said(text, word_s=0.4))}, max_line_chars=30).out
        / "subtitles.en.srt"
    )
    assert any(line.startswith("00:00:01,000 --") for line in path.read_text().split("\n"))
    expected = len(pysubs2.load(str(path)))
    for name in ("back.vtt", "back.mp4", "back.mkv"):
        track = [] if name.endswith("vtt") else ["-c:s", "mov_text" if name.endswith("mp4") else "srt"]
        subprocess.run([ffmpeg_path(), "-v", "error", "-y", "-i", path, *track, tmp_path / name], check=True)
        back = tmp_path / "again.srt"
        subprocess.run([ffmpeg_path(), "-v", "error", "-y", "-i", tmp_path / name, back], check=True)
        cues = pysubs2.load(str(back))
        assert len(cues) == expected
        assert "and 7 and so on." in " ".join(" ".join(cue.plaintext.split()) for cue in cues)


SHAPES = {
    (1920, 1080): (1920, 1080),
    (720, 1280): (1080, 1920),
    (1080, 1350): (1080, 1350),
    (500, 500): (1080, 1080),
    (2560, 1080): (2560, 1080),
    (0, 0): (1920, 1080),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_subtitles_fit_the_picture(run_stage: Any, write: Any, tmp_path: Path, shape: tuple[int, int]) -> None:
    """Painted over a picture of its shape, two long lines stay two, inside the margins."""
    video = VideoTrack(0, "h264", 640, 360, 0.0, 25.0, shown_width_px=shape[0], shown_height_px=shape[1])
    probe = Probe("mp4", 30.0, 0.0, 30.0, 0, None, [], [video])
    text = "However many mammoths we would have met among us, none would have moved away from whom we wanted to meet."
    inputs = {"transcript": write(said(text)), "probe": write(probe, "probe.json")}
    out = run_stage("subtitles", inputs).out
    ass = pysubs2.load(str(out / "subtitles.en.ass"))
    width, height = SHAPES[shape]
    assert (int(ass.info["PlayResX"]), int(ass.info["PlayResY"])) == (width, height)
    cue = max(ass, key=lambda cue: len(cue.text))
    assert cue.text.count("\\N") == 1
    picture = tmp_path / "picture.gray"
    source = f"color=black:s={width}x{height}:r=25:d=30,trim=start={cue.start / 1000 + 0.1},setpts=PTS"
    chain = f"{source},subtitles=filename={str(out / 'subtitles.en.ass')!r},format=gray"
    subprocess.run(
        [ffmpeg_path(), "-v", "error", "-f", "lavfi", "-i", chain, "-frames:v", "1", "-f", "rawvideo", picture],
        check=True,
    )
    pixels = np.frombuffer(picture.read_bytes(), np.uint8).reshape(height, width) > 40
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    assert 0.04 * width < columns[0]
    assert columns[-1] < 0.96 * width
    assert rows[-1] < 0.96 * height
    assert rows[-1] - rows[0] < 2.5 * 54  # two lines


def test_words_without_times_are_an_error_that_names_align(run_stage: Any, write: Any) -> None:
    """A transcript that hasn't been aligned can't become cues."""
    bare = Transcript("en", "param", [Segment(0, 0.0, 2.0, "Hello there.")])
    with pytest.raises(StageError, match="no word times") as caught:
        run_stage("subtitles", {"transcript": write(bare)})
    assert "align.transcript" in caught.value.hint


def test_the_same_inputs_give_the_same_bytes(run_stage: Any, write: Any) -> None:
    """Two runs differ in nothing."""
    path = write(said("When the winter came, nobody was ill disposed. " * 20))
    one, other = (run_stage("subtitles", {"transcript": path}).out for _ in range(2))
    assert {p.name: p.read_bytes() for p in one.iterdir()} == {p.name: p.read_bytes() for p in other.iterdir()}
