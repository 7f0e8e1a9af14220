"""The recording with its subtitles: nothing lost, everything in step, looked at by decoding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediabuild.errors import StageError
from mediabuild.stage import Context
from tests.stages.looking import (
    beeps_of,
    clip_probe,
    cues_of,
    enabled,
    new_file,
    payloads,
    pictures_of,
    titles_of,
    tracks_of,
    transcript,
    warnings_of,
)

Run = Callable[..., Context]

CUES = [(0.5, 1.5, "Good morning."), (2.0, 3.0, "It rains.")]


@pytest.fixture(scope="module")
def made(rec: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with twelve seconds of pictures at 25/s (a keyframe every 4 s), sound, a cover, subtitles."""
    folder = tmp_path_factory.mktemp("mux")
    rec.write_pictures(folder / "pictures.mp4", [n / 25 for n in range(300)], gop=100)
    rec.write_sound(folder / "sound.wav", 12)
    for suffix in ("mp4", "mkv", "ts"):
        rec.ffmpeg(
            *("-i", folder / "pictures.mp4", "-i", folder / "sound.wav", "-c:v", "copy"),
            *("-c:a", "aac", "-b:a", "192k", folder / f"av.{suffix}"),
        )
    rec.ffmpeg("-i", folder / "pictures.mp4", "-frames:v", "1", "-update", "1", folder / "cover.png")
    rec.ffmpeg(
        *("-i", folder / "sound.wav", "-i", folder / "cover.png", "-map", "0", "-map", "1", "-c:a", "aac"),
        *("-c:v", "copy", "-disposition:v", "attached_pic", folder / "cover.m4a"),
    )
    rec.write_srt(folder / "subtitles.en.srt", CUES)
    rec.write_srt(folder / "subtitles.es-419.srt", [(start, end, "¿Llueve?") for start, end, _ in CUES])
    return folder


@pytest.fixture
def subtitles(made: Path) -> dict[str, Path]:
    """English and Latin American Spanish, named as the `subtitles` stage names them."""
    return {path.name: path for path in sorted(made.glob("subtitles.*.srt"))}


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_whole_recording_is_copied(
    rec: Any, run_stage: Run, made: Path, subtitles: dict[str, Path], tmp_path: Path, suffix: str
) -> None:
    """Picture and sound keep their packets; the subtitles are there, tagged eng and spa, the first one default."""
    media = made / f"av.{suffix}"
    context = run_stage("mux", {"media": media, "subtitles": subtitles, "probe": clip_probe(tmp_path, 0, 12.0)})
    video = new_file(context)
    assert video.name == f"video.{suffix}"
    codec = "mov_text" if suffix == "mp4" else "subrip"
    found = tracks_of(video)
    assert [kind for kind, *_ in found] == ["video", "audio", "subtitle", "subtitle"]
    assert found[2:] == [("subtitle", codec, "eng", True), ("subtitle", codec, "spa", False)]
    for kind in ("video", "audio"):
        assert payloads(video, kind) == payloads(media, kind)
    assert cues_of(rec, video) == [(0.5, "Good morning."), (2.0, "It rains.")]
    assert [text for _, text in cues_of(rec, video, 1)] == ["¿Llueve?"] * 2
    assert warnings_of(context) == []


def test_another_language_can_be_the_default(run_stage: Run, made: Path, subtitles: dict[str, Path]) -> None:
    """It comes first, and it alone is marked."""
    video = new_file(run_stage("mux", {"media": made / "av.mp4", "subtitles": subtitles}, default_language="es-419"))
    assert [track[2:] for track in tracks_of(video)[2:]] == [("spa", True), ("eng", False)]


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("source", ["mp4", "mkv", "ts"])
def test_a_clip_off_a_keyframe_is_in_step(
    rec: Any, run_stage: Run, made: Path, subtitles: dict[str, Path], tmp_path: Path, source: str, container: str
) -> None:
    """First picture, every other picture, cues and beeps are within one frame of where they belong."""
    start_s, end_s = 5.37, 9.0
    inputs = {"media": made / f"av.{source}", "subtitles": subtitles, "probe": clip_probe(tmp_path, start_s, end_s)}
    video = new_file(run_stage("mux", inputs, container=container))
    where_s = {number: time_s - start_s for time_s, number in pictures_of(rec, inputs["media"])}
    shown = pictures_of(rec, video)
    assert shown[0][0] == pytest.approx(0, abs=0.025)
    assert shown[0][1] == max(number for number, time_s in where_s.items() if time_s <= 0)
    assert [number for _, number in shown] == list(range(shown[0][1], shown[0][1] + len(shown)))
    assert [time_s for time_s, _ in shown[1:]] == pytest.approx([where_s[n] for _, n in shown[1:]], abs=0.025)
    assert shown[-1][0] == pytest.approx(end_s - start_s, abs=0.065)
    assert [time for time, _ in cues_of(rec, video)] == pytest.approx([0.5, 2.0], abs=0.04)
    assert beeps_of(rec, video) == pytest.approx([6 - start_s, 7 - start_s, 8 - start_s], abs=0.04)


def test_a_clip_between_two_far_apart_pictures_starts_with_the_one_on_show(
    rec: Any, run_stage: Run, made: Path, subtitles: dict[str, Path], tmp_path: Path
) -> None:
    """In a recording of slides the next picture is seconds away: the clip doesn't wait for it."""
    media = tmp_path / "slides.mp4"
    slides = rec.write_pictures(tmp_path / "slides_only.mp4", [0, 1.7, 3.1, 3.14, 9.0, 11.9], gop=100)
    rec.ffmpeg("-i", slides, "-i", made / "sound.wav", "-c:v", "copy", "-c:a", "aac", media)
    inputs = {"media": media, "subtitles": subtitles, "probe": clip_probe(tmp_path, 6.0, 11.0)}
    shown = pictures_of(rec, new_file(run_stage("mux", inputs)))
    assert [number for _, number in shown] == [3, 4]
    assert [time for time, _ in shown] == pytest.approx([0, 3.0], abs=0.04)


@pytest.mark.parametrize(
    ("source", "container", "suffix", "said"),
    [
        ("mp4", "auto", "mp4", "starts 1.37 s early"),
        ("mkv", "auto", "mp4", "mkv can't hide the 1.37 s between the keyframe and the clip, so this is an mp4"),
        ("mp4", "mkv", "mkv", "mkv can't hide the 1.37 s between the keyframe and the clip, so the clip is encoded"),
        ("pcm.mkv", "auto", "mkv", "so the clip is encoded"),
    ],
)
def test_a_copied_clip_shows_what_its_files_say(
    rec: Any,
    run_stage: Run,
    made: Path,
    subtitles: dict[str, Path],
    tmp_path: Path,
    source: str,
    container: str,
    suffix: str,
    said: str,
) -> None:
    """Cues have the times of the files beside it, and belong to the same pictures as in the recording."""
    start_s = 5.37
    media = made / f"av.{source}"
    if not media.exists():
        rec.ffmpeg("-i", made / "pictures.mp4", "-i", made / "sound.wav", "-c", "copy", media)
    inputs = {"media": media, "subtitles": subtitles, "probe": clip_probe(tmp_path, start_s, 9.0)}
    context = run_stage("mux", inputs, clip="copy", container=container)
    video = new_file(context)
    assert video.suffix == f".{suffix}"
    assert said in warnings_of(context)[0]
    assert cues_of(rec, video) == [(pytest.approx(start_s, abs=0.002), text) for start_s, _, text in CUES]
    on_show = max(number for time_s, number in pictures_of(rec, video) if time_s <= 0.5 + 0.001)
    assert on_show / 25 == pytest.approx(start_s + 0.5, abs=0.041)
    assert beeps_of(rec, video)[:3] == pytest.approx([6 - start_s, 7 - start_s, 8 - start_s], abs=0.05)


def test_sound_that_starts_late_stays_late(rec: Any, run_stage: Run, made: Path, subtitles: dict[str, Path]) -> None:
    """In a copy and in a clip: beeps are where the picture's clock has them."""
    media = made / "late.mkv"
    rec.ffmpeg(
        *("-i", made / "pictures.mp4", "-itsoffset", "1.5", "-i", made / "sound.wav", "-t", "12"),
        *("-c:v", "copy", "-c:a", "aac", "-b:a", "192k", media),
    )
    copied = new_file(run_stage("mux", {"media": media, "subtitles": subtitles}, container="mp4"))
    assert beeps_of(rec, copied)[:3] == pytest.approx([1.5, 2.5, 3.5], abs=0.03)
    probe = clip_probe(made, 1.0, 6.0)
    clip = new_file(run_stage("mux", {"media": media, "subtitles": subtitles, "probe": probe}, container="mp4"))
    assert beeps_of(rec, clip)[:3] == pytest.approx([0.5, 1.5, 2.5], abs=0.03)


def test_all_audio_tracks_and_the_recordings_own_subtitles_are_kept(
    rec: Any, run_stage: Run, made: Path, subtitles: dict[str, Path], tmp_path: Path
) -> None:
    """Languages, order and flags too; its own subtitles come after ours, of which the first is shown."""
    media = tmp_path / "two.mkv"
    rec.ffmpeg(
        *("-i", made / "av.mp4", "-i", made / "sound.wav", "-i", made / "subtitles.en.srt"),
        *("-map", "0:v", "-map", "0:a", "-map", "1:a", "-map", "2:s", "-c:v", "copy", "-c:a:0", "copy"),
        *("-c:a:1", "flac", "-c:s", "ass", "-metadata:s:a:0", "language=eng"),
        *("-metadata:s:a:1", "language=ger", "-metadata:s:s:0", "language=fre", "-disposition:s:0", "default", media),
    )
    for container, codec in (("mkv", "ass"), ("mp4", "mov_text")):
        found = tracks_of(new_file(run_stage("mux", {"media": media, "subtitles": subtitles}, container=container)))
        german = "ger" if container == "mkv" else "deu"
        assert [(kind, name, language) for kind, name, language, _ in found[1:3]] == [
            ("audio", "aac", "eng"),
            ("audio", "flac", german if german in str(found) else "ger"),
        ]
        assert found[3:] == [
            ("subtitle", "subrip" if container == "mkv" else "mov_text", "eng", True),
            ("subtitle", "subrip" if container == "mkv" else "mov_text", "spa", False),
            ("subtitle", codec, "fre", True),
        ]


def test_what_mp4_cannot_hold_gives_mkv_and_says_so(
    rec: Any, run_stage: Run, made: Path, subtitles: dict[str, Path], tmp_path: Path
) -> None:
    """PCM from a camera's mov; with `container="mp4"` it is encoded instead, and that is said too."""
    media = tmp_path / "camera.mov"
    rec.ffmpeg("-i", made / "pictures.mp4", "-i", made / "sound.wav", "-c", "copy", media)
    context = run_stage("mux", {"media": media, "subtitles": subtitles})
    assert warnings_of(context) == ["camera.mov: mp4 can't hold pcm_s16le, so this is an mkv"]
    assert new_file(context).suffix == ".mkv"
    assert payloads(new_file(context), "audio") == payloads(media, "audio")
    context = run_stage("mux", {"media": media, "subtitles": subtitles}, container="mp4")
    assert warnings_of(context) == ["camera.mov: mp4 can't hold pcm_s16le, which is encoded again"]
    assert [track[:2] for track in tracks_of(new_file(context))[:2]] == [("video", "h264"), ("audio", "flac")]


@pytest.mark.parametrize(
    ("encoder", "suffix", "name"), [("aac", "m4a", "video.m4a"), ("libmp3lame", "mp3", "video.mp4")]
)
def test_sound_alone_still_carries_its_subtitles(
    rec: Any,
    run_stage: Run,
    made: Path,
    subtitles: dict[str, Path],
    tmp_path: Path,
    encoder: str,
    suffix: str,
    name: str,
) -> None:
    """An m4a, or an mp4 for an MP3; ffmpeg finds sound, both languages and the cover in it."""
    media = tmp_path / f"talk.{suffix}"
    rec.ffmpeg(
        *("-i", made / "sound.wav", "-i", made / "cover.png", "-map", "0", "-map", "1", "-c:a", encoder),
        *("-c:v", "copy", "-disposition:v", "attached_pic", media),
    )
    video = new_file(run_stage("mux", {"media": media, "subtitles": subtitles}))
    assert video.name == name
    found = tracks_of(video)
    assert [kind for kind, *_ in found] == ["audio", "subtitle", "subtitle", "video"]
    assert [track[2:] for track in found[1:3]] == [("eng", True), ("spa", False)]
    assert payloads(video, "video") == payloads(media, "video")
    assert [text for _, text in cues_of(rec, video)] == ["Good morning.", "It rains."]


def test_a_clip_of_sound_alone_starts_at_the_sample(
    rec: Any, run_stage: Run, made: Path, subtitles: dict[str, Path], tmp_path: Path
) -> None:
    """And keeps its cover."""
    inputs = {"media": made / "cover.m4a", "subtitles": subtitles, "probe": clip_probe(tmp_path, 2.6, 6.0)}
    video = new_file(run_stage("mux", inputs))
    assert beeps_of(rec, video) == pytest.approx([0.4, 1.4, 2.4], abs=0.003)
    assert payloads(video, "video") == payloads(made / "cover.m4a", "video")


@pytest.mark.parametrize("suffix", ["m4a", "mp4", "mkv"])
def test_a_cover_in_matroska_stays_one(
    rec: Any, run_stage: Run, made: Path, subtitles: dict[str, Path], tmp_path: Path, suffix: str
) -> None:
    """Copied as a track it would become a one-picture video; it is attached instead, byte for byte."""
    import av
    from av.stream import Disposition

    media = made / "cover.m4a" if suffix == "m4a" else tmp_path / f"moving.{suffix}"  # alone, or behind moving pictures
    if suffix == "mp4":
        cover = ("-map", "0", "-map", "1", "-disposition:v:1", "attached_pic")
        rec.ffmpeg("-i", made / "av.mp4", "-i", made / "cover.png", *cover, "-c", "copy", media)
    elif suffix == "mkv":
        cover = ("-attach", made / "cover.png", "-metadata:s:t", "mimetype=image/png")
        rec.ffmpeg("-i", made / "av.mkv", *cover, "-c", "copy", media)
    video = new_file(run_stage("mux", {"media": media, "subtitles": subtitles}, container="mkv"))
    with av.open(str(video)) as container:
        covers = [s.index for s in container.streams.video if s.disposition & Disposition.attached_pic]
        pictures = [bytes(packet) for packet in container.demux(*covers) if packet.size]
    assert pictures == [(made / "cover.png").read_bytes()]


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("text", ["", "1\n00:00:00,000 --> 00:00:00,001\n\n", None])
def test_no_speech_at_all_gives_a_video_without_empty_tracks(
    rec: Any, run_stage: Run, made: Path, tmp_path: Path, container: str, text: str | None
) -> None:
    """No cue, no track, whether there is an empty file or none, also where they should be burnt in or come first."""
    empty = tmp_path / "subtitles.en.srt"
    empty.write_text(text or "")
    inputs: dict[str, Any] = {"media": made / "av.mp4", "subtitles": {} if text is None else empty}
    context = run_stage("mux", inputs, container=container, default_language="en")
    assert [kind for kind, *_ in tracks_of(new_file(context))] == ["video", "audio"]
    assert warnings_of(context) == []
    context = run_stage("mux", inputs, container=container, burn_in="en")
    assert len(pictures_of(rec, new_file(context))) == 300
    assert "nothing to burn in" in warnings_of(context)[0]


@pytest.mark.parametrize("folder", ["plain", 'it\'s, [a]; "test": 100% a=b\\c é'])
def test_burnt_in_subtitles_change_the_picture_only_where_they_are_shown(
    run_stage: Run, rec: Any, made: Path, tmp_path: Path, folder: str
) -> None:
    """By decoding, with every character in the path that ffmpeg's filters take for their own."""
    import av

    (tmp_path / folder).mkdir()
    srt = rec.write_srt(tmp_path / folder / "subtitles.en.srt", CUES)
    media = tmp_path / folder / "my, 'film': 1.mp4"
    rec.ffmpeg(
        *("-f", "lavfi", "-i", "color=gray:s=640x360:r=25:d=4", "-i", made / "sound.wav", "-t", "4"),
        *("-c:v", "libx264", "-c:a", "aac", media),
    )
    video = new_file(run_stage("mux", {"media": media, "subtitles": srt}, burn_in="en"))
    changed = []
    with av.open(str(media)) as before, av.open(str(video)) as after:
        for old, new in zip(before.decode(video=0), after.decode(video=0), strict=True):
            apart = np.abs(old.to_ndarray(format="gray").astype(int) - new.to_ndarray(format="gray"))
            if (apart > 100).sum() > 20:
                changed.append(old.time)
    assert changed == pytest.approx([n / 25 for n in [*range(13, 38), *range(50, 75)]], abs=0.041)
    assert payloads(video, "audio") == payloads(media, "audio")
    assert [kind for kind, *_ in tracks_of(video)] == ["video", "audio"]  # or a player would show them twice


def test_burn_in_without_a_font_is_a_clear_error(
    run_stage: Run, made: Path, subtitles: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ffmpeg ends well and paints nothing; that is no success."""
    (tmp_path / "none").mkdir()
    conf = f'<?xml version="1.0"?><fontconfig><dir>{tmp_path}/none</dir><cachedir>{tmp_path}/c</cachedir></fontconfig>'
    (tmp_path / "fonts.conf").write_text(conf)
    monkeypatch.setenv("FONTCONFIG_FILE", str(tmp_path / "fonts.conf"))
    with pytest.raises(StageError, match="burn_in: no font on this machine") as error:
        run_stage("mux", {"media": made / "av.mp4", "subtitles": subtitles}, burn_in="en")
    assert "fonts-dejavu-core" in error.value.hint


@pytest.mark.parametrize("param", ["burn_in", "default_language"])
def test_a_language_that_is_not_there_is_named_with_those_that_are(
    run_stage: Run, made: Path, subtitles: dict[str, Path], param: str
) -> None:
    """Before anything is encoded."""
    with pytest.raises(StageError, match=f"{param} = 'fr': there are no such subtitles; there are: en, es-419"):
        run_stage("mux", {"media": made / "av.mp4", "subtitles": subtitles}, **{param: "fr"})


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [("cover.m4a", {"burn_in": "en"}, "it has no picture"), ("subtitles.en.srt", {}, "has neither sound nor picture")],
)
def test_impossible_wishes_are_clear_errors(
    run_stage: Run, made: Path, subtitles: dict[str, Path], name: str, params: dict[str, str], message: str
) -> None:
    """Nowhere to paint, and nothing to mux."""
    with pytest.raises(StageError, match=message):
        run_stage("mux", {"media": made / name, "subtitles": subtitles}, **params)


def test_what_is_no_recording_is_a_clear_error(run_stage: Run, subtitles: dict[str, Path], tmp_path: Path) -> None:
    """With its name and ffmpeg's reason."""
    (tmp_path / "junk.mp4").write_bytes(b"\x00\x01junk" * 99)
    with pytest.raises(StageError, match=r"junk\.mp4: ffmpeg can't read it: Invalid data"):
        run_stage("mux", {"media": tmp_path / "junk.mp4", "subtitles": subtitles})


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("params", [{}, {"burn_in": "en"}])
def test_the_same_inputs_give_the_same_bytes(
    run_stage: Run, made: Path, subtitles: dict[str, Path], tmp_path: Path, container: str, params: dict[str, str]
) -> None:
    """Copied and encoded."""
    inputs: dict[str, Any] = {"media": made / "av.mp4", "subtitles": subtitles}
    if params:
        inputs["probe"] = clip_probe(tmp_path, 5.37, 9.0)
    one, two = (new_file(run_stage("mux", inputs, container=container, **params)).read_bytes() for _ in range(2))
    assert one == two


@pytest.mark.parametrize("suffix", ["mp4", "m4a"])
def test_subtitles_after_an_hour_of_silence_keep_their_times(
    rec: Any, run_stage: Run, made: Path, tmp_path: Path, suffix: str
) -> None:
    """mp4 counts text in microseconds unless told, and 2^31 of them are 36 minutes; the recording's own text too."""
    media = tmp_path / f"long.{suffix}"
    cues = [(1.0, 2.0, "One."), (3600.0, 3602.0, "Two."), (7000.0, 7001.0, "Three.")]
    own = rec.write_srt(tmp_path / "own.srt", cues)
    rec.ffmpeg(
        *("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono", "-i", own, "-t", "7200", "-c:a", "aac", "-b:a", "8k"),
        *("-c:s", "mov_text", "-time_base:s", "1:1000", "-f", "mp4", media),
    )
    inputs = {"media": media, "subtitles": rec.write_srt(tmp_path / "subtitles.en.srt", cues)}
    video = new_file(run_stage("mux", inputs))
    for index in (0, 1):
        assert cues_of(rec, video, index) == [(start, text) for start, _, text in cues]


def test_nothing_is_shown_over_text_that_is_burnt_in(run_stage: Run, made: Path, subtitles: dict[str, Path]) -> None:
    """No track is on by itself, and the file's name isn't one that players find `out/JOB.en.ass` by."""
    video = new_file(run_stage("mux", {"media": made / "av.mp4", "subtitles": subtitles}, burn_in="en"))
    assert video.name == "video.burnt-en.mp4"
    assert [track[2:] for track in tracks_of(video)[2:]] == [("spa", False)]
    assert enabled(video) == {"vide": [True], "soun": [True], "sbtl": [False]}


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_what_is_spoken_is_shown_and_tracks_have_names(
    rec: Any, run_stage: Run, made: Path, tmp_path: Path, container: str
) -> None:
    """Catalan comes before English in the alphabet, but English is spoken; regions and scripts are told apart."""
    tags = ["ca", "en", "pt-BR", "pt-PT", "zh-Hans", "zh-Hant"]
    files = {tag: rec.write_srt(tmp_path / f"subtitles.{tag}.srt", CUES) for tag in tags}
    inputs: dict[str, Any] = {"media": made / "av.mp4", "subtitles": files, "transcript": transcript(tmp_path, "en")}
    video = new_file(run_stage("mux", inputs, container=container))
    assert titles_of(video)[2:] == [
        "English (auto)",
        "Català (machine)",
        "Português (Brasil, machine)",
        "Português (Portugal, machine)",
        "中文 (简体, machine)",
        "中文 (繁體, machine)",
    ]
    assert [default for *_, default in tracks_of(video)[2:]] == [True] + [False] * 5
    inputs["transcript"] = transcript(tmp_path, "en", by_hand=True)
    video = new_file(run_stage("mux", inputs, container=container, default_language="pt-PT"))
    assert titles_of(video)[2:4] == ["Português (Portugal, machine)", "Català (machine)"]
    assert "English" in titles_of(video)


@pytest.mark.parametrize("how", ["encode", "copy"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_a_picture_that_starts_late_or_ends_early_is_where_it_belongs_in_a_clip(
    rec: Any, run_stage: Run, subtitles: dict[str, Path], tmp_path: Path, suffix: str, how: str
) -> None:
    """The sound is all there before, between and after; a part without a picture is a file without one."""
    import av

    pictures = rec.write_pictures(tmp_path / "pictures.mp4", [n / 25 for n in range(75)], gop=50)
    sound = rec.write_beeps(tmp_path / "beeps.wav", 10)
    media = tmp_path / f"late.{suffix}"
    rec.ffmpeg("-itsoffset", "4", "-i", pictures, "-i", sound, "-c:v", "copy", "-c:a", "aac", media)
    inputs = {"media": media, "subtitles": subtitles}
    for start_s, end_s, numbers in ((0.0, 3.0, []), (1.0, 6.0, list(range(50))), (8.0, 10.0, [74])):
        inputs["probe"] = clip_probe(tmp_path, start_s, end_s, 10.0)
        video = new_file(run_stage("mux", inputs, clip=how, preset="ultrafast"))
        with av.open(str(video)) as container:
            has_picture = bool(container.streams.video)
        shown = pictures_of(rec, video) if has_picture else []
        beeps = beeps_of(rec, video)[: round(end_s - start_s)]
        assert beeps == pytest.approx([n + (0.02 if suffix == "ts" else 0) for n in range(len(beeps))], abs=0.04)
        assert len(beeps) == end_s - start_s
        if how == "encode" or start_s < 8:  # a copy can't hold a picture that is over
            assert [number for _, number in shown] == numbers
        if numbers and start_s < 8:
            assert shown[0][0] == pytest.approx(4 - start_s, abs=0.03)
