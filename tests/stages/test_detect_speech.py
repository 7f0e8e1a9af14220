"""detect_speech: speech is found where it is, and stays there when the clip moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

from mediabuild.media import formats
from mediabuild.stage import Context

SETTLED_S = 3.0  # Silero remembers what it heard; its start from nothing shows for about this long


def stretches(done: Context) -> list[tuple[float, float]]:
    """What the stage wrote."""
    return formats.read(done.output("segments"), formats.Speech).segments


def probe(path: Path, clip_start_s: float) -> Path:
    """A probe.json of a clip."""
    formats.write(path, formats.Probe("wav", 60.0, clip_start_s, 60.0, 0, "en", [], []))
    return path


def test_librivox_speech_is_found(run_stage: Callable[..., Context], librivox: Path) -> None:
    """The three readings: one stretch each, within 0.5 s of the labels (0.2 s of them is padding)."""
    for sound in sorted(librivox.glob("*.wav")):
        (start_s, end_s), *rest = stretches(run_stage("detect_speech", {"audio": sound}))
        labels = sound.with_suffix(".lab").read_text().splitlines()
        speech_s, silence_s = (float(line.split()[0]) for line in labels)
        assert not rest
        assert abs(start_s - speech_s) < 0.5
        assert abs(end_s - silence_s) < 0.5


def test_the_pauses_of_a_reading_are_found(run_stage: Callable[..., Context], reading: Any) -> None:
    """Six sentences with pauses of at least 0.5 s between them are six stretches, at their times."""
    found = stretches(run_stage("detect_speech", {"audio": reading.path}))
    assert len(found) == len(reading.sentences)
    for (start_s, end_s), (from_s, to_s, _) in zip(found, reading.sentences, strict=True):
        assert from_s - 0.25 <= start_s <= from_s + 0.35
        assert to_s - 0.5 <= end_s <= to_s + 0.25


@pytest.mark.parametrize("right", ["against", "against from 10 s on", "quiet and against"])
def test_left_against_right_is_heard(
    run_stage: Callable[..., Context], reading: Any, tmp_path: Path, right: str
) -> None:
    """One side wired the wrong way round: their mean is silence, so the louder one is heard, and speech is found."""
    sound, rate_hz = soundfile.read(reading.path)
    sign = np.where(np.arange(len(sound)) < 10 * rate_hz, 1, -1) if right == "against from 10 s on" else -1
    level = 0.9 if right == "quiet and against" else 1
    soundfile.write(tmp_path / "against.wav", np.stack([sound, sound * sign * level], axis=1), rate_hz)
    found = stretches(run_stage("detect_speech", {"audio": tmp_path / "against.wav"}))
    plain = stretches(run_stage("detect_speech", {"audio": reading.path}))
    assert len(found) == len(plain)
    assert np.abs(np.array(found) - np.array(plain)).max() < 0.1


def test_stretches_are_those_of_faster_whisper(
    run_stage: Callable[..., Context], stage_module: Callable[[str], ModuleType], reading: Any
) -> None:
    """Streaming the sound and our own rules give what faster-whisper's get_speech_timestamps gives."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    sound, rate_hz = soundfile.read(reading.path, dtype="float32")
    for silence_ms, padding_ms, threshold in ((500, 200, 0.5), (100, 30, 0.7), (2000, 400, 0.3)):
        options = VadOptions(
            threshold=threshold,
            min_speech_duration_ms=250,
            min_silence_duration_ms=silence_ms,
            speech_pad_ms=padding_ms,
        )
        expected = [(s["start"] / rate_hz, s["end"] / rate_hz) for s in get_speech_timestamps(sound.copy(), options)]
        done = run_stage(
            "detect_speech",
            {"audio": reading.path},
            min_speech_ms=250,
            min_silence_ms=silence_ms,
            speech_pad_ms=padding_ms,
            threshold=threshold,
            max_speech_s=3600.0,
        )
        assert len(expected) > 1
        assert np.allclose(stretches(done), expected, atol=1e-3)


def test_faint_speech_is_found(run_stage: Callable[..., Context], telephone: Any) -> None:
    """Through a telephone's band Silero is hardly ever sure: most of each sentence is found, and no pause."""
    found = stretches(run_stage("detect_speech", {"audio": telephone.path}))
    for from_s, to_s, _ in telephone.sentences:
        spoken_s = sum(max(0.0, min(to_s, b) - max(from_s, a)) for a, b in found)
        assert spoken_s > 0.75 * (to_s - from_s)
    assert sum(b - a for a, b in found) < sum(b - a for a, b, _ in telephone.sentences) + 0.4 * len(found)


def test_a_silent_track_names_the_others(run_stage: Callable[..., Context], tmp_path: Path) -> None:
    """Where nobody speaks, the warning says which tracks there are besides, and what to type; a lone one is no news."""
    soundfile.write(tmp_path / "silence.wav", np.zeros(32_000), 16_000)
    tracks = [formats.AudioTrack(i, "aac", 2, 48_000, 0.0, tag) for i, tag in enumerate((None, "en", "es"))]
    for count, expected in ((3, "there are others: 1 (en), 2 (es) doit demux.audio_track=1"), (1, "")):
        info = formats.Probe("mp4", 2.0, 0.0, 2.0, 0, None, tracks[:count], [])
        formats.write(tmp_path / "probe.json", info)
        done = run_stage("detect_speech", {"audio": tmp_path / "silence.wav", "probe": tmp_path / "probe.json"})
        said = ["{message} {hint}".format(**fields) for kind, fields in done.messages if kind == "warning"]  # type: ignore[attr-defined]
        assert bool(said) == bool(expected)
        assert all(message.endswith(expected) for message in said)


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_a_moved_clip_finds_the_same_speech(
    run_stage: Callable[..., Context], reading: Any, tmp_path: Path, rate_hz: int
) -> None:
    """Wherever the clip starts, speech from 3 s after has the very same times on the source's clock."""
    sound = soxr.resample(soundfile.read(reading.path)[0], 16_000, rate_hz)
    soundfile.write(tmp_path / "whole.wav", sound, rate_hz)
    whole = stretches(run_stage("detect_speech", {"audio": tmp_path / "whole.wav"}))
    for cut in (1, 777, 5_000, round(9.5 * rate_hz), round(15.0 * rate_hz) + 13):
        soundfile.write(tmp_path / "clip.wav", sound[cut:], rate_hz)
        start_s = cut / rate_hz
        inputs = {"audio": tmp_path / "clip.wav", "probe": probe(tmp_path / "probe.json", start_s)}
        moved = [(a + start_s, b + start_s) for a, b in stretches(run_stage("detect_speech", inputs))]
        expected = [part for part in whole if part[0] > start_s + SETTLED_S]
        assert len(expected) >= 2
        assert np.allclose(moved[-len(expected) :], expected, atol=1e-4)


@pytest.mark.parametrize("frames", [0, 100, 16_000 * 5])
def test_no_speech_is_an_empty_list(run_stage: Callable[..., Context], tmp_path: Path, frames: int) -> None:
    """Silence, a snippet and an empty file have no speech, and that is no failure."""
    soundfile.write(tmp_path / "silence.wav", np.zeros(frames), 16_000)
    assert stretches(run_stage("detect_speech", {"audio": tmp_path / "silence.wav"})) == []


def test_music_is_no_speech(run_stage: Callable[..., Context], tmp_path: Path) -> None:
    """A chord that swells and fades isn't taken for a voice."""
    time_s = np.arange(16_000 * 6) / 16_000
    chord = sum(np.sin(2 * np.pi * hz * time_s) for hz in (220, 277.2, 329.6, 440)) * np.sin(time_s) ** 2
    soundfile.write(tmp_path / "chord.wav", 0.1 * chord, 16_000)
    assert stretches(run_stage("detect_speech", {"audio": tmp_path / "chord.wav"})) == []


def test_detecting_twice_gives_the_same_bytes(run_stage: Callable[..., Context], reading: Any) -> None:
    """Equal inputs are equal outputs."""
    first, second = (run_stage("detect_speech", {"audio": reading.path}) for _ in range(2))
    assert first.output("segments").read_bytes() == second.output("segments").read_bytes()


PROBABILITIES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.2, 0.4, 0.45, 0.55, 0.9, 1.0]), st.integers(1, 60)), max_size=40
).map(lambda runs: [probability for probability, length in runs for _ in range(length)])


@given(probabilities=PROBABILITIES, padding_ms=st.integers(0, 600), longest_s=st.sampled_from([5.0, 8.0, 28.0]))
def test_stretches_are_ordered_and_hold_all_clear_speech(
    stage_module: Callable[[str], ModuleType], probabilities: list[float], padding_ms: int, longest_s: float
) -> None:
    """For any probabilities: in order, not overlapping, in bounds, not too long, and no long clear run is missed."""
    module = stage_module("detect_speech")
    params = module.DetectSpeechParams(speech_pad_ms=padding_ms, max_speech_s=longest_s)
    found = module.speech_stretches(probabilities, params)
    edges = [edge for part in found for edge in part]
    assert edges == sorted(edges)
    assert all(start < end <= start + 1000 * longest_s + 2 * padding_ms for start, end in found)
    assert not edges or (edges[0] >= 0 and edges[-1] <= len(probabilities) * 32)
    for index in range(len(probabilities) - 8):
        if min(probabilities[index : index + 9]) >= 0.5:  # 288 ms, longer than min_speech_ms
            assert any(start <= index * 32 and (index + 1) * 32 <= end for start, end in found)


@given(clip_start=st.integers(0, 10**9), rate_hz=st.sampled_from([8_000, 16_000, 22_050, 44_100, 48_000, 96_000]))
def test_padding_reaches_back_to_a_whole_window(
    stage_module: Callable[[str], ModuleType], clip_start: int, rate_hz: int
) -> None:
    """The first window starts a whole number of windows after the source's zero, less than 0.2 s before the clip."""
    padding = stage_module("detect_speech").padding_frames(clip_start, rate_hz)
    assert 0 <= padding < 0.2 * rate_hz
    assert ((clip_start - padding) * 16_000) % (512 * rate_hz) == 0
