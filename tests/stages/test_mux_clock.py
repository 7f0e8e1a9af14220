"""Sound whose format changes, and clocks that jump: picture, sound and cues of a new file keep in step.

The stage that hears the recording and the one that puts it together go by one clock.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediabuild.stage import Context
from tests.stages.looking import beeps_of, new_file, pictures_of, tracks_of, warnings_of

Run = Callable[..., Context]

Sound = tuple[str, int, int]  # codec, sample rate, channels
PART_S, PARTS, RATE = 5, 3, 25
AC3 = [("ac3", 48000, 2), ("ac3", 48000, 6), ("ac3", 48000, 2)]
AAC = [("aac", 48000, 2), ("aac", 44100, 2), ("aac", 48000, 1)]
MP3 = [("libmp3lame", 44100, 2), ("libmp3lame", 48000, 1), ("libmp3lame", 44100, 2)]
SAME = [("aac", 48000, 2)] * 3
STEADY = (10.0, 15.0, 20.0)  # where each part starts on the container's clock


@pytest.fixture(scope="module")
def joined(rec: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Three parts of five seconds in one MPEG-TS: pictures are numbered throughout, beeps are half way in seconds."""
    folder = tmp_path_factory.mktemp("joined")
    frames = PART_S * RATE

    @functools.cache
    def part(number: int, sound: Sound, start_s: float) -> Path:
        codec, rate_hz, channels = sound
        pictures, made = folder / f"{number}.mp4", folder / f"{number}.{codec}.{rate_hz}.{channels}.{start_s}.ts"
        if not pictures.exists():
            rec.write_pictures(pictures, [n / RATE for n in range(frames)], gop=frames, first=number * frames)
        beeps = rec.write_beeps(folder / f"{rate_hz}.{channels}.wav", PART_S, rate_hz=rate_hz, channels=channels)
        rec.ffmpeg(
            *("-i", pictures, "-i", beeps, "-c:v", "copy", "-c:a", codec, "-b:a", "320k", "-t", str(PART_S)),
            *("-af", "adelay=500:all=1", "-output_ts_offset", str(start_s), made),
        )
        return made

    def make(sounds: Sequence[Sound], starts_s: Sequence[float]) -> Path:
        both = zip(sounds, starts_s, strict=True)
        media: Path = rec.write_joined(folder / "joined.ts", [part(n, *one) for n, one in enumerate(both)])
        return media

    return make


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize(
    ("sounds", "starts_s"),
    [
        (AC3, STEADY),
        (AAC, STEADY),
        (MP3, STEADY),
        (SAME, (10.0, 75.0, 80.0)),
        (SAME, (10.0, 4015.0, 4020.0)),
        (SAME, (5000.0, 10.0, 15.0)),
        (AAC, (10.0, 75.0, 10.0)),
    ],
    ids=["ac3", "aac", "mp3", "jump", "far jump", "back", "aac and jumps"],
)
def test_a_clip_over_the_seams_is_in_step(
    rec: Any,
    run_stage: Run,
    joined: Callable[..., Path],
    tmp_path: Path,
    sounds: list[tuple[str, int, int]],
    starts_s: tuple[float, ...],
    container: str,
) -> None:
    """Ten seconds have ten seconds of sound; beeps and pictures are where `demux` has them, within 40 ms."""
    import soundfile

    media = joined(sounds, starts_s)
    heard = run_stage("demux", {"media": media}, clip_start_s=2.3, clip_end_s=12.3)
    subtitles = rec.write_srt(tmp_path / "subtitles.en.srt", [(1.0, 2.0, "One.")])
    inputs = {"media": media, "subtitles": subtitles, "probe": heard.output("probe")}
    video = new_file(run_stage("mux", inputs, container=container, preset="ultrafast"))
    wav, rate_hz = soundfile.read(heard.output("audio"))
    wanted = rec.beeps_s(wav, rate_hz)
    assert wanted == pytest.approx([n + 0.2 for n in range(10)], abs=0.06)
    assert beeps_of(rec, video) == pytest.approx(wanted, abs=0.04)
    shown = pictures_of(rec, video)
    numbers = [int(number) for _, number in shown]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    for beep_s in wanted:
        on_show = max(number for time_s, number in shown if time_s <= beep_s)
        assert on_show % RATE == pytest.approx(RATE / 2, abs=2)  # the middle of a second, as in the parts
    import av

    with av.open(str(video)) as file:
        assert file.duration / 1e6 == pytest.approx(10, abs=0.1)


@pytest.mark.parametrize("starts_s", [STEADY, (10.0, 75.0, 80.0), (5000.0, 10.0, 15.0)])
@pytest.mark.parametrize("sounds", [AC3, AAC, SAME])
def test_the_whole_recording_keeps_in_step_too(
    rec: Any,
    run_stage: Run,
    joined: Callable[..., Path],
    tmp_path: Path,
    sounds: list[tuple[str, int, int]],
    starts_s: tuple[float, ...],
) -> None:
    """Copied where a copy can tell the formats apart; AAC has one description for all of it and is encoded again."""
    import soundfile

    media = joined(sounds, starts_s)
    heard = run_stage("demux", {"media": media})
    subtitles = rec.write_srt(tmp_path / "subtitles.en.srt", [(1.0, 2.0, "One.")])
    context = run_stage("mux", {"media": media, "subtitles": subtitles, "probe": heard.output("probe")})
    video = new_file(context)
    wav, rate_hz = soundfile.read(heard.output("audio"))
    assert beeps_of(rec, video) == pytest.approx(rec.beeps_s(wav, rate_hz), abs=0.04)
    changes = sounds is AAC
    assert any("its format changes" in line for line in warnings_of(context)) == changes
    assert [number for _, number in pictures_of(rec, video)] == list(range(PARTS * PART_S * RATE))


@pytest.mark.parametrize(
    ("encoder", "suffix", "codec"), [("flac", "flac", "flac"), ("alac", "m4a", "alac"), ("pcm_s24le", "mkv", "flac")]
)
def test_24_bits_stay_24_bits_in_a_clip(
    rec: Any, run_stage: Run, tmp_path: Path, encoder: str, suffix: str, codec: str
) -> None:
    """Sample for sample."""
    import soundfile

    rng = np.random.default_rng(2)
    sound = rng.integers(-(1 << 23), 1 << 23, (3 * 48000, 2), dtype=np.int32) << 8
    soundfile.write(tmp_path / "deep.wav", sound, 48000, subtype="PCM_24")
    media = tmp_path / f"deep.{suffix}"
    rec.ffmpeg("-i", tmp_path / "deep.wav", "-c:a", encoder, media)
    heard = run_stage("demux", {"media": media}, clip_start_s=1.25, clip_end_s=2.5)
    subtitles = rec.write_srt(tmp_path / "subtitles.en.srt", [(0.1, 1.0, "One.")])
    video = new_file(run_stage("mux", {"media": media, "subtitles": subtitles, "probe": heard.output("probe")}))
    assert tracks_of(video)[0][:2] == ("audio", codec)
    rec.ffmpeg("-i", video, "-map", "0:a", "-c:a", "pcm_s24le", tmp_path / "back.wav")
    back, _ = soundfile.read(tmp_path / "back.wav", dtype="int32")
    assert np.array_equal(back, sound[60000:120000])


@pytest.mark.parametrize("layout", ["5.1", "5.1(side)", "3.0", "quad", "7.1"])
def test_channels_stay_where_they_are(rec: Any, run_stage: Run, tmp_path: Path, layout: str) -> None:
    """A clip's sound has the layout of the recording's, lossless or not."""
    import av

    for encoder, suffix in (("flac", "mkv"), ("aac", "mp4"), ("pcm_s16le", "mov")):
        media = tmp_path / f"many.{suffix}"
        rec.ffmpeg(
            "-f", "lavfi", "-i", f"anoisesrc=d=3:r=48000,aformat=channel_layouts={layout}", "-c:a", encoder, media
        )
        with av.open(str(media)) as file:
            before = file.streams.audio[0].layout.name
        heard = run_stage("demux", {"media": media}, clip_start_s=1, clip_end_s=2)
        subtitles = rec.write_srt(tmp_path / "subtitles.en.srt", [(0.1, 1.0, "One.")])
        video = new_file(run_stage("mux", {"media": media, "subtitles": subtitles, "probe": heard.output("probe")}))
        with av.open(str(video)) as file:
            after = file.streams.audio[0].layout.name
        # ffmpeg calls the channels behind those at the side where it reads FLAC in mp4.
        assert after.removesuffix("(side)") == before.removesuffix("(side)"), encoder
