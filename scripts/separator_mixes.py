"""Examples for the embedded separator: the bank of sounds on disk, and mixes drawn from it by seed.

`example(bank, seed, number)` depends on nothing but its arguments, so a training run can stop and go on
anywhere. The augmentations are there because a model that has only heard clean synthetic voices gains
nothing on a band-limited, MP3-compressed reader.

Not here: how the sounds are made (`separator_speech`, `separator_music`), and the training.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import separator_music as music  # type: ignore[import-not-found]
import separator_speech as speech  # type: ignore[import-not-found]
import soundfile
import soxr

Array = Any  # a numpy array; shape and range are in the docstrings

RATE_HZ = 16_000
EXAMPLE_S = 3.0  # the model's segment
PIECE_S = 60.0
PIECES = {"midi": 40, "synthetic": 15, "noise": 8}
SNR_DB = (-8.0, 12.0)
GAIN_DB = (-25.0, 0.0)
MP3_DELAY_SAMPLES = 1105  # LAME's encoder delay of 576 and the decoder's of 529
TILT_DB = 8.0  # at most, at each of the points of `equalised`


@dataclass(frozen=True)
class Bank:
    """Sounds to mix, by kind and name: int16 [samples] at `RATE_HZ`, each longer than 10 s."""

    voices: Mapping[str, Array]
    music: Mapping[str, Array]
    noise: Mapping[str, Array]


def build(folder: Path) -> Bank:
    """The training bank, read from a folder; what is missing there is made first."""
    voices = {
        name: partial(speech.read_aloud, speak, minutes, number)
        for number, (name, (speak, minutes)) in enumerate(speech.TRAINING_VOICES.items())
    }
    voices |= {name: partial(speech.prompts, name, 50 + n) for n, name in enumerate(speech.TRAINING_PROMPTS)}
    rendered = partial(music.render, duration_s=PIECE_S, soundfont=music.TRAINING_SOUNDFONT)
    pieces = {f"midi-{n}": partial(rendered, 100 + n) for n in range(PIECES["midi"])}
    pieces |= {f"synthetic-{n}": partial(music.synthesise, 200 + n, PIECE_S) for n in range(PIECES["synthetic"])}
    noises = {f"noise-{n}": partial(music.noise, 300 + n, PIECE_S) for n in range(PIECES["noise"])}
    return Bank(
        *(
            {name: _kept(folder / f"{name}.wav", make) for name, make in kind.items()}
            for kind in (voices, pieces, noises)
        )
    )


def _kept(path: Path, make: Callable[[], Array]) -> Array:
    """A sound that is made once: written beside its place, then renamed."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        soundfile.write(unfinished, make(), RATE_HZ, subtype="PCM_16", format="WAV")
        os.replace(unfinished, path)
        print(f"made {path}", flush=True)
    return soundfile.read(path, dtype="int16")[0]


def example(bank: Bank, seed: int, number: int) -> tuple[Array, Array]:
    """One training example.

    Returns:
        The voice and everything else, float32 [EXAMPLE_S × RATE_HZ] each; their sum is the mixture. The
        voice's room, band and MP3 damage are part of it; one example in 25 has no voice, one no music.
    """
    rng = np.random.default_rng([seed, number])
    frames = round(EXAMPLE_S * RATE_HZ)
    voice = _voice(bank, rng, frames)
    rest = equalised(_excerpt(bank.music, rng, frames), rng)
    if rng.random() < 0.2:
        rest += rng.uniform(0.2, 1) * equalised(_excerpt(bank.music, rng, frames), rng)
    voice_rms, rest_rms = _rms(voice), _rms(rest)
    rest *= (voice_rms or 0.05) / (rest_rms or 1) * 10 ** (-rng.uniform(*SNR_DB) / 20)
    alone = rng.random()
    if alone < 0.04:
        rest *= 0
    elif alone < 0.08:
        voice *= 0
    if rng.random() < 0.5:
        rest += (
            (voice_rms or 0.05)
            * 10 ** (-rng.uniform(15, 45) / 20)
            / speech.LEVEL_RMS
            * (_excerpt(bank.noise, rng, frames))
        )
    if rng.random() < 0.2:  # the whole recording went through a narrow channel
        limits_hz = _band(rng)
        voice, rest = band_limited(voice, *limits_hz), band_limited(rest, *limits_hz)
    gain = 10 ** (rng.uniform(*GAIN_DB) / 20) / max(0.1, np.abs(voice + rest).max())
    return (gain * voice).astype(np.float32), (gain * rest).astype(np.float32)


def _voice(bank: Bank, rng: np.random.Generator, frames: int) -> Array:
    """A damaged excerpt of a voice, float32 [frames]."""
    voice = equalised(_excerpt(bank.voices, rng, frames), rng)
    if rng.random() < 0.4:
        voice = in_a_room(voice, rng)
    if rng.random() < 0.5:
        voice = band_limited(voice, *_band(rng))
    if rng.random() < 0.3:
        voice = through_mp3(voice, rng.uniform(0.6, 0.98))
    if rng.random() < 0.15:
        start, length = rng.integers(frames), rng.integers(RATE_HZ // 2, 2 * RATE_HZ)
        voice[start : start + length] = 0
    return voice


def _excerpt(sounds: Mapping[str, Array], rng: np.random.Generator, frames: int) -> Array:
    """A piece of one of the sounds at 0.8 to 1.2 times its speed (and pitch): float32 [frames]."""
    names = list(sounds)
    weights = np.array([len(sounds[name]) ** 0.5 for name in names])  # a short one still counts
    sound = sounds[names[rng.choice(len(names), p=weights / weights.sum())]]
    rate = rng.uniform(0.8, 1.2)
    needed = int(frames * rate) + RATE_HZ // 10
    start = rng.integers(max(1, len(sound) - needed))
    piece = sound[start : start + needed].astype(np.float32) / 32768
    piece = soxr.resample(piece, RATE_HZ * rate, RATE_HZ, quality="MQ")[:frames]
    return np.pad(piece, (0, frames - len(piece)))


def equalised(sound: Array, rng: np.random.Generator) -> Array:
    """A sound through a smooth random equaliser, up to ± `TILT_DB` at six points: float32, as long."""
    spectrum = np.fft.rfft(sound)
    hz = np.fft.rfftfreq(len(sound), 1 / RATE_HZ)
    points = rng.uniform(-1, 1, 6) * rng.uniform(0, TILT_DB)
    gain_db = np.interp(np.log(hz + 50), np.log([100, 250, 600, 1500, 3500, 8000]), points)
    return np.fft.irfft(spectrum * 10 ** (gain_db / 20), len(sound)).astype(np.float32)


def _band(rng: np.random.Generator) -> tuple[float, float]:
    return rng.uniform(20, 250), rng.uniform(2800, 7500)


def band_limited(sound: Array, low_hz: float, high_hz: float) -> Array:
    """A sound without what is below or above; the edges fall over a fifth of their frequency. float32, as long."""
    hz = np.fft.rfftfreq(len(sound), 1 / RATE_HZ)
    gain = np.clip((hz / low_hz - 0.8) / 0.2, 0, 1) * np.clip((1.2 - hz / high_hz) / 0.2, 0, 1)
    return np.fft.irfft(np.fft.rfft(sound) * gain, len(sound)).astype(np.float32)


def in_a_room(sound: Array, rng: np.random.Generator) -> Array:
    """A sound with decaying noise as its room: 0.08 to 0.6 s of reverberation (to −60 dB). float32, as long."""
    length_s = rng.uniform(0.08, 0.6)
    tail = rng.standard_normal(round(length_s * RATE_HZ))
    tail *= 10 ** (-3 * np.arange(len(tail)) / len(tail))
    tail *= rng.uniform(0.1, 0.7) / np.sqrt((tail**2).sum())
    tail[0] = 1
    size = len(sound) + len(tail)
    return np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(tail, size), size)[: len(sound)].astype(np.float32)


def through_mp3(sound: Array, compression: float) -> Array:
    """A sound after an MP3 encoder and decoder: `compression` 0…1 is 160…8 kbit/s. float32, as long."""
    file = io.BytesIO()
    limited = np.clip(sound, -1, 1)
    soundfile.write(file, limited, RATE_HZ, format="MP3", bitrate_mode="CONSTANT", compression_level=compression)
    file.seek(0)
    heard = soundfile.read(file, dtype="float32")[0][MP3_DELAY_SAMPLES : MP3_DELAY_SAMPLES + len(sound)]
    return np.pad(heard, (0, len(sound) - len(heard)))


def _rms(sound: Array) -> float:
    return float(np.sqrt(np.mean(sound**2)))
