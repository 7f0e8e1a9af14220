"""Twelve pairs of container and codec, and six kinds of broken time.

Each beep, fifty milliseconds of 1 kHz once a second, is where the picture's clock has it, or the recording is refused.
A duration alone proves nothing: it can be right while all that is said comes ten seconds late.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import soundfile

from mediabuild.errors import StageError
from mediabuild.stage import Context

Run = Callable[..., Context]

# Container → its codecs, as options of ffmpeg.
PAIRS = {
    "mp4": ("-c:v", "copy", "-c:a", "aac"),
    "mov": ("-c:v", "copy", "-c:a", "pcm_s16le"),
    "mkv": ("-c:v", "copy", "-c:a", "flac"),
    "ac3.mkv": ("-c:v", "copy", "-c:a", "ac3"),
    "webm": ("-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus"),
    "ts": ("-c:v", "copy", "-c:a", "aac"),
    "ac3.ts": ("-c:v", "copy", "-c:a", "ac3"),
    "mp2.ts": ("-c:v", "copy", "-c:a", "mp2"),
    "mpg": ("-c:v", "mpeg2video", "-r", "25", "-c:a", "mp2", "-f", "vob"),
    "avi": ("-c:v", "mpeg4", "-r", "25", "-c:a", "mp3"),
    "flv": ("-c:v", "copy", "-c:a", "aac"),
    "ogg": ("-vn", "-c:a", "libvorbis", "-page_duration", "20000"),
}
CLOSED = ("ts", "ac3.ts", "mp2.ts", "mpg", "ogg")  # whose jumps ffmpeg and demux close
STEADY = ("avi", "mov")  # which count sound and hold no stamps of it
PART_S = 5


@pytest.fixture(scope="module")
def folder(rec: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five seconds of numbered pictures, and five seconds of beeps in two formats."""
    made = tmp_path_factory.mktemp("containers")
    rec.write_pictures(made / "pictures.mp4", [n / 25 for n in range(25 * PART_S)])
    rec.write_beeps(made / "mono.wav", PART_S)
    rec.write_beeps(made / "other.wav", PART_S, rate_hz=44100, channels=2)
    return made


@pytest.fixture
def part(rec: Any, folder: Path, tmp_path: Path) -> Callable[..., Path]:
    """``part("ts", "mono.wav", *options)``: five seconds in a container."""
    numbers = iter(range(100))

    def make(kind: str, sound: str = "mono.wav", *options: str, sound_options: Sequence[str] = ()) -> Path:
        media = tmp_path / f"part{next(numbers)}.{kind}"
        source = ("-i", folder / "pictures.mp4", *sound_options, "-i", folder / sound)
        rec.ffmpeg(*source, *PAIRS[kind], *options, media)
        return media

    return make


def judge(rec: Any, run_stage: Run, media: Path, expected_s: list[float] | None = None, within_s: float = 0.04) -> None:
    """All beeps are where they belong: at given times, or else with every 25th picture, as ffmpeg shows them.

    The picture 0.2 s later is looked at, since one that lies on a seam is shown at a time that ffmpeg guesses.
    """
    if expected_s is None:
        expected_s = [time_s - 0.2 for time_s, number in rec.shown_s(media, media.parent) if number % 25 == 5]
    context = run_stage("demux", {"media": media})
    sound, rate_hz = soundfile.read(context.output("audio"), always_2d=True)
    assert rec.beeps_s(sound, rate_hz) == pytest.approx(expected_s, abs=within_s)


def judge_refusal(run_stage: Run, media: Path, why: str) -> None:
    """It is refused by name, before much was written."""
    with pytest.raises(StageError, match=why) as error:
        run_stage("demux", {"media": media})
    assert media.name in error.value.message
    assert error.value.hint
    assert sum(path.stat().st_size for path in media.parent.rglob("audio.wav")) < 10_000_000


@pytest.mark.parametrize("kind", PAIRS)
def test_sound_that_starts_late(rec: Any, run_stage: Run, part: Callable[..., Path], kind: str) -> None:
    """By 1.5 s. Without a picture a recording starts with its sound, and AVI holds no start."""
    late_s = 0 if kind in ("ogg", "avi") else 1.5
    media = part(kind, sound_options=("-itsoffset", "1.5"))
    judge(rec, run_stage, media, [late_s + n for n in range(PART_S)])


@pytest.mark.parametrize("kind", [kind for kind in PAIRS if kind != "avi"])
def test_a_clock_that_starts_late_or_wraps(rec: Any, run_stage: Run, part: Callable[..., Path], kind: str) -> None:
    """After a day and 2.5 hours, 2 s before the clock of MPEG begins anew."""
    judge(rec, run_stage, part(kind, "mono.wav", "-output_ts_offset", "95441.7"), list(range(PART_S)))


@pytest.mark.parametrize("kind", PAIRS)
def test_a_hole_in_the_sound(rec: Any, run_stage: Run, part: Callable[..., Path], kind: str) -> None:
    """Two seconds that were never sent, with the picture going on; where sound is counted, it moves up."""
    whole = part(kind)
    with_hole = whole.with_name(f"hole.{kind}")
    drop = ("-bsf:a", "noise=drop=between((pts-startpts)*tb\\,1.4\\,3.4)")
    container = {"mpg": ("-f", "vob"), "ogg": ("-page_duration", "20000")}.get(kind, ())
    rec.ffmpeg("-i", whole, "-map", "0", "-c", "copy", *drop, *container, with_hole)
    judge(rec, run_stage, with_hole, [0, 1, 2] if kind in STEADY else [0, 1, 4], 0.06 if kind in STEADY else 0.04)


@pytest.mark.parametrize("kind", [kind for kind in PAIRS if kind not in STEADY])
@pytest.mark.parametrize("by_s", [60, 4000])
def test_a_clock_that_jumps_forward(rec: Any, run_stage: Run, part: Callable[..., Path], kind: str, by_s: int) -> None:
    """MPEG's and Ogg's is closed; elsewhere it is a hole, as long as the recording can explain it."""
    if kind in CLOSED:
        media = rec.write_joined(
            part(kind).with_name(f"jump.{kind}"), [part(kind), part(kind, "mono.wav", "-output_ts_offset", str(by_s))]
        )
        judge(rec, run_stage, media, list(range(2 * PART_S)) if kind == "ogg" else None)
        return
    whole = part(kind)
    media = rec.move_packets(whole, whole.with_name(f"jump.{kind}"), lambda time_s: by_s if time_s >= 2.5 else 0)
    if by_s == 60:
        judge(rec, run_stage, media, [0, 1, 2, 63, 64])
    else:
        judge_refusal(run_stage, media, r"its clock says 400\d\.\d s, but what is in it can't last longer than")


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("first_s", [100, 0])
def test_a_clock_that_jumps_back(rec: Any, run_stage: Run, part: Callable[..., Path], kind: str, first_s: int) -> None:
    """Two recordings, one after the other as `cat` joins them. Where ffmpeg reads the first alone, that is told."""
    first, second = part(kind, "mono.wav", "-output_ts_offset", str(first_s)), part(kind)
    media = rec.write_joined(first.with_name(f"back.{kind}"), [first, second])
    if kind in CLOSED:
        judge(rec, run_stage, media, list(range(2 * PART_S)) if kind == "ogg" else None)
    elif kind != "avi":  # two AVIs are one to ffmpeg
        try:
            context = run_stage("demux", {"media": media})
        except StageError as error:
            assert "its clock goes back by" in error.message
            return
        told = [fields["message"] for what, fields in context.messages if what == "warning"]
        assert any("joined with another recording" in line or "left out" in line for line in told)


@pytest.mark.parametrize("kind", ["ts", "ac3.ts", "mp2.ts", "mpg", "ogg", "ac3.mkv", "avi", "mp3", "ac3", "aac"])
@pytest.mark.parametrize("turns", [("mono.wav", "other.wav"), ("other.wav", "mono.wav", "other.wav")])
def test_a_format_that_changes(
    rec: Any, run_stage: Run, part: Callable[..., Path], kind: str, turns: tuple[str, ...]
) -> None:
    """44.1 kHz stereo and 48 kHz mono, there and back: what comes after the change is not late."""
    codec = {"ac3.mkv": "ac3", "avi": "mp3"}.get(kind, kind)
    if codec in ("mp3", "ac3", "aac"):
        parts = [part("mkv", turn) for turn in turns]
        bare = [media.with_suffix(f".{codec}") for media in parts]
        for media, sound in zip(parts, bare, strict=True):
            rec.ffmpeg("-i", media, *(("-write_xing", "0") if codec == "mp3" else ()), "-b:a", "128k", sound)
        media = rec.write_joined(parts[0].with_name(f"change.{codec}"), bare)
        if kind != codec:
            rec.ffmpeg("-i", media, "-c", "copy", media.with_name(f"change.{kind}"))
            media = media.with_name(f"change.{kind}")
        judge(rec, run_stage, media, list(range(PART_S * len(turns))), 0.06 * len(turns))  # each coder adds its padding
        return
    parts = [part(kind, turn, "-output_ts_offset", str(PART_S * n)) for n, turn in enumerate(turns)]
    media = rec.write_joined(parts[0].with_name(f"change.{kind}"), parts)
    if kind == "ogg":
        judge_refusal(run_stage, media, "where ffmpeg can't read on")
    else:
        judge(rec, run_stage, media)
