"""The audio track on the picture's clock, from recordings as awkward as real ones."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from mediabuild.errors import StageError
from mediabuild.media.formats import Probe, read
from mediabuild.media.recordings.clock import zero_s
from mediabuild.media.recordings.recording import opened
from mediabuild.stage import Context

Run = Callable[..., Context]


@pytest.fixture(scope="module")
def made(rec: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ten seconds of pictures at 25/s and of sound."""
    folder = tmp_path_factory.mktemp("demux")
    rec.write_pictures(folder / "pictures.mp4", [n / 25 for n in range(250)])
    rec.write_sound(folder / "sound.wav", 10)
    rec.ffmpeg(
        "-i", folder / "pictures.mp4", "-i", folder / "sound.wav", "-c:v", "copy", "-c:a", "aac", folder / "av.mp4"
    )
    return folder


def heard(context: Context) -> tuple[np.ndarray, int]:
    """The WAV that demux wrote, and its rate."""
    sound, rate_hz = soundfile.read(context.output("audio"), always_2d=True)
    return sound, rate_hz


def probe_of(context: Context) -> Probe:
    """The probe that demux wrote."""
    return read(context.output("probe"), Probe)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_sound_that_starts_late_is_late_in_the_wav(
    rec: Any, run_stage: Run, made: Path, tmp_path: Path, suffix: str
) -> None:
    """1.5 s of silence first; MPEG-TS has a clock of its own, which ffmpeg alone would reset."""
    media = tmp_path / f"late.{suffix}"
    rec.ffmpeg(
        *("-i", made / "pictures.mp4", "-itsoffset", "1.5", "-i", made / "sound.wav", "-t", "10"),
        *("-c:v", "copy", "-c:a", "aac", "-b:a", "192k", media),
    )
    context = run_stage("demux", {"media": media})
    sound, rate_hz = heard(context)
    assert rec.beeps_s(sound, rate_hz) == pytest.approx([1.5 + n for n in range(9)], abs=0.003)
    assert not sound[: int(1.4 * rate_hz)].any()
    assert len(sound) / rate_hz == pytest.approx(probe_of(context).duration_s, abs=0.001)
    assert probe_of(context).audio[0].start_s == pytest.approx(1.5, abs=0.03)


def test_a_hole_in_the_sound_is_silence(rec: Any, run_stage: Run, made: Path, tmp_path: Path) -> None:
    """Three seconds that were never recorded don't pull the rest forward."""
    media = tmp_path / "hole.mkv"
    rec.ffmpeg(
        *("-i", made / "pictures.mp4", "-i", made / "sound.wav", "-map", "0:v", "-map", "1:a", "-c:v", "copy"),
        *("-af", "aselect='not(between(t,3.5,6.5))'", "-c:a", "pcm_s16le", media),
    )
    sound, rate_hz = heard(run_stage("demux", {"media": media}))
    assert rec.beeps_s(sound, rate_hz) == pytest.approx([0, 1, 2, 3, 7, 8, 9], abs=0.003)
    assert not sound[int(3.6 * rate_hz) : int(6.4 * rate_hz)].any()


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_varying_frame_rate_is_found(rec: Any, run_stage: Run, made: Path, tmp_path: Path, suffix: str) -> None:
    """It varies only in the second half, and a steady one next to it is not taken for one."""
    times_s = [n / 25 for n in range(125)] + [5 + n / 25 + (n % 3) * 0.011 for n in range(125)]
    pictures = rec.write_pictures(tmp_path / f"varying.{suffix}", times_s)
    for source, varies in ((pictures, True), (made / "pictures.mp4", False)):
        media = tmp_path / f"{varies}.{suffix}"
        rec.ffmpeg("-i", source, "-i", made / "sound.wav", "-c:v", "copy", "-c:a", "aac", media)
        video = probe_of(run_stage("demux", {"media": media})).video[0]
        assert video.variable_frame_rate is varies
        assert (video.codec, video.width_px, video.height_px) == ("h264", 192, 64)


def test_surround_sound_becomes_stereo_at_its_own_rate(rec: Any, run_stage: Run, tmp_path: Path) -> None:
    """5.1 at full level in every channel is mixed down without clipping; 48 kHz stay 48 kHz."""
    sound = 0.9 * np.sin(2 * np.pi * 440 * np.arange(96000) / 48000)
    soundfile.write(tmp_path / "six.wav", np.repeat(sound[:, None], 6, axis=1), 48000)
    rec.ffmpeg("-i", tmp_path / "six.wav", "-c:a", "ac3", "-b:a", "640k", tmp_path / "six.mkv")
    context = run_stage("demux", {"media": tmp_path / "six.mkv"})
    mixed, rate_hz = heard(context)
    assert (mixed.shape[1], rate_hz, probe_of(context).audio[0].channels) == (2, 48000, 6)
    assert 0.5 < np.abs(mixed).max() < 0.99


@pytest.mark.parametrize(("rate_hz", "channels"), [(8000, 1), (44100, 2), (96000, 1)])
def test_rate_and_channels_are_the_sources(
    rec: Any, run_stage: Run, tmp_path: Path, rate_hz: int, channels: int
) -> None:
    """Up to two channels nothing is resampled or mixed: the samples of a FLAC come back."""
    wav = rec.write_sound(tmp_path / "in.wav", 1.5, rate_hz=rate_hz, channels=channels)
    rec.ffmpeg("-i", wav, tmp_path / "in.flac")
    sound, rate = heard(run_stage("demux", {"media": tmp_path / "in.flac"}))
    assert rate == rate_hz
    assert np.array_equal(sound, soundfile.read(wav, always_2d=True)[0])


@pytest.fixture(scope="module")
def two_tracks(rec: Any, made: Path) -> Path:
    """English (silent) and German (beeps), the German one default."""
    media = made / "two.mkv"
    rec.ffmpeg(
        *("-i", made / "pictures.mp4", "-f", "lavfi", "-i", "anullsrc=r=48000:d=10", "-i", made / "sound.wav"),
        *("-map", "0:v", "-map", "1:a", "-map", "2:a", "-c:v", "copy", "-c:a", "aac", "-t", "10"),
        *("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=ger"),
        *("-disposition:a:0", "0", "-disposition:a:1", "default", media),
    )
    return media


@pytest.mark.parametrize(
    ("wanted", "index"), [(None, 1), (0, 0), (1, 1), ("en", 0), ("de", 1), ("ger", 1), ("de-AT", 1)]
)
def test_a_track_is_chosen(rec: Any, run_stage: Run, two_tracks: Path, wanted: int | str | None, index: int) -> None:
    """By index, by language in any spelling, and the default one otherwise."""
    context = run_stage("demux", {"media": two_tracks}, audio_track=wanted)
    probe = probe_of(context)
    assert (probe.audio_track, probe.language) == (index, ["en", "de"][index])
    assert bool(rec.beeps_s(*heard(context))) is bool(index)


@pytest.mark.parametrize("wanted", [2, "es"])
def test_a_track_that_is_not_there_is_named_with_those_that_are(run_stage: Run, two_tracks: Path, wanted: Any) -> None:
    """The message lists indexes and languages, the hint is a command."""
    with pytest.raises(StageError, match=r"no such track; it has 0 \(en\), 1 \(de\)") as error:
        run_stage("demux", {"media": two_tracks}, audio_track=wanted)
    assert error.value.hint == "doit demux.audio_track=0"


def test_a_cover_is_no_video(rec: Any, run_stage: Run, made: Path, tmp_path: Path) -> None:
    """An album's cover leaves the recording an audio-only one, and no language is None."""
    rec.ffmpeg("-i", made / "pictures.mp4", "-frames:v", "1", "-update", "1", tmp_path / "cover.png")
    rec.ffmpeg(
        *("-i", made / "sound.wav", "-i", tmp_path / "cover.png", "-map", "0", "-map", "1", "-c:a", "aac"),
        *("-c:v", "copy", "-disposition:v", "attached_pic", tmp_path / "cover.m4a"),
    )
    probe = probe_of(run_stage("demux", {"media": tmp_path / "cover.m4a"}))
    assert probe.video == []
    assert (probe.language, probe.audio[0].codec) == (None, "aac")


@pytest.mark.parametrize("suffix", ["mp4", "ts", "mp3", "webm"])
def test_a_clip_is_a_part_of_the_whole(rec: Any, run_stage: Run, made: Path, tmp_path: Path, suffix: str) -> None:
    """Bit for bit and to the sample, in codecs that look back and containers without an index."""
    media = tmp_path / f"whole.{suffix}"
    source = made / ("sound.wav" if suffix in ("mp3", "webm") else "av.mp4")
    rec.ffmpeg("-i", source, *(["-b:a", "64k"] if suffix in ("mp3", "webm") else ["-c", "copy"]), media)
    whole, rate_hz = heard(run_stage("demux", {"media": media}))
    context = run_stage("demux", {"media": media}, clip_start_s=2.345, clip_end_s=6.789)
    clip, _ = heard(context)
    assert np.array_equal(clip, whole[round(2.345 * rate_hz) : round(6.789 * rate_hz)])
    probe = probe_of(context)
    assert (probe.clip_start_s, probe.clip_end_s, probe.duration_s) == (2.345, 6.789, pytest.approx(10, abs=0.06))


def test_a_clip_without_sound_is_silence(rec: Any, run_stage: Run, made: Path, tmp_path: Path) -> None:
    """A clip that ends before late sound begins, and one that begins after the sound has ended."""
    media = tmp_path / "short.mkv"
    rec.ffmpeg(
        *("-i", made / "pictures.mp4", "-itsoffset", "3", "-t", "2", "-i", made / "sound.wav"),
        *("-map", "0:v", "-map", "1:a", "-c", "copy", media),
    )
    for start_s, end_s in ((0.5, 2.5), (6.0, 9.0)):
        sound, rate_hz = heard(run_stage("demux", {"media": media}, clip_start_s=start_s, clip_end_s=end_s))
        assert len(sound) == round((end_s - start_s) * rate_hz)
        assert not sound.any()


def test_a_clip_behind_the_end_is_an_error(run_stage: Run, made: Path) -> None:
    """With what was asked for, what there is, and a command."""
    with pytest.raises(StageError, match=r"clip_start_s = 11 is beyond the recording's end at 10\.0") as error:
        run_stage("demux", {"media": made / "av.mp4"}, clip_start_s=11.0)
    assert error.value.hint.startswith("doit demux.clip_start_s=")


def test_a_clip_that_ends_after_the_recording_ends_with_it(run_stage: Run, made: Path) -> None:
    """`clip_end_s=90` for all jobs doesn't fail the short ones: a warning, and the end that there is."""
    context = run_stage("demux", {"media": made / "av.mp4"}, clip_end_s=90)
    assert probe_of(context).clip_end_s == probe_of(context).duration_s
    assert any("clip_end_s = 90" in fields.get("message", "") for _, fields in context.messages)


def test_a_recording_without_sound_is_a_clear_error(run_stage: Run, made: Path) -> None:
    """It says what there is instead, and how to go on without it."""
    with pytest.raises(StageError, match=r"pictures\.mp4: has no audio track \(it holds: 1 video\)") as error:
        run_stage("demux", {"media": made / "pictures.mp4"}, job="ep01")
    assert error.value.hint == "doit ignore 'demux:ep01'"


def test_hints_can_be_typed_whatever_the_job_is_called(rec: Any, run_stage: Run, made: Path, tmp_path: Path) -> None:
    """Quotes in a name are quoted: for the shell, and for pipeline.toml."""
    name = """talk's "best" $1"""
    with pytest.raises(StageError) as error:
        run_stage("demux", {"media": made / "pictures.mp4"}, job=name)
    assert shlex.split(error.value.hint) == ["doit", "ignore", f"demux:{name}"]
    rec.ffmpeg("-i", made / "av.mp4", "-c", "copy", tmp_path / "whole.mkv")
    content = (tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(StageError) as error:
        run_stage("demux", {"media": tmp_path / "cut.mkv"}, job=name)
    table, _, rest = error.value.hint.removeprefix("keep what there is: ").partition(" params")
    written = tomllib.loads(f"{table}\nparams{rest.removesuffix(' in pipeline.toml')}")
    assert written["jobs"][name]["params"]["demux"]["clip_end_s"] > 3


@pytest.mark.parametrize("content", [b"", b"hello world\n" * 50, bytes(range(256)) * 40])
def test_what_is_no_recording_is_a_clear_error(run_stage: Run, tmp_path: Path, content: bytes) -> None:
    """An empty file, a text and junk, each called by name."""
    (tmp_path / "notes.mp4").write_bytes(content)
    with pytest.raises(StageError, match=r"notes\.mp4: ") as error:
        run_stage("demux", {"media": tmp_path / "notes.mp4"})
    assert error.value.hint
    assert error.value.message.endswith("; it is empty") == (not content)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_truncated_recording_is_found(rec: Any, run_stage: Run, made: Path, tmp_path: Path, suffix: str) -> None:
    """Its header promises ten seconds; the hint's clip works on those that are there."""
    whole, cut = tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}"
    rec.ffmpeg("-i", made / "av.mp4", "-c", "copy", "-movflags", "+faststart", whole)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    with pytest.raises(StageError, match=r"cut\.\w+: truncated: its header says 10\.0 s") as error:
        run_stage("demux", {"media": cut})
    what, _, end = error.value.hint.removesuffix(" } in pipeline.toml").rpartition(" = ")
    assert what.endswith('[jobs."sample"] params.demux = { clip_end_s')
    assert 3 < float(end) < 8
    sound, rate_hz = heard(run_stage("demux", {"media": cut}, clip_end_s=float(end)))
    assert rec.beeps_s(sound, rate_hz) == pytest.approx(range(int(float(end)) + 1), abs=0.003)


def test_an_mp4_without_its_index_is_a_clear_error(run_stage: Run, made: Path, tmp_path: Path) -> None:
    """A camera that lost power leaves no `moov`: nothing can be read, and that is said."""
    (tmp_path / "lost.mp4").write_bytes((made / "av.mp4").read_bytes()[:20000])
    with pytest.raises(StageError, match=r"lost\.mp4: ffmpeg can't read it: Invalid data.*its index is missing"):
        run_stage("demux", {"media": tmp_path / "lost.mp4"})


def test_an_mp4_with_its_index_was_not_cut_off(rec: Any, run_stage: Run, made: Path, tmp_path: Path) -> None:
    """What can't be read of it has another cause, and none is made up."""
    rec.ffmpeg("-i", made / "av.mp4", "-c", "copy", "-movflags", "+faststart", tmp_path / "junk.mp4")
    content = bytearray((tmp_path / "junk.mp4").read_bytes())
    start = content.index(b"moov") + 4
    content[start : start + 400] = b"\xff" * 400
    (tmp_path / "junk.mp4").write_bytes(content)
    with pytest.raises(StageError, match=r"junk\.mp4: ") as error:
        run_stage("demux", {"media": tmp_path / "junk.mp4"})
    assert "cut off" not in error.value.message


def test_the_same_recording_gives_the_same_bytes(run_stage: Run, made: Path) -> None:
    """Twice, both outputs."""
    one, two = (run_stage("demux", {"media": made / "av.mp4"}, clip_start_s=1) for _ in range(2))
    for name in ("audio", "probe"):
        assert one.output(name).read_bytes() == two.output(name).read_bytes()


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_a_recording_that_begins_without_a_keyframe_is_read(
    rec: Any, run_stage: Run, made: Path, tmp_path: Path, suffix: str
) -> None:
    """Cut by another tool, it has no picture that can be shown before 2 s, and players play it."""
    media = tmp_path / f"keyless.{suffix}"
    rec.ffmpeg("-i", made / "av.mp4", "-c", "copy", "-bsf:v", "noise=drop=eq(n\\,0)", "-copyinkf", media)
    context = run_stage("demux", {"media": media})
    assert rec.beeps_s(*heard(context)) == pytest.approx(range(10), abs=0.015)
    assert probe_of(context).duration_s == pytest.approx(10, abs=0.05)
    assert probe_of(context).video[0].frame_rate == pytest.approx(25, abs=0.3)


@pytest.mark.parametrize("suffix", ["mkv", "webm"])
def test_a_matroska_clock_that_starts_late_is_no_truncation(
    rec: Any, run_stage: Run, made: Path, tmp_path: Path, suffix: str
) -> None:
    """A header that counts the time before the start: a live recording, and a piece from ffmpeg's `-f segment`."""
    codecs = ("-c:v", "libvpx", "-c:a", "libopus") if suffix == "webm" else ("-c:v", "copy", "-c:a", "aac")
    rec.ffmpeg("-i", made / "av.mp4", *codecs, "-output_ts_offset", "40", tmp_path / f"late.{suffix}")
    segments = ("-f", "segment", "-segment_time", "4", "-segment_format", "matroska", "-g", "50", "-c:v", "libx264")
    rec.ffmpeg("-i", made / "av.mp4", *segments, tmp_path / "%d.mkv")
    for media, beeps_s in (
        (tmp_path / f"late.{suffix}", [40 + n for n in range(10)]),
        (tmp_path / "1.mkv", [6.08, 7.08, 8.08]),  # all of ffmpeg's segments are 80 ms late
    ):
        context = run_stage("demux", {"media": media})
        with opened(media, "") as container:
            starts_s = zero_s(container)
        assert [starts_s + beep_s for beep_s in rec.beeps_s(*heard(context))] == pytest.approx(beeps_s, abs=0.015)
        assert probe_of(context).duration_s == pytest.approx(len(beeps_s), abs=1)


@pytest.mark.parametrize(
    ("options", "filters", "rotation_deg", "shown_px"),
    [
        (("-display_rotation", "90"), "null", 90, (64, 192)),
        (("-display_rotation", "180"), "null", 180, (192, 64)),
        (("-display_rotation", "-90"), "null", -90, (64, 192)),
        ((), "setsar=4/3", 0, (256, 64)),
    ],
)
def test_the_shape_is_the_one_that_is_shown(
    rec: Any,
    run_stage: Run,
    made: Path,
    tmp_path: Path,
    options: tuple[str, ...],
    filters: str,
    rotation_deg: int,
    shown_px: tuple[int, int],
) -> None:
    """Of a phone held upright and of pixels that aren't square, beside the size that is stored."""
    media = tmp_path / "shape.mp4"
    rec.ffmpeg("-i", made / "av.mp4", "-vf", filters, "-c:v", "libx264", "-c:a", "copy", "-t", "1", tmp_path / "x.mp4")
    rec.ffmpeg(*options, "-i", tmp_path / "x.mp4", "-c", "copy", media)
    video = probe_of(run_stage("demux", {"media": media})).video[0]
    assert (video.width_px, video.height_px) == (192, 64)
    assert (abs(video.rotation_deg), abs(rotation_deg)) == (abs(rotation_deg),) * 2
    assert rotation_deg == 180 or video.rotation_deg == rotation_deg
    assert (video.shown_width_px, video.shown_height_px) == shown_px


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts"])
def test_few_pictures_a_second_are_counted_as_they_are(
    rec: Any, run_stage: Run, made: Path, tmp_path: Path, suffix: str
) -> None:
    """A slide every five seconds is a rate of 0.2; one still picture has none."""
    slides, still = tmp_path / f"slides.{suffix}", tmp_path / f"still.{suffix}"
    rec.ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=64x64:r=1/5:d=20", "-i", made / "sound.wav"),
        *("-c:v", "libx264", "-pix_fmt", "yuv420p", slides),
    )
    rec.ffmpeg("-i", slides, "-map", "0", "-c", "copy", "-bsf:v", "noise=drop=gt(n\\,0)", still)
    video = probe_of(run_stage("demux", {"media": slides})).video[0]
    assert (video.frame_rate, video.variable_frame_rate) == (pytest.approx(0.2, abs=0.01), False)
    assert probe_of(run_stage("demux", {"media": still})).video[0].frame_rate is None
