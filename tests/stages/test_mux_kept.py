"""What of a recording is in the new file, and what is said of the rest: names, flags, chapters, dates, data, damage."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mediabuild.media.muxing.tags import moved_timecode
from mediabuild.stage import Context
from tests.stages.looking import clip_probe, cues_of, new_file, payloads, pictures_of, titles_of, tracks_of, warnings_of

Run = Callable[..., Context]

CUES = [(0.5, 1.5, "Good morning."), (6.0, 7.0, "It rains.")]
CHAPTERS = """;FFMETADATA1
[CHAPTER]
TIMEBASE=1/1000
START=0
END=2000
title=One; two = three
[CHAPTER]
TIMEBASE=1/1000
START=2000
END=7500
title=Two
[CHAPTER]
TIMEBASE=1/1000
START=7500
END=8000
title=Three
"""


@pytest.fixture(scope="module")
def made(rec: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with eight seconds of pictures at 25/s, sound, and subtitles."""
    folder = tmp_path_factory.mktemp("kept")
    rec.write_pictures(folder / "pictures.mp4", [n / 25 for n in range(200)], gop=50)
    rec.write_sound(folder / "sound.wav", 8)
    rec.ffmpeg(
        *("-i", folder / "pictures.mp4", "-i", folder / "sound.wav", "-c:v", "copy", "-c:a", "aac", folder / "av.mp4")
    )
    rec.write_srt(folder / "subtitles.en.srt", CUES)
    return folder


@pytest.fixture
def subtitles(made: Path) -> Path:
    """The pipeline's English subtitles."""
    return made / "subtitles.en.srt"


def tags_of(path: Path) -> tuple[dict[str, str], list[dict[str, str]]]:
    """The metadata of the file, and of each of its tracks."""
    import av

    with av.open(str(path)) as container:
        return dict(container.metadata), [dict(stream.metadata) for stream in container.streams]


def flags_of(path: Path) -> list[set[str]]:
    """The dispositions of each track."""
    import av

    with av.open(str(path)) as container:
        return [{flag.name for flag in type(s.disposition) if flag in s.disposition} for s in container.streams]


def chapters_of(path: Path) -> list[tuple[float, float, str]]:
    """Start, end and title of each chapter."""
    import av

    with av.open(str(path)) as container:
        return [
            (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]), c["metadata"]["title"])
            for c in container.chapters()
        ]


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_names_and_flags_of_its_own_tracks_survive(
    rec: Any, run_stage: Run, made: Path, subtitles: Path, tmp_path: Path, container: str
) -> None:
    """An mp4 calls a track's name `name`; no tag of the old file's making is left in an mkv."""
    media = tmp_path / "named.mp4"
    own = rec.write_srt(tmp_path / "own.srt", CUES)
    rec.ffmpeg(
        *("-i", made / "av.mp4", "-i", made / "sound.wav", "-i", own, "-map", "0", "-map", "1", "-map", "2"),
        *("-c:v", "copy", "-c:a", "aac", "-c:s", "mov_text", "-metadata:s:a:1", "title=Commentary"),
        *("-metadata:s:s:0", "title=Signs", "-disposition:a:1", "comment", media),
    )
    video = new_file(run_stage("mux", {"media": media, "subtitles": subtitles}, container=container))
    assert titles_of(video) == [None, None, "Commentary", "English", "Signs"]
    whole, tracks = tags_of(video)
    if container == "mkv":
        assert {key.lower() for tags in tracks for key in tags} <= {"language", "title", "duration", "encoder"}
        assert not {"MAJOR_BRAND", "MINOR_VERSION", "COMPATIBLE_BRANDS"} & set(whole)


def test_forced_and_hearing_impaired_subtitles_stay_so(
    rec: Any, run_stage: Run, made: Path, subtitles: Path, tmp_path: Path
) -> None:
    """Its own default one, too, except over text that is burnt in; ours come before them."""
    media = tmp_path / "flags.mkv"
    own = rec.write_srt(tmp_path / "own.srt", CUES)
    rec.ffmpeg(
        *("-i", made / "av.mp4", "-i", own, "-i", own, "-map", "0", "-map", "1", "-map", "2", "-c", "copy"),
        *("-disposition:a", "0", "-disposition:s:0", "default+forced", "-disposition:s:1", "hearing_impaired", media),
    )
    flags = flags_of(new_file(run_stage("mux", {"media": media, "subtitles": subtitles})))
    assert flags == [{"default"}, {"default"}, {"default"}, {"default", "forced"}, {"hearing_impaired"}]
    flags = flags_of(new_file(run_stage("mux", {"media": media, "subtitles": subtitles}, burn_in="en")))
    assert flags == [{"default"}, {"default"}, {"forced"}, {"hearing_impaired"}]


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_chapters_are_cut_to_the_clip(
    rec: Any, run_stage: Run, made: Path, subtitles: Path, tmp_path: Path, container: str
) -> None:
    """On the clip's clock; in the whole recording they are as they were."""
    (tmp_path / "chapters.txt").write_text(CHAPTERS)
    media = tmp_path / "chapters.mp4"
    rec.ffmpeg("-i", made / "av.mp4", "-i", tmp_path / "chapters.txt", "-map_chapters", "1", "-c", "copy", media)
    inputs = {"media": media, "subtitles": subtitles}
    whole = chapters_of(new_file(run_stage("mux", inputs, container=container)))
    assert whole == [(0, 2, "One; two = three"), (2, 7.5, "Two"), (7.5, 8, "Three")]
    inputs["probe"] = clip_probe(tmp_path, 1.5, 5.0, 8.0)
    for how in ("encode", "copy"):
        clip = chapters_of(new_file(run_stage("mux", inputs, container=container, clip=how)))
        assert clip == [(0, 0.5, "One; two = three"), (0.5, 3.5, "Two")]


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_the_timecode_moves_with_the_clip_and_the_date_stays(
    rec: Any, run_stage: Run, made: Path, subtitles: Path, tmp_path: Path, container: str
) -> None:
    """Its first frame has the timecode that it had in the recording."""
    media = tmp_path / "camera.mov"
    date = "2024-05-06T07:08:09.000000Z"
    rec.ffmpeg(
        *("-i", made / "av.mp4", "-c", "copy", "-timecode", "10:59:59:20", "-metadata", f"creation_time={date}", media)
    )
    inputs = {"media": media, "subtitles": subtitles}
    for part, timecode in ((None, "10:59:59:20"), ((2.2, 5.0), "11:00:02:00")):
        if part:
            inputs["probe"] = clip_probe(tmp_path, *part, 8.0)
        whole, tracks = tags_of(new_file(run_stage("mux", inputs, container=container)))
        assert {key.lower(): value for key, value in tracks[0].items()}["timecode"] == timecode
        assert whole["creation_time"] == date


@pytest.mark.parametrize(
    ("timecode", "frames", "rate", "moved"),
    [
        ("10:00:00:00", 25, 25, "10:00:01:00"),
        ("23:59:59:24", 1, 25, "00:00:00:00"),
        ("00:00:59;29", 1, 30000 / 1001, "00:01:00;02"),  # two numbers are dropped
        ("00:09:59;29", 1, 30000 / 1001, "00:10:00;00"),  # but not in each tenth minute
        ("00:00:59;59", 1, 60000 / 1001, "00:01:00;04"),
        ("01:00:00;00", 17982, 30000 / 1001, "01:10:00;00"),
        ("00:00:00:00", 24, 24000 / 1001, "00:00:01:00"),
        ("noon", 1, 25, None),
    ],
)
def test_a_timecode_is_moved_by_frames(timecode: str, frames: int, rate: float, moved: str | None) -> None:
    """Drop-frame numbers too, as SMPTE ST 12-1 has them."""
    from fractions import Fraction

    assert moved_timecode(timecode, frames, Fraction(rate).limit_denominator(1001)) == moved


def with_data(made: Path, folder: Path, tag: bytes) -> Path:
    """An mp4 with a data track: the text track of a copy, under another name, which is what ffmpeg tells it by."""
    media = folder / "data.mp4"
    media.write_bytes((made / "text.mp4").read_bytes().replace(b"sbtl", b"meta").replace(b"tx3g", tag))
    return media


def test_a_cameras_telemetry_is_kept_or_missed_aloud(
    rec: Any, run_stage: Run, made: Path, subtitles: Path, tmp_path: Path
) -> None:
    """A GoPro's stays in an mp4; what no new file can hold is named, on the console and in the report."""
    rec.ffmpeg("-i", made / "av.mp4", "-i", subtitles, "-c", "copy", "-c:s", "mov_text", made / "text.mp4")
    media = with_data(made, tmp_path, b"gpmd")
    context = run_stage("mux", {"media": media, "subtitles": subtitles})
    assert [kind for kind, *_ in tracks_of(new_file(context))] == ["video", "audio", "subtitle", "data"]
    assert payloads(new_file(context), "data") == payloads(media, "data")
    assert warnings_of(context) == []
    for tag, params in ((b"gpmd", {"container": "mkv"}), (b"mebx", {})):
        context = run_stage("mux", {"media": with_data(made, tmp_path, tag), "subtitles": subtitles}, **params)
        (said,) = warnings_of(context)
        assert f"the data in track 2 ({tag.decode()})" in said
        assert said.endswith(json.loads((context.out / "mux.report.json").read_text())["not_kept"][0])


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_which_camera_made_it_is_kept(
    rec: Any, run_stage: Run, made: Path, subtitles: Path, tmp_path: Path, container: str
) -> None:
    """Make, model and the date as phones write them."""
    tags = {
        "com.apple.quicktime.make": "Apple",
        "com.apple.quicktime.model": "iPhone 15",
        "com.apple.quicktime.creationdate": "2024-05-06T09:08:09+0200",
    }
    media = tmp_path / "phone.mov"
    args = [part for key, value in tags.items() for part in ("-metadata", f"{key}={value}")]
    rec.ffmpeg("-i", made / "av.mp4", "-c", "copy", "-movflags", "use_metadata_tags", *args, media)
    context = run_stage("mux", {"media": media, "subtitles": subtitles}, container=container)
    whole, _ = tags_of(new_file(context))
    assert {key: {k.lower(): v for k, v in whole.items()}.get(key) for key in tags} == tags
    assert warnings_of(context) == []


def test_tags_that_mp4_has_no_place_for_are_named(
    rec: Any, run_stage: Run, made: Path, subtitles: Path, tmp_path: Path
) -> None:
    """Title and artist are kept where all players look for them."""
    media = tmp_path / "tagged.mkv"
    rec.ffmpeg("-i", made / "av.mp4", "-c", "copy", "-metadata", "title=A", "-metadata", "PURL=http://x", media)
    context = run_stage("mux", {"media": media, "subtitles": subtitles}, container="mp4")
    assert tags_of(new_file(context))[0]["title"] == "A"
    assert warnings_of(context) == ["tagged.mkv: its tags PURL don't fit in mp4: left out"]


@pytest.mark.parametrize(
    ("language", "encoding", "text"),
    [("spa", "cp1252", "Él vio el año"), ("rus", "cp1251", "Привет, как дела? Сегодня хорошая погода.")],
)
def test_subtitles_in_an_old_encoding_are_read(
    rec: Any, run_stage: Run, made: Path, subtitles: Path, tmp_path: Path, language: str, encoding: str, text: str
) -> None:
    """mp4 holds UTF-8 only; ffmpeg by itself drops the lines that aren't."""
    own = tmp_path / "own.srt"
    own.write_bytes(
        f"1\n00:00:00,500 --> 00:00:01,000\n{text}\n\n2\n00:00:02,000 --> 00:00:03,000\nx\n".encode(encoding)
    )
    media = tmp_path / "old.mkv"
    rec.ffmpeg(
        *("-i", made / "av.mp4", "-i", own, "-map", "0", "-map", "1", "-c", "copy"),
        *("-metadata:s:s:0", f"language={language}", media),
    )
    context = run_stage("mux", {"media": media, "subtitles": subtitles}, container="mp4")
    assert cues_of(rec, new_file(context), 1) == [(0.5, text), (2.0, "x")]
    assert f"aren't UTF-8: read as {encoding}" in warnings_of(context)[0]


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_its_own_subtitles_are_cut_with_the_clip(
    rec: Any, run_stage: Run, made: Path, subtitles: Path, tmp_path: Path, container: str
) -> None:
    """Cues that the clip touches, on its clock, under their name and language."""
    own = rec.write_srt(tmp_path / "own.srt", [(0, 1, "Before."), (1.5, 3, "<i>Over</i> the edge."), (4, 9, "Within.")])
    media = tmp_path / "own.mkv"
    rec.ffmpeg(
        *("-i", made / "av.mp4", "-i", own, "-map", "0", "-map", "1", "-c", "copy"),
        *("-metadata:s:s:0", "language=fre", "-metadata:s:s:0", "title=Signs", "-disposition:s:0", "forced", media),
    )
    inputs = {"media": media, "subtitles": subtitles, "probe": clip_probe(tmp_path, 2.5, 6.0, 8.0)}
    context = run_stage("mux", inputs, container=container)
    video = new_file(context)
    assert cues_of(rec, video, 1) == [(0.0, "<i>Over</i> the edge."), (1.5, "Within.")]
    assert tracks_of(video)[3][2] in ("fre", "fra")
    assert titles_of(video)[3] == "Signs"
    assert "forced" in flags_of(video)[3]
    assert warnings_of(context) == []


def test_pictures_that_are_damaged_are_counted(
    rec: Any, run_stage: Run, made: Path, subtitles: Path, tmp_path: Path
) -> None:
    """Under burn-in what can't be decoded is not there any more; how much that is, is said."""
    whole, media = tmp_path / "whole.mp4", tmp_path / "damaged.mp4"
    rec.ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=4", "-c:v", "libx265", "-x265-params", "log-level=error", whole
    )
    raw, place = bytearray(whole.read_bytes()), random.Random(1)
    for _ in range(40):
        at = place.randrange(len(raw) // 8, len(raw) * 7 // 8)
        raw[at : at + 30] = bytes(place.randrange(256) for _ in range(30))
    media.write_bytes(raw)
    context = run_stage("mux", {"media": media, "subtitles": subtitles}, burn_in="en")
    import av

    with av.open(str(new_file(context))) as container:
        there = sum(1 for packet in container.demux(video=0) if packet.size)
    assert there < 100
    assert f"damaged.mp4: {100 - there} of 100 pictures are damaged and not there" in "\n".join(warnings_of(context))


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize(("name", "encoder"), [("old.mpg", "mpeg2video"), ("old.avi", "mpeg4"), ("new.avi", "libx264")])
def test_pictures_without_times_of_their_own_are_shown_in_order_and_in_time(
    rec: Any, run_stage: Run, made: Path, subtitles: Path, tmp_path: Path, name: str, encoder: str, container: str
) -> None:
    """MPEG and AVI don't say when pictures that are stored out of order are shown: copied as they are, they stumble."""
    media = tmp_path / name
    sound = "mp2" if name.endswith("mpg") else "mp3"
    rec.ffmpeg(*("-i", made / "av.mp4", "-c:v", encoder, "-bf", "2", "-c:a", sound, "-ac", "2", media))
    shown = pictures_of(rec, new_file(run_stage("mux", {"media": media, "subtitles": subtitles}, container=container)))
    assert [number for _, number in shown] == list(range(200))
    first_s = shown[0][0]
    assert [time_s - first_s for time_s, _ in shown] == pytest.approx([n / 25 for n in range(200)], abs=0.003)


@pytest.mark.parametrize(("encoder", "suffix"), [("pcm_bluray", "m2ts"), ("s302m", "ts"), ("nellymoser", "flv")])
def test_sound_that_no_container_takes_is_encoded_again(
    rec: Any, run_stage: Run, subtitles: Path, made: Path, tmp_path: Path, encoder: str, suffix: str
) -> None:
    """A camcorder's PCM stays lossless; and it is said."""
    media = tmp_path / f"camcorder.{suffix}"
    extra = ("-strict", "-2") if encoder == "s302m" else ()
    rate, channels = ("22050", "1") if suffix == "flv" else ("48000", "2")
    rec.ffmpeg("-i", made / "sound.wav", "-ar", rate, "-ac", channels, "-c:a", encoder, *extra, media)
    context = run_stage("mux", {"media": media, "subtitles": subtitles})
    codec = "aac" if suffix == "flv" else "flac"
    assert tracks_of(new_file(context))[0][:2] == ("audio", codec)
    assert any(f"audio in track 0 is encoded again: {encoder} can't be copied" in line for line in warnings_of(context))
