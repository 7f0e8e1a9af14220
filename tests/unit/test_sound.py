"""Sound: pieces of a recording are the same samples wherever the clip starts, and silence where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from mediabuild.media.recordings.sound import SPEECH_HZ, Sound


@pytest.fixture
def ramp(tmp_path: Path) -> np.ndarray:
    """Two seconds of stereo at 44.1 kHz whose every sample tells its place."""
    return (np.arange(88_200)[:, None] * [1, -1] / 88_200).astype(np.float32)


def opened(path: Path, sound: np.ndarray, clip_start_s: float = 0.0) -> Sound:
    """A clip of it, as a WAV."""
    soundfile.write(path, sound, 44_100, subtype="FLOAT")
    return Sound(path, clip_start_s)


def test_silence_is_where_the_clip_is_not(tmp_path: Path, ramp: np.ndarray) -> None:
    """Before its start, after its end, and where both are outside: as many frames as were asked for."""
    with opened(tmp_path / "a.wav", ramp) as sound:
        assert np.array_equal(sound.read(-3, 2), np.vstack([np.zeros((3, 2)), ramp[:2]]))
        assert np.array_equal(sound.read(88_198, 88_203), np.vstack([ramp[-2:], np.zeros((3, 2))]))
        for start, stop in ((-9, -4), (90_000, 90_005)):
            assert np.array_equal(sound.read(start, stop), np.zeros((5, 2)))


@pytest.mark.parametrize("cut", [1, 441, 12_345])
def test_a_moved_clip_holds_the_same_pieces(tmp_path: Path, ramp: np.ndarray, cut: int) -> None:
    """Two times on the source's clock, also ones half-way between frames, name the same frames in any clip."""
    start_s = cut / 44_100
    with opened(tmp_path / "a.wav", ramp) as whole, opened(tmp_path / "b.wav", ramp[cut:], start_s) as clip:
        assert clip.first_frame == cut
        for time_s in (0.5, 20_000.5 / 44_100, 1.2345678):
            piece = whole.between(time_s, time_s + 0.1)
            assert np.array_equal(piece, clip.between(time_s - start_s, time_s + 0.1 - start_s))
            assert whole.facts(piece) == clip.facts(piece)
        assert len(clip.between(-1.0, 5.0)) == 88_200 - cut
        assert len(clip.between(3.0, 2.0)) == 0


def test_all_of_it_is_its_pieces(tmp_path: Path, ramp: np.ndarray) -> None:
    """Hearing everything gives each channel the same weight, at the rate of speech, after the silence asked for."""
    with opened(tmp_path / "a.wav", np.abs(ramp)) as sound:
        heard = np.concatenate(list(sound.all_as_speech(22_050)))
        assert len(heard) == 2.5 * SPEECH_HZ
        assert np.abs(heard[: SPEECH_HZ // 2 - 100]).max() < 1e-3
        assert np.allclose(heard[24_000:38_000], np.arange(16_000, 30_000) / 32_000, atol=1e-3)
